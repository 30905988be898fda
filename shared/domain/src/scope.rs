//! What a mute or a command refers to: a target, one of its runners, or everything with a certain name.

use std::fmt;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use crate::target::{Target, TargetId};

/// The runners that a person refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// All runners of a target.
    Target(Target),
    /// One runner of a target.
    Runner {
        /// The target.
        target: Target,
        /// The runner's name.
        name: String,
    },
    /// Runners with this name or label, in any target; `*` and `?` are wildcards, as in the policy.
    Named(String),
}

impl Scope {
    /// The only target that it can concern; `None` if it can concern any.
    pub fn target(&self) -> Option<&Target> {
        match self {
            Scope::Target(target) | Scope::Runner { target, .. } => Some(target),
            Scope::Named(_) => None,
        }
    }

    /// Whether it can concern a runner of this target.
    pub fn may_concern(&self, target: &TargetId) -> bool {
        self.target().is_none_or(|only| only.id() == target)
    }

    /// Whether it includes this runner. Like GitHub, it ignores the case of names and labels.
    pub fn covers(&self, target: &TargetId, name: &str, labels: &[String]) -> bool {
        match self {
            Scope::Target(only) => only.id() == target,
            Scope::Runner { target: only, name: wanted } => only.id() == target && wanted.eq_ignore_ascii_case(name),
            Scope::Named(pattern) => {
                let pattern = WildMatch::new_case_insensitive(pattern);
                pattern.matches(name) || labels.iter().any(|label| pattern.matches(label))
            }
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Target(target) => target.fmt(f),
            Scope::Runner { target, name } => write!(f, "{name} in {target}"),
            Scope::Named(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_what_a_person_would_mean() {
        let [web, api]: [Target; 2] = ["Acme/Web", "acme/api"].map(|name| name.parse().unwrap());
        let labels = ["self-hosted".to_owned(), "GPU".to_owned()];
        let covers = |scope: &Scope, target: &Target| scope.covers(target.id(), "Build-7", &labels);
        assert!(covers(&Scope::Target(web.clone()), &web) && !covers(&Scope::Target(web.clone()), &api));
        for named in ["build-7", "gpu", "BUILD-*", "?uild-7"] {
            assert!(covers(&Scope::Named(named.to_owned()), &api), "{named}");
        }
        assert!(!covers(&Scope::Named("build".to_owned()), &api));
        let one = Scope::Runner { target: web.clone(), name: "build-7".to_owned() };
        assert!(covers(&one, &web) && !covers(&one, &api));
        assert!(one.may_concern(web.id()) && !one.may_concern(api.id()));
        assert!(Scope::Named("x".to_owned()).may_concern(api.id()));
    }
}
