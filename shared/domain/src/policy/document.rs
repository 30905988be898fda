//! Parses a policy without a derived parser, so that a fault says what the key accepts and not what a parser expected.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::keys::{Accepts, PolicyKey, reference};
use super::{LONGEST_KEY, OnRemoved, PolicyFault, PolicyOverrides, is_channel};
use crate::pool::{Minimum, PoolAlerts, PoolOver, PoolRule};
use crate::quote::{holds_secret, shown};
use crate::target::Target;
use crate::time::parse_duration;
use crate::weekly::{ReportTime, WEEKDAYS};

const SECTIONS: [&str; 3] = ["targets", "labels", "runners"];
/// The section with pools, at the top level and in targets.
const POOLS: &str = "pools";
/// The weekly report, at the top level only.
const REPORT: &str = "report";
/// How jobs are read, at the top level only.
const JOBS: &str = "jobs";
/// The most repositories whose jobs are read: each costs two requests or more in every check.
const MAX_POLLED: usize = 20;
const EXAMPLE: &str = r#"{"failureThreshold":2,"unreachableAfter":"20m"}"#;

/// A policy as written; every part is optional.
#[derive(Clone, Debug, Default)]
pub struct PolicyDocument(Raw);

/// JSON with its keys in order, including duplicates.
#[derive(Clone, Debug, Default)]
enum Raw {
    #[default]
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Raw>),
    Object(Vec<(String, Raw)>),
}

/// The sections of a policy, each as far as it could be read.
pub(super) struct Sections {
    pub(super) own: PolicyOverrides,
    pub(super) targets: BTreeMap<String, PolicyOverrides>,
    pub(super) labels: BTreeMap<String, PolicyOverrides>,
    pub(super) runners: BTreeMap<String, PolicyOverrides>,
}

/// The section of the policy that contains a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Policy,
    Target,
    Runner,
}

impl PolicyDocument {
    /// Reads every section, and collects every fault.
    pub(super) fn read(&self, faults: &mut Vec<PolicyFault>) -> Sections {
        let mut reader = Reader { faults };
        let none = Vec::new();
        let entries = match &self.0 {
            Raw::Object(entries) => entries,
            Raw::Null => &none,
            other => {
                reader.fault("the policy", format!("must be a JSON object, for example {EXAMPLE}; found {other}"));
                &none
            }
        };
        let own = reader.overrides("", Level::Policy, entries);
        let [targets, labels, runners] = SECTIONS.map(|section| {
            let level = if section == "targets" { Level::Target } else { Level::Runner };
            let written = entries.iter().find(|(key, _)| key == section).map_or(&Raw::Null, |(_, written)| written);
            reader.section(section, level, written)
        });
        Sections { own, targets, labels, runners }
    }
}

struct Reader<'a> {
    faults: &'a mut Vec<PolicyFault>,
}

impl Reader<'_> {
    fn fault(&mut self, place: &str, fault: String) {
        self.faults.push(PolicyFault { place: place.to_owned(), fault });
    }

    fn section(&mut self, section: &str, level: Level, written: &Raw) -> BTreeMap<String, PolicyOverrides> {
        let entries = match written {
            Raw::Object(entries) => entries,
            Raw::Null => return BTreeMap::new(),
            other => {
                let example = match level {
                    Level::Target => r#"{"acme/web":{"failureThreshold":2}}"#,
                    _ => r#"{"gpu-*":{"failureThreshold":2}}"#,
                };
                let text = format!("must be an object of names with their keys, for example {example}; found {other}");
                self.fault(section, text);
                return BTreeMap::new();
            }
        };
        let mut read = BTreeMap::new();
        for (pattern, overrides) in entries {
            let place = format!("{section}.{}", shown(pattern, LONGEST_KEY));
            if holds_secret(pattern) {
                self.fault(
                    &place,
                    "must be a name; this looks like a token or key: replace it, and revoke it".to_owned(),
                );
                continue;
            }
            let overrides = match overrides {
                Raw::Object(entries) => self.overrides(&place, level, entries),
                Raw::Null => PolicyOverrides::default(),
                other => {
                    let text =
                        format!("must be an object of keys, for example {{\"failureThreshold\":2}}; found {other}");
                    self.fault(&place, text);
                    continue;
                }
            };
            if read.insert(pattern.clone(), overrides).is_some() {
                self.fault(&place, TWICE.to_owned());
            }
        }
        read
    }

    fn overrides(&mut self, place: &str, level: Level, entries: &[(String, Raw)]) -> PolicyOverrides {
        let mut read = PolicyOverrides::default();
        for (index, (name, written)) in entries.iter().enumerate() {
            let named = shown(name, LONGEST_KEY);
            let place = if place.is_empty() { named } else { format!("{place}.{named}") };
            if entries[..index].iter().any(|(earlier, _)| earlier == name) {
                self.fault(&place, TWICE.to_owned());
            } else if let Some(key) = reference().iter().find(|key| key.name == name) {
                if let Err(fault) = misplaced(key, level).map_or_else(|| read.set(key, written), Err) {
                    self.fault(&place, fault);
                }
            } else if name == POOLS && level != Level::Runner {
                read.pools = self.pools(&place, level, written);
            } else if name == REPORT && level == Level::Policy {
                read.report = read_report(written).unwrap_or_else(|fault| {
                    self.fault(&place, fault);
                    None
                });
            } else if name == JOBS && level == Level::Policy {
                read.polled = read_polled(written).unwrap_or_else(|fault| {
                    self.fault(&place, fault);
                    Vec::new()
                });
            } else if !(level == Level::Policy && SECTIONS.contains(&&**name)) {
                self.fault(&place, unknown(name, level));
            }
        }
        read
    }
}

