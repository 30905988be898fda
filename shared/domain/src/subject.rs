//! Subjects have a history of their own: targets, credentials, and the monitor itself.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::quote::shown;
use crate::target::{Target, TargetId, TargetKind};

/// The number of a committed change of one subject; 0 means that there is none yet. A subject's history is ordered by
/// revisions, never by times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision after this one.
    pub fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The credential that serves a target: the one token, or the GitHub App's installation on an account.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CredentialId(Arc<str>);

impl CredentialId {
    /// The personal access token, which serves every target.
    pub fn token() -> Self {
        Self("token".into())
    }

    /// The GitHub App's installation on an account.
    pub fn app_installation(account: &str) -> Self {
        Self(format!("app:{}", account.to_ascii_lowercase()).into())
    }

    /// The account that this credential is limited to; `None` for a token.
    pub fn account(&self) -> Option<&str> {
        self.0.strip_prefix("app:")
    }

    /// Whether this credential serves `target`.
    pub fn serves(&self, target: &Target) -> bool {
        target.kind() != TargetKind::Pools
            && self.account().is_none_or(|account| target.owner().eq_ignore_ascii_case(account))
    }

    /// Where the pools over all of its targets are stored, as a target of their own. `None` for an account whose name
    /// GitHub would not allow.
    pub fn pools(&self) -> Option<Target> {
        Target::pools(&self.0).ok()
    }

    /// The identity as text: `token` or `app:account`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CredentialId {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_one = text == "token" || text.strip_prefix("app:").is_some_and(|account| !account.is_empty());
        if is_one { Ok(Self(text.into())) } else { Err(SubjectError(shown(&format!("credential:{text}"), 160))) }
    }
}

impl TryFrom<String> for CredentialId {
    type Error = SubjectError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CredentialId> for String {
    fn from(id: CredentialId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.account() {
            Some(account) => write!(f, "the GitHub App's installation on {account}"),
            None => f.write_str("the GitHub token"),
        }
    }
}

/// What changes and notifications are about. Its text is the key of its records in the store: `acme/web`,
/// `credential:token`, `monitor`. The three forms never collide: GitHub names contain no colon, and every target
/// contains a slash, as no credential does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    /// A repository, organization or enterprise.
    Target(TargetId),
    /// A credential, for failures that affect all its targets.
    Credential(CredentialId),
    /// The monitor itself: its list of targets, and gaps in its operation.
    Monitor,
}

impl From<&Target> for Subject {
    fn from(target: &Target) -> Self {
        Subject::Target(target.id().clone())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Target(id) => id.fmt(f),
            Subject::Credential(id) => write!(f, "credential:{}", id.as_str()),
            Subject::Monitor => f.write_str("monitor"),
        }
    }
}

/// The error for a text that is not a subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be owner/name, orgs/NAME, enterprises/NAME, credential:ID or monitor; found `{0}`")]
pub struct SubjectError(String);

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "monitor" {
            return Ok(Subject::Monitor);
        }
        let fault = || SubjectError(shown(text, 160));
        match text.strip_prefix("credential:").filter(|id| !id.contains('/')) {
            Some(id) => id.parse().map(Subject::Credential).map_err(|_: SubjectError| fault()),
            None => match text.parse::<Target>() {
                Ok(target) => Ok(Subject::Target(target.id().clone())),
                Err(_) => Err(fault()),
            },
        }
    }
}

impl TryFrom<String> for Subject {
    type Error = SubjectError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_survives_its_text_and_others_are_refused() {
        let subjects = [
            Subject::from(&"Acme/Web".parse::<Target>().unwrap()),
            Subject::from(&"orgs/acme".parse::<Target>().unwrap()),
            Subject::from(&CredentialId::token().pools().unwrap()),
            Subject::from(&CredentialId::app_installation("Acme").pools().unwrap()),
            Subject::Credential(CredentialId::token()),
            Subject::Credential(CredentialId::app_installation("Acme")),
            Subject::Monitor,
        ];
        for subject in subjects {
            assert_eq!(subject.to_string().parse::<Subject>().unwrap(), subject);
        }
        for bad in
            ["", "credential:", "credential:x", "credential:app:", "acme", "credential:x/pools", "credential:token/x"]
        {
            assert!(bad.parse::<Subject>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_installation_serves_its_account_and_a_token_serves_all() {
        let web: Target = "Acme/web".parse().unwrap();
        assert!(CredentialId::token().serves(&web));
        assert!(CredentialId::app_installation("ACME").serves(&web));
        assert!(!CredentialId::app_installation("other").serves(&web));
        let pools = CredentialId::app_installation("Acme").pools().unwrap();
        assert_eq!((pools.as_str(), pools.owner()), ("credential:app:acme/pools", "acme"));
        assert_eq!(pools.pooled_credential(), Some("app:acme"));
        assert!(!CredentialId::app_installation("acme").serves(&pools), "GitHub is not asked about them");
    }
}
