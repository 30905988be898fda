//! The app manifest offers the commands that are offered, and nothing else.

use std::fmt::Write as _;

use monitor_slack::incoming::Verb;

#[test]
fn the_manifest_has_every_command_as_help_lists_it() {
    let manifest = include_str!("../../../infra/slack-app-manifest.yaml");
    let commands = Verb::ALL.iter().fold("  slash_commands:\n".to_owned(), |mut yaml, verb| {
        let (name, what, hint) = (verb.name(), verb.what(), verb.arguments());
        let _ = writeln!(yaml, "    - command: {name}\n      url: https://runner-monitor.example.com/slack");
        let _ = writeln!(yaml, "      description: {what}\n      usage_hint: \"{hint}\"\n      should_escape: false");
        yaml
    });
    assert!(manifest.contains(&commands), "infra/slack-app-manifest.yaml should have\n{commands}");
    assert_eq!(manifest.matches("- command:").count(), Verb::ALL.len());
    assert!(Verb::ALL.iter().all(|verb| verb.what().len() <= 140 && !verb.what().contains(": ")));
}
