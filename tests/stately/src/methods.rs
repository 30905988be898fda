//! Every method except Transaction: a request message in, the response's messages out.

use monitor_stately::wire::scan::{BeginScanRequest, ContinueScanRequest};
use monitor_stately::wire::{
    BeginListRequest, ContinueListDirection, ContinueListRequest, DeleteItem, DeleteRequest, DeleteResponse,
    DeleteResult, GetAuthTokenRequest, GetAuthTokenResponse, GetItem, GetRequest, GetResponse, Identity, Item,
    ListPart, PutRequest, PutResponse,
};

use crate::keys::KeyPath;
use crate::list::{Page, Position};
use crate::put::{Limits, outgoing, prepare, store};
use crate::refusal::{Refusal, RpcCode};
use crate::state::State;
use crate::table::Table;

/// How many items a request read and wrote.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    pub(crate) read: usize,
    pub(crate) written: usize,
}

impl State {
    pub(crate) fn auth_token(&mut self, request: &GetAuthTokenRequest) -> Result<GetAuthTokenResponse, Refusal> {
        let Some(Identity::AccessKey(given)) = &request.identity else {
            return Err(Refusal::invalid("an access key is required"));
        };
        if given.is_empty() {
            return Err(Refusal::invalid("an access key is required"));
        }
        if self.settings.access_key.as_ref().is_some_and(|right| right != given) {
            let message = "the access key is not valid";
            return Err(Refusal::new(RpcCode::Unauthenticated, "Unauthenticated", message));
        }
        let life_secs = self.settings.token_life_secs;
        let life_ms = i64::try_from(life_secs.saturating_mul(1000)).unwrap_or(i64::MAX);
        let ends_ms = self.now_ms().saturating_add(life_ms);
        let auth_token = format!("token-{:016x}", self.random.next());
        self.tokens.insert(auth_token.clone(), ends_ms);
        Ok(GetAuthTokenResponse { auth_token, expires_in_s: life_secs })
    }

    /// Refuses a request without a valid token.
    pub(crate) fn authorise(&mut self, authorization: Option<&str>) -> Result<(), Refusal> {
        let now_ms = self.now_ms();
        self.tokens.retain(|_, ends_ms| *ends_ms > now_ms);
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        if self.settings.access_key.is_none() || token.is_some_and(|token| self.tokens.contains_key(token)) {
            return Ok(());
        }
        Err(Refusal::new(RpcCode::Unauthenticated, "Unauthenticated", "there is no token, or it has expired"))
    }

    /// Refuses a request for another schema, or without one.
    pub(crate) fn check_schema(&self, store_id: u64, version: u32, schema_id: u64) -> Result<(), Refusal> {
        if store_id == 0 {
            return Err(Refusal::invalid("store_id is required"));
        }
        if version == 0 {
            return Err(Refusal::invalid("schema_version_id is required"));
        }
        let unknown = |code: &str, message| Err(Refusal::new(RpcCode::NotFound, code, message));
        if self.settings.schema_id.is_some_and(|known| schema_id != 0 && schema_id != known) {
            return unknown("SchemaNotFound", format!("there is no schema {schema_id}"));
        }
        // Earlier versions stay published, since later ones only add to them.
        if version > self.schema.version {
            return unknown("SchemaVersionNotFound", format!("schema version {version} is not published"));
        }
        Ok(())
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { max_item_bytes: self.settings.max_item_bytes, zero_ids: self.settings.zero_ids }
    }

    pub(crate) fn check_batch(&self, what: &str, count: usize) -> Result<(), Refusal> {
        let most = self.settings.max_batch;
        match count {
            0 => Err(Refusal::invalid(format!("there are no {what}"))),
            count if count > most => Err(Refusal::invalid(format!("{count} {what} in one batch; at most {most}"))),
            _ => Ok(()),
        }
    }

    pub(crate) fn put(&mut self, request: &PutRequest, as_json: bool) -> Result<(PutResponse, Work), Refusal> {
        self.check_schema(request.store_id, request.schema_version_id, request.schema_id)?;
        self.check_batch("puts", request.puts.len())?;
        let (schema, now_ms, limits) = (self.schema.clone(), self.now_ms(), self.limits());
        self.table(request.store_id);
        let Self { tables, random, .. } = self;
        let table = tables.entry(request.store_id).or_default();
        let prepared = request.puts.iter().map(|put| prepare(&schema, table, random, put, limits));
        let prepared = prepared.collect::<Result<Vec<_>, _>>()?;
        let stored = store(&schema, table, prepared, &[], now_ms)?;
        self.writes += 1;
        let items = stored.iter().map(|item| outgoing(&schema, item, as_json)).collect::<Result<Vec<_>, _>>()?;
        Ok((PutResponse { items }, Work { read: 0, written: stored.len() }))
    }

