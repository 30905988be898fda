//! StatelyDB's methods, each with its deadline, its retries and a token.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prost::Message;

use crate::connect;
use crate::error::{Retry, StatelyError};
use crate::key_path::KeyPath;
use crate::timer::{Timer, TokioTimer, by};
use crate::token::{AccessKey, Token, Tokens};
use crate::transport::{Request, Response, Transport};
use crate::wire::{self, Item, ListPart, ListToken, SortDirection, path, scan};

/// The pause before the second try is at most this; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A renewal ahead of time must not use up the call that it comes in.
const EARLY_RENEWAL: Duration = Duration::from_secs(2);
/// A list of more pages than this is one that does not end.
const MOST_PAGES: usize = 10_000;

/// What a client is set to.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The store's number.
    pub store_id: u64,
    /// The number of the schema that items are written by.
    pub schema_id: u64,
    /// The version of that schema; never 0.
    pub schema_version: u32,
    /// Exchanged for tokens; none for a data plane that asks for none.
    pub access_key: Option<AccessKey>,
    /// How long a call may take with all its tries.
    pub deadline: Duration,
    /// How long one try may take.
    pub stall: Duration,
    /// Where the pauses between tries draw their chance from.
    pub jitter_seed: u64,
}

impl ClientSettings {
    /// A call may take 10 s, a try 5 s.
    pub fn new(store_id: u64, schema_id: u64, access_key: Option<AccessKey>) -> Self {
        let (deadline, stall) = (Duration::from_secs(10), Duration::from_secs(5));
        let schema_version = crate::fields::SCHEMA_VERSION;
        Self { store_id, schema_id, schema_version, access_key, deadline, stall, jitter_seed: 0x9e37_79b9_7f4a_7c15 }
    }
}

/// In which form items are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As protobuf messages, by number.
    #[default]
    Protobuf,
    /// As JSON, by name.
    Json,
}

/// A list: the items below a prefix, in order of their key paths.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// At least a whole group.
    pub prefix: KeyPath,
    /// Only items of these types; of every type if empty.
    pub item_types: Vec<&'static str>,
    /// The last first.
    pub descending: bool,
    /// How many at most; none for all.
    pub limit: Option<u32>,
    /// Only what comes after this path, which starts with the prefix.
    pub after: Option<KeyPath>,
}

/// A page of a list, and how to go on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// In order.
    pub items: Vec<Item>,
    /// For the next page; none at the end.
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
    /// A client that has asked for nothing yet.
    pub fn new(transport: T, settings: ClientSettings) -> Self {
        Self::with_timer(transport, settings, TokioTimer::default())
    }
}

impl<T: Transport, Ti: Timer> Client<T, Ti> {
    /// The same with another time than tokio's.
    pub fn with_timer(transport: T, settings: ClientSettings, timer: Ti) -> Self {
        let jitter = AtomicU64::new(settings.jitter_seed | 1);
        Self { transport, timer, settings, tokens: Tokens::default(), jitter }
    }

    /// The way to the service.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// Puts all items or none; gives them as stored, with what the service filled in.
    pub async fn put(&self, puts: Vec<wire::PutItem>) -> Result<Vec<Item>, StatelyError> {
        let ClientSettings { store_id, schema_id, schema_version, .. } = self.settings;
        let request = wire::PutRequest { store_id, puts, schema_version_id: schema_version, schema_id };
        let answer: wire::PutResponse = self.unary(path::PUT, &request, Form::default()).await?;
        Ok(answer.items)
    }

    /// The items under these paths, those that exist, in no promised order.
    pub async fn get(&self, paths: &[KeyPath], form: Form) -> Result<Vec<Item>, StatelyError> {
        let ClientSettings { store_id, schema_id, schema_version, .. } = self.settings;
        let gets = paths.iter().map(|path| wire::GetItem { key_path: path.to_string() }).collect();
        let request =
            wire::GetRequest { store_id, gets, allow_stale: false, schema_version_id: schema_version, schema_id };
        let answer: wire::GetResponse = self.unary(path::GET, &request, form).await?;
        Ok(answer.items)
    }

    /// Deletes the items under these paths, all or none; one that does not exist counts as deleted.
    pub async fn delete(&self, paths: &[KeyPath]) -> Result<(), StatelyError> {
        let ClientSettings { store_id, schema_id, schema_version, .. } = self.settings;
        let deletes = paths.iter().map(|path| wire::DeleteItem { key_path: path.to_string() }).collect();
        let request = wire::DeleteRequest { store_id, deletes, schema_version_id: schema_version, schema_id };
        let _: wire::DeleteResponse = self.unary(path::DELETE, &request, Form::default()).await?;
        Ok(())
    }

    /// A whole list, page by page, within one deadline.
    pub async fn list(&self, list: &List) -> Result<Vec<Item>, StatelyError> {
        let deadline = self.deadline();
        let begun = self.page(path::BEGIN_LIST, &self.begin_list(list), deadline).await?;
        let goes_on = |token: ListToken| wire::ContinueListRequest {
            token_data: token.token_data,
            direction: wire::ContinueListDirection::Forward as i32,
            schema_version_id: self.settings.schema_version,
            schema_id: self.settings.schema_id,
        };
        let most = list.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut items = self.rest(begun, path::CONTINUE_LIST, goes_on, most, deadline).await?;
        items.truncate(most);
        Ok(items)
    }

