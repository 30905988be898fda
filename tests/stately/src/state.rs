//! The server as a plain value: what is stored, how it is set, what was asked of it. No network, no clock of its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::faults::{Fault, Trouble};
use crate::keys::PrefixRule;
use crate::method::Method;
use crate::record::Types;
use crate::schema::Schema;
use crate::table::Table;

/// How many calls are remembered.
const MAX_CALLS: usize = 200_000;

/// How the server behaves. What the real service does is not known everywhere, so what is not is a setting.
#[derive(Clone)]
pub struct Settings {
    /// The only access key that gets a token; without one, nobody needs a token.
    pub access_key: Option<String>,
    /// How long a token is good for, seconds.
    pub token_life_secs: u64,
    /// How many items a put or a delete may name. The JavaScript client's documentation says 50.
    pub max_batch: usize,
    /// How large an item may be, bytes; DynamoDB takes 400 KB.
    pub max_item_bytes: usize,
    /// Whether a number in a key path may be 0, for suites that count runners from 0. It may not in the schema.
    pub zero_ids: bool,
    /// How many items one list request looks at before it asks to be continued; 0 for all.
    pub page_items: usize,
    /// How the end of a list's prefix is read.
    pub prefix_rule: PrefixRule,
    /// Before each answer, milliseconds.
    pub latency_ms: u64,
    /// The only schema that is known; without one, any.
    pub schema_id: Option<u64>,
    /// Milliseconds since 1970.
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

/// One request as it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What was asked.
    pub method: Method,
    /// How many stored items were looked at; a filter does not lower it.
    pub items_read: usize,
    /// How many items were put or deleted.
    pub items_written: usize,
    /// Bytes of the request's body.
    pub request_bytes: usize,
    /// Why it failed: a `stately_code`, else the protocol's code, or the trouble that was made. None where it did not.
    pub failed: Option<String>,
}

/// What the server holds.
pub struct State {
    /// How it behaves from now on.
    pub settings: Settings,
    pub(crate) schema: Arc<Schema>,
    pub(crate) envelope: Arc<Types>,
    pub(crate) tables: BTreeMap<u64, Table>,
    pub(crate) chance: Chance,
    /// When each token ends, milliseconds since 1970.
    pub(crate) tokens: BTreeMap<String, i64>,
    faults: Vec<Fault>,
    calls: VecDeque<Call>,
    /// Grows with each write.
    pub(crate) writes: u64,
}

impl State {
    /// An empty server for a schema.
    pub fn new(schema: Schema, settings: Settings) -> Self {
        Self {
            settings,
            schema: Arc::new(schema),
            envelope: Arc::new(crate::envelope::types()),
            tables: BTreeMap::new(),
            chance: Chance(0x5EED),
            tokens: BTreeMap::new(),
            faults: Vec::new(),
            calls: VecDeque::new(),
            writes: 0,
        }
    }

    /// The present moment, milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        (self.settings.clock)()
    }

    /// Makes trouble for requests to come.
    pub fn inject(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Ends all trouble; gives what had not come to pass.
    pub fn clear_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }

    /// The requests since the last [`State::clear_calls`], oldest first; the latest 200,000.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter()
    }

    /// How many requests of a kind there were since the last [`State::clear_calls`].
    pub fn count(&self, method: Method) -> usize {
        self.calls.iter().filter(|call| call.method == method).count()
    }

    /// Forgets the requests so far.
    pub fn clear_calls(&mut self) {
        self.calls.clear();
    }

    /// Makes every token invalid that was given so far.
    pub fn revoke_tokens(&mut self) {
        self.tokens.clear();
    }

    /// How many items a store holds that have not expired.
    pub fn item_count(&mut self, store_id: u64) -> usize {
        self.table(store_id).len()
    }

    /// The types and first key paths of a store's items, in order of the keys.
    pub fn items(&mut self, store_id: u64) -> Vec<(String, String)> {
        self.table(store_id).items().map(|(key, item)| (item.item_type.clone(), key.to_string())).collect()
    }

    /// A store's items, without those that have expired.
    pub(crate) fn table(&mut self, store_id: u64) -> &mut Table {
        let now_ms = self.now_ms();
        let table = self.tables.entry(store_id).or_default();
        table.expire(now_ms);
        table
    }

    /// The trouble that this request meets, if any.
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

/// Numbers that look like chance and are the same each time.
pub(crate) struct Chance(u64);

impl Chance {
    /// The next one (SplitMix64).
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

#[allow(clippy::disallowed_methods, reason = "an outside world has its own clock, apart from the product's")]
fn wall_clock_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
