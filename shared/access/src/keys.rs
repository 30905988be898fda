//! Signed tokens: of a link, and of a session.

use std::fmt;
use std::time::Duration;

use monitor_domain::secret::Secret;
use monitor_domain::time::Timestamp;
use ring::hmac;

/// How long a link can be opened.
pub const LINK_LASTS: Duration = Duration::from_secs(10 * 60);
/// How long a session lasts.
pub const SESSION_LASTS: Duration = Duration::from_secs(12 * 3_600);
/// The path that a link leads to.
pub const OPEN_PATH: &str = "/open";

/// How far the clock of another host may be ahead.
const SKEW: Duration = Duration::from_secs(60);
/// Two numbers of at most 20 digits, a tag, and the dots between them.
const MAX_TOKEN_BYTES: usize = 20 + 1 + 20 + 1 + 64;
/// What the keys are derived for. Slack signs texts that begin with `v0:`, so no signature of Slack's is a key.
const LINK: &[u8] = b"runner-monitor link 1";
const SESSION: &[u8] = b"runner-monitor session 1";

/// Why a link or a session is refused, without any of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// It is malformed, was altered, or was made with another secret.
    #[error("a link or session that was not made with the signing secret")]
    BadSignature,
    /// Its end has passed.
    #[error("a link or session that has ended")]
    Ended,
    /// Its end is further away than it can be: a clock is wrong.
    #[error("a link or session from a clock that is ahead")]
    Ahead,
    /// The link has opened a session before.
    #[error("a link that was used before")]
    Used,
}

/// Makes and reads the tokens of links and sessions. `Debug` shows no key.
#[derive(Clone)]
pub struct AccessKeys {
    link: hmac::Key,
    session: hmac::Key,
}

impl AccessKeys {
    /// Derived from Slack's signing secret.
    pub fn new(signing_secret: &Secret) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, signing_secret.expose().as_bytes());
        let derived = |label| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, label).as_ref());
        Self { link: derived(LINK), session: derived(SESSION) }
    }

    /// The token of a link. `number` identifies the link: the page that opens it stores that number first.
    pub fn link(&self, number: u64, now: Timestamp) -> Secret {
        token(&self.link, number, now.plus(LINK_LASTS))
    }

    /// The number of a link that can be opened now, if nobody has opened it yet.
    ///
    /// # Errors
    ///
    /// Why the token is refused.
    pub fn read_link(&self, token: &str, now: Timestamp) -> Result<u64, Refusal> {
        read(&self.link, token, LINK_LASTS, now)
    }

    /// The token of a new session. `number` is a random one.
    pub fn session(&self, number: u64, now: Timestamp) -> Secret {
        token(&self.session, number, now.plus(SESSION_LASTS))
    }

    /// Whether a session is open now.
    ///
    /// # Errors
    ///
    /// Why the token is refused.
    pub fn read_session(&self, token: &str, now: Timestamp) -> Result<(), Refusal> {
        read(&self.session, token, SESSION_LASTS, now).map(drop)
    }
}

impl fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKeys(***)")
    }
}

/// Makes the links to a page.
#[derive(Clone, Debug)]
pub struct PageLinks {
    keys: AccessKeys,
    address: String,
}

impl PageLinks {
    /// Links to the page at this address: `https://runners.example.com`.
    pub fn new(signing_secret: &Secret, address: &str) -> Self {
        Self { keys: AccessKeys::new(signing_secret), address: address.trim_end_matches('/').to_owned() }
    }

    /// A link that opens one session within [`LINK_LASTS`].
    pub fn link(&self, number: u64, now: Timestamp) -> Secret {
        // In the query, not in the path: an access log of the gateway in front has the path.
        Secret::new(format!("{}{OPEN_PATH}?link={}", self.address, self.keys.link(number, now).expose()))
    }
}

