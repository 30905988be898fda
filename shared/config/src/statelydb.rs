//! How StatelyDB is reached.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use crate::addresses::origin;
use crate::credential::token;
use crate::faults::{SettingFaults, Wrong};
use crate::quoting::shown;
use crate::reader::Reader;
use crate::reference::{
    STATELYDB_ACCESS_KEY, STATELYDB_ENDPOINT, STATELYDB_NO_AUTH, STATELYDB_REGION, STATELYDB_SCHEMA_ID,
    STATELYDB_STORE_ID, Setting,
};
use crate::source::Source;
use monitor_domain::secret::Secret;

/// How StatelyDB is reached. The settings keep the names that the predecessor used.
#[derive(Clone, Debug)]
pub struct StatelyDbSettings {
    /// The access key, which is exchanged for tokens; `None` if the data plane needs none.
    pub access_key: Option<Secret>,
    /// The id of the store.
    pub store_id: NonZeroU64,
    /// The id of the schema.
    pub schema_id: NonZeroU64,
    /// The region of the store; `None` for the global address.
    pub region: Option<String>,
    /// The installation's own data plane: an origin, without a trailing slash.
    pub endpoint: Option<String>,
}

impl StatelyDbSettings {
    /// Reads only these settings. Reports every fault.
    pub fn read(source: &Source<'_>) -> Result<Self, SettingFaults> {
        let mut reader = Reader { source, faults: Vec::new() };
        let allow_http_hosts = reader.http_hosts();
        match reader.statelydb(&allow_http_hosts) {
            Some(settings) if reader.faults.is_empty() => Ok(settings),
            _ => Err(reader.into_faults()),
        }
    }
}

impl Reader<'_> {
    /// The settings of StatelyDB; `None`, with at least one fault added, if one is missing or malformed.
    pub(crate) fn statelydb(&mut self, allow_http_hosts: &BTreeSet<String>) -> Option<StatelyDbSettings> {
        let faults_before = self.faults.len();
        let region = self.read(&STATELYDB_REGION, region);
        let endpoint = self.read(&STATELYDB_ENDPOINT, |text| origin(text, allow_http_hosts));
        let no_auth = self.read(&STATELYDB_NO_AUTH, flag).unwrap_or(false);
        let access_key = self.read(&STATELYDB_ACCESS_KEY, token);
        let store_id = self.needed(&STATELYDB_STORE_ID, WHAT_FOR, number);
        let schema_id = self.needed(&STATELYDB_SCHEMA_ID, WHAT_FOR, number);
        let is_own = self.source.value(STATELYDB_ENDPOINT.name).is_some();
        if no_auth && !is_own {
            let what = "must be set together with STATELYDB_ENDPOINT";
            let hint = self.source.how_to_set(&STATELYDB_ENDPOINT);
            self.faults.push(Wrong::new(what, hint).of(&STATELYDB_NO_AUTH));
        }
        if !no_auth && self.source.value(STATELYDB_ACCESS_KEY.name).is_none() {
            self.missing(&STATELYDB_ACCESS_KEY, WHAT_FOR);
        }
        if self.faults.len() > faults_before {
            return None;
        }
        let access_key = access_key.filter(|_| !no_auth);
        Some(StatelyDbSettings { access_key, store_id: store_id?, schema_id: schema_id?, region, endpoint })
    }

    pub(crate) fn needed<T>(
        &mut self,
        setting: &Setting,
        what_for: &str,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        if self.source.value(setting.name).is_none() {
            self.missing(setting, what_for);
        }
        self.read(setting, parse)
    }

    fn missing(&mut self, setting: &Setting, what_for: &str) {
        let hint = self.source.how_to_set(setting);
        self.faults.push(Wrong::new(format!("must be set {what_for}"), hint).of(setting));
    }
}

const WHAT_FOR: &str = "to store state in StatelyDB";

fn number(text: &str) -> Result<NonZeroU64, Wrong> {
    let what = || {
        let what = format!("must be a number, for example {}; found `{}`", STATELYDB_STORE_ID.example, shown(text));
        Wrong::new(what, "copy it from StatelyDB's console")
    };
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(what());
    }
    text.parse().map_err(|_| what())
}

fn region(text: &str) -> Result<String, Wrong> {
    let name = text.strip_prefix("aws-").unwrap_or(text);
    let is_label = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !name.is_empty() && name.len() <= 40 && name.bytes().all(is_label) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(format!("must be a region, for example {}; found `{}`", STATELYDB_REGION.example, shown(text)), ""))
}

fn flag(text: &str) -> Result<bool, Wrong> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(Wrong::new(format!("must be 1 or 0, for example 1; found `{}`", shown(text)), "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLETE: [(&str, &str); 4] = [
        ("STATELYDB_ACCESS_KEY", "key-1"),
        ("STATELYDB_STORE_ID", "17"),
        ("STATELYDB_SCHEMA_ID", "18446744073709551615"),
        ("STATELYDB_REGION", "aws-us-east-1"),
    ];

    fn read(variables: &[(&str, &str)]) -> Result<StatelyDbSettings, SettingFaults> {
        let variables: std::collections::BTreeMap<&str, &str> = variables.iter().copied().collect();
        StatelyDbSettings::read(&Source::variables(|name| variables.get(name).map(|value| (*value).to_owned())))
    }

    #[test]
    fn the_predecessors_four_settings_are_enough() {
        let settings = read(&COMPLETE).unwrap();
        assert_eq!((settings.store_id.get(), settings.schema_id.get()), (17, u64::MAX));
        assert_eq!(settings.access_key.as_ref().map(Secret::expose), Some("key-1"));
        assert_eq!((settings.region.as_deref(), settings.endpoint), (Some("aws-us-east-1"), None));
    }

    #[test]
    fn an_own_data_plane_may_need_no_key() {
        let own = [("STATELYDB_ENDPOINT", "http://127.0.0.1:3030/"), ("STATELYDB_NO_AUTH", "1")];
        let settings = read(&[&COMPLETE[1..3], &own].concat()).unwrap();
        assert_eq!(settings.endpoint.as_deref(), Some("http://127.0.0.1:3030"));
        assert!(settings.access_key.is_none());
        let faults = read(&[&COMPLETE[..], &own[1..]].concat()).unwrap_err();
        assert!(
            faults.to_string().contains("STATELYDB_NO_AUTH: must be set together with STATELYDB_ENDPOINT"),
            "{faults}"
        );
    }

    #[test]
    fn every_fault_is_reported_and_no_key_is_shown() {
        let faults = read(&[]).unwrap_err();
        assert_eq!(faults.0.iter().map(|fault| fault.setting).collect::<Vec<_>>(), COMPLETE.map(|(name, _)| name)[..3]);
        let faults = read(&[
            ("STATELYDB_ACCESS_KEY", "my key"),
            ("STATELYDB_STORE_ID", "0"),
            ("STATELYDB_SCHEMA_ID", "+5"),
            ("STATELYDB_REGION", "us/east"),
            ("STATELYDB_ENDPOINT", "http://db.internal"),
            ("STATELYDB_NO_AUTH", "maybe"),
        ])
        .unwrap_err();
        assert_eq!(faults.0.len(), 6, "{faults}");
        assert!(!faults.to_string().contains("my key") && faults.to_string().contains("ALLOW_HTTP_HOSTS"), "{faults}");
        assert!(!format!("{:?}", read(&COMPLETE).unwrap()).contains("key-1"));
    }
}
