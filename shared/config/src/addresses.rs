//! Addresses: https, plain http only where it is safe or allowed, and GitHub's API beside GitHub's pages.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use monitor_domain::quote::looks_secret;
use url::{Host, Url};

use crate::faults::Wrong;
use crate::quoting::shown;
use crate::reference::GITHUB_API_URL;
use monitor_domain::secret::Secret;

/// The addresses of GitHub's API and of its web pages, both without a trailing slash.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GitHubAddresses {
    pub(crate) api_url: String,
    pub(crate) web_url: String,
}

/// Reads an entry of `ALLOW_HTTP_HOSTS`, and returns it as a URL would show it.
pub(crate) fn host(entry: &str) -> Result<String, Wrong> {
    let is_ipv6 = entry.parse::<Ipv6Addr>().is_ok();
    let parsed = if is_ipv6 { Host::parse(&format!("[{entry}]")) } else { Host::parse(entry) };
    // A pattern such as `*.internal` would parse, and then match nothing.
    let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    match parsed {
        Ok(Host::Domain(name)) if !is_name(&name) => Err(()),
        Ok(host) => Ok(host.to_string()),
        Err(_) => Err(()),
    }
    .map_err(|()| {
        let found = shown(entry);
        Wrong::new(format!("must be a host name or IP address, for example github.internal; found `{found}`"), "")
    })
}

/// Reads an address that may hold a secret: the fault shows no part of it.
pub(crate) fn address(text: &str, allowed_http: &BTreeSet<String>) -> Result<Url, Wrong> {
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        let what = "must be a URL without white space and non-ASCII characters";
        return Err(Wrong::new(what, "copy the address alone"));
    }
    let not_a_url =
        |error: url::ParseError| Wrong::new(format!("must be a URL that starts with https:// ({error})"), "");
    let url = Url::parse(text).map_err(not_a_url)?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) || url.host_str().is_some_and(|host| allowed_http.contains(host)) => Ok(url),
        "http" => Err(Wrong::new(
            "must start with https://, because plain http can be read in transit",
            "to allow it, add the host to ALLOW_HTTP_HOSTS",
        )),
        _ => Err(Wrong::new("must be a URL that starts with https://", "")),
    }
}

/// Reads the address of a webhook, which is a secret.
pub(crate) fn webhook(text: &str, allowed_http: &BTreeSet<String>) -> Result<Secret, Wrong> {
    let url = address(text, allowed_http)?;
    if url.path().len() < 2 {
        return Err(Wrong::new("must be a complete webhook URL", "copy it whole, including the path after the host"));
    }
    Ok(Secret::new(text))
}

/// Reads the address of a data plane: only an origin.
pub(crate) fn origin(text: &str, allowed_http: &BTreeSet<String>) -> Result<String, Wrong> {
    let url = address(text, allowed_http)?;
    let is_bare = url.username().is_empty() && url.password().is_none();
    if !is_bare || !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(Wrong::new("must be scheme, host and port only", "remove the rest"));
    }
    Ok(url.origin().ascii_serialization())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Reads the address of GitHub's API, and derives that of its web pages.
