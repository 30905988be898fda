//! StatelyDB's methods, each with a deadline, retries and a token.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prost::Message;

use crate::connect;
use crate::error::{Retry, StatelyError};
use crate::key_path::KeyPath;
use crate::timer::{Timer, TokioTimer, timeout_at};
use crate::token::{Token, Tokens};
use crate::transport::{Request, Response, Transport};
use crate::wire::{self, Item, ListPart, ListToken, SortDirection, path, scan};
use monitor_domain::secret::Secret;

/// The longest pause before the second attempt; it doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The time limit of an early token renewal, so that it cannot use up the call's deadline.
const EARLY_RENEWAL: Duration = Duration::from_secs(2);
/// A list with more pages than this is treated as endless.
const MOST_PAGES: usize = 10_000;

/// The settings of a client.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The store's id.
    pub store_id: u64,
    /// The id of the schema that items are written with.
    pub schema_id: u64,
    /// The version of that schema, from 1.
    pub schema_version: u32,
    /// The key that is exchanged for tokens; `None` for a data plane without authentication.
    pub access_key: Option<Secret>,
    /// How long a call may take, including all attempts.
    pub deadline: Duration,
    /// How long one attempt may take.
    pub stall: Duration,
    /// The seed for the random pauses between attempts.
    pub jitter_seed: u64,
}

impl ClientSettings {
    /// Defaults: a call may take 10 s, an attempt 5 s.
    pub fn new(store_id: u64, schema_id: u64, access_key: Option<Secret>) -> Self {
        let (deadline, stall) = (Duration::from_secs(10), Duration::from_secs(5));
        let schema_version = crate::fields::SCHEMA_VERSION;
        Self { store_id, schema_id, schema_version, access_key, deadline, stall, jitter_seed: 0x9e37_79b9_7f4a_7c15 }
    }
}

/// The form in which items are requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As protobuf messages, by number.
    #[default]
    Protobuf,
    /// As JSON, by name.
    Json,
}

/// A list request: the items under a prefix, in order of their key paths.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// The key path prefix: at least a whole group.
    pub prefix: KeyPath,
    /// Only items of these types; all types if empty.
    pub item_types: Vec<&'static str>,
    /// Whether the last item comes first.
    pub descending: bool,
    /// The most items to return; `None` for all.
    pub limit: Option<u32>,
    /// Only items after this path, which must start with the prefix.
    pub after: Option<KeyPath>,
}

/// A page of a list, and the token for the next one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The items, in list order.
    pub items: Vec<Item>,
    /// The token for the next page; `None` at the end.
    pub next: Option<ListToken>,
}

/// A client of one store.
#[derive(Debug)]
pub struct Client<T, Ti = TokioTimer> {
    transport: T,
    timer: Ti,
    settings: ClientSettings,
    tokens: Tokens,
    jitter: AtomicU64,
}

impl<T: Transport> Client<T> {
    /// A client on tokio's clock. It sends nothing yet.
    pub fn new(transport: T, settings: ClientSettings) -> Self {
        Self::with_timer(transport, settings, TokioTimer::default())
    }
}

impl<T: Transport, Ti: Timer> Client<T, Ti> {
    /// A client with its own timer.
    pub fn with_timer(transport: T, settings: ClientSettings, timer: Ti) -> Self {
        let jitter = AtomicU64::new(settings.jitter_seed | 1);
        Self { transport, timer, settings, tokens: Tokens::default(), jitter }
    }

    /// The transport to the service.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// Puts all items or none. Returns them as stored, including fields set by the service.
    pub async fn put(&self, puts: Vec<wire::PutItem>) -> Result<Vec<Item>, StatelyError> {
        let ClientSettings { store_id, schema_id, schema_version, .. } = self.settings;
        let request = wire::PutRequest { store_id, puts, schema_version_id: schema_version, schema_id };
        let answer: wire::PutResponse = self.unary(path::PUT, &request, Form::default()).await?;
        Ok(answer.items)
    }

