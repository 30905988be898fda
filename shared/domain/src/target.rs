//! The repositories, organizations and enterprises that are monitored.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::quote::{holds_secret, shown};

/// The three kinds of places where GitHub registers runners, and what is evaluated over several of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKind {
    /// `owner/name`
    Repository,
    /// `orgs/NAME`
    Organization,
    /// `enterprises/NAME`
    Enterprise,
    /// `credential:ID/pools`: the pools over all targets of a credential. It has no runners of its own, and GitHub is
    /// never asked about it.
    Pools,
}

/// A place whose runners are monitored. Compared by its identity, which is in lower case; displayed as written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target {
    kind: TargetKind,
    id: TargetId,
    display: Arc<str>,
}

/// The identity of a target, also called `repoId`: `owner/name`, `orgs/name`, `enterprises/name` or
/// `credential:id/pools`, in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TargetId(Arc<str>);

/// The maximum length of a name on GitHub: 39 characters, a slash and 100 more.
const LONGEST_SHOWN: usize = 140;

/// The error for a name that GitHub does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be {must_be}; found `{given}`{hint}")]
pub struct TargetError {
    given: String,
    must_be: &'static str,
    hint: String,
}

impl TargetError {
    fn new(given: &str, must_be: &'static str) -> Self {
        Self { given: shown(given, LONGEST_SHOWN), must_be, hint: String::new() }
    }

    fn with_hint(self, hint: impl fmt::Display) -> Self {
        Self { hint: format!(": {hint}"), ..self }
    }

    /// What to write instead, if that is known; otherwise empty.
    pub fn hint(&self) -> &str {
        self.hint.strip_prefix(": ").unwrap_or_default()
    }
}

const REPOSITORY: &str = "a repository as owner/name, for example acme/web";
const ORGANIZATION: &str = "an organization's login (letters, digits, `-` and `_`, at most 39), for example acme";
const ENTERPRISE: &str = "an enterprise's slug (letters, digits, `.`, `-` and `_`), for example acme-corp";
const POOLS: &str = "the pools of a credential as credential:token/pools or credential:app:ACCOUNT/pools";
const TARGET: &str = "owner/name, owner/*, orgs/NAME or enterprises/NAME";

