//! Saves a server's items to a file, so that they survive a restart.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::json::bytes_from_base64;
use crate::state::State;
use crate::table::Stored;

/// A file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The path of the file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The file's contents are invalid.
    #[error("{path} is not a snapshot of this schema: {reason}; delete it to start with an empty store")]
    Contents {
        /// The path of the file.
        path: String,
        /// The cause.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeptItem {
    store_id: u64,
    item_type: String,
    /// Base64.
    proto: String,
    created_ms: i64,
    expires_ms: Option<i64>,
}

impl State {
    /// Writes every item to a file. A crash leaves either the old file or the new one.
    pub fn save(&mut self, path: &Path) -> Result<(), SnapshotError> {
        let mut kept = Vec::new();
        for (store_id, table) in &self.tables {
            kept.extend(table.items().map(|(_, item)| KeptItem {
                store_id: *store_id,
                item_type: item.item_type.clone(),
                proto: STANDARD.encode(&item.proto),
                created_ms: item.created_ms,
                expires_ms: item.expires_ms,
            }));
        }
        let fault = |source| SnapshotError::Io { path: path.display().to_string(), source };
        let text = serde_json::to_string(&kept).map_err(|error| fault(error.into()))?;
        let beside = path.with_extension("new");
        fs::write(&beside, text).and_then(|()| fs::rename(&beside, path)).map_err(fault)
    }

    /// Reads a file that [`State::save`] wrote. A missing file is the same as an empty one.
    pub fn load(&mut self, path: &Path) -> Result<(), SnapshotError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(SnapshotError::Io { path: path.display().to_string(), source }),
        };
        let fault = |reason| SnapshotError::Contents { path: path.display().to_string(), reason };
        let kept: Vec<KeptItem> = serde_json::from_str(&text).map_err(|error| fault(error.to_string()))?;
        for item in kept {
            let (store_id, item) = self.restored(item).map_err(fault)?;
            self.tables.entry(store_id).or_default().insert(item);
        }
        Ok(())
    }

    fn restored(&self, kept: KeptItem) -> Result<(u64, Stored), String> {
        let proto = bytes_from_base64(&kept.proto).ok_or("an item is not in base64")?;
        let record = self.schema.types.decode(&kept.item_type, &proto)?;
        let item_type = self.schema.items.get(&kept.item_type).ok_or("an item's type is not in the schema")?;
        let zero = &item_type.numbers_in_keys;
        let keys = item_type.key_paths.iter().map(|path| path.fill(&record, zero)).collect::<Result<_, _>>()?;
        let KeptItem { store_id, item_type, created_ms, expires_ms, .. } = kept;
        Ok((store_id, Stored { item_type, keys, record, proto, created_ms, created_version: 0, expires_ms }))
    }

    /// A counter that grows with each stored or deleted batch.
    pub fn write_count(&self) -> u64 {
        self.writes
    }
}