fn token(key: &hmac::Key, number: u64, until: Timestamp) -> Secret {
    let content = format!("{}.{number}", until.epoch_secs());
    let tag = hmac::sign(key, content.as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Secret::new(format!("{content}.{hex}"))
}

/// The number in a token that was made with this key, and that has neither ended nor begins later than now.
fn read(key: &hmac::Key, token: &str, lasts: Duration, now: Timestamp) -> Result<u64, Refusal> {
    let (content, tag) = parts(token).ok_or(Refusal::BadSignature)?;
    // In constant time.
    hmac::verify(key, content.as_bytes(), &tag).map_err(|_| Refusal::BadSignature)?;
    let numbers = content.split_once('.').and_then(|(until, number)| Some((until.parse().ok()?, number.parse().ok()?)));
    let (until_secs, number): (i64, u64) = numbers.ok_or(Refusal::BadSignature)?;
    let left_secs = until_secs.saturating_sub(now.epoch_secs());
    let most = lasts + SKEW;
    match u64::try_from(left_secs) {
        Err(_) | Ok(0) => Err(Refusal::Ended),
        Ok(left_secs) if Duration::from_secs(left_secs) > most => Err(Refusal::Ahead),
        Ok(_) => Ok(number),
    }
}

/// What was signed, and the tag.
fn parts(token: &str) -> Option<(&str, [u8; 32])> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let (content, hex) = token.rsplit_once('.')?;
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return None };
    let mut tag = [0; 32];
    if pairs.len() != tag.len() {
        return None;
    }
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    for (byte, [high, low]) in tag.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some((content, tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_SECS: i64 = 1_800_000_000;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_epoch_ms((NOW_SECS + secs) * 1_000)
    }

    fn keys() -> AccessKeys {
        AccessKeys::new(&Secret::new("8f742231b10e8888abcd99yyyzzz85a5"))
    }

    fn link(keys: &AccessKeys) -> String {
        keys.link(7, at(0)).expose().to_owned()
    }

    fn session(keys: &AccessKeys) -> String {
        keys.session(9, at(0)).expose().to_owned()
    }

    #[test]
    fn a_link_is_good_for_ten_minutes_and_a_session_for_twelve_hours() {
        let keys = keys();
        let (link, session) = (link(&keys), session(&keys));
        for (secs, expected) in [(0, Ok(7)), (599, Ok(7)), (600, Err(Refusal::Ended)), (100_000, Err(Refusal::Ended))] {
            assert_eq!(keys.read_link(&link, at(secs)), expected, "{secs}");
        }
        for (secs, expected) in [(0, Ok(())), (43_199, Ok(())), (43_200, Err(Refusal::Ended))] {
            assert_eq!(keys.read_session(&session, at(secs)), expected, "{secs}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_last_longer() {
        let keys = keys();
        let (link, session) = (link(&keys), session(&keys));
        for (secs, is_good) in [(-60, true), (-61, false), (-86_400, false), (-NOW_SECS, false)] {
            assert_eq!(keys.read_link(&link, at(secs)).is_ok(), is_good, "{secs}");
            assert_eq!(keys.read_session(&session, at(secs)).is_ok(), is_good, "{secs}");
        }
        assert_eq!(keys.read_link(&link, at(-61)), Err(Refusal::Ahead));
    }

    #[test]
    fn a_token_of_another_secret_or_for_another_use_is_refused() {
        let (own, other) = (keys(), AccessKeys::new(&Secret::new("another")));
        let bad = Refusal::BadSignature;
        assert_eq!(own.read_link(&link(&other), at(0)), Err(bad));
        assert_eq!(own.read_session(&session(&other), at(0)), Err(bad));
        assert_eq!(own.read_link(&session(&own), at(0)), Err(bad), "a session is not a link");
        assert_eq!(own.read_session(&link(&own), at(0)), Err(bad), "a link is not a session");
    }

    #[test]
    fn an_altered_token_is_refused() {
        let keys = keys();
        let link = link(&keys);
        let (content, tag) = link.rsplit_once('.').unwrap();
        let (until, number) = content.split_once('.').unwrap();
        let flipped = if tag.starts_with('0') { tag.replacen('0', "1", 1) } else { format!("0{}", &tag[1..]) };
        for altered in [
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            content.to_owned(),
            tag.to_owned(),
            format!("{content}."),
            format!("{content}.{flipped}"),
            format!("{content}.{}", &tag[..62]),
            format!("{content}.{tag}00"),
            format!("{content}.{}", tag.to_uppercase()),
            format!("{until}.8.{tag}"),
            format!("{until}.0{number}.{tag}"),
            format!("{}.{number}.{tag}", until.parse::<i64>().unwrap() + 1),
            format!("{link} "),
            format!(" {link}"),
            "é".repeat(60),
            "7".repeat(1_000_000),
        ] {
            assert_eq!(keys.read_link(&altered, at(0)), Err(Refusal::BadSignature), "{altered:.100}");
        }
        assert_eq!(keys.read_link(&link, at(0)), Ok(7));
        let longest = keys.link(u64::MAX, Timestamp::from_epoch_ms(i64::MAX / 2));
        assert!(longest.expose().len() <= MAX_TOKEN_BYTES);
    }

    #[test]
    fn a_link_leads_to_the_page_and_debug_shows_no_secret() {
        let links = PageLinks::new(&Secret::new("8f742231b10e8888abcd99yyyzzz85a5"), "https://runners.acme.test/");
        let address = links.link(7, at(0));
        let token = address.expose().strip_prefix("https://runners.acme.test/open?link=").unwrap();
        assert_eq!(keys().read_link(token, at(1)), Ok(7));
        let shown = format!("{links:?} {:?} {address:?}", keys());
        assert!(!shown.contains("8f74") && !shown.contains("link="), "{shown}");
    }
}
