//! The store: one SQLite file, or a service.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use monitor_config::StoreChoice;
use monitor_domain::time::Timestamp;
use monitor_embedded::store::{Displaced, EmbeddedStore};
use monitor_http::NetworkStore;
use monitor_pipeline::counters::Counters;
use monitor_pipeline::items::Item;
use monitor_pipeline::keys::{Key, Put, Query};
use monitor_pipeline::ports::{PutOutcome, Store, StoreError};

use crate::config_file::base_folder;

/// The values of `--store` that select a service. A file of that name is written `./stately`.
const SERVICES: [(&str, &str, StoreChoice); 2] =
    [("stately", "StatelyDB", StoreChoice::StatelyDb), ("dynamodb", "DynamoDB", StoreChoice::DynamoDb)];

/// The environment variable for `--store`.
pub(crate) const STORE: &str = "RUNNER_MONITOR_STORE";

/// The store of the monitor's state: a file or a service.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreArgument {
    /// The store file, or `stately` for StatelyDB, or `dynamodb` for a DynamoDB table (see STATELYDB_… and
    /// DYNAMODB_TABLE in `runner-monitor settings`)
    /// [default: runner-monitor/store.db in $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "FILE", env = STORE, value_parser = OsStringValueParser::new().try_map(parse_store))]
    pub(crate) store: Option<PathBuf>,
}

impl StoreArgument {
    /// The service that is the store; `None` if it is a file.
    pub(crate) fn service(&self) -> Option<StoreChoice> {
        self.named_service().map(|(_, choice)| choice)
    }

    fn named_service(&self) -> Option<(&'static str, StoreChoice)> {
        let store = self.store.as_ref()?.as_os_str();
        let (_, name, choice) = SERVICES.into_iter().find(|(value, ..)| store == *value)?;
        Some((name, choice))
    }

    /// The store's location as messages show it.
    pub(crate) fn place(&self) -> anyhow::Result<String> {
        Ok(match self.named_service() {
            Some((name, _)) => name.to_owned(),
            None => self.path()?.display().to_string(),
        })
    }

    /// The file as given, or the default path of the XDG base directory specification.
    pub(crate) fn path(&self) -> anyhow::Result<PathBuf> {
        place_of_store(self.store.as_deref(), |variable| std::env::var_os(variable))
    }
}

