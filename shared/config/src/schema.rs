//! The JSON Schema of the configuration file, for editors.

use monitor_domain::policy::{self, Accepts, PolicyKey};
use monitor_domain::weekly::WEEKDAYS;
use serde_json::{Map, Value, json};

use crate::reference::{
    GITHUB_APP_ID, GITHUB_MAX_CONCURRENT_REQUESTS, GITHUB_REQUESTS_PER_MINUTE, MAY_BE_LISTS, POLICY, SLACK_WEBHOOKS,
    STATELYDB_NO_AUTH, STATELYDB_SCHEMA_ID, STATELYDB_STORE_ID, Setting, of_files,
};

/// The settings that may be written as numbers.
const NUMBERS: [&str; 5] = [
    GITHUB_APP_ID.name,
    GITHUB_REQUESTS_PER_MINUTE.name,
    GITHUB_MAX_CONCURRENT_REQUESTS.name,
    STATELYDB_STORE_ID.name,
    STATELYDB_SCHEMA_ID.name,
];

/// The JSON Schema (draft 2020-12) of the configuration file.
pub fn json_schema() -> Value {
    let properties: Map<String, Value> = of_files().map(|setting| (setting.key(), of_setting(setting))).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration file of GitHub Runner Monitor",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "$defs": { "policy": of_policy() },
    })
}

fn of_setting(setting: &Setting) -> Value {
    let text = json!({ "type": "string" });
    let mut schema = match setting.name {
        name if name == POLICY.name => json!({ "anyOf": [{ "$ref": "#/$defs/policy" }, text] }),
        name if name == SLACK_WEBHOOKS.name => {
            json!({ "anyOf": [{ "type": "object", "additionalProperties": text }, text] })
        }
        name if MAY_BE_LISTS.contains(&name) => json!({ "anyOf": [{ "type": "array", "items": text }, text] }),
        name if NUMBERS.contains(&name) => json!({ "type": ["integer", "string"] }),
        name if name == STATELYDB_NO_AUTH.name => json!({ "type": ["boolean", "integer", "string"] }),
        _ => text,
    };
    schema["description"] = json!(setting.what.replace('`', ""));
    if let Some(default) = setting.default.filter(|_| setting.name != POLICY.name) {
        schema["default"] = json!(default);
    }
    if !setting.secret {
        schema["examples"] = json!([setting.example]);
    }
    schema
}

/// The policy: its own keys, and sections that set some of them for targets, labels and runners.
fn of_policy() -> Value {
    let (of_targets, of_runners) = (keys(|_| true), keys(|key| !key.of_targets_only));
    let pools = |over: &[&str]| {
        json!({
            "description": "The pools, by their labels with commas between them",
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["minimumOnline"],
                "additionalProperties": false,
                "properties": {
                    "minimumOnline": {
                        "description": "How many runners must be online: a number, or a percentage such as \"50%\"",
                        "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "pattern": "^[0-9]+%$" }],
                    },
                    "alert": {
                        "description": "each: one alert for the pool and one for each runner; pool: only one for the pool",
                        "enum": ["each", "pool"],
                    },
                    "over": {
                        "description": "target: each target has its own pool; credential: one pool over all targets of a credential",
                        "enum": over,
                    },
                },
            },
        })
    };
    let object = |properties: Map<String, Value>| json!({ "type": "object", "additionalProperties": false, "properties": properties });
    let by_name = |overrides: Value| json!({ "type": "object", "additionalProperties": overrides });
    let mut of_a_target = of_targets.clone();
    let mut whole = of_a_target.clone();
    whole.insert("pools".to_owned(), pools(&["target", "credential"]));
    of_a_target.insert("pools".to_owned(), pools(&["target"]));
    whole.insert("targets".to_owned(), by_name(object(of_a_target)));
    whole.insert("report".to_owned(), report());
    whole.insert("jobs".to_owned(), jobs());
    whole.insert("labels".to_owned(), by_name(object(of_runners.clone())));
    whole.insert("runners".to_owned(), by_name(object(of_runners)));
    object(whole)
}

fn report() -> Value {
    json!({
        "description": "When the weekly report is sent, in UTC [default: never]",
        "type": "object",
        "required": ["day", "hour"],
        "additionalProperties": false,
        "properties": {
            "day": { "enum": WEEKDAYS },
            "hour": { "type": "integer", "minimum": 0, "maximum": 23 },
        },
    })
}

fn jobs() -> Value {
    json!({
        "description": "How workflow jobs are read, beside the webhook",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "poll": {
                "description": "The repositories whose jobs are read in each check [default: none]",
                "type": "array",
                "items": { "type": "string" },
            },
        },
    })
}

fn keys(is_allowed: impl Fn(&PolicyKey) -> bool) -> Map<String, Value> {
    let keys = policy::reference().iter().filter(|key| is_allowed(key));
    keys.map(|key| (key.name.to_owned(), of_key(key))).collect()
}

fn of_key(key: &PolicyKey) -> Value {
    let mut schema = match key.accepts {
        Accepts::Count { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Accepts::Span { least_secs, zero, .. } => {
            let text = json!({ "type": "string", "pattern": "^[0-9]+[smhd]$" });
            if zero.is_some() || least_secs == 0 { json!({ "anyOf": [text, { "enum": [0, "0"] }] }) } else { text }
        }
        Accepts::OnRemoved => json!({ "enum": ["alert", "ignore"] }),
        Accepts::Channel => json!({ "type": "string", "maxLength": 81 }),
        Accepts::Patterns => json!({ "type": "array", "items": { "type": "string" } }),
    };
    schema["description"] = json!(format!("{} [default: {}]", key.accepted().replace('`', ""), key.default));
    schema
}
