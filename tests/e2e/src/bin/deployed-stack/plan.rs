//! The plan: what `create_stack.py` read from the stack that it created from the template.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

/// The stack, and the addresses of the AWS emulators.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Plan {
    /// The address of CloudFormation, SSM and Lambda's settings (moto).
    pub(crate) aws_url: String,
    /// The address of SQS.
    pub(crate) sqs_url: String,
    /// Whether the queues follow SQS's rules of order and de-duplication. False if moto serves them.
    pub(crate) true_fifo: bool,
    /// The region.
    pub(crate) region: String,
    /// The name of the stack.
    pub(crate) stack: String,
    /// The event that EventBridge sends at each tick.
    pub(crate) tick: Value,
    /// The monitor's own metrics, with this stack as their only dimension, that alarms and dashboard read.
    pub(crate) figures: Vec<String>,
    /// The fields of the functions' log lines that the dashboard reads.
    pub(crate) logged: Vec<String>,
    /// The functions by logical id.
    pub(crate) functions: BTreeMap<String, FunctionPlan>,
    /// The queues by logical id.
    pub(crate) queues: BTreeMap<String, QueuePlan>,
    /// The event source mappings, from queues to functions.
    pub(crate) mappings: Vec<MappingPlan>,
    /// The table with the records; `None` if they are in StatelyDB.
    pub(crate) table: Option<TablePlan>,
    /// The path of the Runtime Interface Emulator.
    pub(crate) emulator: PathBuf,
    /// The folder with each function's `bootstrap`, in a folder named by logical id.
    pub(crate) binaries: PathBuf,
    /// The path of the AWS CLI.
    pub(crate) aws_cli: PathBuf,
}

/// A function as CloudFormation created it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct FunctionPlan {
    /// The timeout of an invocation.
    pub(crate) timeout_secs: u64,
    /// The memory size.
    pub(crate) memory_mb: u64,
    /// The environment variables.
    pub(crate) environment: BTreeMap<String, String>,
}

/// The DynamoDB table.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TablePlan {
    /// The table's name in the stack.
    pub(crate) name: String,
    /// The request that creates it, without its name.
    pub(crate) definition: Value,
}

/// A queue as CloudFormation created it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct QueuePlan {
    /// The queue's address in the stack.
    pub(crate) url: String,
    /// The attributes, by their SQS names.
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
    /// How long to wait for a batch to fill.
    pub(crate) window_secs: u64,
    /// The most concurrent invocations.
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
