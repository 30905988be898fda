//! Variables that look like misspelt settings.

use std::collections::BTreeSet;
use std::fmt;

use crate::reference::of_files;

/// Names that people use instead of a setting's own.
const OTHER_NAMES: [(&str, &[&str]); 9] = [
    ("REPOS", &["REPOSITORY", "REPOSITORIES", "GITHUB_REPOS", "GITHUB_REPOSITORIES", "GH_REPO"]),
    ("ORGANIZATIONS", &["ORG", "ORGS", "GITHUB_ORG", "GITHUB_ORGS", "GITHUB_ORGANIZATION", "GITHUB_ORGANIZATIONS"]),
    ("ENTERPRISES", &["GITHUB_ENTERPRISE", "GITHUB_ENTERPRISES"]),
    ("GITHUB_TOKEN", &["GH_TOKEN", "GITHUB_PAT", "GH_PAT", "GITHUB_ACCESS_TOKEN", "GITHUB_API_TOKEN"]),
    ("GITHUB_APP_PRIVATE_KEY", &["GITHUB_APP_KEY", "GITHUB_PRIVATE_KEY", "GITHUB_APP_PEM"]),
    ("GITHUB_API_URL", &["GITHUB_URL", "GITHUB_HOST", "GITHUB_BASE_URL"]),
    ("SLACK_WEBHOOK", &["SLACK_WEBHOOK_URL", "SLACK_HOOK", "SLACK_URL", "WEBHOOK_URL", "SLACK_INCOMING_WEBHOOK"]),
    ("SLACK_BOT_TOKEN", &["SLACK_TOKEN", "SLACK_OAUTH_TOKEN", "SLACK_API_TOKEN"]),
    ("SLACK_CHANNEL", &["SLACK_CHANNEL_ID", "SLACK_CHANNEL_NAME"]),
];

/// A variable that is set but not read, and the setting that is probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misspelt {
    /// The name of the variable.
    pub given: String,
    /// The name of the setting, which is not set.
    pub meant: &'static str,
}

impl fmt::Display for Misspelt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is set but is not a setting; did you mean {}?", self.given, self.meant)
    }
}

/// Every variable among `names` that is similar to an unset setting.
pub(crate) fn misspelt(names: &[String], is_set: impl Fn(&str) -> bool) -> Vec<Misspelt> {
    let known = known();
    let strange = names.iter().filter(|name| !known.contains(name.as_str()));
    let found = strange.filter_map(|name| Some(Misspelt { given: name.clone(), meant: meant(name, &known)? }));
    found.filter(|misspelt| !is_set(misspelt.meant)).collect()
}

/// The names of all settings.
pub(crate) fn known() -> BTreeSet<&'static str> {
    of_files().map(|setting| setting.name).collect()
}

/// The setting that is probably meant by a name that is none.
pub(crate) fn meant(name: &str, known: &BTreeSet<&'static str>) -> Option<&'static str> {
    let bare = |name: &str| name.to_ascii_uppercase().replace(['_', '-'], "");
    let given = bare(name);
    if let Some((meant, _)) = OTHER_NAMES.iter().find(|(_, others)| others.iter().any(|other| bare(other) == given)) {
        return Some(meant);
    }
    // At most two typos, or one in a short name. Too many words are as near to `WEB`.
    let near = known
        .iter()
        .filter(|known| known.len() > 4)
        .map(|known| (strsim::damerau_levenshtein(&bare(known), &given), *known));
    near.filter(|(distance, known)| *distance <= if known.len() < 9 { 1 } else { 2 }).min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str], set: &[&str]) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        misspelt(&names, |name| set.contains(&name)).iter().map(|one| format!("{} {}", one.given, one.meant)).collect()
    }

    #[test]
    fn likely_typos_are_reported_with_the_setting_that_is_meant() {
        for (given, meant) in [
            ("REPO", "REPOS"),
            ("repos", "REPOS"),
            ("REPOSITORIES", "REPOS"),
            ("ORGANISATIONS", "ORGANIZATIONS"),
            ("ORGANIZATION", "ORGANIZATIONS"),
            ("ORGS", "ORGANIZATIONS"),
            ("ENTERPRISE", "ENTERPRISES"),
            ("SLACK_WEBHOK", "SLACK_WEBHOOK"),
            ("SLACK_WEB_HOOK", "SLACK_WEBHOOK"),
            ("SLACK_WEBHOOK_URL", "SLACK_WEBHOOK"),
            ("SLACK_CHANEL", "SLACK_CHANNEL"),
            ("SLACK_BOTTOKEN", "SLACK_BOT_TOKEN"),
            ("SLACK_SIGNINGSECRET", "SLACK_SIGNING_SECRET"),
            ("GITHUB_TOKNE", "GITHUB_TOKEN"),
            ("GH_TOKEN", "GITHUB_TOKEN"),
            ("GITHUB_APPID", "GITHUB_APP_ID"),
            ("GITHUB_APP_KEY", "GITHUB_APP_PRIVATE_KEY"),
            ("STATELY_STORE_ID", "STATELYDB_STORE_ID"),
            ("POLICYS", "POLICY"),
            ("HEARTBEATURL", "HEARTBEAT_URL"),
            ("RUNNER_MONITOR_STORES", "RUNNER_MONITOR_STORE"),
        ] {
            assert_eq!(of(&[given], &[]), [format!("{given} {meant}")]);
            assert!(of(&[given], &[meant]).is_empty(), "{given}: {meant} is set");
        }
    }

    #[test]
    fn variables_of_other_programs_are_ignored() {
        let others = [
            "PATH",
            "HOME",
            "LANG",
            "PWD",
            "REPLY",
            "EDITOR",
            "LOG",
            "RUST_LOG",
            "NO_COLOR",
            "HTTPS_PROXY",
            "GITHUB_ACTIONS",
            "GITHUB_ACTOR",
            "GITHUB_ENV",
            "GITHUB_OUTPUT",
            "GITHUB_PATH",
            "GITHUB_REF",
            "GITHUB_REPOSITORY",
            "GITHUB_REPOSITORY_OWNER",
            "GITHUB_RUN_ID",
            "GITHUB_SERVER_URL",
            "GITHUB_GRAPHQL_URL",
            "GITHUB_SHA",
            "GITHUB_WORKFLOW",
            "GITHUB_WORKSPACE",
            "RUNNER_NAME",
            "RUNNER_OS",
            "RUNNER_TEMP",
            "CI",
            "AWS_REGION",
            "POLICYKIT",
            "SLACK_SIGNING_SECRET",
            "GITHUB_API_URL",
        ];
        assert_eq!(of(&others, &[]), Vec::<String>::new());
    }
}