    /// Every item of one type in the whole store. As slow as the store is large.
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
        let begun = self.page(scan::BEGIN_SCAN, &begin, deadline).await?;
        let goes_on = |token: ListToken| scan::ContinueScanRequest {
            token_data: token.token_data,
            schema_version_id: schema_version,
            schema_id,
        };
        self.rest(begun, scan::CONTINUE_SCAN, goes_on, usize::MAX, deadline).await
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

    /// Follows a list to its end, or until there are enough items.
    async fn rest<Next: Message>(
        &self,
        begun: Page,
        path: &'static str,
        goes_on: impl Fn(ListToken) -> Next,
        most: usize,
        deadline: Duration,
    ) -> Result<Vec<Item>, StatelyError> {
        let Page { mut items, mut next } = begun;
        for _ in 0..MOST_PAGES {
            let Some(token) = next.filter(|_| items.len() < most) else { return Ok(items) };
            let page = self.page(path, &goes_on(token), deadline).await?;
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

    /// Tries until it succeeds, cannot succeed, or is out of time. A token that is refused is replaced once.
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

    /// Waits before the next try, or gives the error back where there is none to come.
    async fn pause(&self, error: StatelyError, tries: u32, deadline: Duration) -> Result<(), StatelyError> {
        let pause = match error.retry() {
            Retry::Never => return Err(error),
            Retry::Now if tries == 1 => Duration::ZERO,
            Retry::Now | Retry::Later => self.chance(tries),
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
        match by(&self.timer, until, self.transport.post(request)).await {
            Some(Ok(response)) => read(&response),
            Some(Err(unreached)) => Err(StatelyError::Unreached(unreached.0)),
            None => Err(StatelyError::Unreached(format!("nothing within {} ms", allowed.as_millis()))),
        }
    }

    /// A token that serves; none where there is no access key.
    async fn token(&self, deadline: Duration) -> Result<Option<Token>, StatelyError> {
        let Some(access_key) = &self.settings.access_key else { return Ok(None) };
        if let Some(token) = self.tokens.fresh(self.timer.elapsed()) {
            return Ok(Some(token));
        }
        let turn = by(&self.timer, deadline, self.tokens.fetching.lock()).await;
        let _turn = turn.ok_or_else(|| StatelyError::Unreached("no token in time".to_owned()))?;
        // Whoever had the turn before has fetched one for all.
        let now = self.timer.elapsed();
        if let Some(token) = self.tokens.fresh(now) {
            return Ok(Some(token));
        }
        let still_good = self.tokens.good(now);
        let until = if still_good.is_some() { deadline.min(now + EARLY_RENEWAL) } else { deadline };
        match self.fetch_token(access_key, until).await {
            Ok(token) => {
                self.tokens.keep(token.clone());
                Ok(Some(token))
            }
            Err(error) => match still_good {
                Some(token) => {
                    self.tokens.put_off_renewal(self.timer.elapsed());
                    Ok(Some(token))
                }
                None => Err(error),
            },
        }
    }

    async fn fetch_token(&self, access_key: &AccessKey, deadline: Duration) -> Result<Token, StatelyError> {
        let identity = Some(wire::Identity::AccessKey(access_key.expose().to_owned()));
        let body = wire::GetAuthTokenRequest { identity }.encode_to_vec();
        let read = |response: &Response| connect::message(response).and_then(connect::decode);
        let what = (path::GET_AUTH_TOKEN, connect::UNARY, &body[..]);
        let mut tries = 0;
        loop {
            tries += 1;
            // From before the request: the token is not younger than that.
            let asked_at = self.timer.elapsed();
            match self.attempt(what, Form::default(), None, deadline, &read).await {
                Ok(wire::GetAuthTokenResponse { auth_token, expires_in_s }) => {
                    if auth_token.is_empty() || !auth_token.bytes().all(|b| b.is_ascii_graphic()) {
                        return Err(StatelyError::Garbled("a token that is none".to_owned()));
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

    /// A pause of chance length, so that many clients do not come back together (xorshift64).
    fn chance(&self, tries: u32) -> Duration {
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

/// Reads the frames of a page. One without its end broke off.
fn read_page(response: &Response) -> Result<Page, StatelyError> {
    let mut page = Page::default();
    let mut finished = None;
    for part in connect::messages(response)? {
        match connect::decode::<wire::ListResponse>(part)?.response {
            Some(ListPart::Result(result)) => page.items.extend(result.items),
            Some(ListPart::Finished(end)) => finished = Some(end.token.unwrap_or_default()),
            // A kind of message that a later version of the service sends.
            None => {}
        }
    }
    let token = finished.ok_or_else(|| StatelyError::Unreached("the list broke off".to_owned()))?;
    page.next = Some(token).filter(|token| token.can_continue);
    Ok(page)
}
