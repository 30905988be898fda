//! Files that settings name: a policy, and secrets after an `@`.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};

use monitor_domain::secret::Secret;

use crate::faults::{SettingFault, Wrong};
use crate::quoting::shown;

/// The largest file with a secret, in KB. The largest secret is a private key of some 3 KB.
const MAX_SECRET_KB: usize = 64;

/// Reads a whole small text file.
pub(crate) fn read_file(path: &str, max_kb: usize) -> io::Result<String> {
    let max_bytes = max_kb * 1024;
    let mut bytes = Vec::new();
    File::open(path)?.take(max_bytes as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max_bytes {
        return Err(io::Error::other(format!("it is larger than {max_kb} KB")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not text in UTF-8"))
}

/// A secret: the value itself, or the text of the file whose path follows an `@`, without the white space at its ends.
pub(crate) fn secret_text(value: &str) -> Result<Cow<'_, str>, Wrong> {
    let Some(path) = value.strip_prefix('@') else { return Ok(Cow::Borrowed(value)) };
    // What is not the path of a file from the root may be a secret that was pasted after the `@`.
    let file = match path.starts_with('/') {
        true => format!("the file `{}`", shown(path)),
        false => "the file after `@`".to_owned(),
    };
    let hint = "write `@` and the whole path of a file that this program may read and that holds only the secret";
    let wrong = |what: &str| Wrong::new(format!("{file} {what}"), hint);
    let text = read_file(path, MAX_SECRET_KB).map_err(|error| wrong(&format!("cannot be read ({error})")))?;
    match text.trim() {
        "" => Err(wrong("is empty")),
        text => Ok(Cow::Owned(text.to_owned())),
    }
}

/// Reads a secret that is not among the settings, such as that of a flag: in the value, or in a file as theirs.
pub fn read_secret(name: &'static str, value: &str) -> Result<Secret, SettingFault> {
    secret_text(value).map(Secret::new).map_err(|wrong| wrong.named(name))
}
