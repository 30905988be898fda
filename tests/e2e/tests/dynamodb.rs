//! The program with a DynamoDB table as its store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};

use monitor_dynamodb_emulators::{Emulator, create_table};
use monitor_fakes::FakeGitHub;
use monitor_fakes::github::{RunnerSpec, State};

struct Bench {
    github: FakeGitHub,
    dynamodb: Emulator,
}

impl Bench {
    async fn new() -> Self {
        let mut github = State::new();
        github.add_token("token");
        github.add_target("acme/web");
        for number in 0..3 {
            github.add_runner("acme/web", RunnerSpec::new(&format!("build-{number}")));
        }
        let github = FakeGitHub::start_with(github, 0, monitor_fakes::wall_clock_ms).await.unwrap();
        let dynamodb = Emulator::dynoxide(None).await.unwrap();
        create_table(&dynamodb.client(), "records").await.unwrap();
        Self { github, dynamodb }
    }

    /// Runs the program with changed variables; an empty one is not set. Returns its exit code and its output.
    async fn run(&self, arguments: &[&str], changed: &[(&str, &str)]) -> (i32, String) {
        let variables = [
            ("GITHUB_TOKEN", "token".to_owned()),
            ("GITHUB_API_URL", self.github.base_url()),
            ("REPOS", "acme/web".to_owned()),
            ("RUNNER_MONITOR_STORE", "dynamodb".to_owned()),
            ("DYNAMODB_TABLE", "records".to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.url().to_owned()),
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "id".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "planted-secret-key".to_owned()),
            // Without it, the SDK asks for the credentials of a machine in EC2.
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        let mut command = Command::new(monitor_e2e::program().unwrap());
        command.env_clear().args(arguments).stdin(Stdio::null()).envs(variables);
        for (name, value) in changed {
            match value.is_empty() {
                true => command.env_remove(name),
                false => command.env(name, value),
            };
        }
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        assert!(!printed.contains("planted"), "{printed}");
        (output.status.code().unwrap_or(-1), printed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_history_and_doctor_read_what_a_check_stored() {
    let bench = Bench::new().await;
    for (arguments, shown) in [
        (["check"], "3 runners"),
        (["status"], "build-2"),
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