///
/// There are three kinds: github.com has its own host for the API, an Enterprise Server has it under `/api/v3`
/// (docs.github.com/enterprise-server/rest), and a tenant with data residency under `api.NAME.ghe.com`.
pub(crate) fn github(text: &str, allowed_http: &BTreeSet<String>) -> Result<GitHubAddresses, Wrong> {
    let url = address(text, allowed_http)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new("must not contain a user name or password", "remove it, and set GITHUB_TOKEN"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Wrong::new("must end with the path", "remove `?` or `#` and what follows"));
    }
    let origin = url.origin().ascii_serialization();
    let path = url.path().trim_end_matches('/');
    let host = url.host_str().unwrap_or_default();
    let is_not = |hint: String| {
        let found = shown(&format!("{origin}{path}"));
        // The right address is derived from the wrong one, which may be a secret.
        let hint = if looks_secret(&hint) { GITHUB_API_URL.example.to_owned() } else { hint };
        Err(Wrong::new(format!("must be the address of GitHub's REST API, for example {hint}; found `{found}`"), ""))
    };
    let web_url = match (host, path) {
        ("api.github.com", "") => "https://github.com".to_owned(),
        ("api.github.com" | "github.com" | "www.github.com", _) => return is_not("https://api.github.com".to_owned()),
        _ => match (host.strip_suffix(".ghe.com"), path.strip_suffix("/api/v3")) {
            (Some(tenant), _) => match (tenant.strip_prefix("api."), path) {
                (Some(tenant), "") => format!("https://{tenant}.ghe.com"),
                (bare, _) => return is_not(format!("https://api.{}.ghe.com", bare.unwrap_or(tenant))),
            },
            (None, Some(before)) => format!("{origin}{before}"),
            // A fake in a test, or a relay that the operator trusts.
            (None, None) if url.scheme() == "http" || is_loopback(&url) => format!("{origin}{path}"),
            (None, None) => return is_not(format!("{origin}/api/v3")),
        },
    };
    Ok(GitHubAddresses { api_url: format!("{origin}{path}"), web_url })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> BTreeSet<String> {
        ["relay.internal", "FE80::1"].iter().map(|entry| host(entry).unwrap()).collect()
    }

    #[test]
    fn the_address_of_githubs_pages_follows_from_its_api() {
        for (text, api_url, web_url) in [
            ("https://api.github.com", "https://api.github.com", "https://github.com"),
            ("https://API.GitHub.com/", "https://api.github.com", "https://github.com"),
            ("https://ghes.example.com/api/v3/", "https://ghes.example.com/api/v3", "https://ghes.example.com"),
            ("https://ghes:8443/x/api/v3", "https://ghes:8443/x/api/v3", "https://ghes:8443/x"),
            ("https://api.acme.ghe.com", "https://api.acme.ghe.com", "https://acme.ghe.com"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://localhost:1/api/v3", "http://localhost:1/api/v3", "http://localhost:1"),
            ("http://[::1]:1/mock", "http://[::1]:1/mock", "http://[::1]:1/mock"),
            ("http://Relay.Internal/gh", "http://relay.internal/gh", "http://relay.internal/gh"),
            ("http://[fe80::1]/", "http://[fe80::1]", "http://[fe80::1]"),
        ] {
            let expected = GitHubAddresses { api_url: api_url.to_owned(), web_url: web_url.to_owned() };
            assert_eq!(github(text, &allowed()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn an_address_that_is_not_an_api_is_refused_with_the_right_one() {
        for (text, hint) in [
            ("https://github.com", "https://api.github.com"),
            ("https://api.github.com/v3", "https://api.github.com"),
            ("https://ghes.example.com", "https://ghes.example.com/api/v3"),
            ("https://ghes.example.com/api/graphql", "https://ghes.example.com/api/v3"),
            ("https://acme.ghe.com", "https://api.acme.ghe.com"),
            ("https://acme.ghe.com/api/v3", "https://api.acme.ghe.com"),
            ("https://api.acme.ghe.com/api/v3", "https://api.acme.ghe.com"),
            ("https://relay.internal", "https://relay.internal/api/v3"),
            ("https://me:pw@ghes/api/v3", "remove it"),
            ("https://ghes/api/v3?x=1", "remove `?`"),
            ("http://ghes/api/v3", "ALLOW_HTTP_HOSTS"),
            ("http://127.0.0.1.example.com/", "ALLOW_HTTP_HOSTS"),
            ("http://localhost.example.com/", "ALLOW_HTTP_HOSTS"),
            ("http://relay.internal.example.com/", "ALLOW_HTTP_HOSTS"),
            ("ftp://127.0.0.1/", "https://"),
            ("api.github.com", "https://"),
            ("localhost:8080", "https://"),
            ("https://ghes/api/…", "copy the address alone"),
        ] {
            let wrong = format!("{:?}", github(text, &allowed()).unwrap_err());
            assert!(wrong.contains(hint) && !wrong.contains("pw"), "{text}: {wrong}");
        }
    }

    #[test]
    fn a_secret_in_place_of_an_address_is_not_repeated_in_the_hint() {
        for text in ["https://ghp_hunter2", "https://ghp_hunter2.ghe.com"] {
            let wrong = format!("{:?}", github(text, &allowed()).unwrap_err());
            assert!(wrong.contains("https://github.example.com/api/v3") && !wrong.contains("hunter2"), "{wrong}");
        }
    }

    #[test]
    fn an_allowed_host_has_no_scheme_port_or_path() {
        assert_eq!(host("::1").unwrap(), "[::1]");
        assert_eq!(host("GitHub.Internal").unwrap(), "github.internal");
        for entry in ["http://a", "a:80", "a/b", "a b", "[::1", "*"] {
            assert!(host(entry).is_err(), "{entry}");
        }
    }
}
