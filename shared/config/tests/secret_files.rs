//! Every secret may be in a file, whose path is the value after an `@`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use monitor_config::{
    Credential, HostOptions, Parameters, Prefix, Secret, SettingFaults, Settings, SlackSettings, Source, StoreChoice,
    StoreSettings, read_secret, reference,
};

const PEM: &str = "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----";
/// Each secret: its name, a value, the text that is the secret, and a variable that makes it needed.
const SECRETS: [(&str, &str, &str, (&str, &str)); 8] = [
    ("GITHUB_TOKEN", "ghp_hunter2", "ghp_hunter2", ("", "")),
    ("GITHUB_APP_PRIVATE_KEY", PEM, PEM, ("GITHUB_APP_ID", "1")),
    ("GITHUB_WEBHOOK_SECRET", "3f9chunter2", "3f9chunter2", ("", "")),
    ("SLACK_WEBHOOK", "https://chat.test/hunter2", "https://chat.test/hunter2", ("", "")),
    (
        "SLACK_WEBHOOKS",
        "{\n \"gpu\": \"https://chat.test/hunter2\"\n}",
        "https://chat.test/hunter2",
        ("SLACK_WEBHOOK", "https://chat.test/x"),
    ),
    ("SLACK_BOT_TOKEN", "xoxb-hunter2", "xoxb-hunter2", ("SLACK_CHANNEL", "C0123456789")),
    ("SLACK_SIGNING_SECRET", "8f74hunter2", "8f74hunter2", ("", "")),
    ("STATELYDB_ACCESS_KEY", "CAISRhunter2", "CAISRhunter2", ("", "")),
];

/// A folder for the files of one test.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("secret-files").join(test);
    fs::create_dir_all(&folder).expect("a folder for files");
    folder
}

/// Reads settings in which this secret has this value, and which need every secret.
fn read(name: &str, value: &str, needed_by: (&str, &str)) -> Result<Settings, SettingFaults> {
    let variables: BTreeMap<&str, &str> = [
        ("GITHUB_TOKEN", if needed_by.0 == "GITHUB_APP_ID" { "" } else { "x" }),
        ("REPOS", "acme/web"),
        ("SLACK_SIGNING_SECRET", "x"),
        ("GITHUB_WEBHOOK_SECRET", "x"),
        ("STATELYDB_ACCESS_KEY", "x"),
        ("STATELYDB_STORE_ID", "1"),
        ("STATELYDB_SCHEMA_ID", "2"),
        needed_by,
        (name, value),
    ]
    .into();
    let source = Source::variables(|name| variables.get(name).map(|value| (*value).to_owned()));
    let store = Some(StoreChoice::StatelyDb);
    Settings::read(&source, &HostOptions { store, slack_commands: true, webhooks: true, ..HostOptions::default() })
}

/// Every secret of the settings.
fn secrets(settings: &Settings) -> Vec<&str> {
    let mut secrets: Vec<&Secret> =
        settings.slack_signing_secret.iter().chain(&settings.github_webhook_secret).collect();
    match &settings.github.credential {
        Credential::Token(secret) | Credential::App { private_key: secret, .. } => secrets.push(secret),
    }
    match &settings.slack {
        Some(SlackSettings::Webhook { url, named }) => secrets.extend(named.0.values().chain([url])),
        Some(SlackSettings::Bot { token, .. }) => secrets.push(token),
        None => {}
    }
    if let Some(StoreSettings::StatelyDb(statelydb)) = &settings.store {
        secrets.extend(&statelydb.access_key);
    }
    secrets.into_iter().map(Secret::expose).collect()
}

