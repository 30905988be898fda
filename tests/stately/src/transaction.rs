//! A transaction reads the store as it was at its beginning. Its writes are stored at its commit, unless another writer
//! has changed a group that it touched.

use std::collections::{BTreeMap, BTreeSet};

use monitor_stately::wire::transaction::{
    Command, Outcome, TransactionBegin, TransactionFinished, TransactionGetResponse, TransactionListResponse,
    TransactionPutAck, TransactionRequest, TransactionResponse,
};
use monitor_stately::wire::{ContinueListDirection, DeleteItem, GetItem, ListPart};

use crate::keys::{KeyPath, Prefix};
use crate::list::{Page, Position};
use crate::methods::{Work, deleted_keys, got, results_of};
use crate::put::{Prepared, outgoing, prepare, store};
use crate::refusal::{Refusal, RpcCode};
use crate::state::State;
use crate::table::Table;

/// The state of one transaction stream.
#[derive(Default)]
pub(crate) struct Session {
    as_json: bool,
    seen: BTreeSet<u32>,
    begun: Option<Begun>,
    pub(crate) work: Work,
    pub(crate) is_over: bool,
}

struct Begun {
    store_id: u64,
    schema_version_id: u32,
    /// The store at the beginning.
    snapshot: Table,
    /// The groups that were read or will be written.
    touched: BTreeSet<KeyPath>,
    puts: Vec<Prepared>,
    deletes: Vec<DeleteItem>,
}

impl Session {
    pub(crate) fn new(as_json: bool) -> Self {
        Self { as_json, ..Self::default() }
    }

    /// Carries out one command and returns its responses.
    pub(crate) fn feed(
        &mut self,
        state: &mut State,
        request: TransactionRequest,
    ) -> Result<Vec<TransactionResponse>, Refusal> {
        let message_id = request.message_id;
        if message_id == 0 || !self.seen.insert(message_id) {
            return Err(Refusal::invalid(format!("message id {message_id} is 0 or was used before")));
        }
        let command = request.command.ok_or_else(|| Refusal::invalid("a command is empty"))?;
        let outcomes = match (command, self.begun.as_mut()) {
            (Command::Begin(begin), None) => {
                self.begun = Some(Begun::new(state, &begin)?);
                Vec::new()
            }
            (Command::Begin(_), Some(_)) => return Err(Refusal::invalid("a transaction begins once")),
            (_, None) => return Err(Refusal::invalid("a transaction begins with `begin`")),
            (Command::GetItems(get), Some(begun)) => {
                if get.gets.is_empty() {
                    return Err(Refusal::invalid("there are no gets"));
                }
                let items = begun.get(state, &get.gets, self.as_json)?;
                self.work.read += items.len();
                vec![Outcome::GetResults(TransactionGetResponse { items })]
            }
            (Command::BeginList(list), Some(begun)) => {
                let position = Position {
                    store_id: begun.store_id,
                    prefix: list.key_path_prefix,
                    limit: list.limit,
                    direction: list.sort_direction,
                    filters: list.filter_conditions,
                    bounds: list.key_conditions,
                    schema_version_id: begun.schema_version_id,
                    ..Position::default()
                };
                begun.page(state, position, self.as_json, &mut self.work)?
            }
            (Command::ContinueList(list), Some(begun)) => {
                if list.direction() == ContinueListDirection::Backward {
                    return Err(Refusal::bare(RpcCode::Unimplemented, "this server lists forward only"));
                }
                let position = Position::from_token(&list.token_data, begun.schema_version_id, false)?;
                begun.page(state, position, self.as_json, &mut self.work)?
            }
            (Command::PutItems(put), Some(begun)) => {
                state.check_batch("puts", begun.puts.len() + put.puts.len())?;
                let generated_ids = begun.put(state, &put.puts)?;
                vec![Outcome::PutAck(TransactionPutAck { generated_ids })]
            }
            (Command::DeleteItems(delete), Some(begun)) => {
                state.check_batch("deletes", begun.deletes.len() + delete.deletes.len())?;
                begun.touched.extend(deleted_keys(&delete.deletes)?.iter().map(KeyPath::group));
                begun.deletes.extend(delete.deletes);
                Vec::new()
            }
            (Command::Commit(()), Some(_)) => {
                self.is_over = true;
                vec![Outcome::Finished(self.commit(state)?)]
            }
            (Command::Abort(()), Some(_)) => {
                self.is_over = true;
                vec![Outcome::Finished(TransactionFinished::default())]
            }
        };
        Ok(outcomes.into_iter().map(|result| TransactionResponse { message_id, result: Some(result) }).collect())
    }

