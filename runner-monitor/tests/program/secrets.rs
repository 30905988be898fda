//! A secret given instead of a name is refused and not repeated, in every argument and variable.

use crate::Bench;

const SECRETS: [&str; 6] = [
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "gho_16C7e42F292c6912E7710c838347Ae178B4a",
    "github_pat_11ABCDEFG0123456789_16C7e42F292c6912E7710c838347Ae178B4a",
    "xoxb-123456789012-16C7e42F292c6912E7710c83",
    "https://hooks.slack.com/services/T0/B0/16C7e42F292c6912E7710c83",
    "16c7e42f292c6912e7710c838347ae178b4a0123",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_argument_and_variable_refuses_a_secret_without_showing_it() {
    let bench = Bench::new().await;
    let store = bench.folder.path().join("store.db");
    for secret in SECRETS {
        let in_target = format!("acme/{secret}");
        let policy = format!(r#"{{"ignore":["{secret}"]}}"#);
        let of_runners = format!(r#"{{"runners":{{"{secret}":{{"failureThreshold":1}}}}}}"#);
        let cases: [(&[&str], &str, &str); 20] = [
            (&["check", secret], "", ""),
            (&["check", &in_target], "", ""),
            (&["run", secret], "", ""),
            (&["status", secret], "", ""),
            (&["status", "--target", &in_target], "", ""),
            (&["history", "--runner", secret], "", ""),
            (&["history", "--since", secret], "", ""),
            (&["check", "--store", secret], "", ""),
            (&[secret], "", ""),
            (&["check", "--json", "--log-format", secret], "", ""),
            (&["run", "--slack-commands", secret], "", ""),
            (&["check"], "REPOS", secret),
            (&["check"], "ORGANIZATIONS", secret),
            (&["check"], "ENTERPRISES", secret),
            (&["check"], "LOG", secret),
            (&["check"], "POLICY", &policy),
            (&["check"], "POLICY", &of_runners),
            (&["check"], "RUNNER_MONITOR_STORE", secret),
            (&["run"], "SLACK_COMMANDS", secret),
            (&["check"], "SLACK_CHANNEL", secret),
        ];
        for (arguments, variable, value) in cases {
            let variables = [(variable, value)];
            let variables = if variable.is_empty() { &[][..] } else { &variables };
            let (code, stdout, stderr) = bench.output(arguments, variables).await;
            assert_eq!(code, Some(2), "{arguments:?} {variable}: {stdout}{stderr}");
            for said in [&stdout, &stderr] {
                assert!(!said.to_lowercase().contains("16c7e42f"), "{arguments:?} {variable}: {said}");
            }
            assert!(stderr.contains("hidden") || stderr.contains("not shown"), "{arguments:?} {variable}: {stderr}");
            assert!(!store.exists(), "nothing is stored: {arguments:?} {variable}");
        }
    }
    assert_eq!(bench.github.state().counters().requests, 0, "GitHub is not asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_may_be_in_a_file() {
    let bench = Bench::new().await;
    let (token, empty) = (bench.folder.path().join("token"), bench.folder.path().join("empty"));
    std::fs::write(&token, "token\n").unwrap();
    std::fs::write(&empty, "\n").unwrap();
    let [at_token, at_empty] = [&token, &empty].map(|path| format!("@{}", path.display()));
    let (code, printed) = bench.check(&[("GITHUB_TOKEN", &at_token)]).await;
    assert!(code == Some(1) && printed.contains("build-0"), "{printed}");

    let (_, stdout, _) = bench.output(&["settings"], &[]).await;
    assert_eq!(stdout.matches("GITHUB_TOKEN=@/run/secrets/github-token").count(), 1, "{stdout}");
    for name in ["GITHUB_TOKEN", "HEARTBEAT_URL"] {
        let (code, _, stderr) = bench.output(&["run"], &[(name, &at_empty)]).await;
        let expected = format!("{name}: the file `{}` is empty; write `@` and the whole path", empty.display());
        assert!(code == Some(2) && stderr.contains(&expected), "{stderr}");
    }
}
