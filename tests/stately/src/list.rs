//! Lists and scans, page by page.

use std::ops::Bound;
use std::sync::Arc;

use monitor_stately::wire::{
    Filter, FilterCondition, KeyCondition, ListFinished, ListPart, ListPartialResult, ListToken, Operator,
    SortDirection,
};
use prost::Message as _;

use crate::keys::{KeyPath, Prefix, PrefixRule};
use crate::put::outgoing;
use crate::refusal::{Refusal, RpcCode};
use crate::schema::Schema;
use crate::table::{Stored, Table, Walk};

/// The most items in one message.
const ITEMS_PER_MESSAGE: usize = 100;

/// A list request and its position; encoded, it is the token.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Position {
    #[prost(uint64, tag = "1")]
    pub(crate) store_id: u64,
    /// Empty for a scan.
    #[prost(string, tag = "2")]
    pub(crate) prefix: String,
    #[prost(uint32, tag = "3")]
    pub(crate) limit: u32,
    #[prost(enumeration = "SortDirection", tag = "4")]
    pub(crate) direction: i32,
    #[prost(message, repeated, tag = "5")]
    pub(crate) filters: Vec<FilterCondition>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) bounds: Vec<KeyCondition>,
    /// The last key that was read; empty at the beginning.
    #[prost(string, tag = "7")]
    pub(crate) last: String,
    #[prost(uint32, tag = "8")]
    pub(crate) schema_version_id: u32,
    #[prost(bool, tag = "9")]
    pub(crate) is_scan: bool,
}

/// The parameters of a page.
pub(crate) struct Page<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) rule: PrefixRule,
    /// The most items to read; 0 for all.
    pub(crate) max_read: usize,
    pub(crate) as_json: bool,
}

impl Position {
    /// Decodes a token.
    pub(crate) fn from_token(token: &[u8], schema_version_id: u32, is_scan: bool) -> Result<Self, Refusal> {
        let position =
            Position::decode(token).map_err(|_| Refusal::invalid("the token is not one of this server's"))?;
        if position.schema_version_id != schema_version_id {
            let message = format!("the list began with schema version {}", position.schema_version_id);
            return Err(Refusal::new(RpcCode::FailedPrecondition, "SchemaVersionMismatch", message));
        }
        if position.is_scan != is_scan {
            return Err(Refusal::invalid("a list's token does not continue a scan, nor the other way round"));
        }
        Ok(position)
    }

    /// The next page, and the number of items read for it.
    pub(crate) fn page(mut self, table: &Table, page: &Page<'_>) -> Result<(Vec<ListPart>, usize), Refusal> {
        let wanted = self.wanted(page.schema)?;
        let candidates = if self.is_scan { self.scanned(table)? } else { self.listed(table, page.rule)? };
        let limit = if self.limit == 0 { usize::MAX } else { self.limit as usize };
        let max_read = if page.max_read == 0 { usize::MAX } else { page.max_read };
        let (mut found, mut read) = (Vec::new(), 0);
        let mut rest = candidates.into_iter();
        let mut can_continue = false;
        for (key, item) in rest.by_ref() {
            read += 1;
            self.last = key.to_string();
            if wanted.is_empty() || wanted.contains(&item.item_type) {
                found.push(outgoing(page.schema, item, page.as_json)?);
            }
            if found.len() >= limit || read >= max_read {
                can_continue = true;
                break;
            }
        }
        // Without further candidates there is nothing to continue.
        can_continue = can_continue && rest.next().is_some();
        let mut parts: Vec<ListPart> = found
            .chunks(ITEMS_PER_MESSAGE)
            .map(|items| ListPart::Result(ListPartialResult { items: items.to_vec() }))
            .collect();
        let token = ListToken {
            schema_version_id: self.schema_version_id,
            token_data: self.encode_to_vec(),
            can_continue,
            can_sync: false,
        };
        parts.push(ListPart::Finished(ListFinished { token: Some(token) }));
        Ok((parts, read))
    }

    fn wanted(&self, schema: &Schema) -> Result<Vec<String>, Refusal> {
        let wanted = self.filters.iter().map(|condition| match &condition.value {
            Some(Filter::ItemType(name)) if schema.items.contains_key(name) => Ok(name.clone()),
            Some(Filter::ItemType(name)) => Err(Refusal::invalid(format!("`{name}` is not an item type to filter by"))),
            Some(Filter::CelExpression(_)) => {
                Err(Refusal::bare(RpcCode::Unimplemented, "this server does not support CEL expressions"))
            }
            None => Err(Refusal::invalid("a filter condition is empty")),
        });
        wanted.collect()
    }

    fn last_key(&self) -> Result<Option<KeyPath>, Refusal> {
        if self.last.is_empty() {
            return Ok(None);
        }
        KeyPath::parse(&self.last).map(Some).map_err(Refusal::invalid)
    }

    fn scanned<'a>(&self, table: &'a Table) -> Result<Vec<(&'a KeyPath, &'a Arc<Stored>)>, Refusal> {
        let last = self.last_key()?;
        Ok(table.items().filter(|(key, _)| last.as_ref().is_none_or(|last| *key > last)).collect())
    }

    fn listed<'a>(&self, table: &'a Table, rule: PrefixRule) -> Result<Vec<(&'a KeyPath, &'a Arc<Stored>)>, Refusal> {
        let prefix = Prefix::parse(&self.prefix, rule).map_err(Refusal::invalid)?;
        let (mut lower, mut upper) = (Bound::Unbounded, Bound::Unbounded);
        for bound in &self.bounds {
            if !bound.key_path.starts_with(&self.prefix) {
                return Err(Refusal::invalid(format!("{} does not begin with the list's prefix", bound.key_path)));
            }
            let key = KeyPath::parse(&bound.key_path).map_err(Refusal::invalid)?;
            let (side, bound) = match bound.operator() {
                Operator::GreaterThan => (&mut lower, Bound::Excluded(key)),
                Operator::GreaterThanOrEqual => (&mut lower, Bound::Included(key)),
                Operator::LessThan => (&mut upper, Bound::Excluded(key)),
                Operator::LessThanOrEqual => (&mut upper, Bound::Included(key)),
                Operator::Unspecified => return Err(Refusal::invalid("a key condition lacks its operator")),
            };
            if *side != Bound::Unbounded {
                return Err(Refusal::invalid("two key conditions bound the same side"));
            }
            *side = bound;
        }
        let descending = self.direction() == SortDirection::Descending;
        if let Some(last) = self.last_key()? {
            *(if descending { &mut upper } else { &mut lower }) = Bound::Excluded(last);
        }
        Ok(table.walk(Walk { prefix: &prefix, lower, upper, descending }))
    }
}