    fn commit(&mut self, state: &mut State) -> Result<TransactionFinished, Refusal> {
        let Some(begun) = self.begun.take() else { return Ok(TransactionFinished::default()) };
        let (schema, now_ms) = (state.schema.clone(), state.now_ms());
        let table = state.table(begun.store_id);
        let versions: BTreeMap<&KeyPath, u64> =
            begun.touched.iter().map(|group| (group, begun.snapshot.version(group))).collect();
        if let Some((group, _)) = versions.iter().find(|(group, version)| table.version(group) != **version) {
            let message = format!("another writer changed {group}");
            return Err(Refusal::new(RpcCode::Aborted, "ConcurrentModification", message));
        }
        let keys = deleted_keys(&begun.deletes)?;
        let stored = store(&schema, table, begun.puts, &keys, now_ms)?;
        state.writes += 1;
        self.work.written += stored.len() + keys.len();
        let put_results = stored.iter().map(|item| outgoing(&schema, item, self.as_json));
        Ok(TransactionFinished {
            committed: true,
            put_results: put_results.collect::<Result<_, _>>()?,
            delete_results: results_of(&begun.deletes),
        })
    }
}

impl Begun {
    fn new(state: &mut State, begin: &TransactionBegin) -> Result<Self, Refusal> {
        state.check_schema(begin.store_id, begin.schema_version_id, begin.schema_id)?;
        Ok(Self {
            store_id: begin.store_id,
            schema_version_id: begin.schema_version_id,
            snapshot: state.table(begin.store_id).clone(),
            touched: BTreeSet::new(),
            puts: Vec::new(),
            deletes: Vec::new(),
        })
    }

    fn get(
        &mut self,
        state: &State,
        gets: &[GetItem],
        as_json: bool,
    ) -> Result<Vec<monitor_stately::wire::Item>, Refusal> {
        for get in gets {
            self.touched.insert(KeyPath::parse(&get.key_path).map_err(Refusal::invalid)?.group());
        }
        got(&state.schema, &self.snapshot, gets, as_json)
    }

    fn page(
        &mut self,
        state: &State,
        position: Position,
        as_json: bool,
        work: &mut Work,
    ) -> Result<Vec<Outcome>, Refusal> {
        let rule = state.settings.prefix_rule;
        let prefix = Prefix::parse(&position.prefix, rule).map_err(Refusal::invalid)?;
        self.touched.insert(prefix.whole.group());
        let page = Page { schema: &state.schema, rule, max_read: state.settings.page_items, as_json };
        let (parts, read) = position.page(&self.snapshot, &page)?;
        work.read += read;
        let outcome = |part: ListPart| Outcome::ListResults(TransactionListResponse { response: Some(part) });
        Ok(parts.into_iter().map(outcome).collect())
    }

    fn put(
        &mut self,
        state: &mut State,
        puts: &[monitor_stately::wire::PutItem],
    ) -> Result<Vec<monitor_stately::wire::transaction::GeneratedId>, Refusal> {
        let (schema, limits) = (state.schema.clone(), state.limits());
        let State { tables, random, .. } = state;
        let table = tables.entry(self.store_id).or_default();
        let mut generated_ids = Vec::new();
        for put in puts {
            let prepared = prepare(&schema, table, random, put, limits)?;
            self.touched.extend(prepared.keys().iter().map(KeyPath::group));
            generated_ids.push(prepared.generated_id());
            self.puts.push(prepared);
        }
        Ok(generated_ids)
    }
}