/// What a pool must be.
const POOL_EXAMPLE: &str = r#"{"gpu":{"minimumOnline":2},"linux,x64":{"minimumOnline":"50%","alert":"pool"}}"#;

impl Reader<'_> {
    /// Reads pools: sets of labels with what each wants.
    fn pools(&mut self, place: &str, level: Level, written: &Raw) -> Vec<PoolRule> {
        let entries = match written {
            Raw::Object(entries) => entries,
            Raw::Null => return Vec::new(),
            other => {
                let text = format!(
                    "must be an object of labels with what is wanted, for example {POOL_EXAMPLE}; found {other}"
                );
                self.fault(place, text);
                return Vec::new();
            }
        };
        let mut pools: Vec<PoolRule> = Vec::new();
        for (written_labels, rule) in entries {
            let place = format!("{place}.{}", shown(written_labels, LONGEST_KEY));
            match read_pool(written_labels, rule) {
                Ok(pool) if pools.iter().any(|known| known.id() == pool.id()) => self.fault(&place, TWICE.to_owned()),
                Ok(pool) if pool.over == PoolOver::Credential && level == Level::Target => {
                    self.fault(&place, OVER_IN_TARGET.to_owned());
                }
                Ok(pool) => pools.push(pool),
                Err(fault) => self.fault(&place, fault),
            }
        }
        pools
    }
}

/// Why a pool over a credential has no place in a target.
const OVER_IN_TARGET: &str = "`over` must be `target` here, because other targets count too in a pool over a credential; move the pool to the top level of the policy";

fn read_pool(written_labels: &str, rule: &Raw) -> Result<PoolRule, String> {
    let labels: Vec<String> = written_labels.split(',').map(|label| label.trim().to_owned()).collect();
    if labels.iter().any(|label| label.is_empty() || label.contains('*')) || holds_secret(written_labels) {
        return Err("must be labels with commas between them, without `*`, for example gpu or linux,x64".to_owned());
    }
    let Raw::Object(entries) = rule else {
        return Err(format!("must be an object, for example {{\"minimumOnline\":2}}; found {rule}"));
    };
    let (mut minimum, mut alerts, mut over) = (None, PoolAlerts::default(), PoolOver::default());
    for (index, (key, value)) in entries.iter().enumerate() {
        if entries[..index].iter().any(|(earlier, _)| earlier == key) {
            return Err(format!("`{}` {TWICE}", shown(key, LONGEST_KEY)));
        }
        match (key.as_str(), value) {
            ("minimumOnline", value) => minimum = Some(read_minimum(value)?),
            ("alert", Raw::Text(text)) if text == "each" => alerts = PoolAlerts::Each,
            ("alert", Raw::Text(text)) if text == "pool" => alerts = PoolAlerts::Pool,
            ("alert", value) => return Err(format!("`alert` must be `each` or `pool`; found {value}")),
            ("over", Raw::Text(text)) if text == "target" => over = PoolOver::Target,
            ("over", Raw::Text(text)) if text == "credential" => over = PoolOver::Credential,
            ("over", value) => {
                return Err(format!(
                    "`over` must be `target` (each target has its own pool) or `credential` (one pool over all of its targets); found {value}"
                ));
            }
            (key, _) => {
                let key = shown(key, LONGEST_KEY);
                return Err(format!("`{key}` is not a key of a pool; the keys are minimumOnline, alert, over"));
            }
        }
    }
    let minimum = minimum.ok_or("needs minimumOnline, for example {\"minimumOnline\":2}")?;
    Ok(PoolRule { labels, minimum, alerts, over })
}