    /// Returns the existing items under these paths, in no particular order.
    pub async fn get(&self, paths: &[KeyPath], form: Form) -> Result<Vec<Item>, StatelyError> {
        let ClientSettings { store_id, schema_id, schema_version, .. } = self.settings;
        let gets = paths.iter().map(|path| wire::GetItem { key_path: path.to_string() }).collect();
        let request =
            wire::GetRequest { store_id, gets, allow_stale: false, schema_version_id: schema_version, schema_id };
        let answer: wire::GetResponse = self.unary(path::GET, &request, form).await?;
        Ok(answer.items)
    }

    /// Deletes the items under these paths, all or none. An item that does not exist counts as deleted.
    pub async fn delete(&self, paths: &[KeyPath]) -> Result<(), StatelyError> {
        let ClientSettings { store_id, schema_id, schema_version, .. } = self.settings;
        let deletes = paths.iter().map(|path| wire::DeleteItem { key_path: path.to_string() }).collect();
        let request = wire::DeleteRequest { store_id, deletes, schema_version_id: schema_version, schema_id };
        let _: wire::DeleteResponse = self.unary(path::DELETE, &request, Form::default()).await?;
        Ok(())
    }

    /// Reads a whole list, page by page, within one deadline.
    pub async fn list(&self, list: &List) -> Result<Vec<Item>, StatelyError> {
        let deadline = self.deadline();
        let first_page = self.page(path::BEGIN_LIST, &self.begin_list(list), deadline).await?;
        let next_request = |token: ListToken| wire::ContinueListRequest {
            token_data: token.token_data,
            direction: wire::ContinueListDirection::Forward as i32,
            schema_version_id: self.settings.schema_version,
            schema_id: self.settings.schema_id,
        };
        let most = list.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut items = self.rest(first_page, path::CONTINUE_LIST, next_request, most, deadline).await?;
        items.truncate(most);
        Ok(items)
    }

    /// Reads every item of one type in the whole store. The cost grows with the size of the store.
    pub async fn scan(&self, item_type: &str) -> Result<Vec<Item>, StatelyError> {
        let ClientSettings { store_id, schema_id, schema_version, .. } = self.settings;
        let deadline = self.deadline();
        let begin = scan::BeginScanRequest {
            store_id,
            filter_conditions: vec![of_type(item_type)],
            limit: 0,
            schema_version_id: schema_version,
            schema_id,
        };
        let first_page = self.page(scan::BEGIN_SCAN, &begin, deadline).await?;
        let next_request = |token: ListToken| scan::ContinueScanRequest {
            token_data: token.token_data,
            schema_version_id: schema_version,
            schema_id,
        };
        self.rest(first_page, scan::CONTINUE_SCAN, next_request, usize::MAX, deadline).await
    }

    fn begin_list(&self, list: &List) -> wire::BeginListRequest {
        let direction = if list.descending { SortDirection::Descending } else { SortDirection::Ascending };
        let after = list.after.iter().map(|path| wire::KeyCondition {
            key_path: path.to_string(),
            operator: wire::Operator::GreaterThan as i32,
        });
        wire::BeginListRequest {
            store_id: self.settings.store_id,
            key_path_prefix: list.prefix.to_string(),
            limit: list.limit.unwrap_or(0),
            allow_stale: false,
            sort_direction: direction as i32,
            schema_version_id: self.settings.schema_version,
            schema_id: self.settings.schema_id,
            filter_conditions: list.item_types.iter().copied().map(of_type).collect(),
            key_conditions: after.collect(),
        }
    }

    /// Follows a list to its end, or until it has `most` items.
    async fn rest<Next: Message>(
        &self,
        first_page: Page,
        path: &'static str,
        next_request: impl Fn(ListToken) -> Next,
        most: usize,
        deadline: Duration,
    ) -> Result<Vec<Item>, StatelyError> {
        let Page { mut items, mut next } = first_page;
        for _ in 0..MOST_PAGES {
            let Some(token) = next.filter(|_| items.len() < most) else { return Ok(items) };
            let page = self.page(path, &next_request(token), deadline).await?;
            items.extend(page.items);
            next = page.next;
        }
        Err(StatelyError::Garbled(format!("a list of more than {MOST_PAGES} pages")))
    }

