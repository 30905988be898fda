//! Missing parameters.

use anyhow::{bail, ensure};

use super::{Records, Scenario, scenario};
use crate::emulator::Outcome;
use crate::secrets;
use crate::world::World;

pub(super) fn all() -> Vec<Scenario> {
    vec![
        scenario!(missing_parameters_are_named_all_at_once_with_the_commands_that_set_them).needing(Records::StatelyDb),
    ]
}

async fn missing_parameters_are_named_all_at_once_with_the_commands_that_set_them(world: &World) -> anyhow::Result<()> {
    for name in ["github-token", "repositories", "statelydb-store-id"] {
        world.delete_parameter(name).await?;
    }
    let error = match world.invoke("SchedulerFunction", &serde_json::json!({})).await? {
        Outcome::Error(error) => error,
        Outcome::Answer(answer) => bail!("it worked without settings: {answer}"),
    };
    ensure!(error.starts_with("Settings"), "{error}");
    // The commands in the error, with values in place of the examples, must fix it.
    let values = [
        ("github-token", "SecureString", secrets::GITHUB_TOKEN),
        ("repositories", "String", r#"["acme/web","acme/api"]"#),
        ("statelydb-store-id", "String", "17"),
    ];
    for (name, kind, value) in values {
        let name = world.parameter(name);
        let command = format!("aws ssm put-parameter --name {name} --type {kind} --value ");
        ensure!(error.contains(&command), "no `{command}` in: {error}");
        world.aws("ssm", &["put-parameter", "--name", &name, "--type", kind, "--value", value]).await?;
    }
    world.begin().await?;
    world.no_dead_letters().await
}
