//! What a target is called.

/// The kind of a target, by the form of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// `owner/name`.
    Repository,
    /// `orgs/NAME`.
    Organization,
    /// `enterprises/NAME`.
    Enterprise,
    /// `users/NAME`: owns repositories but has no runners.
    User,
}

/// The identity of a target: `owner/name`, `orgs/NAME`, `enterprises/NAME` or `users/NAME`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetKey(String);

impl TargetKey {
    /// From a target's name in upper or lower case.
    pub fn new(target: &str) -> Self {
        Self(target.to_ascii_lowercase())
    }

    /// The identity as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The kind of target.
    pub fn scope(&self) -> Scope {
        match self.0.split_once('/') {
            Some(("orgs", _)) => Scope::Organization,
            Some(("enterprises", _)) => Scope::Enterprise,
            Some(("users", _)) => Scope::User,
            _ => Scope::Repository,
        }
    }

    /// The owner of a repository; for others the name after `orgs/` and the like.
    pub fn account(&self) -> &str {
        let (first, second) = self.0.split_once('/').unwrap_or((&self.0, ""));
        if self.scope() == Scope::Repository { first } else { second }
    }
}