/// Owners consist of letters, digits and hyphens, plus the `_shortcode` of managed users; at most 39.
fn is_account(name: &str) -> bool {
    (1..=39).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Both words are reserved on GitHub, and denote a kind of target here.
fn is_reserved(owner: &str) -> bool {
    owner.eq_ignore_ascii_case("orgs") || owner.eq_ignore_ascii_case("enterprises")
}

/// Repository names consist of letters, digits, `.`, `-` and `_`; at most 100.
fn is_repository_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

impl Target {
    /// A repository, from `owner/name`.
    pub fn repository(full_name: &str) -> Result<Self, TargetError> {
        let fault = || TargetError::new(full_name, REPOSITORY);
        let (owner, name) = full_name.split_once('/').ok_or_else(fault)?;
        if is_reserved(owner) || !is_account(owner) || !is_repository_name(name) || holds_secret(full_name) {
            return Err(fault());
        }
        Ok(Self::new(TargetKind::Repository, full_name.to_owned()))
    }

    /// An organization, from its login.
    pub fn organization(login: &str) -> Result<Self, TargetError> {
        if !is_account(login) || holds_secret(login) {
            return Err(TargetError::new(login, ORGANIZATION));
        }
        Ok(Self::new(TargetKind::Organization, format!("orgs/{login}")))
    }

    /// An enterprise, from its slug.
    pub fn enterprise(slug: &str) -> Result<Self, TargetError> {
        if !is_repository_name(slug) || holds_secret(slug) {
            return Err(TargetError::new(slug, ENTERPRISE));
        }
        Ok(Self::new(TargetKind::Enterprise, format!("enterprises/{slug}")))
    }

    /// The pools over all targets of a credential, from its identity: `token` or `app:account`. GitHub's names contain no
    /// colon, so that this is never a repository.
    pub fn pools(credential: &str) -> Result<Self, TargetError> {
        let credential = credential.to_ascii_lowercase();
        let is_one = credential == "token" || credential.strip_prefix("app:").is_some_and(is_repository_name);
        if !is_one || holds_secret(&credential) {
            return Err(TargetError::new(&credential, POOLS));
        }
        Ok(Self::new(TargetKind::Pools, format!("credential:{credential}/pools")))
    }

    /// The identity of the credential, if this is its pools.
    pub fn pooled_credential(&self) -> Option<&str> {
        let of_pools = self.id.0.strip_prefix("credential:").filter(|_| self.kind == TargetKind::Pools);
        of_pools.and_then(|rest| rest.strip_suffix("/pools"))
    }

    fn new(kind: TargetKind, display: String) -> Self {
        Self { kind, id: TargetId(display.to_ascii_lowercase().into()), display: display.into() }
    }

    /// The kind of place.
    pub fn kind(&self) -> TargetKind {
        self.kind
    }

    /// The identity, in lower case.
    pub fn id(&self) -> &TargetId {
        &self.id
    }

    /// The name as written, with the prefix `orgs/` or `enterprises/` for these.
    pub fn as_str(&self) -> &str {
        &self.display
    }

    /// The account that owns it: the repository's owner, the organization or the enterprise itself. Of the pools of a
    /// token, which has no account, it is `token`.
    pub fn owner(&self) -> &str {
        match self.kind {
            TargetKind::Repository => self.display.split('/').next().unwrap_or_default(),
            TargetKind::Organization | TargetKind::Enterprise => self.name(),
            TargetKind::Pools => {
                let credential = self.pooled_credential().unwrap_or_default();
                credential.strip_prefix("app:").unwrap_or(credential)
            }
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
            Some((of, pools)) if pools.eq_ignore_ascii_case("pools") && of.contains(':') => {
                let prefix = of.get(.."credential:".len()).filter(|prefix| prefix.eq_ignore_ascii_case("credential:"));
                let credential = prefix.and_then(|prefix| of.get(prefix.len()..));
                credential.map_or_else(|| Err(TargetError::new(text, POOLS)), Self::pools)
            }
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

/// One entry of the configured list: a target, or every repository of an account (`acme/*`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetSpec {
    /// One target.
    One(Target),
    /// Every repository of this account that the credential can see.
    RepositoriesOf(String),
}

impl TargetSpec {
    /// Whether this entry includes a target.
    pub fn covers(&self, target: &Target) -> bool {
        match self {
            TargetSpec::One(one) => one == target,
            TargetSpec::RepositoriesOf(owner) => {
                target.kind() == TargetKind::Repository && target.owner().eq_ignore_ascii_case(owner)
            }
        }
    }
}

/// A target as people write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// A target, or every repository of an account.
    Spec(TargetSpec),
    /// A bare name: an account or enterprise if the context says which, otherwise possibly a runner.
    Name(String),
}

impl Written {
    /// Parses `owner/name`, `owner/*`, `orgs/NAME`, `enterprises/NAME`, a bare name, or the address of any GitHub page
    /// about one of these. `web_url` is the base address of GitHub's pages, without a slash at the end.
    pub fn read(text: &str, web_url: &str) -> Result<Self, TargetError> {
        let text = text.trim();
        let fault = || TargetError::new(text, TARGET);
        if let Some(path) = path_of_page(text, web_url) {
            let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
            return match parts[..] {
                ["orgs" | "organizations", login, ..] => Target::organization(login).map(Self::one),
                ["enterprises", slug, ..] => Target::enterprise(slug).map(Self::one),
                // A page within a repository, such as its list of runners, names the repository as well.
                [owner, name, ..] => {
                    Target::repository(&format!("{owner}/{}", name.strip_suffix(".git").unwrap_or(name))).map(Self::one)
                }
                [name] => Ok(Self::Name(name.to_owned())),
                [] => Err(fault().with_hint("this is the address of GitHub itself")),
            };
        }
        if text.contains("://") || text.starts_with("git@") {
            return Err(
                fault().with_hint(format_args!("only addresses below {web_url} name a target; see GITHUB_API_URL"))
            );
        }
        let Some((owner, name)) = text.split_once('/') else {
            return if text.is_empty() || holds_secret(text) { Err(fault()) } else { Ok(Self::Name(text.to_owned())) };
        };
        // An account may really have such a name: its repositories can still be given by their address.
        let meant = match &*owner.to_ascii_lowercase() {
            "org" | "organization" | "organizations" | "organisation" => Some("orgs"),
            "enterprise" | "ent" => Some("enterprises"),
            _ => None,
        };
        if let Some(kind) = meant {
            let [owner, name] = [owner, name].map(|part| shown(part, LONGEST_SHOWN));
            return Err(fault().with_hint(format_args!(
                "write {kind}/{name}, or for a repository of the account `{owner}` its address {web_url}/{owner}/{name}"
            )));
        }
        // No repository name ends in `.git`: this is the name of a clone.
        text.strip_suffix(".git").unwrap_or(text).parse().map(Self::Spec)
    }

    fn one(target: Target) -> Self {
        Self::Spec(TargetSpec::One(target))
    }

    /// The target. A bare name is an error: its kind is unknown.
    pub fn into_spec(self) -> Result<TargetSpec, TargetError> {
        match self {
            Self::Spec(spec) => Ok(spec),
            Self::Name(name) => {
                let hint = format!("for the organization write orgs/{}", shown(&name, LONGEST_SHOWN));
                Err(TargetError::new(&name, TARGET).with_hint(hint))
            }
        }
    }
}

/// The path after GitHub's own address, without query and fragment; `None` if the text is not an address of a GitHub
/// page.
fn path_of_page<'a>(text: &'a str, web_url: &str) -> Option<&'a str> {
    let host = web_url.split_once("://").map_or(web_url, |(_, host)| host);
    let ways = [format!("{web_url}/"), format!("{host}/"), format!("git@{host}:"), format!("ssh://git@{host}/")];
    let rest = ways.iter().find_map(|start| {
        let begins = text.get(..start.len())?.eq_ignore_ascii_case(start);
        begins.then(|| &text[start.len()..])
    });
    let bare = || [web_url, host].iter().any(|whole| text.eq_ignore_ascii_case(whole)).then_some("");
    rest.map(|rest| rest.split(['?', '#']).next().unwrap_or_default()).or_else(bare)
}

