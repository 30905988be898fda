//! Variables that the template sets: what a function is wired to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use monitor_config::{Fault, Faults, variable};

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The environment of a function. Copies are the same one.
#[derive(Clone)]
pub struct LambdaEnvironment(Arc<Lookup>);

impl LambdaEnvironment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self::new(variable)
    }

    /// Variables as `lookup` tells them.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// A variable, whatever is in it.
    pub fn raw(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }

    /// A variable without the white space around it; none where nothing else is in it.
    pub fn get(&self, name: &str) -> Option<String> {
        let value = self.raw(name)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    }

    /// The stack of the function, whose metrics have it as a dimension; none outside a stack.
    pub fn stack(&self) -> Option<String> {
        self.get("STACK_NAME")
    }
}

impl fmt::Debug for LambdaEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables")
    }
}

/// Reads the variables that the template sets, and gathers what is wrong with them.
#[derive(Debug)]
pub struct QueueUrls {
    variables: LambdaEnvironment,
    faults: Vec<Fault>,
}

impl QueueUrls {
    /// Nothing was read so far.
    pub fn of(variables: &LambdaEnvironment) -> Self {
        Self { variables: variables.clone(), faults: Vec::new() }
    }

    /// The URL of a queue; empty with the fault noted.
    pub fn queue_url(&mut self, name: &'static str) -> String {
        let url = self.variables.get(name).unwrap_or_default();
        let text = match (url.is_empty(), url.starts_with("https://") || url.starts_with("http://")) {
            (true, _) => "is not set; infra/template.yaml sets it to the URL of the queue, as in",
            (false, false) => "is no URL; write it as in",
            (false, true) => return url,
        };
        let example = "https://sqs.eu-central-1.amazonaws.com/123456789012/NAME";
        self.faults.push(Fault { setting: name, text: format!("{text} {example}") });
        url
    }

    /// The time between two ticks of the schedule, 5 minutes unless `CHECK_INTERVAL_SECS` says otherwise.
    pub fn interval(&mut self) -> Duration {
        const NAME: &str = "CHECK_INTERVAL_SECS";
        let text = self.variables.get(NAME).unwrap_or_else(|| "300".to_owned());
        match text.parse() {
            Ok(secs @ 60..=86_400) => Duration::from_secs(secs),
            _ => {
                let text = "is no number of seconds from 60 to 86400; write it as in 300".to_owned();
                self.faults.push(Fault { setting: NAME, text });
                Duration::from_secs(300)
            }
        }
    }

    /// What was wrong.
    pub fn into_faults(self) -> Faults {
        Faults(self.faults)
    }
}
