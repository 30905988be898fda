//! The address of StatelyDB.

/// An address that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a valid {what}: it must be {hint}")]
pub struct EndpointError {
    given: String,
    what: &'static str,
    hint: &'static str,
}

/// The origin of a data plane, for example `https://us-east-1.aws.api.stately.cloud`, without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// The service's address for a region, as in its official clients: `us-east-1` and `aws-us-east-1` are the same,
    /// and no region means the global address.
    pub fn of_region(region: Option<&str>) -> Result<Self, EndpointError> {
        let Some(region) = region.map(str::trim).filter(|region| !region.is_empty()) else {
            return Ok(Self("https://api.stately.cloud".to_owned()));
        };
        let name = region.strip_prefix("aws-").unwrap_or(region);
        let is_label = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > 40 || !name.bytes().all(is_label) {
            return Err(EndpointError {
                given: region.to_owned(),
                what: "region",
                hint: "the name of an AWS region, for example us-east-1",
            });
        }
        Ok(Self(format!("https://{name}.aws.api.stately.cloud")))
    }

    /// A custom address: another data plane, or a test server.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let fault = || EndpointError {
            given: text.to_owned(),
            what: "address of a data plane",
            hint: "scheme, host and port only, for example http://127.0.0.1:3030",
        };
        let url = reqwest::Url::parse(text).map_err(|_| fault())?;
        let is_origin = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let is_bare = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !is_origin || !is_bare {
            return Err(fault());
        }
        Ok(Self(url.origin().ascii_serialization()))
    }

    /// Whether it is used without TLS, and so with HTTP/2 by prior knowledge.
    pub fn is_plain(&self) -> bool {
        self.0.starts_with("http://")
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_gives_its_address() {
        let of = |region| Endpoint::of_region(region).unwrap().0;
        assert_eq!(of(Some("us-east-1")), "https://us-east-1.aws.api.stately.cloud");
        assert_eq!(of(Some("aws-us-west-2")), "https://us-west-2.aws.api.stately.cloud");
        assert_eq!(of(None), "https://api.stately.cloud");
        assert_eq!(of(Some(" ")), "https://api.stately.cloud");
        for bad in ["us east", "x/y", "aws-", "evil.example.com#", "US"] {
            assert!(Endpoint::of_region(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_custom_address_must_be_an_origin() {
        assert_eq!(Endpoint::parse("http://127.0.0.1:3030/").unwrap().0, "http://127.0.0.1:3030");
        assert!(Endpoint::parse("http://localhost:1").unwrap().is_plain());
        assert!(!Endpoint::parse("https://stately.internal").unwrap().is_plain());
        for bad in ["127.0.0.1:3030", "ftp://a", "http://a/b", "http://me:pw@a", "http://a?x", "https://"] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }
}
