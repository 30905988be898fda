//! Reading the jobs of a repository from GitHub in each check, for those who cannot set a webhook.

use serde::{Deserialize, Serialize};

use crate::jobs::Job;
use crate::target::{Target, TargetKind, TargetSpec};

/// What is stored of a repository's workflow runs between two checks, so that GitHub says only what has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolledRuns {
    /// The repository.
    pub repository: Target,
    /// A short digest of the token that the ETags were issued to: ETags differ between tokens.
    pub given_to: String,
    /// The lists of runs that are queued and in progress, in the order in which they are read.
    pub lists: Vec<PolledList>,
    /// The runs whose jobs may not all be completed.
    pub runs: Vec<PolledRun>,
}

/// One list of workflow runs, as last read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolledList {
    /// GitHub's ETag for the list; `None` if it must be read in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The numbers of its runs.
    pub runs: Vec<u64>,
}

/// The jobs of one workflow run, as last read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolledRun {
    /// The number of the run.
    pub id: u64,
    /// GitHub's ETag for the list of its jobs; `None` if it must be read in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// What a poll of a repository found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolledJobs {
    /// The jobs for runners of one's own in the runs that changed, each with whether it is completed.
    pub jobs: Vec<(Job, bool)>,
    /// What to store for the next poll.
    pub runs: PolledRuns,
}

/// The repositories whose jobs a check of `target` reads: itself, and for an organization also those of its repositories
/// that are not targets themselves. `polled` is the policy's list, `configured` the list of targets.
pub fn polled_by(target: &Target, polled: &[Target], configured: &[TargetSpec]) -> Vec<Target> {
    let is_target = |repository: &Target| configured.iter().any(|spec| spec.covers(repository));
    let is_read_here = |repository: &&Target| match target.kind() {
        TargetKind::Repository => repository.id() == target.id(),
        TargetKind::Organization => is_of(repository, target) && !is_target(repository),
        TargetKind::Enterprise | TargetKind::Pools => false,
    };
    polled.iter().filter(is_read_here).cloned().collect()
}

/// Whether the check of some target reads the jobs of a repository.
pub(crate) fn is_polled_by_any(repository: &Target, configured: &[TargetSpec]) -> bool {
    let has_organization = |spec: &TargetSpec| {
        matches!(spec, TargetSpec::One(target)
            if target.kind() == TargetKind::Organization && is_of(repository, target))
    };
    configured.iter().any(|spec| spec.covers(repository) || has_organization(spec))
}

fn is_of(repository: &Target, organization: &Target) -> bool {
    repository.owner().eq_ignore_ascii_case(organization.owner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_repository_is_polled_by_one_target() {
        let target = |name: &str| name.parse::<Target>().unwrap();
        let polled = ["acme/web", "acme/api", "other/x"].map(target);
        let configured =
            ["acme/web", "orgs/ACME", "other/y", "enterprises/acme"].map(|name| TargetSpec::One(target(name)));
        for (name, expected) in
            [("acme/web", &["acme/web"][..]), ("orgs/acme", &["acme/api"]), ("other/y", &[]), ("enterprises/acme", &[])]
        {
            let polled = polled_by(&target(name), &polled, &configured);
            assert_eq!(polled.iter().map(Target::as_str).collect::<Vec<_>>(), expected, "{name}");
        }
        let by_any: Vec<bool> = polled.iter().map(|repository| is_polled_by_any(repository, &configured)).collect();
        assert_eq!(by_any, [true, true, false]);
    }
}
