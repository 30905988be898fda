//! The planted secrets, and the search for them in everything that the functions wrote.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// The token that GitHub accepts at first.
pub(crate) const GITHUB_TOKEN: &str = "ghp_plantedGitHubToken0123456789abcdefABCD";
/// The token that replaces the first one when that is revoked.
pub(crate) const ROTATED_GITHUB_TOKEN: &str = "ghp_plantedRotatedToken0123456789abcdefABC";
/// StatelyDB's access key.
pub(crate) const STATELYDB_ACCESS_KEY: &str = "CAISplantedStatelyAccessKey0123456789";
/// The path of Slack's webhook.
pub(crate) const WEBHOOK_PATH: &str = "/services/T0FAKE/B0FAKE/plantedWebhookKey0123456";
/// Slack's signing secret.
pub(crate) const SIGNING_SECRET: &str = "plantedsigningsecret0123456789ab";
/// The secret of GitHub's webhook.
pub(crate) const GITHUB_WEBHOOK_SECRET: &str = "plantedGitHubWebhookSecret0123456789";
/// The secret key of the AWS credentials.
pub(crate) const AWS_SECRET_ACCESS_KEY: &str = "plantedAwsSecretAccessKey0123456789abcde";

/// Fails if a file below this folder contains a planted secret. Returns how many files and bytes were searched.
pub(crate) fn search(folder: &Path) -> anyhow::Result<(usize, usize)> {
    let planted = [
        GITHUB_TOKEN,
        ROTATED_GITHUB_TOKEN,
        STATELYDB_ACCESS_KEY,
        WEBHOOK_PATH,
        // The secret part of the webhook, in case the address was truncated.
        "plantedWebhookKey",
        SIGNING_SECRET,
        GITHUB_WEBHOOK_SECRET,
        AWS_SECRET_ACCESS_KEY,
    ];
    let (mut files, mut bytes) = (0, 0);
    let mut found = Vec::new();
    for path in files_below(folder)? {
        let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        files += 1;
        bytes += text.len();
        for (number, line) in text.lines().enumerate() {
            if planted.iter().any(|secret| line.contains(secret)) {
                found.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    ensure!(found.is_empty(), "planted secrets in {}", found.join(", "));
    ensure!(bytes > 0, "there is no log to search in {}", folder.display());
    Ok((files, bytes))
}

fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_below(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_secret_is_found_with_its_place_and_an_empty_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        assert!(search(folder.path()).is_err());
        std::fs::write(folder.path().join("a.log"), "all well\n").unwrap();
        assert_eq!(search(folder.path()).unwrap(), (1, 9));
        let leak = format!("all well\npost to https://x{WEBHOOK_PATH} failed\n");
        std::fs::write(folder.path().join("inner").join("b.log"), leak).unwrap();
        let error = search(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("inner/b.log:2") && !error.contains("plantedW"), "{error}");
    }
}