    pub(crate) fn get(&mut self, request: &GetRequest, as_json: bool) -> Result<(GetResponse, Work), Refusal> {
        self.check_schema(request.store_id, request.schema_version_id, request.schema_id)?;
        if request.gets.is_empty() {
            return Err(Refusal::invalid("there are no gets"));
        }
        let schema = self.schema.clone();
        let items = got(&schema, self.table(request.store_id), &request.gets, as_json)?;
        let work = Work { read: items.len(), written: 0 };
        Ok((GetResponse { items }, work))
    }

    pub(crate) fn delete(&mut self, request: &DeleteRequest) -> Result<(DeleteResponse, Work), Refusal> {
        self.check_schema(request.store_id, request.schema_version_id, request.schema_id)?;
        self.check_batch("deletes", request.deletes.len())?;
        let keys = deleted_keys(&request.deletes)?;
        let (schema, now_ms) = (self.schema.clone(), self.now_ms());
        store(&schema, self.table(request.store_id), Vec::new(), &keys, now_ms)?;
        self.writes += 1;
        let results = results_of(&request.deletes);
        let work = Work { read: 0, written: results.len() };
        Ok((DeleteResponse { results }, work))
    }

    pub(crate) fn begin_list(
        &mut self,
        request: BeginListRequest,
        as_json: bool,
    ) -> Result<(Vec<ListPart>, Work), Refusal> {
        self.check_schema(request.store_id, request.schema_version_id, request.schema_id)?;
        let position = Position {
            store_id: request.store_id,
            prefix: request.key_path_prefix,
            limit: request.limit,
            direction: request.sort_direction,
            filters: request.filter_conditions,
            bounds: request.key_conditions,
            last: String::new(),
            schema_version_id: request.schema_version_id,
            is_scan: false,
        };
        self.page(position, as_json)
    }

    pub(crate) fn continue_list(
        &mut self,
        request: &ContinueListRequest,
        as_json: bool,
    ) -> Result<(Vec<ListPart>, Work), Refusal> {
        if request.direction() == ContinueListDirection::Backward {
            return Err(Refusal::bare(RpcCode::Unimplemented, "this server lists forward only"));
        }
        let position = Position::from_token(&request.token_data, request.schema_version_id, false)?;
        self.check_schema(position.store_id, request.schema_version_id, request.schema_id)?;
        self.page(position, as_json)
    }

    pub(crate) fn begin_scan(
        &mut self,
        request: BeginScanRequest,
        as_json: bool,
    ) -> Result<(Vec<ListPart>, Work), Refusal> {
        self.check_schema(request.store_id, request.schema_version_id, request.schema_id)?;
        let position = Position {
            store_id: request.store_id,
            limit: request.limit,
            filters: request.filter_conditions,
            schema_version_id: request.schema_version_id,
            is_scan: true,
            ..Position::default()
        };
        self.page(position, as_json)
    }

    pub(crate) fn continue_scan(
        &mut self,
        request: &ContinueScanRequest,
        as_json: bool,
    ) -> Result<(Vec<ListPart>, Work), Refusal> {
        let position = Position::from_token(&request.token_data, request.schema_version_id, true)?;
        self.check_schema(position.store_id, request.schema_version_id, request.schema_id)?;
        self.page(position, as_json)
    }

    fn page(&mut self, position: Position, as_json: bool) -> Result<(Vec<ListPart>, Work), Refusal> {
        let (schema, rule) = (self.schema.clone(), self.settings.prefix_rule);
        let page = Page { schema: &schema, rule, max_read: self.settings.page_items, as_json };
        let (parts, read) = position.clone().page(self.table(position.store_id), &page)?;
        Ok((parts, Work { read, written: 0 }))
    }
}

/// The existing items under these keys.
pub(crate) fn got(
    schema: &crate::schema::Schema,
    table: &Table,
    gets: &[GetItem],
    as_json: bool,
) -> Result<Vec<Item>, Refusal> {
    let mut items = Vec::new();
    for get in gets {
        let key = KeyPath::parse(&get.key_path).map_err(Refusal::invalid)?;
        if let Some(item) = table.get(&key) {
            items.push(outgoing(schema, item, as_json)?);
        }
    }
    Ok(items)
}

pub(crate) fn deleted_keys(deletes: &[DeleteItem]) -> Result<Vec<KeyPath>, Refusal> {
    deletes.iter().map(|delete| KeyPath::parse(&delete.key_path).map_err(Refusal::invalid)).collect()
}

pub(crate) fn results_of(deletes: &[DeleteItem]) -> Vec<DeleteResult> {
    deletes.iter().map(|delete| DeleteResult { key_path: delete.key_path.clone() }).collect()
}