fn read_report(written: &Raw) -> Result<Option<ReportTime>, String> {
    const EXAMPLE: &str = r#"{"day":"monday","hour":9}"#;
    let entries = match written {
        Raw::Object(entries) => entries,
        Raw::Null => return Ok(None),
        other => return Err(format!("must be an object with a day and an hour, for example {EXAMPLE}; found {other}")),
    };
    let (mut day, mut hour) = (None, None);
    for (index, (key, value)) in entries.iter().enumerate() {
        if entries[..index].iter().any(|(earlier, _)| earlier == key) {
            return Err(format!("`{}` {TWICE}", shown(key, LONGEST_KEY)));
        }
        match (key.as_str(), value) {
            ("day", value) => {
                let is_named = |name: &str| matches!(value, Raw::Text(text) if text.eq_ignore_ascii_case(name));
                let named = (0..).zip(WEEKDAYS).find(|(_, name)| is_named(name)).map(|(day, _)| day);
                day = Some(named.ok_or_else(|| format!("`day` must be a day from monday to sunday; found {value}"))?);
            }
            ("hour", value) => {
                let number = if let Raw::Number(number) = value { number.parse().ok() } else { None };
                let fault = || format!("`hour` must be an hour from 0 to 23, in UTC; found {value}");
                hour = Some(number.filter(|hour| (0..24).contains(hour)).ok_or_else(fault)?);
            }
            (key, _) => {
                let key = shown(key, LONGEST_KEY);
                return Err(format!("`{key}` is not a key of the report; the keys are day, hour"));
            }
        }
    }
    match (day, hour) {
        (Some(day), Some(hour)) => Ok(Some(ReportTime { day, hour })),
        _ => Err(format!("needs a day and an hour, for example {EXAMPLE}")),
    }
}

fn read_polled(written: &Raw) -> Result<Vec<Target>, String> {
    const EXAMPLE: &str = r#"{"poll":["acme/web"]}"#;
    let entries = match written {
        Raw::Object(entries) => entries,
        Raw::Null => return Ok(Vec::new()),
        other => return Err(format!("must be an object, for example {EXAMPLE}; found {other}")),
    };
    let wrong =
        |found: &Raw| format!("`poll` must be a list of repositories, for example [\"acme/web\"]; found {found}");
    let (mut polled, mut is_given) = (Vec::new(), false);
    for (key, value) in entries {
        if key != "poll" {
            return Err(format!("`{}` is not a key of the jobs; the key is poll", shown(key, LONGEST_KEY)));
        }
        if std::mem::replace(&mut is_given, true) {
            return Err(format!("`poll` {TWICE}"));
        }
        let Raw::List(names) = value else { return Err(wrong(value)) };
        for name in names {
            let repository = if let Raw::Text(text) = name { Target::repository(text).ok() } else { None };
            let repository = repository.ok_or_else(|| wrong(name))?;
            if !polled.contains(&repository) {
                polled.push(repository);
            }
        }
    }
    if polled.len() > MAX_POLLED {
        let count = polled.len();
        return Err(format!("`poll` has {count} repositories, and at most {MAX_POLLED} can be polled: set a webhook"));
    }
    Ok(polled)
}

fn read_minimum(written: &Raw) -> Result<Minimum, String> {
    let minimum = match written {
        Raw::Number(number) => number.parse().ok().filter(|count| (1..=10_000).contains(count)).map(Minimum::Runners),
        Raw::Text(text) => {
            let percent = text.trim().strip_suffix('%').and_then(|percent| percent.trim().parse().ok());
            percent.filter(|percent| (1..=100).contains(percent)).map(Minimum::Percent)
        }
        _ => None,
    };
    minimum.ok_or_else(|| {
        format!("`minimumOnline` must be a number of runners from 1 to 10000, or 1% to 100% of them, for example 2 or \"50%\"; found {written}")
    })
}

const TWICE: &str = "is given twice; keep one of them";

/// Why a key is not allowed at this level.
fn misplaced(key: &PolicyKey, level: Level) -> Option<String> {
    match (key.accepts, level) {
        (Accepts::Channel, Level::Policy) => Some(
            "the default channel is the setting SLACK_CHANNEL or SLACK_WEBHOOK; \
             set that, or move this under targets, labels or runners"
                .to_owned(),
        ),
        (_, Level::Runner) if key.of_targets_only => {
            Some("applies to whole targets; move it to the top level of the policy or under targets".to_owned())
        }
        _ => None,
    }
}

