//! What is watched: repositories, organizations and enterprises.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::quote::quote;

/// GitHub's three places where runners register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKind {
    /// `owner/name`
    Repository,
    /// `orgs/NAME`
    Organization,
    /// `enterprises/NAME`
    Enterprise,
}

/// A place whose runners are watched. Compared by its identity, which is lower-cased; shown as it was written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target {
    kind: TargetKind,
    id: TargetId,
    display: Arc<str>,
}

/// The identity of a target, also called `repoId`: `owner/name`, `orgs/name` or `enterprises/name`, lower-cased.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TargetId(Arc<str>);

/// No name that GitHub gives is longer: 39 signs, a slash and 100.
const LONGEST_SHOWN: usize = 140;

/// A name that GitHub could not have given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` names no {what}: {mend}")]
pub struct TargetError {
    given: String,
    what: &'static str,
    mend: &'static str,
}

const REPOSITORY_MEND: &str = "write owner/name, as in acme/web";
const ACCOUNT_MEND: &str = "use letters, digits, `-` and `_`, at most 39 of them";

/// Owners are letters, digits and hyphens, plus the `_shortcode` of managed users; at most 39.
fn is_account(name: &str) -> bool {
    (1..=39).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Both words are reserved on GitHub, and read as a kind of target here.
fn is_reserved(owner: &str) -> bool {
    owner.eq_ignore_ascii_case("orgs") || owner.eq_ignore_ascii_case("enterprises")
}

/// Repository names are letters, digits, `.`, `-` and `_`; at most 100.
fn is_repository_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

impl Target {
    /// A repository, from `owner/name`.
    pub fn repository(full_name: &str) -> Result<Self, TargetError> {
        let fault = TargetError { given: quote(full_name, LONGEST_SHOWN), what: "repository", mend: REPOSITORY_MEND };
        let Some((owner, name)) = full_name.split_once('/') else {
            return Err(fault);
        };
        if is_reserved(owner) || !is_account(owner) || !is_repository_name(name) {
            return Err(fault);
        }
        Ok(Self::new(TargetKind::Repository, full_name.to_owned()))
    }

    /// An organization, from its login.
    pub fn organization(login: &str) -> Result<Self, TargetError> {
        if !is_account(login) {
            return Err(TargetError { given: quote(login, LONGEST_SHOWN), what: "organization", mend: ACCOUNT_MEND });
        }
        Ok(Self::new(TargetKind::Organization, format!("orgs/{login}")))
    }

    /// An enterprise, from its slug.
    pub fn enterprise(slug: &str) -> Result<Self, TargetError> {
        if !is_repository_name(slug) {
            return Err(TargetError { given: quote(slug, LONGEST_SHOWN), what: "enterprise", mend: ACCOUNT_MEND });
        }
        Ok(Self::new(TargetKind::Enterprise, format!("enterprises/{slug}")))
    }

    fn new(kind: TargetKind, display: String) -> Self {
        Self { kind, id: TargetId(display.to_ascii_lowercase().into()), display: display.into() }
    }

    /// Which kind of place it is.
    pub fn kind(&self) -> TargetKind {
        self.kind
    }

    /// The lower-cased identity.
    pub fn id(&self) -> &TargetId {
        &self.id
    }

    /// The name as it was written, with `orgs/` or `enterprises/` before it where it is no repository.
    pub fn as_str(&self) -> &str {
        &self.display
    }

    /// The account that owns it: the repository's owner, the organization or the enterprise itself.
    pub fn owner(&self) -> &str {
        match self.kind {
            TargetKind::Repository => self.display.split('/').next().unwrap_or_default(),
            TargetKind::Organization | TargetKind::Enterprise => self.name(),
        }
    }

    /// The last part of the name: the repository without its owner, the organization or the enterprise.
    pub fn name(&self) -> &str {
        self.display.split_once('/').map_or(&*self.display, |(_, name)| name)
    }
}

impl TargetId {
    /// The identity as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((kind, login)) if kind.eq_ignore_ascii_case("orgs") => Self::organization(login),
            Some((kind, slug)) if kind.eq_ignore_ascii_case("enterprises") => Self::enterprise(slug),
            _ => Self::repository(text),
        }
    }
}

impl TryFrom<String> for Target {
    type Error = TargetError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for TargetId {
    type Error = TargetError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse::<Target>().map(|target| target.id)
    }
}

impl From<TargetId> for String {
    fn from(id: TargetId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.display.as_ref().to_owned()
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Target {}

impl PartialOrd for Target {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Target {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.id.cmp(&other.id)
    }
}

impl std::hash::Hash for Target {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.display)
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TargetId({})", self.0)
    }
}

/// One line of the configured list: a target, or every repository of an account (`acme/*`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetSpec {
    /// One target.
    One(Target),
    /// Every repository of this account that the credential can see.
    RepositoriesOf(String),
}

impl TargetSpec {
    /// Whether a target is on this line.
    pub fn covers(&self, target: &Target) -> bool {
        match self {
            TargetSpec::One(one) => one == target,
            TargetSpec::RepositoriesOf(owner) => {
                target.kind() == TargetKind::Repository && target.owner().eq_ignore_ascii_case(owner)
            }
        }
    }
}

impl FromStr for TargetSpec {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_suffix("/*") {
            Some(owner) if is_account(owner) && !is_reserved(owner) => Ok(TargetSpec::RepositoriesOf(owner.to_owned())),
            _ => text.parse().map(TargetSpec::One),
        }
    }
}

impl fmt::Display for TargetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetSpec::One(target) => target.fmt(f),
            TargetSpec::RepositoriesOf(owner) => write!(f, "{owner}/*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_is_lower_cased_and_the_display_form_is_kept() {
        let target: Target = "Acme/Web.App".parse().unwrap();
        assert_eq!(target.id().as_str(), "acme/web.app");
        assert_eq!(target.as_str(), "Acme/Web.App");
        assert_eq!(target, "acme/web.app".parse().unwrap());
        assert_eq!((target.owner(), target.name()), ("Acme", "Web.App"));
        let organization: Target = "orgs/Acme".parse().unwrap();
        assert_eq!((organization.kind(), organization.owner()), (TargetKind::Organization, "Acme"));
    }

    #[test]
    fn names_that_github_cannot_have_are_refused_with_the_mend() {
        for bad in ["acme", "acme/", "/web", "acme/web/x", "ac me/web", "orgs/", "orgs/a b", "acme/..", ""] {
            let error = bad.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains("names no"), "{bad}: {error}");
        }
        assert!(Target::repository("orgs/web").is_err());
        assert!(Target::organization(&"a".repeat(40)).is_err());
    }

    #[test]
    fn a_star_stands_for_an_accounts_repositories_only() {
        let spec: TargetSpec = "Acme/*".parse().unwrap();
        assert!(spec.covers(&"acme/web".parse().unwrap()));
        assert!(!spec.covers(&"orgs/acme".parse().unwrap()));
        for bad in ["acme/w*", "orgs/*", "*/*"] {
            assert!(bad.parse::<TargetSpec>().is_err(), "{bad}");
        }
    }
}