fn place_of_store(given: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<PathBuf> {
    // An empty variable counts as not set.
    if let Some(path) = given.filter(|path| !path.as_os_str().is_empty()) {
        return Ok(path.to_owned());
    }
    let state = base_folder(("XDG_STATE_HOME", ".local/state"), variable).with_context(|| {
        format!("HOME is not set, so there is no place for the store: name its file with --store FILE or {STORE}")
    })?;
    Ok(state.join("runner-monitor/store.db"))
}

/// Accepts a path; refuses SQLite's special names (`:memory:`, `file:…`) and URLs.
pub(crate) fn parse_store(text: OsString) -> Result<PathBuf, String> {
    let shown = text.to_string_lossy();
    if shown == ":memory:" {
        return Err("must be the path of a file: what is only in memory is lost when the command ends".to_owned());
    }
    if shown.starts_with("file:") || shown.contains("://") {
        return Err(
            "must be the path of a file, not an address; write the path alone, for example ./store.db".to_owned()
        );
    }
    Ok(text.into())
}

/// How long changes and notifications are kept after they are no longer pending.
const KEEP: Duration = Duration::from_secs(3 * 86_400);

/// The store that the operator selected with `--store`.
pub(crate) enum ChosenStore {
    /// SQLite in one file, and how long it keeps outages that have ended.
    Embedded(Box<EmbeddedStore>, Duration),
    /// StatelyDB or DynamoDB.
    Network(NetworkStore),
}

impl ChosenStore {
    /// Reads and writes since the store was opened.
    pub(crate) fn counters(&self) -> Counters {
        match self {
            ChosenStore::Embedded(store, _) => store.counters(),
            ChosenStore::Network(store) => store.counters(),
        }
    }

    /// Whether the store's file is still where it was opened; see [`EmbeddedStore::in_place`].
    pub(crate) fn in_place(&self) -> Result<(), Displaced> {
        match self {
            ChosenStore::Embedded(store, _) => store.in_place(),
            ChosenStore::Network(_) => Ok(()),
        }
    }

    /// Deletes history that is no longer needed. In a service, items have an expiry instead, so there is nothing to do.
    pub(crate) async fn prune(&self, now: Timestamp) -> Result<u64, StoreError> {
        match self {
            ChosenStore::Embedded(store, keep_outages) => {
                let outages = store.prune_outages(now.minus(*keep_outages)).await?;
                Ok(outages + store.prune(now.minus(KEEP)).await?)
            }
            ChosenStore::Network(_) => Ok(0),
        }
    }
}

impl Store for ChosenStore {
    async fn put(&self, puts: &[Put]) -> Result<PutOutcome, StoreError> {
        match self {
            ChosenStore::Embedded(store, _) => store.put(puts).await,
            ChosenStore::Network(store) => store.put(puts).await,
        }
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        match self {
            ChosenStore::Embedded(store, _) => store.get(keys).await,
            ChosenStore::Network(store) => store.get(keys).await,
        }
    }

    async fn list(&self, query: &Query) -> Result<Vec<Item>, StoreError> {
        match self {
            ChosenStore::Embedded(store, _) => store.list(query).await,
            ChosenStore::Network(store) => store.list(query).await,
        }
    }

    async fn delete(&self, keys: &[Key]) -> Result<(), StoreError> {
        match self {
            ChosenStore::Embedded(store, _) => store.delete(keys).await,
            ChosenStore::Network(store) => store.delete(keys).await,
        }
    }

    fn max_batch(&self) -> usize {
        match self {
            ChosenStore::Embedded(store, _) => store.max_batch(),
            ChosenStore::Network(store) => store.max_batch(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_a_file_only_if_written_as_a_path() {
        let of = |store: &str| StoreArgument { store: Some(PathBuf::from(store)) }.service();
        assert_eq!(of("stately"), Some(StoreChoice::StatelyDb));
        assert_eq!(of("dynamodb"), Some(StoreChoice::DynamoDb));
        for file in ["./stately", "stately.db", "Stately", "stately/", "./dynamodb", "DynamoDB"] {
            assert_eq!(of(file), None, "{file}");
        }
        assert_eq!(StoreArgument { store: None }.service(), None);
    }

    #[test]
    fn the_default_store_path_is_never_the_working_directory() {
        let of = |given: Option<&str>, home: &str, state: &str| {
            let variable = |name: &str| Some(OsString::from(if name == "HOME" { home } else { state }));
            place_of_store(given.map(Path::new), variable).map_err(|error| error.to_string())
        };
        let default = Ok(PathBuf::from("/home/me/.local/state/runner-monitor/store.db"));
        assert_eq!(of(None, "/home/me", ""), default);
        assert_eq!(of(Some(""), "/home/me", "relative"), default);
        assert_eq!(of(None, "", "/state"), Ok(PathBuf::from("/state/runner-monitor/store.db")));
        assert_eq!(of(Some("x.db"), "", ""), Ok(PathBuf::from("x.db")));
        let error = of(None, "", "").unwrap_err();
        assert!(error.starts_with("HOME is not set") && error.contains("--store FILE"), "{error}");
        for address in [":memory:", "file:x.db", "sqlite://x.db", "file:///x.db"] {
            assert!(parse_store(address.into()).unwrap_err().starts_with("must be the path of a file"), "{address}");
        }
        for path in ["./:memory:", "./file:x.db", "x.db", "/a b/c"] {
            assert_eq!(parse_store(path.into()), Ok(PathBuf::from(path)));
        }
    }
}
