//! Whether the file that is written to is still the one under its name.

use std::path::{Path, PathBuf};

/// The store's file is no longer where it was opened: what is stored from now on is gone when the process ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the store {file} was {what} while it is in use, and what is stored since then is lost; start the program again, and \
     stop it before you move, restore or delete its store"
)]
pub struct Displaced {
    /// The file.
    file: String,
    /// What has become of it.
    what: &'static str,
}

/// The store's files and which they were when they were opened.
#[derive(Debug, Default)]
pub(super) struct Files(Vec<(PathBuf, Identity)>);

/// What tells a file from another that takes its name: device and inode.
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

/// An open file can be neither deleted nor replaced there.
#[cfg(not(unix))]
fn identity(_: &Path) -> Option<Identity> {
    None
}