    async fn page(&self, path: &'static str, request: &impl Message, deadline: Duration) -> Result<Page, StatelyError> {
        let frame = connect::frame(request);
        self.call((path, connect::STREAM, &frame), Form::default(), deadline, read_page).await
    }

    async fn unary<M: Message + Default>(
        &self,
        path: &'static str,
        request: &impl Message,
        form: Form,
    ) -> Result<M, StatelyError> {
        let body = request.encode_to_vec();
        let read = |response: &Response| connect::message(response).and_then(connect::decode);
        self.call((path, connect::UNARY, &body), form, self.deadline(), read).await
    }

    /// Retries until the call succeeds, fails permanently or reaches its deadline. A refused token is replaced once.
    async fn call<R>(
        &self,
        what: (&'static str, &'static str, &[u8]),
        form: Form,
        deadline: Duration,
        read: impl Fn(&Response) -> Result<R, StatelyError>,
    ) -> Result<R, StatelyError> {
        let (mut tries, mut renewed) = (0, false);
        loop {
            tries += 1;
            let token = self.token(deadline).await?;
            let error = match self.attempt(what, form, token.as_ref(), deadline, &read).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match &token {
                Some(refused) if error.is_unauthenticated() && !renewed => {
                    self.tokens.forget(refused);
                    renewed = true;
                }
                _ => self.pause(error, tries, deadline).await?,
            }
        }
    }

    /// Waits before the next attempt, or returns the error if there must be none.
    async fn pause(&self, error: StatelyError, tries: u32, deadline: Duration) -> Result<(), StatelyError> {
        let pause = match error.retry() {
            Retry::Never => return Err(error),
            Retry::Now if tries == 1 => Duration::ZERO,
            Retry::Now | Retry::Later => self.random_pause(tries),
        };
        if self.timer.elapsed() + pause >= deadline {
            return Err(StatelyError::GaveUp { tries, within: self.settings.deadline, last: Box::new(error) });
        }
        self.timer.sleep(pause).await;
        Ok(())
    }

    async fn attempt<R>(
        &self,
        (path, content_type, body): (&'static str, &'static str, &[u8]),
        form: Form,
        token: Option<&Token>,
        deadline: Duration,
        read: impl Fn(&Response) -> Result<R, StatelyError>,
    ) -> Result<R, StatelyError> {
        let now = self.timer.elapsed();
        let until = deadline.min(now + self.settings.stall);
        let allowed = until.saturating_sub(now);
        let mut headers = vec![
            ("content-type", content_type.to_owned()),
            ("connect-protocol-version", "1".to_owned()),
            ("connect-timeout-ms", allowed.as_millis().max(1).to_string()),
            ("user-agent", concat!("github-runner-monitor/", env!("CARGO_PKG_VERSION")).to_owned()),
        ];
        headers.extend(token.map(|token| ("authorization", token.header().to_owned())));
        if form == Form::Json {
            headers.push(("sc-rf", "application/json".to_owned()));
        }
        let request = Request { path, headers, body: body.to_vec() };
        match timeout_at(&self.timer, until, self.transport.post(request)).await {
            Some(Ok(response)) => read(&response),
            Some(Err(unreached)) => Err(StatelyError::Unreached(unreached.0)),
            None => Err(StatelyError::Unreached(format!("no response within {} ms", allowed.as_millis()))),
        }
    }

    /// A valid token; `None` without an access key.
    async fn token(&self, deadline: Duration) -> Result<Option<Token>, StatelyError> {
        let Some(access_key) = &self.settings.access_key else { return Ok(None) };
        if let Some(token) = self.tokens.fresh(self.timer.elapsed()) {
            return Ok(Some(token));
        }
        let turn = timeout_at(&self.timer, deadline, self.tokens.fetching.lock()).await;
        let _turn = turn.ok_or_else(|| StatelyError::Unreached("no token within the deadline".to_owned()))?;
        // The previous holder of the lock may have fetched a token for all.
        let now = self.timer.elapsed();
        if let Some(token) = self.tokens.fresh(now) {
            return Ok(Some(token));
        }
        let still_valid = self.tokens.valid(now);
        let until = if still_valid.is_some() { deadline.min(now + EARLY_RENEWAL) } else { deadline };
        match self.fetch_token(access_key, until).await {
            Ok(token) => {
                self.tokens.keep(token.clone());
                Ok(Some(token))
            }
            Err(error) => match still_valid {
                Some(token) => {
                    self.tokens.put_off_renewal(self.timer.elapsed());
                    Ok(Some(token))
                }
                None => Err(error),
            },
        }
    }