#[test]
fn every_secret_is_read_from_a_file_without_the_line_breaks_at_its_end() {
    let folder = folder("read");
    for (name, value, secret, needed_by) in SECRETS {
        let path = folder.join(name);
        for end in ["", "\n", "\r\n\r\n"] {
            fs::write(&path, format!("{value}{end}")).unwrap();
            let settings = read(name, &format!(" @{}\n", path.display()), needed_by).unwrap();
            assert!(secrets(&settings).contains(&secret), "{name} with {end:?}");
            let shown = format!("{settings:?} {settings:#?}");
            assert!(!shown.contains("hunter2"), "{shown}");
            let in_value = read(name, value, needed_by).unwrap();
            assert_eq!(secrets(&settings), secrets(&in_value), "{name}: the same as the value itself");
        }
    }
    let tested: BTreeSet<&str> = SECRETS.map(|(name, ..)| name).into();
    let documented = reference().iter().filter(|setting| setting.secret).map(|setting| setting.name).collect();
    assert_eq!(tested, documented);
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_the_fix_and_without_its_content() {
    let folder = folder("errors");
    let file = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let cases = [
        (folder.join("missing"), "cannot be read (No such file or directory"),
        (folder.clone(), "cannot be read (Is a directory"),
        (file("empty", b" \n\n"), "is empty"),
        (file("large", "hunter2\n".repeat(8 * 1024 + 1).as_bytes()), "cannot be read (it is larger than 64 KB)"),
        (file("binary", b"hunter2\xff"), "cannot be read (it is not text in UTF-8)"),
    ];
    for (name, _, _, needed_by) in SECRETS {
        for (path, what) in &cases {
            let faults = read(name, &format!("@{}", path.display()), needed_by).unwrap_err();
            let text = faults.to_string();
            assert_eq!(faults.0.len(), 1, "{text}");
            assert!(text.contains(&format!("{name}: the file `{}` {what}", path.display())), "{text}");
            assert!(text.contains("; write `@` and the whole path of a file that this program may read"), "{text}");
            assert!(!format!("{text}{faults:?}").contains("hunter2"), "{text}");
        }
    }
}

#[test]
fn what_may_be_a_secret_after_the_at_sign_is_not_shown() {
    for (name, _, _, needed_by) in SECRETS {
        for value in ["@", "@hunter2", "@hunter2/x", "@ghp_hunter2", "@/run/ghp_hunter2", "@https://chat.test/hunter2"]
        {
            let faults = read(name, value, needed_by).unwrap_err();
            let text = faults.to_string();
            assert!(text.contains(&format!("{name}: the file ")) && text.contains("cannot be read"), "{value}: {text}");
            assert!(!format!("{text}{faults:?}").contains("hunter2"), "{value}: {text}");
        }
    }
}

#[test]
fn a_file_with_another_fault_is_refused_without_its_content() {
    let folder = folder("faults");
    for (name, _, _, needed_by) in SECRETS {
        let path = folder.join(name);
        // The path in a file is not followed. A webhook's secret may have spaces.
        let space = if name == "GITHUB_WEBHOOK_SECRET" { "\n" } else { " " };
        for content in [format!("hunter2{space}hunter2"), format!("@/hunter2{space}x")] {
            fs::write(&path, content).unwrap();
            let faults = read(name, &format!("@{}", path.display()), needed_by).unwrap_err();
            assert!(faults.to_string().contains(&format!("{name}: must be")) || faults.0[0].text.contains("must not"));
            assert!(!format!("{faults}{faults:?}").contains("hunter2"), "{faults}");
        }
    }
}

#[test]
fn a_parameter_and_a_flag_may_name_a_file_too() {
    let path = folder("others").join("token");
    fs::write(&path, "ghp_hunter2\n").unwrap();
    let (value, prefix) = (format!("@{}", path.display()), Prefix::new("x").unwrap());
    let parameters: Parameters = [("github-token", &*value), ("repositories", "acme/web")]
        .map(|(name, of)| (name.into(), of.into()))
        .into_iter()
        .collect();
    let settings =
        Settings::read(&Source::parameters(|_| None, &prefix, &parameters), &HostOptions::default()).unwrap();
    assert_eq!(secrets(&settings), ["ghp_hunter2"]);
    assert_eq!(read_secret("--flag", &value).unwrap().expose(), "ghp_hunter2");
    assert_eq!(read_secret("--flag", "ghp_hunter2").unwrap().expose(), "ghp_hunter2");
    let fault = read_secret("--flag", "@/nowhere").unwrap_err().to_string();
    assert!(fault.starts_with("--flag: the file `/nowhere` cannot be read (No such file"), "{fault}");
}
