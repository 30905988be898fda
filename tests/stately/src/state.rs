//! The server as a plain value: its items, settings and recorded requests. It has no network and no clock of its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::faults::{Fault, Trouble};
use crate::keys::PrefixRule;
use crate::method::Method;
use crate::record::Types;
use crate::schema::Schema;
use crate::table::Table;

/// The most recorded calls.
const MAX_CALLS: usize = 200_000;

/// The server's behaviour. Where the real service's behaviour is not known, it is a setting.
#[derive(Clone)]
pub struct Settings {
    /// The only valid access key; `None` if no token is needed.
    pub access_key: Option<String>,
    /// How long a token is valid, in seconds.
    pub token_life_secs: u64,
    /// The most items in a put or delete; 50 in the JavaScript client's documentation.
    pub max_batch: usize,
    /// The largest item, in bytes; DynamoDB takes 400 KB.
    pub max_item_bytes: usize,
    /// Whether a number in a key path may be 0, for suites that count runners from 0. The schema forbids it.
    pub zero_ids: bool,
    /// How many items one list request reads before it must be continued; 0 for all.
    pub page_items: usize,
    /// How the end of a list's prefix is read.
    pub prefix_rule: PrefixRule,
    /// The delay before each response, in milliseconds.
    pub latency_ms: u64,
    /// The only known schema id; `None` to accept any.
    pub schema_id: Option<u64>,
    /// The current time, in milliseconds since 1970.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access_key: None,
            token_life_secs: 3600,
            max_batch: 50,
            max_item_bytes: 400 * 1024,
            zero_ids: false,
            page_items: 0,
            prefix_rule: PrefixRule::default(),
            latency_ms: 0,
            schema_id: None,
            clock: Arc::new(wall_clock_ms),
        }
    }
}

/// One recorded request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The method of the request.
    pub method: Method,
    /// How many stored items were read, including filtered ones.
    pub items_read: usize,
    /// How many items were put or deleted.
    pub items_written: usize,
    /// The size of the request's body, in bytes.
    pub request_bytes: usize,
    /// Why it failed: a `stately_code`, the protocol's code, or the injected fault. `None` if it succeeded.
    pub failed: Option<String>,
}

/// The state of a server.
pub struct State {
    /// The behaviour from now on.
    pub settings: Settings,
    pub(crate) schema: Arc<Schema>,
    pub(crate) envelope: Arc<Types>,
    pub(crate) tables: BTreeMap<u64, Table>,
    pub(crate) random: Random,
    /// When each token expires, in milliseconds since 1970.
    pub(crate) tokens: BTreeMap<String, i64>,
    faults: Vec<Fault>,
    calls: VecDeque<Call>,
    /// Grows with each write.
    pub(crate) writes: u64,
}

impl State {
    /// An empty server with a schema.
    pub fn new(schema: Schema, settings: Settings) -> Self {
        Self {
            settings,
            schema: Arc::new(schema),
            envelope: Arc::new(crate::envelope::types()),
            tables: BTreeMap::new(),
            random: Random(0x5EED),
            tokens: BTreeMap::new(),
            faults: Vec::new(),
            calls: VecDeque::new(),
            writes: 0,
        }
    }

    /// The current time, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        (self.settings.clock)()
    }

    /// Injects a fault into the next requests.
    pub fn inject(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Removes all faults and returns those that were still pending.
    pub fn clear_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }

    /// The requests since the last [`State::clear_calls`], oldest first; the latest 200,000.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter()
    }

    /// The number of requests of a method since the last [`State::clear_calls`].
    pub fn count(&self, method: Method) -> usize {
        self.calls.iter().filter(|call| call.method == method).count()
    }

    /// Clears the recorded requests.
    pub fn clear_calls(&mut self) {
        self.calls.clear();
    }

    /// Invalidates every token issued so far.
    pub fn revoke_tokens(&mut self) {
        self.tokens.clear();
    }

    /// The number of items in a store that have not expired.
    pub fn item_count(&mut self, store_id: u64) -> usize {
        self.table(store_id).len()
    }

    /// The types and first key paths of a store's items, in order of the keys.
    pub fn items(&mut self, store_id: u64) -> Vec<(String, String)> {
        self.table(store_id).items().map(|(key, item)| (item.item_type.clone(), key.to_string())).collect()
    }

    /// A store's items, without expired ones.
    pub(crate) fn table(&mut self, store_id: u64) -> &mut Table {
        let now_ms = self.now_ms();
        let table = self.tables.entry(store_id).or_default();
        table.expire(now_ms);
        table
    }

    /// The fault for this request, if any.
    pub(crate) fn next_trouble(&mut self, method: Method) -> Option<Trouble> {
        let mut found = None;
        for fault in &mut self.faults {
            if fault.method.is_some_and(|only| only != method) {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
            } else if found.is_none() && fault.times > 0 {
                fault.times -= 1;
                found = Some(fault.trouble.clone());
            }
        }
        self.faults.retain(|fault| fault.times > 0);
        found
    }

    pub(crate) fn note(&mut self, call: Call) {
        if self.calls.len() == MAX_CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }
}

/// Pseudo-random numbers, the same in every run.
pub(crate) struct Random(u64);

impl Random {
    /// The next number (SplitMix64).
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A UUID of version 4.
    pub(crate) fn uuid(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_be_bytes());
        bytes[8..].copy_from_slice(&self.next().to_be_bytes());
        bytes[6] = (bytes[6] & 0x0F) | 0x40;
        bytes[8] = (bytes[8] & 0x3F) | 0x80;
        bytes
    }
}

#[allow(clippy::disallowed_methods, reason = "a test server has its own clock, apart from the monitor's")]
fn wall_clock_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
