//! What `create_stack.py` read from the stack that was created from the template.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

/// The stack and where its stand-ins listen.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Plan {
    /// Where CloudFormation, SSM and Lambda's settings are (moto).
    pub(crate) aws_url: String,
    /// Where queues are.
    pub(crate) sqs_url: String,
    /// Whether the queues keep SQS's rules of order and de-duplication: not where moto has to serve them.
    pub(crate) true_fifo: bool,
    /// The region.
    pub(crate) region: String,
    /// The name of the stack.
    pub(crate) stack: String,
    /// What EventBridge sends at each tick.
    pub(crate) tick: Value,
    /// The monitor's own metrics that alarms and dashboard read, of this stack alone.
    pub(crate) figures: Vec<String>,
    /// The functions by logical id.
    pub(crate) functions: BTreeMap<String, FunctionPlan>,
    /// The queues by logical id.
    pub(crate) queues: BTreeMap<String, QueuePlan>,
    /// What hands messages to functions.
    pub(crate) mappings: Vec<MappingPlan>,
    /// The Runtime Interface Emulator.
    pub(crate) emulator: PathBuf,
    /// The folder with a folder of each function's `bootstrap`, by logical id.
    pub(crate) binaries: PathBuf,
    /// The AWS CLI.
    pub(crate) aws_cli: PathBuf,
}

/// A function as CloudFormation created it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct FunctionPlan {
    /// After how long Lambda ends an invocation.
    pub(crate) timeout_secs: u64,
    /// Its memory.
    pub(crate) memory_mb: u64,
    /// Its environment.
    pub(crate) environment: BTreeMap<String, String>,
}

/// A queue as CloudFormation created it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct QueuePlan {
    /// Its address in the stack.
    pub(crate) url: String,
    /// Its attributes, as SQS names them.
    pub(crate) attributes: BTreeMap<String, String>,
}

impl QueuePlan {
    /// Whether it is a FIFO queue.
    pub(crate) fn is_fifo(&self) -> bool {
        self.attributes.get("FifoQueue").is_some_and(|value| value == "true")
    }
}

/// An event source mapping.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct MappingPlan {
    /// Logical id of the function.
    pub(crate) function: String,
    /// Logical id of the queue.
    pub(crate) queue: String,
    /// The most messages of one invocation.
    pub(crate) batch_size: usize,
    /// How long a batch that is not full is waited for.
    pub(crate) window_secs: u64,
    /// How many invocations at a time.
    pub(crate) maximum_concurrency: Option<usize>,
    /// Whether the answer names the messages that failed (`ReportBatchItemFailures`).
    pub(crate) reports_failures: bool,
}

impl Plan {
    /// Reads the plan.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }
}
