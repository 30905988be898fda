//! Where state is stored, if not in a file.

use std::collections::BTreeSet;

use crate::faults::{SettingFaults, Wrong};
use crate::quoting::shown;
use crate::reader::Reader;
use crate::reference::DYNAMODB_TABLE;
use crate::source::Source;
use crate::statelydb::StatelyDbSettings;

/// The service in which state is stored.
#[derive(Clone, Debug)]
pub enum StoreSettings {
    /// StatelyDB.
    StatelyDb(StatelyDbSettings),
    /// The DynamoDB table of this name. Credentials, region and address are those of the AWS SDK.
    DynamoDb(String),
}

/// Which services may store the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreChoice {
    /// StatelyDB.
    StatelyDb,
    /// DynamoDB.
    DynamoDb,
    /// DynamoDB if its table is set, otherwise StatelyDB.
    BySettings,
}

impl StoreSettings {
    /// Reads only these settings, for commands that use nothing but the store. Reports every fault.
    pub fn read(source: &Source<'_>, choice: StoreChoice) -> Result<Self, SettingFaults> {
        let mut reader = Reader { source, faults: Vec::new() };
        let allow_http_hosts = reader.http_hosts();
        match reader.store(choice, &allow_http_hosts) {
            Some(settings) if reader.faults.is_empty() => Ok(settings),
            _ => Err(reader.into_faults()),
        }
    }
}

impl Reader<'_> {
    /// The settings of the store; `None`, with at least one fault added, if one is missing or malformed.
    pub(crate) fn store(&mut self, choice: StoreChoice, allow_http_hosts: &BTreeSet<String>) -> Option<StoreSettings> {
        let is_dynamodb = match choice {
            StoreChoice::StatelyDb => false,
            StoreChoice::DynamoDb => true,
            StoreChoice::BySettings => self.source.value(DYNAMODB_TABLE.name).is_some(),
        };
        if is_dynamodb {
            return self.needed(&DYNAMODB_TABLE, "to store state in DynamoDB", table).map(StoreSettings::DynamoDb);
        }
        self.statelydb(allow_http_hosts).map(StoreSettings::StatelyDb)
    }
}

/// Reads the name of a table ("Naming rules", DynamoDB Developer Guide), or its ARN, which tables of other accounts need.
fn table(text: &str) -> Result<String, Wrong> {
    let is_name = |name: &str| {
        (3..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let name = match text.split_once(":table/") {
        Some((arn, name)) if arn.starts_with("arn:aws") => name,
        _ => text,
    };
    if is_name(name) {
        return Ok(text.to_owned());
    }
    let example = DYNAMODB_TABLE.example;
    Err(Wrong::new(format!("must be the name of a table, for example {example}; found `{}`", shown(text)), ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(choice: StoreChoice, variables: &[(&str, &str)]) -> Result<StoreSettings, String> {
        let variables: std::collections::BTreeMap<&str, &str> = variables.iter().copied().collect();
        let source = Source::variables(|name| variables.get(name).map(|value| (*value).to_owned()));
        StoreSettings::read(&source, choice).map_err(|faults| faults.to_string())
    }

    const TABLE: (&str, &str) = ("DYNAMODB_TABLE", "runner-monitor");
    const STORE: (&str, &str) = ("STATELYDB_STORE_ID", "17");

    #[test]
    fn the_table_decides_unless_the_host_does() {
        let is_table = |store| matches!(store, Ok(StoreSettings::DynamoDb(table)) if table == "runner-monitor");
        assert!(is_table(read(StoreChoice::BySettings, &[TABLE, STORE])));
        assert!(is_table(read(StoreChoice::DynamoDb, &[TABLE])));
        for (choice, set) in [(StoreChoice::BySettings, STORE), (StoreChoice::StatelyDb, TABLE)] {
            let faults = read(choice, &[set]).unwrap_err();
            assert!(faults.contains("STATELYDB_ACCESS_KEY") && !faults.contains("DYNAMODB_TABLE"), "{faults}");
        }
    }

    #[test]
    fn a_missing_or_malformed_table_is_named() {
        let faults = read(StoreChoice::DynamoDb, &[STORE]).unwrap_err();
        assert!(faults.contains("DYNAMODB_TABLE: must be set to store state in DynamoDB"), "{faults}");
        for name in ["ab", "runner monitor", "https://dynamodb.eu-central-1.amazonaws.com", "a/b", ":table/abc"] {
            let faults = read(StoreChoice::DynamoDb, &[("DYNAMODB_TABLE", name)]).unwrap_err();
            assert!(faults.contains("must be the name of a table") && faults.contains(name), "{faults}");
        }
        let arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/runner-monitor";
        assert!(read(StoreChoice::DynamoDb, &[("DYNAMODB_TABLE", arn)]).is_ok());
    }
}
