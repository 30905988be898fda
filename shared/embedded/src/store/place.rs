//! Detects whether the open file is still the one at its path.

use std::path::{Path, PathBuf};

/// The store's file was moved, replaced or deleted: everything stored from now on is lost when the process ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the store {file} was {what} while it was in use, and everything stored since then is lost; restart the program, and \
     stop it before you move, restore or delete its store"
)]
pub struct Displaced {
    /// The path of the file.
    file: String,
    /// What happened to it.
    what: &'static str,
}

/// The store's files with their identity when they were opened.
#[derive(Debug, Default)]
pub(super) struct Files(Vec<(PathBuf, Identity)>);

/// Identifies a file even if another takes its name: device and inode.
type Identity = (u64, u64);

impl Files {
    /// The database at `path` and its log, which must be open.
    pub(super) fn of(path: &Path) -> Self {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let files = [path.to_owned(), PathBuf::from(log)];
        Self(files.into_iter().filter_map(|file| identity(&file).map(|identity| (file, identity))).collect())
    }

    pub(super) fn check(&self) -> Result<(), Displaced> {
        for (file, known) in &self.0 {
            let what = match identity(file) {
                Some(found) if found == *known => continue,
                Some(_) => "replaced by another file",
                None => "moved or deleted",
            };
            return Err(Displaced { file: file.display().to_string(), what });
        }
        Ok(())
    }
}

#[cfg(unix)]
fn identity(file: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(file).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Outside Unix, an open file can be neither deleted nor replaced.
#[cfg(not(unix))]
fn identity(_: &Path) -> Option<Identity> {
    None
}
