//! Selects the proxy of a request, if any.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use reqwest::Url;

/// The rules of `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, read once per process.
pub(crate) fn rules() -> Arc<Rules> {
    static RULES: OnceLock<Arc<Rules>> = OnceLock::new();
    Arc::clone(RULES.get_or_init(|| {
        let exceptions = ["NO_PROXY", "no_proxy"].iter().find_map(|name| std::env::var(name).ok());
        Arc::new(Rules::new(Matcher::from_system(), &exceptions.unwrap_or_default()))
    }))
}

/// The proxy, as `host:port`, through which an address is reached; `None` if it is reached directly.
pub(crate) fn named(url: &str) -> Option<String> {
    let proxy = rules().proxy_of(&Url::parse(url).ok()?)?;
    let host = proxy.host_str()?;
    Some(proxy.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

pub(crate) struct Rules {
    matcher: Matcher,
    /// Entries of `NO_PROXY` that name a port. The matcher compares hosts only, so such an entry would match nothing.
    with_port: Vec<(Matcher, u16)>,
}

impl Rules {
    fn new(matcher: Matcher, exceptions: &str) -> Self {
        let with_port = exceptions.split(',').filter_map(|entry| {
            let (host, port) = entry.trim().rsplit_once(':')?;
            // An IPv6 address has a port only after its brackets.
            let host = match host.strip_prefix('[') {
                Some(rest) => rest.strip_suffix(']')?,
                None if host.contains(':') => return None,
                None => host,
            };
            let matcher = Matcher::builder().all("http://proxy.invalid").no(host).build();
            Some((matcher, port.parse().ok()?))
        });
        Self { matcher, with_port: with_port.collect() }
    }

    /// The proxy for a request. `None` for this machine itself, so that requests to it, with their tokens, never leave
    /// it.
    pub(crate) fn proxy_of(&self, url: &Url) -> Option<Url> {
        let uri = format!("{}://{}", url.scheme(), &url[url::Position::BeforeHost..url::Position::AfterPort]);
        let uri = uri.parse().ok()?;
        let is_excepted = |(matcher, port): &(Matcher, u16)| {
            url.port_or_known_default() == Some(*port) && matcher.intercept(&uri).is_none()
        };
        if is_loopback(url) || self.with_port.iter().any(is_excepted) {
            return None;
        }
        address(&self.matcher.intercept(&uri)?)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// A proxy's address with the user and password that it requires.
fn address(proxy: &Intercept) -> Option<Url> {
    let mut url = Url::parse(&proxy.uri().to_string()).ok()?;
    let basic = proxy.basic_auth().and_then(|header| {
        let decoded = STANDARD.decode(header.to_str().ok()?.strip_prefix("Basic ")?).ok()?;
        let pair = String::from_utf8(decoded).ok()?;
        pair.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
    });
    let raw = || proxy.raw_auth().map(|(user, password)| (user.to_owned(), password.to_owned()));
    if let Some((user, password)) = basic.or_else(raw) {
        url.set_username(&user).ok()?;
        url.set_password(Some(&password).filter(|password| !password.is_empty()).map(String::as_str)).ok()?;
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy_of(url: &str, exceptions: &str) -> Option<String> {
        let matcher = Matcher::builder()
            .http("http://plain.example:3128")
            .https("http://me:p%40ss@tls.example:3129")
            .no(exceptions)
            .build();
        Rules::new(matcher, exceptions).proxy_of(&url.parse().unwrap()).map(String::from)
    }

    #[test]
    fn a_request_to_this_machine_goes_through_no_proxy() {
        for url in ["http://127.0.0.1:8080/x", "http://localhost/x", "http://[::1]:9/x", "https://localhost:8443/x"] {
            assert_eq!(proxy_of(url, ""), None, "{url}");
        }
        assert_eq!(proxy_of("http://ghes.example/x", "").as_deref(), Some("http://plain.example:3128/"));
        assert_eq!(proxy_of("https://ghes.example/x", "").as_deref(), Some("http://me:p%40ss@tls.example:3129/"));
    }

    // https://github.com/seanmonstar/reqwest reads NO_PROXY by curl's rules, which do not support a port.
    #[test]
    fn an_exception_may_name_a_port() {
        for (url, exceptions, direct) in [
            ("https://ghes.example/x", "ghes.example:443", true),
            ("https://ghes.example:8443/x", "other.example, ghes.example:8443", true),
            ("https://ghes.example:8443/x", "ghes.example:443", false),
            ("https://api.ghes.example/x", "ghes.example:443", true),
            ("https://notghes.example/x", "ghes.example:443", false),
            ("http://10.0.0.7:3000/x", "10.0.0.7:3000", true),
            ("http://[fd00::7]:3000/x", "[fd00::7]:3000", true),
            ("http://[fd00::7]:3001/x", "[fd00::7]:3000", false),
            ("http://[fd00::7]:3001/x", "fd00::7", true),
            ("https://ghes.example/x", "ghes.example", true),
            ("http://10.0.0.7/x", "10.0.0.0/8", true),
        ] {
            assert_eq!(proxy_of(url, exceptions).is_none(), direct, "{url} with NO_PROXY={exceptions}");
        }
    }
}
