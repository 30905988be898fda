//! The deployed stack of one scenario, with its own queues, parameters, functions, GitHub, Slack and StatelyDB.

mod deploy;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use monitor_dynamodb_emulators::Emulator;
use monitor_fakes::{FakeGitHub, FakeSlack};
use monitor_stately_server::StatelyServer;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::aws::{ACCOUNT, Service};
use crate::emulator::Outcome;
use crate::function::Function;
use crate::gateway::{Gateway, Units};
use crate::invocations::Invocations;
use crate::mapping::Mapping;
use crate::plan::Plan;

/// The time limit for everything that starts without delay.
pub(crate) const SOON: Duration = Duration::from_secs(45);

/// Shared by all scenarios.
pub(crate) struct Bench {
    /// The plan of the stack.
    pub(crate) plan: Plan,
    /// The HTTP client of the driver's own requests.
    pub(crate) http: reqwest::Client,
    /// The folder that has a folder of logs for each scenario.
    pub(crate) logs: PathBuf,
    /// DynamoDB, if the stack has a table.
    pub(crate) dynamodb: Option<Emulator>,
}

/// The settings of a scenario's stack.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// The repositories, with two runners each: `NAME-1` and `NAME-2`.
    pub(crate) repositories: Vec<&'static str>,
    /// The policy.
    pub(crate) policy: &'static str,
    /// The time between two ticks.
    pub(crate) interval_secs: u64,
    /// How long messages stay invisible, instead of the template's minutes (which `test_template.py` checks). Longer
    /// than an invocation takes.
    pub(crate) visibility_secs: u64,
    /// The template's parameter `ReceiveJobs`, as the poller sees it.
    pub(crate) receives_jobs: bool,
}

impl Default for Setting {
    /// One failed check opens an outage and one good check ends it, so that every check has an effect.
    fn default() -> Self {
        Self {
            repositories: vec!["acme/web", "acme/api"],
            policy: r#"{"failureThreshold":1,"successThreshold":1,"recheckInterval":"10s"}"#,
            interval_secs: 300,
            visibility_secs: 3,
            receives_jobs: false,
        }
    }
}

/// A running stack; everything stops when it is dropped.
pub(crate) struct World {
    stack: String,
    bench: Arc<Bench>,
    setting: Setting,
    /// GitHub.
    pub(crate) github: FakeGitHub,
    /// Slack.
    pub(crate) slack: FakeSlack,
    /// StatelyDB; nothing reaches it if the stack has a table.
    pub(crate) stately: StatelyServer,
    sqs: Service,
    ssm: Service,
    queue_urls: BTreeMap<String, String>,
    functions: BTreeMap<String, Arc<Function>>,
    gateways: BTreeMap<String, Gateway>,
    mappings: BTreeMap<String, Mapping>,
    invocations: Invocations,
    logs: PathBuf,
    sent: AtomicU64,
}

impl World {
    /// Sets a parameter of this stack.
    pub(crate) async fn put_parameter(&self, name: &str, kind: &str, value: &str) -> anyhow::Result<()> {
        let body = json!({"Name": self.parameter(name), "Type": kind, "Value": value, "Overwrite": true});
        self.ssm.call("PutParameter", &body).await.map(drop)
    }

    /// Removes a parameter of this stack.
    pub(crate) async fn delete_parameter(&self, name: &str) -> anyhow::Result<()> {
        self.ssm.call("DeleteParameter", &json!({"Name": self.parameter(name)})).await.map(drop)
    }

