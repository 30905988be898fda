//! Reads settings from a source and collects the faults.

use std::borrow::Cow;
use std::collections::BTreeSet;

use monitor_domain::quote::holds_secret;

use crate::addresses::host;
use crate::faults::{SettingFault, Wrong};
use crate::files::secret_text;
use crate::lists::entries;
use crate::reference::{ALLOW_HTTP_HOSTS, Setting};
use crate::source::Source;

/// Reads one setting after the other and collects the faults.
pub(crate) struct Reader<'a> {
    pub(crate) source: &'a Source<'a>,
    pub(crate) faults: Vec<SettingFault>,
}

impl Reader<'_> {
    /// The parsed value or default; `None` if there is neither, or, with a fault added, if it is malformed. Every secret
    /// may be in a file.
    pub(crate) fn read<T>(&mut self, setting: &Setting, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        let value = self.source.value(setting.name).or(setting.default.map(str::to_owned))?;
        let text = match setting.secret {
            true => secret_text(&value),
            false => without_secret(setting, &value).map(|()| Cow::Borrowed(&*value)),
        };
        text.and_then(|text| parse(&text)).map_err(|wrong| self.faults.push(wrong.of(setting))).ok()
    }

    /// The parsed entries of a list. Malformed ones are left out, with a fault added for each.
    pub(crate) fn list<T>(&mut self, setting: &Setting, parse: impl Fn(&str) -> Result<T, Wrong>) -> Vec<T> {
        let read = |value: String| without_secret(setting, &value).and_then(|()| entries(&value));
        let entries = self.source.value(setting.name).map_or(Ok(Vec::new()), read);
        let read = match entries {
            Ok(entries) => entries.iter().map(|entry| parse(entry)).collect(),
            Err(wrong) => vec![Err(wrong)],
        };
        let (items, wrong): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
        self.faults.extend(wrong.into_iter().filter_map(Result::err).map(|wrong| wrong.of(setting)));
        items.into_iter().flatten().collect()
    }

    /// The hosts that may be reached over plain http, in lower case.
    pub(crate) fn http_hosts(&mut self) -> BTreeSet<String> {
        self.list(&ALLOW_HTTP_HOSTS, host).into_iter().collect()
    }
}

/// Refuses a token, webhook or key where none is expected: it would end up in addresses, logs, messages and the store.
fn without_secret(setting: &Setting, value: &str) -> Result<(), Wrong> {
    if setting.secret || !holds_secret(value) {
        return Ok(());
    }
    let what = "must not hold a secret, and this looks like a token, webhook or key (not shown)";
    Err(Wrong::new(
        what,
        format!("move it to the setting it belongs to, and set a value such as {} here", setting.example),
    ))
}