impl FromStr for TargetSpec {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_suffix("/*") {
            Some(owner) if is_account(owner) && !is_reserved(owner) && !holds_secret(owner) => {
                Ok(TargetSpec::RepositoriesOf(owner.to_owned()))
            }
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
    fn names_that_github_does_not_allow_are_refused_with_a_hint() {
        for bad in ["acme", "acme/", "/web", "acme/web/x", "ac me/web", "orgs/", "orgs/a b", "acme/..", ""] {
            let error = bad.parse::<Target>().unwrap_err().to_string();
            assert!(error.starts_with("must be ") && error.contains("for example"), "{bad}: {error}");
        }
        assert!(Target::repository("orgs/web").is_err());
        assert!(Target::organization(&"a".repeat(40)).is_err());
    }

    #[test]
    fn a_token_is_not_a_name_and_is_not_repeated() {
        let token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
        let old = "0123456789abcdef0123456789abcdef01234567";
        for text in [
            token.to_owned(),
            format!("acme/{token}"),
            format!("enterprises/{old}"),
            format!("orgs/{}", &token[..30]),
            format!("https://github.com/{token}"),
            format!("org/{token}"),
            "enterprises/xoxb-123456789012-abcdefgh".to_owned(),
        ] {
            let read = Written::read(&text, "https://github.com").and_then(Written::into_spec);
            let error = read.unwrap_err().to_string();
            assert!(error.contains("hidden, it looks like a secret") && !error.contains("16C7e42F"), "{error}");
            assert!(!error.contains(old) && !error.contains("123456789012"), "{error}");
        }
    }

    #[test]
    fn page_addresses_are_parsed_as_their_target() {
        let read = |text: &str, web_url: &str| match Written::read(text, web_url) {
            Ok(Written::Spec(spec)) => spec.to_string(),
            Ok(Written::Name(name)) => format!("name {name}"),
            Err(error) => error.to_string(),
        };
        for (text, expected) in [
            (" Acme/Web ", "Acme/Web"),
            ("acme/web.git", "acme/web"),
            ("acme/*", "acme/*"),
            ("Orgs/acme", "orgs/acme"),
            ("https://github.com/Acme/Web", "Acme/Web"),
            ("HTTPS://GitHub.com/Acme/Web.git", "Acme/Web"),
            ("https://github.com/acme/web/settings/actions/runners?page=2#x", "acme/web"),
            ("https://github.com/orgs/acme/", "orgs/acme"),
            ("https://github.com/organizations/acme/settings/actions/runners", "orgs/acme"),
            ("https://github.com/enterprises/acme-corp/settings", "enterprises/acme-corp"),
            ("https://github.com/org/acme", "org/acme"),
            ("https://github.com/acme", "name acme"),
            ("github.com/acme/web", "acme/web"),
            ("git@github.com:acme/web.git", "acme/web"),
            ("ssh://git@github.com/acme/web.git", "acme/web"),
            ("build-7", "name build-7"),
            ("gpu-*", "name gpu-*"),
        ] {
            assert_eq!(read(text, "https://github.com"), expected, "{text}");
        }
        assert_eq!(read("https://ghes:8443/x/acme/web", "https://ghes:8443/x"), "acme/web");
        for (text, expected) in [
            ("https://gitlab.com/a/b", "only addresses below https://github.com name a target; see GITHUB_API_URL"),
            ("https://github.community/a/b", "only addresses below https://github.com"),
            ("git@gitlab.com:a/b", "only addresses below"),
            ("https://github.com/", "the address of GitHub itself"),
            (
                "org/acme",
                "found `org/acme`: write orgs/acme, or for a repository of the account `org` its address https://github.com/org/acme",
            ),
            ("Organisation/acme", "write orgs/acme"),
            ("enterprise/acme", "write enterprises/acme"),
            ("", "must be owner/name, owner/*, orgs/NAME or enterprises/NAME"),
            ("orgs/*", "must be an organization's login"),
        ] {
            assert!(
                read(text, "https://github.com").contains(expected),
                "{text}: {}",
                read(text, "https://github.com")
            );
        }
        let bare = Written::read("acme", "https://github.com").and_then(Written::into_spec).unwrap_err().to_string();
        assert_eq!(
            bare,
            "must be owner/name, owner/*, orgs/NAME or enterprises/NAME; found `acme`: for the organization write orgs/acme"
        );
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
