//! The program with a DynamoDB table as its store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use monitor_dynamodb_emulators::{Emulator, create_table};
use monitor_e2e::{World, dynamodb_variables, fleet, printed};

struct Bench {
    world: World,
    dynamodb: Emulator,
}

impl Bench {
    async fn new() -> Self {
        let dynamodb = Emulator::dynoxide(None).await.unwrap();
        create_table(&dynamodb.client(), "records").await.unwrap();
        Self { world: World::of(fleet(1, 3), 1, "{}").await, dynamodb }
    }

    /// Runs the program with changed variables; an empty one is not set. Returns its exit code and its output.
    async fn run(&self, arguments: &[&str], changed: &[(&str, &str)]) -> (i32, String) {
        let mut command = self.world.command(arguments);
        command.env("RUNNER_MONITOR_STORE", "dynamodb").env_remove("SLACK_WEBHOOK");
        command.envs(dynamodb_variables(self.dynamodb.url(), "records"));
        for (name, value) in changed {
            match value.is_empty() {
                true => command.env_remove(name),
                false => command.env(name, value),
            };
        }
        printed(command).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_history_and_doctor_read_what_a_check_stored() {
    let bench = Bench::new().await;
    for (arguments, shown) in [
        (["check"], "3 runners"),
        (["status"], "app-0-runner-2"),
        (["history"], "No outage"),
        (["doctor"], "store DynamoDB: readable"),
    ] {
        let (code, printed) = bench.run(&arguments, &[]).await;
        assert!(
            code == 0 && printed.to_lowercase().contains(&shown.to_lowercase()),
            "{arguments:?}: {code}\n{printed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_with_its_remedy() {
    let bench = Bench::new().await;
    for (name, value, said) in [
        ("DYNAMODB_TABLE", "", "DYNAMODB_TABLE: must be set to store state in DynamoDB"),
        ("DYNAMODB_TABLE", "absent", "check DYNAMODB_TABLE, the AWS region and the account"),
        ("AWS_REGION", "", "no AWS region is set: set AWS_REGION"),
        ("AWS_ACCESS_KEY_ID", "", "no AWS credentials were found; set AWS_PROFILE"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9", "no answer from DynamoDB"),
    ] {
        let (code, printed) = bench.run(&["status"], &[(name, value)]).await;
        assert!(code == 2 && printed.contains(said), "{name}={value}: {code}\n{printed}");
        assert!(printed.lines().count() <= 3, "{name}={value}: {printed}");
    }
}
