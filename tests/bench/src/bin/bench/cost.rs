//! The monthly cost of the monitor, calculated from list prices by infra/cost.py.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::table::Table;

pub(crate) fn measure(table: &mut Table) -> anyhow::Result<()> {
    table.section("Cost a month, list prices, every 5 minutes");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/cost.py");
    let output = Command::new("python3").arg(script).arg("--json").output().context("python3")?;
    ensure!(output.status.success(), "infra/cost.py: {}", String::from_utf8_lossy(&output.stderr));
    let months: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    for month in months {
        let number = |name: &str| month[name].as_f64().with_context(|| format!("infra/cost.py returned no {name}"));
        let targets = number("targets")?;
        let parts = format!(
            "Lambda {:.2}, SQS {:.2}, CloudWatch {:.2}",
            number("Lambda")?,
            number("SQS")?,
            number("CloudWatch")?
        );
        table.add(format!("{targets} targets: AWS"), number("AWS")?, "$").note(parts);
        table.add(format!("{targets} targets: DynamoDB"), number("DynamoDB")?, "$");
        table.add(format!("{targets} targets: StatelyDB reads"), number("reads")? / 1e6, "million");
        table.add(format!("{targets} targets: StatelyDB writes"), number("writes")? / 1e6, "million");
    }
    Ok(())
}
