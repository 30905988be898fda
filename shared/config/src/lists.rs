//! Lists of names: a JSON array, or names separated by commas or white space.

use std::collections::HashSet;

use monitor_domain::target::{Target, TargetError, TargetKind, TargetSpec, Written};

use crate::faults::Wrong;
use crate::quoting::{quoted, shown};

/// The entries of a list as they are written, without surrounding white space.
pub(crate) fn entries(text: &str) -> Result<Vec<String>, Wrong> {
    // Split at white space, a key would be shown as many short malformed names.
    if text.contains("PRIVATE KEY") {
        return Err(Wrong::new("must be a list of names, not a private key", "write names separated by commas"));
    }
    let entries: Vec<String> = if text.starts_with('[') {
        serde_json::from_str(text).map_err(|error| {
            let what = format!("must be a JSON array of strings: {}", quoted(&error.to_string()));
            Wrong::new(what, "write [\"one\",\"two\"], or one,two")
        })?
    } else {
        text.split(|c: char| c == ',' || c.is_whitespace()).map(str::to_owned).collect()
    };
    let trimmed = entries.iter().map(|entry| entry.trim().to_owned());
    Ok(trimmed.filter(|entry| !entry.is_empty()).collect())
}

/// Reads one entry of a list of targets. A name may start with `web_url`, as in a browser's address bar.
pub(crate) fn target(kind: TargetKind, web_url: &str, entry: &str) -> Result<TargetSpec, Wrong> {
    let must_be = match kind {
        TargetKind::Repository => "owner/name, or owner/* for all of an account, for example acme/web",
        TargetKind::Organization => "an organization's login, for example acme",
        // No list names pools.
        TargetKind::Enterprise | TargetKind::Pools => "an enterprise's slug, for example acme-corp",
    };
    let wrong = |hint: String| Wrong::new(format!("must be {must_be}; found `{}`", shown(entry)), hint);
    let meant = Written::read(entry, web_url).map_err(|error| wrong(error.hint().to_owned()))?;
    match (kind, meant) {
        (TargetKind::Organization, Written::Name(login)) => one(Target::organization(&login)),
        (TargetKind::Enterprise | TargetKind::Pools, Written::Name(slug)) => one(Target::enterprise(&slug)),
        (TargetKind::Repository, Written::Name(name)) => {
            let name = shown(&name);
            Err(format!(
                "write {name}/* for all of an account, or ORGANIZATIONS={name} for an organization's own runners"
            ))
        }
        (TargetKind::Repository, Written::Spec(spec @ TargetSpec::RepositoriesOf(_))) => Ok(spec),
        (_, Written::Spec(TargetSpec::RepositoriesOf(_))) => Err("it belongs in REPOS".to_owned()),
        (kind, Written::Spec(TargetSpec::One(target))) if target.kind() == kind => Ok(TargetSpec::One(target)),
        (_, Written::Spec(TargetSpec::One(target))) => Err(match target.kind() {
            TargetKind::Repository => "a repository belongs in REPOS".to_owned(),
            TargetKind::Organization => "an organization belongs in ORGANIZATIONS".to_owned(),
            TargetKind::Enterprise => "an enterprise belongs in ENTERPRISES".to_owned(),
            TargetKind::Pools => "pools belong in POLICY; name the targets themselves here".to_owned(),
        }),
    }
    .map_err(wrong)
}

fn one(target: Result<Target, TargetError>) -> Result<TargetSpec, String> {
    target.map(TargetSpec::One).map_err(|error| error.hint().to_owned())
}

/// The targets without duplicates, each at its first place, regardless of case.
pub(crate) fn merged(specs: Vec<TargetSpec>) -> Vec<TargetSpec> {
    let mut seen = HashSet::new();
    specs.into_iter().filter(|spec| seen.insert(spec.to_string().to_ascii_lowercase())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: TargetKind, entry: &str) -> Option<String> {
        target(kind, "https://github.com", entry).ok().map(|spec| spec.to_string())
    }

    #[test]
    fn every_form_of_a_list_gives_the_same_entries() {
        for text in ["a/b,c/d", "a/b c/d", "a/b,\n  c/d,", r#"["a/b", "c/d"]"#, r#"[" a/b ","","c/d"]"#, ",a/b,,c/d"] {
            assert_eq!(entries(text).unwrap(), ["a/b", "c/d"], "{text}");
        }
        assert!(entries("[]").unwrap().is_empty());
        for text in ["[1]", "[\"a/b\"", "[[\"a/b\"]]", "-----BEGIN RSA PRIVATE KEY----- MIIE"] {
            assert!(entries(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_may_be_addresses_of_the_same_server() {
        for entry in [
            "Acme/Web",
            "https://github.com/Acme/Web",
            "https://github.com/Acme/Web/settings/actions/runners",
            "git@github.com:Acme/Web.git",
            "HTTPS://GitHub.com/Acme/Web.git",
            "https://github.com/Acme/Web/",
        ] {
            assert_eq!(read(TargetKind::Repository, entry).as_deref(), Some("Acme/Web"), "{entry}");
        }
        assert_eq!(read(TargetKind::Repository, "acme/*").as_deref(), Some("acme/*"));
        for entry in ["Acme", "orgs/Acme", "https://github.com/orgs/Acme", "https://github.com/Acme"] {
            assert_eq!(read(TargetKind::Organization, entry).as_deref(), Some("orgs/Acme"), "{entry}");
        }
        for entry in ["corp", "enterprises/corp", "https://github.com/enterprises/corp"] {
            assert_eq!(read(TargetKind::Enterprise, entry).as_deref(), Some("enterprises/corp"), "{entry}");
        }
    }

    #[test]
    fn names_of_another_kind_or_server_are_refused() {
        for entry in [
            "acme",
            "orgs/acme",
            "orgs/*",
            "Enterprises/*",
            "https://gitlab.com/a/b",
            "https://github.community/a/b",
            "a/b/c",
            "é/ü",
        ] {
            assert_eq!(read(TargetKind::Repository, entry), None, "{entry}");
        }
        assert_eq!(read(TargetKind::Organization, "acme/web"), None);
        assert_eq!(read(TargetKind::Enterprise, "orgs/acme"), None);
    }

    #[test]
    fn duplicates_are_merged_whatever_their_case() {
        let specs = ["a/b", "A/*", "A/B", "a/*", "c/d"].map(|text| text.parse().unwrap());
        let merged: Vec<String> = merged(specs.to_vec()).iter().map(ToString::to_string).collect();
        assert_eq!(merged, ["a/b", "A/*", "c/d"]);
    }
}