    /// The full name of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> String {
        format!("/{}/{name}", self.stack)
    }

    /// The plan of the stack.
    pub(crate) fn plan(&self) -> &Plan {
        &self.bench.plan
    }

    /// A function by its logical id.
    pub(crate) fn function(&self, id: &str) -> &Function {
        &self.functions[id]
    }

    /// The mapping that receives from a queue.
    pub(crate) fn mapping(&self, queue: &str) -> &Mapping {
        &self.mappings[queue]
    }

    /// The requests of a function to `sqs` or `ssm` since the last call.
    pub(crate) fn take_counts(&self, function: &str, service: &str) -> BTreeMap<String, u64> {
        self.gateways[&format!("{function} {service}")].take_counts()
    }

    /// The units that a function consumed in DynamoDB since the last call.
    pub(crate) fn take_units(&self, function: &str) -> Units {
        self.gateways[&format!("{function} dynamodb")].take_units()
    }

    /// Sends EventBridge's tick; returns the scheduler's answer.
    pub(crate) async fn tick(&self) -> anyhow::Result<Value> {
        match self.functions["SchedulerFunction"].invoke(&self.bench.plan.tick).await? {
            Outcome::Answer(answer) => Ok(answer),
            Outcome::Error(error) => bail!("the scheduler failed: {error}"),
        }
    }

    /// Invokes a function with a custom event.
    pub(crate) async fn invoke(&self, function: &str, event: &Value) -> anyhow::Result<Outcome> {
        self.functions[function].invoke(event).await
    }

    /// Runs the first tick, and waits for the message about the start of monitoring.
    pub(crate) async fn begin(&self) -> anyhow::Result<()> {
        self.tick().await?;
        self.texts(1).await?;
        self.settled().await
    }

    /// Waits for `count` messages at Slack; returns their texts.
    pub(crate) async fn texts(&self, count: usize) -> anyhow::Result<Vec<String>> {
        self.texts_within(count, SOON).await
    }

    /// The same with another time limit.
    pub(crate) async fn texts_within(&self, count: usize, within: Duration) -> anyhow::Result<Vec<String>> {
        let messages = self.slack.wait_for_messages(count, within).await?;
        Ok(messages.iter().map(|message| message.text().to_owned()).collect())
    }

    /// Sets the status of a repository's first runner.
    pub(crate) fn set_runner(&self, target: &str, status: &str) {
        let mut github = self.github.state();
        let id = github.runners(target)[0].id;
        github.set_runner(target, id, status, false);
    }

    /// Sends a message to a queue as the driver.
    pub(crate) async fn send(&self, queue: &str, body: &str) -> anyhow::Result<()> {
        self.send_in_group(queue, body, "driver").await
    }

    /// The same; in a FIFO queue with this message group.
    pub(crate) async fn send_in_group(&self, queue: &str, body: &str, group: &str) -> anyhow::Result<()> {
        let mut message = json!({"QueueUrl": self.queue_urls[queue], "MessageBody": body});
        if self.bench.plan.queues[queue].is_fifo() {
            let number = self.sent.fetch_add(1, Ordering::Relaxed);
            message["MessageGroupId"] = json!(group);
            message["MessageDeduplicationId"] = json!(format!("driver-{number}"));
        }
        self.sqs.call("SendMessage", &message).await.map(drop)
    }

    /// Runs the AWS CLI as a person would; `{ChecksQueue}` is replaced by the queue's address.
    pub(crate) async fn aws(&self, service: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let plan = &self.bench.plan;
        let endpoint = if service == "sqs" { &plan.sqs_url } else { &plan.aws_url };
        let mut command = tokio::process::Command::new(&plan.aws_cli);
        command.arg(service).args(arguments.iter().map(|argument| self.with_queue_urls(argument)));
        command.args(["--endpoint-url", endpoint]).env_clear().env("AWS_REGION", &plan.region);
        command.env("AWS_DEFAULT_REGION", &plan.region).env("AWS_ACCESS_KEY_ID", ACCOUNT);
        command.env("AWS_SECRET_ACCESS_KEY", "any").env("PATH", "/usr/bin:/bin").kill_on_drop(true);
        let output = command.output().await.with_context(|| plan.aws_cli.display().to_string())?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "aws {service} {arguments:?}: {stderr}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn with_queue_urls(&self, argument: &str) -> String {
        let named = argument.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        named.and_then(|id| self.queue_urls.get(id)).cloned().unwrap_or_else(|| argument.to_owned())
    }

    /// Waits until no message is visible, in flight or delayed, no event waits, and no function is busy.
    pub(crate) async fn settled(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + SOON;
        loop {
            let mut left = Vec::new();
            for queue in self.mappings.keys() {
                let waiting = self.waiting(queue).await?;
                left.extend((waiting > 0).then(|| format!("{waiting} in {queue}")));
            }
            let deferred = self.invocations.waiting();
            left.extend((deferred > 0).then(|| format!("{deferred} deferred")));
            let at_work = self.functions.values().filter(|function| function.at_work() > 0);
            left.extend(at_work.map(|function| format!("{} at work", function.name())));
            if left.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "still {}", left.join(", "));
            sleep(Duration::from_millis(250)).await;
        }
    }

    /// The number of messages in a queue, in any state.
    pub(crate) async fn waiting(&self, queue: &str) -> anyhow::Result<u64> {
        let states = ["", "NotVisible", "Delayed"].map(|state| format!("ApproximateNumberOfMessages{state}"));
        let body = json!({"QueueUrl": self.queue_urls[queue], "AttributeNames": states});
        let answer = self.sqs.call("GetQueueAttributes", &body).await?;
        let count = |state: &String| answer["Attributes"][state].as_str().and_then(|count| count.parse::<u64>().ok());
        Ok(states.iter().filter_map(count).sum())
    }

    /// Takes all messages from a dead-letter queue, and writes them to the scenario's logs.
    pub(crate) async fn dead_letters(&self, queue: &str) -> anyhow::Result<Vec<Value>> {
        let mut letters = Vec::new();
        loop {
            let body = json!({"QueueUrl": self.queue_urls[queue], "MaxNumberOfMessages": 10,
                "AttributeNames": ["All"], "MessageAttributeNames": ["All"]});
            let answer = self.sqs.call("ReceiveMessage", &body).await?;
            let Some(received) = answer["Messages"].as_array().filter(|all| !all.is_empty()) else { break };
            for letter in received {
                let handle = json!({"QueueUrl": self.queue_urls[queue], "ReceiptHandle": letter["ReceiptHandle"]});
                self.sqs.call("DeleteMessage", &handle).await?;
                letters.push(letter.clone());
            }
        }
        let written: String = letters.iter().map(|letter| format!("{letter}\n")).collect();
        let mut file =
            std::fs::File::options().create(true).append(true).open(self.logs.join(format!("{queue}.jsonl")))?;
        std::io::Write::write_all(&mut file, written.as_bytes())?;
        Ok(letters)
    }

    /// Waits for `count` dead letters.
    pub(crate) async fn wait_for_dead_letters(
        &self,
        queue: &str,
        count: usize,
        within: Duration,
    ) -> anyhow::Result<Vec<Value>> {
        let deadline = Instant::now() + within;
        let mut letters = Vec::new();
        while letters.len() < count {
            letters.extend(self.dead_letters(queue).await?);
            ensure!(Instant::now() < deadline, "{} of {count} dead letters arrived in {queue}", letters.len());
            sleep(Duration::from_millis(200)).await;
        }
        Ok(letters)
    }

    /// Fails if a dead-letter queue holds a message.
    pub(crate) async fn no_dead_letters(&self) -> anyhow::Result<()> {
        for queue in ["ChecksDeadLetterQueue", "ChangesDeadLetterQueue"] {
            let letters = self.dead_letters(queue).await?;
            ensure!(letters.is_empty(), "{queue}: {letters:?}");
        }
        Ok(())
    }

    /// The log of all of a function's instances.
    pub(crate) fn log(&self, function: &str) -> anyhow::Result<String> {
        let mut text = String::new();
        for slot in 1..=self.functions[function].slots() {
            text.push_str(&std::fs::read_to_string(self.logs.join(format!("{function}-{slot}.log")))?);
        }
        Ok(text)
    }

    /// A function's events and their outcomes, as `{"event": …, "outcome": …}`, in order of completion.
    pub(crate) fn journal(&self, function: &str) -> anyhow::Result<Vec<Value>> {
        let text = std::fs::read_to_string(self.logs.join(format!("{function}.jsonl")))?;
        text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }

    /// Waits until a condition is true.
    pub(crate) async fn until(
        &self,
        what: &str,
        within: Duration,
        mut is_so: impl FnMut(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + within;
        while !is_so(self) {
            ensure!(Instant::now() < deadline, "{what}: not within {} s", within.as_secs());
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}
