//! The environment of a function, and the variables that the template sets in it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use monitor_config::{SettingFault, SettingFaults, variable};

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The environment of a function. Clones share it.
#[derive(Clone)]
pub struct LambdaEnvironment(Arc<Lookup>);

impl LambdaEnvironment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self::new(variable)
    }

    /// An environment in which `lookup` finds the variables.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// A variable as it is set, even if it is empty.
    pub fn raw(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }

    /// A variable without surrounding white space; `None` if nothing is left.
    pub fn get(&self, name: &str) -> Option<String> {
        let value = self.raw(name)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    }

    /// The name of the function's stack, a dimension of its metrics; `None` outside a stack.
    pub fn stack(&self) -> Option<String> {
        self.get("STACK_NAME")
    }
}

impl fmt::Debug for LambdaEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LambdaEnvironment")
    }
}

/// Reads the variables that the template sets, and collects their faults.
#[derive(Debug)]
pub struct QueueUrls {
    variables: LambdaEnvironment,
    faults: Vec<SettingFault>,
}

impl QueueUrls {
    /// A reader of this environment, without faults so far.
    pub fn of(variables: &LambdaEnvironment) -> Self {
        Self { variables: variables.clone(), faults: Vec::new() }
    }

    /// The URL of a queue; empty, with a fault added, if it is not set.
    pub fn queue_url(&mut self, name: &'static str) -> String {
        let url = self.variables.get(name).unwrap_or_default();
        let text = match (url.is_empty(), url.starts_with("https://") || url.starts_with("http://")) {
            (true, _) => "must be set to the URL of the queue, as infra/template.yaml does, for example",
            (false, false) => "must be a URL, for example",
            (false, true) => return url,
        };
        let example = "https://sqs.eu-central-1.amazonaws.com/123456789012/NAME";
        self.faults.push(SettingFault { setting: name, text: format!("{text} {example}") });
        url
    }

    /// The time between two ticks of the schedule, 5 minutes unless `CHECK_INTERVAL_SECS` says otherwise.
    pub fn interval(&mut self) -> Duration {
        const NAME: &str = "CHECK_INTERVAL_SECS";
        let text = self.variables.get(NAME).unwrap_or_else(|| "300".to_owned());
        match text.parse() {
            Ok(secs @ 60..=86_400) => Duration::from_secs(secs),
            _ => {
                let text = "must be a number of seconds between 60 and 86400, for example 300".to_owned();
                self.faults.push(SettingFault { setting: NAME, text });
                Duration::from_secs(300)
            }
        }
    }

    /// The faults collected so far.
    pub fn into_faults(self) -> SettingFaults {
        SettingFaults(self.faults)
    }
}
