//! Creates a scenario's stack from the plan: parameters, queues, functions, mappings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, ensure};
use monitor_fakes::github::RunnerSpec;
use monitor_fakes::{FakeGitHub, FakeSlack, slack, wall_clock_ms};
use monitor_stately_server::StatelyServer;
use serde_json::{Value, json};

use super::{Bench, Setting, World};
use crate::aws::{ACCOUNT, Service};
use crate::emulator::Launch;
use crate::function::Function;
use crate::gateway::Gateway;
use crate::invocations::Invocations;
use crate::mapping::{Mapping, Source};
use crate::secrets;

/// The most instances of a function, even if the template allows more concurrency.
const MAX_SLOTS: usize = 2;
/// The id of the StatelyDB store.
const STORE: u64 = 17;
/// The id of the schema.
const SCHEMA: u64 = 5;

impl World {
    /// Starts the stack with all parameters set. The number is part of the names of its queues and parameters.
    pub(crate) async fn start(
        bench: &Arc<Bench>,
        (name, number): (&str, u32),
        setting: Setting,
    ) -> anyhow::Result<Self> {
        let plan = &bench.plan;
        let logs = bench.logs.join(name);
        std::fs::create_dir_all(&logs)?;
        let mut github = monitor_fakes::github::State::new();
        github.add_token(secrets::GITHUB_TOKEN);
        for target in &setting.repositories {
            github.add_target(target);
            let short = target.rsplit('/').next().unwrap_or(target);
            for number in 1..=2 {
                github.add_runner(target, RunnerSpec::new(&format!("{short}-{number}")));
            }
        }
        let stately = StatelyServer::start().await?;
        stately.state().settings.access_key = Some(secrets::STATELYDB_ACCESS_KEY.to_owned());
        let (invocations, accepted) = Invocations::open().await?;
        let mut world = Self {
            stack: format!("stack-{number}"),
            setting,
            github: FakeGitHub::start_with(github, 0, wall_clock_ms).await?,
            slack: FakeSlack::start_with(slack::State::new(secrets::WEBHOOK_PATH), 0, wall_clock_ms).await?,
            stately,
            sqs: Service::sqs(&bench.http, &plan.sqs_url, &plan.region),
            ssm: Service::ssm(&bench.http, &plan.aws_url, &plan.region),
            queue_urls: BTreeMap::new(),
            functions: BTreeMap::new(),
            gateways: BTreeMap::new(),
            mappings: BTreeMap::new(),
            invocations,
            logs,
            sent: AtomicU64::new(0),
            bench: Arc::clone(bench),
        };
        world.put_parameters().await?;
        world.create_table().await?;
        world.create_queues().await?;
        world.start_functions().await?;
        world.invocations.deliver(accepted, world.functions.clone());
        world.start_mappings();
        Ok(world)
    }

    async fn put_parameters(&self) -> anyhow::Result<()> {
        let repositories = serde_json::to_string(&self.setting.repositories)?;
        let (store, schema) = (STORE.to_string(), SCHEMA.to_string());
        let has_table = self.bench.plan.table.is_some();
        for (name, kind, value) in [
            ("github-token", "SecureString", secrets::GITHUB_TOKEN),
            ("statelydb-access-key", "SecureString", secrets::STATELYDB_ACCESS_KEY),
            ("statelydb-store-id", "String", &store),
            ("statelydb-schema-id", "String", &schema),
            ("statelydb-region", "String", "us-east-1"),
            ("slack-webhook", "SecureString", &self.slack.webhook_url()),
            ("slack-signing-secret", "SecureString", secrets::SIGNING_SECRET),
            ("github-webhook-secret", "SecureString", secrets::GITHUB_WEBHOOK_SECRET),
            ("repositories", "String", &repositories),
            ("github-api-url", "String", &self.github.base_url()),
            ("policy", "String", self.setting.policy),
        ] {
            if has_table && name.starts_with("statelydb-") {
                continue;
            }
            self.put_parameter(name, kind, value).await?;
        }
        Ok(())
    }

    /// Creates the table as the template defines it.
    async fn create_table(&self) -> anyhow::Result<()> {
        let (Some(table), Some(dynamodb)) = (&self.bench.plan.table, &self.bench.dynamodb) else { return Ok(()) };
        let mut definition = table.definition.clone();
        definition["TableName"] = json!(self.stack);
        let dynamodb = Service::dynamodb(&self.bench.http, dynamodb.url(), &self.bench.plan.region);
        dynamodb.call("CreateTable", &definition).await.map(drop)
    }

    /// Creates the stack's queues, dead-letter queues first.
    async fn create_queues(&mut self) -> anyhow::Result<()> {
        let plan = &self.bench.plan;
        let mut queues: Vec<_> = plan.queues.iter().collect();
        queues.sort_by_key(|(_, queue)| queue.attributes.contains_key("RedrivePolicy"));
        for (id, queue) in queues {
            let mut attributes = queue.attributes.clone();
            if let Some(redrive) = attributes.get("RedrivePolicy") {
                let mut redrive: Value = serde_json::from_str(redrive)?;
                let arn = redrive["deadLetterTargetArn"].as_str().unwrap_or_default();
                let dead =
                    plan.queues.iter().find(|(_, queue)| queue.attributes.get("QueueArn").is_some_and(|a| a == arn));
                let (dead, _) = dead.with_context(|| format!("{id} redrives to {arn}, which is not in the stack"))?;
                redrive["deadLetterTargetArn"] = json!(self.queue_arn(dead));
                attributes.insert("RedrivePolicy".to_owned(), redrive.to_string());
            }
            attributes.retain(|name, _| is_settable(name));
            let body = json!({"QueueName": self.queue_name(id), "Attributes": attributes});
            let created = self.sqs.call("CreateQueue", &body).await?;
            let url = created["QueueUrl"].as_str().context("no QueueUrl")?;
            self.queue_urls.insert(id.clone(), url.to_owned());
        }
        Ok(())
    }