/// The fault of an unknown key.
fn unknown(name: &str, level: Level) -> String {
    if SECTIONS.contains(&name) {
        return "must be at the top level of the policy, not within a target, label or runner".to_owned();
    }
    if [REPORT, JOBS].contains(&name) {
        return "must be at the top level of the policy, not within a target, label or runner".to_owned();
    }
    if name == POOLS {
        return "applies to whole targets; move it to the top level of the policy or to a target".to_owned();
    }
    let sections = SECTIONS.iter().copied().filter(|_| level == Level::Policy);
    let sections = sections.chain((level != Level::Runner).then_some(POOLS));
    let sections = sections.chain([REPORT, JOBS].into_iter().filter(|_| level == Level::Policy));
    let keys: Vec<&str> = reference().iter().map(|key| key.name).chain(sections).collect();
    let nearest = keys.iter().map(|key| (strsim::damerau_levenshtein(&key.to_lowercase(), &name.to_lowercase()), key));
    match nearest.min() {
        Some((distance, key)) if distance <= 2 || distance * 3 <= name.chars().count() => {
            format!("is not a key of the policy; did you mean `{key}`?")
        }
        _ => format!("is not a key of the policy; the keys are {}", keys.join(", ")),
    }
}

impl PolicyOverrides {
    /// Sets the value of a key, or returns what it must be.
    fn set(&mut self, key: &PolicyKey, written: &Raw) -> Result<(), String> {
        let wrong = || {
            let unit = matches!((key.accepts, written), (Accepts::Span { .. }, Raw::Number(_)));
            let unit = if unit { ", which has no unit (s, m, h or d)" } else { "" };
            format!("{}; found {written}{unit}", key.must_be())
        };
        if let Raw::Null = written {
            return Ok(());
        }
        match key.accepts {
            Accepts::Count { least, most } => {
                let number = match written {
                    Raw::Number(number) => number.parse().ok().filter(|number| (least..=most).contains(number)),
                    _ => None,
                };
                let number = Some(number.ok_or_else(wrong)?);
                match key.name {
                    "failureThreshold" => self.failure_threshold = number,
                    "successThreshold" => self.success_threshold = number,
                    "flapThreshold" => self.flap_threshold = number,
                    _ => self.max_repeats = number,
                }
            }
            Accepts::Span { least_secs, most_secs, zero } => {
                let span = match written {
                    Raw::Number(number) | Raw::Text(number) if number.trim() == "0" => Some(Duration::ZERO),
                    Raw::Text(text) => parse_duration(text).ok(),
                    _ => None,
                };
                let within = |span: &Duration| (least_secs..=most_secs).contains(&span.as_secs());
                let span = span.filter(|span| within(span) || zero.is_some() && span.is_zero()).ok_or_else(wrong)?;
                // The only 0 with a meaning of its own is "never".
                let span = Some(if zero.is_some() && span.is_zero() { Duration::MAX } else { span });
                match key.name {
                    "recheckInterval" => self.recheck_interval = span,
                    "unreachableAfter" => self.unreachable_after = span,
                    "connectGrace" => self.connect_grace = span,
                    "forgetAfter" => self.forget_after = span,
                    "flapWindow" => self.flap_window = span,
                    "flapClearAfter" => self.flap_clear_after = span,
                    "queueThreshold" => self.queue_threshold = span,
                    _ => self.repeat_interval = span,
                }
            }
            Accepts::OnRemoved => {
                self.on_removed = match written {
                    Raw::Text(text) if text == "alert" => Some(OnRemoved::Alert),
                    Raw::Text(text) if text == "ignore" => Some(OnRemoved::Ignore),
                    _ => return Err(wrong()),
                }
            }
            Accepts::Channel => match written {
                Raw::Text(text) if is_channel(text) && !holds_secret(text) => self.channel = Some(text.clone()),
                // The value is not repeated: it may be the address of a webhook, which is a secret.
                _ => return Err(format!("{}, or the name of one of the webhooks", key.must_be())),
            },
            Accepts::Patterns => {
                let Raw::List(patterns) = written else { return Err(wrong()) };
                for pattern in patterns {
                    match pattern {
                        Raw::Text(text) if !holds_secret(text) => self.ignore.push(text.clone()),
                        other => return Err(format!("{}; found {other} in it", key.must_be())),
                    }
                }
            }
        }
        Ok(())
    }
}

/// The value as quoted in a fault.
impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Raw::Null => f.write_str("null"),
            Raw::Bool(value) => write!(f, "{value}"),
            Raw::Number(number) => f.write_str(number),
            Raw::Text(text) => write!(f, "`{}`", shown(text, 40)),
            Raw::List(_) => f.write_str("a list"),
            Raw::Object(_) => f.write_str("an object"),
        }
    }
}

impl<'de> Deserialize<'de> for PolicyDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Raw::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyJson)
    }
}

struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(format!("{value:e}").replace("e0", "")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = object.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Object(entries))
    }
}
