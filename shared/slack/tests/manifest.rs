//! The app manifest lists exactly the commands that exist.

use std::fmt::Write as _;

use monitor_slack::incoming::Verb;

#[test]
fn the_manifest_has_every_command_as_help_lists_it() {
    let manifest = include_str!("../../../infra/slack-app-manifest.yaml");
    let mut commands = "  slash_commands:\n".to_owned();
    for verb in Verb::ALL {
        let (name, what, hint) = (verb.name(), verb.what(), verb.arguments());
        let _ = writeln!(commands, "    - command: {name}\n      url: https://runner-monitor.example.com/slack");
        let _ =
            writeln!(commands, "      description: {what}\n      usage_hint: \"{hint}\"\n      should_escape: false");
    }
    assert!(manifest.contains(&commands), "infra/slack-app-manifest.yaml should have\n{commands}");
    assert_eq!(manifest.matches("- command:").count(), Verb::ALL.len());
    assert!(Verb::ALL.iter().all(|verb| verb.what().len() <= 140 && !verb.what().contains(": ")));
}