    fn queue_name(&self, id: &str) -> String {
        let suffix = if self.bench.plan.queues[id].is_fifo() { ".fifo" } else { "" };
        format!("{}-{id}{suffix}", self.stack)
    }

    fn queue_arn(&self, id: &str) -> String {
        format!("arn:aws:sqs:{}:{ACCOUNT}:{}", self.bench.plan.region, self.queue_name(id))
    }

    async fn start_functions(&mut self) -> anyhow::Result<()> {
        let bench = Arc::clone(&self.bench);
        let plan = &bench.plan;
        for (id, function) in &plan.functions {
            let concurrency = plan.mappings.iter().filter(|mapping| mapping.function == *id);
            let slots = concurrency.map(|mapping| mapping.maximum_concurrency.unwrap_or(MAX_SLOTS)).max().unwrap_or(1);
            let dynamodb = bench.dynamodb.as_ref().map(|dynamodb| ("dynamodb", dynamodb.url()));
            let services = [("sqs", &*plan.sqs_url), ("ssm", &*plan.aws_url)];
            for (service, upstream) in services.into_iter().chain(dynamodb) {
                let gateway = Gateway::open(&bench.http, upstream).await?;
                self.gateways.insert(format!("{id} {service}"), gateway);
            }
            let launch = Launch {
                emulator: plan.emulator.clone(),
                folder: plan.binaries.join(id),
                name: id.clone(),
                timeout_secs: function.timeout_secs,
                memory_mb: function.memory_mb,
                environment: self.environment(id, &function.environment)?,
            };
            let function = Function::start(&launch, slots.min(MAX_SLOTS), &bench.http, &self.logs).await?;
            self.functions.insert(id.clone(), Arc::new(function));
        }
        Ok(())
    }

    /// The template's variables with this world's queues and parameters, plus the variables that Lambda adds.
    fn environment(&self, id: &str, template: &BTreeMap<String, String>) -> anyhow::Result<BTreeMap<String, String>> {
        let plan = &self.bench.plan;
        let mut environment = BTreeMap::new();
        for (name, value) in template {
            let queue = plan.queues.iter().find(|(_, queue)| queue.url == *value);
            let value = queue.map_or_else(|| value.clone(), |(queue, _)| self.queue_urls[queue].clone());
            environment.insert(name.clone(), value);
        }
        if let Some(table) = &plan.table {
            let name = environment.insert("DYNAMODB_TABLE".to_owned(), self.stack.clone());
            ensure!(name.as_ref() == Some(&table.name), "the template gives {id} the table {name:?}");
            environment.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), self.gateways[&format!("{id} dynamodb")].url());
        }
        ensure!(environment.contains_key("PARAMETER_PREFIX"), "the template gives {id} no PARAMETER_PREFIX");
        let gateway = |service: &str| self.gateways[&format!("{id} {service}")].url();
        let own = [
            ("PARAMETER_PREFIX", format!("/{}", self.stack)),
            ("AWS_ENDPOINT_URL_SQS", gateway("sqs")),
            ("AWS_ENDPOINT_URL_SSM", gateway("ssm")),
            ("AWS_ENDPOINT_URL_LAMBDA", self.invocations.url()),
            ("AWS_REGION", plan.region.clone()),
            ("AWS_ACCESS_KEY_ID", ACCOUNT.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secrets::AWS_SECRET_ACCESS_KEY.to_owned()),
            ("STATELYDB_ENDPOINT", self.stately.base_url()),
            ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("TZ", ":UTC".to_owned()),
        ];
        environment.extend(own.map(|(name, value)| (name.to_owned(), value)));
        if let Some(receives_jobs) = environment.get_mut("RECEIVE_JOBS") {
            *receives_jobs = self.setting.receives_jobs.to_string();
        }
        if let Some(interval) = environment.get_mut("CHECK_INTERVAL_SECS") {
            *interval = self.setting.interval_secs.to_string();
        }
        Ok(environment)
    }

    fn start_mappings(&mut self) {
        for mapping in &self.bench.plan.mappings {
            let source = Source {
                url: self.queue_urls[&mapping.queue].clone(),
                arn: self.queue_arn(&mapping.queue),
                region: self.bench.plan.region.clone(),
                visibility_secs: self.setting.visibility_secs,
            };
            let started = Mapping::start(mapping, &self.sqs, source, &self.functions[&mapping.function]);
            self.mappings.insert(mapping.queue.clone(), started);
        }
    }
}

/// Whether an attribute can be set; the others report a queue's state.
fn is_settable(attribute: &str) -> bool {
    matches!(
        attribute,
        "VisibilityTimeout"
            | "MessageRetentionPeriod"
            | "DelaySeconds"
            | "ReceiveMessageWaitTimeSeconds"
            | "RedrivePolicy"
            | "FifoQueue"
            | "ContentBasedDeduplication"
            | "DeduplicationScope"
            | "FifoThroughputLimit"
    )
}