    async fn fetch_token(&self, access_key: &Secret, deadline: Duration) -> Result<Token, StatelyError> {
        let identity = Some(wire::Identity::AccessKey(access_key.expose().to_owned()));
        let body = wire::GetAuthTokenRequest { identity }.encode_to_vec();
        let read = |response: &Response| connect::message(response).and_then(connect::decode);
        let what = (path::GET_AUTH_TOKEN, connect::UNARY, &body[..]);
        let mut tries = 0;
        loop {
            tries += 1;
            // Taken before the request, so the token's age is never underestimated.
            let asked_at = self.timer.elapsed();
            match self.attempt(what, Form::default(), None, deadline, &read).await {
                Ok(wire::GetAuthTokenResponse { auth_token, expires_in_s }) => {
                    if auth_token.is_empty() || !auth_token.bytes().all(|b| b.is_ascii_graphic()) {
                        return Err(StatelyError::Garbled("the token is empty or not printable ASCII".to_owned()));
                    }
                    return Ok(Token::new(&auth_token, Duration::from_secs(expires_in_s), asked_at));
                }
                Err(error) => self.pause(error, tries, deadline).await?,
            }
        }
    }

    fn deadline(&self) -> Duration {
        self.timer.elapsed() + self.settings.deadline
    }

    /// A random pause, so that many clients do not retry at the same time (xorshift64).
    fn random_pause(&self, tries: u32) -> Duration {
        let step = |mut state: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let drawn = self.jitter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| Some(step(state)));
        let most = FIRST_PAUSE.saturating_mul(1 << tries.min(10)).min(LONGEST_PAUSE) / 2;
        let most_us = u64::try_from(most.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(drawn.unwrap_or(1) % most_us + 1)
    }
}

fn of_type(item_type: &str) -> wire::FilterCondition {
    wire::FilterCondition { value: Some(wire::Filter::ItemType(item_type.to_owned())) }
}

/// Reads the frames of a page. A page without its end is incomplete.
fn read_page(response: &Response) -> Result<Page, StatelyError> {
    let mut page = Page::default();
    let mut finished = None;
    for part in connect::messages(response)? {
        match connect::decode::<wire::ListResponse>(part)?.response {
            Some(ListPart::Result(result)) => page.items.extend(result.items),
            Some(ListPart::Finished(end)) => finished = Some(end.token.unwrap_or_default()),
            // A kind of message that a later version of the service may send.
            None => {}
        }
    }
    let token = finished.ok_or_else(|| StatelyError::Unreached("the list ended early".to_owned()))?;
    page.next = Some(token).filter(|token| token.can_continue);
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of the protocol's stream is not the end of the list.
    #[test]
    fn a_page_without_its_end_is_an_error() {
        let item = Item { item_type: "Cursor".to_owned(), payload: None };
        let part = |response| connect::frame(&wire::ListResponse { response: Some(response) });
        let items = part(ListPart::Result(wire::ListPartialResult { items: vec![item] }));
        let end = part(ListPart::Finished(wire::ListFinished::default()));
        let stream_end = b"\x02\0\0\0\x02{}".to_vec();
        let read = |frames: &[&[u8]]| {
            let content_type = connect::STREAM.to_owned();
            read_page(&Response { status: 200, content_type, body: frames.concat() })
        };
        assert_eq!(read(&[&items, &end, &stream_end]).map(|page| page.items.len()), Ok(1));
        assert!(matches!(read(&[&items, &stream_end]), Err(StatelyError::Unreached(_))));
    }
}
