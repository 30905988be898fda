//! Errors and `doctor` say what is wrong, where, and how to fix it.

use monitor_fakes::github::{APP_PRIVATE_KEY_PEM, APP_PUBLIC_KEY_DER, Access, Endpoint, Fault, Hook, Job, Strikes};
use monitor_fakes::wall_clock_ms;

use crate::Bench;

const BOTH_KINDS: &str = "the scope `repo` (classic token) or the repository permission `Administration: read`";

/// Half a minute more than two hours and a half ago, so that it is written the same for as long as a test may take.
fn two_hours_ago() -> i64 {
    wall_clock_ms() - 9_030_000
}

/// Runs `doctor`; returns its exit code and its output.
async fn doctor(bench: &Bench, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let (code, stdout, _) = bench.output(&["doctor"], variables).await;
    (code, stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_has_a_hint_to_replace_it_and_is_not_called_healthy() {
    let bench = Bench::new().await;
    let (code, lines) = doctor(&bench, &[]).await;
    assert!(code == Some(0) && lines.contains("ok  the GitHub token: "), "{lines}");

    bench.github.state().revoke_token("token");
    let (code, lines) = doctor(&bench, &[("REPOS", r#"["acme/web","acme/*"]"#)]).await;
    assert_eq!(code, Some(2), "{lines}");
    assert!(lines.contains("BAD acme/web: GitHub refuses the token (401): it is wrong, expired or revoked"), "{lines}");
    let hint = format!("→ make a new token and set it in GITHUB_TOKEN; it needs {BOTH_KINDS}\n");
    assert!(lines.contains(&hint), "{lines}");
    assert!(lines.contains("BAD acme/*: ") && lines.contains("→ make a new token and set it in GITHUB_TOKEN\n"));
    assert!(!lines.contains("the GitHub token: "), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_app_hint_names_its_settings() {
    let bench = Bench::new().await;
    bench.github.state().add_app(1, APP_PUBLIC_KEY_DER);
    let app = [("GITHUB_TOKEN", ""), ("GITHUB_APP_PRIVATE_KEY", APP_PRIVATE_KEY_PEM)];
    for id in ["1", "2"] {
        let (code, lines) = doctor(&bench, &[&app[..], &[("GITHUB_APP_ID", id)]].concat()).await;
        assert!(code == Some(2) && lines.contains("BAD acme/web: "), "{lines}");
        assert!(
            lines.contains("→ check GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY, and on GitHub that the App is installed")
        );
        assert!(
            !lines.contains("GITHUB_TOKEN") && !lines.contains("the GitHub App's installation on acme: "),
            "{lines}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_not_found_is_named_once_with_the_permission_that_it_needs() {
    let bench = Bench::new().await;
    bench.github.state().add_target("orgs/acme");
    for target in ["acme/web", "orgs/acme"] {
        bench.github.state().set_access(target, Access::Hidden);
    }
    for token in ["ghp_x", "github_pat_x"] {
        bench.github.state().add_token(token);
    }
    let list = [("ORGANIZATIONS", "acme")];
    let (code, lines) = doctor(&bench, &list).await;
    assert_eq!(code, Some(2), "{lines}");
    let says = "BAD acme/web: no such repository, or the credential has no access to it\n";
    let hint =
        format!("      → check the name; if it is right, the token needs {BOTH_KINDS}, and access to acme/web\n");
    assert!(lines.contains(&(says.to_owned() + &hint)), "{lines}");
    for (token, needs) in [
        ("ghp_x", ["the classic token needs the scope `repo`", "the classic token needs the scope `admin:org`"]),
        (
            "github_pat_x",
            [
                "the fine-grained token needs the repository permission `Administration: read`",
                "the fine-grained token needs the organization permission `Self-hosted runners: read`",
            ],
        ),
    ] {
        let (_, lines) = doctor(&bench, &[&list[..], &[("GITHUB_TOKEN", token)]].concat()).await;
        assert!(needs.iter().all(|needs| lines.contains(needs)), "{lines}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_target_hint_names_the_permission_or_single_sign_on() {
    let bench = Bench::new().await;
    for (access, expected) in [
        (Access::MissingPermission, "BAD acme/web: the credential may not read this (403)"),
        (Access::MissingPermission, "needs the scope `repo`"),
        (Access::SsoRequired, "authorise the token for it under \"Configure SSO\" on GitHub's token page"),
    ] {
        bench.github.state().set_access("acme/web", access);
        let (code, lines) = doctor(&bench, &[]).await;
        assert!(code == Some(2) && lines.contains(expected), "{lines}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_github_hint_says_what_to_check() {
    let bench = Bench::new().await;
    // Nothing listens on this port, and the system assigns it to no process.
    let (code, lines) = doctor(&bench, &[("GITHUB_API_URL", "http://127.0.0.1:1")]).await;
    assert!(code == Some(2) && lines.contains("→ check GITHUB_API_URL, and this machine's name server"), "{lines}");
    assert!(!lines.contains("the GitHub token: "), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_argument_is_named_with_a_hint() {
    let bench = Bench::new().await;
    let policy = bench.folder.path().join("policy.json");
    std::fs::write(&policy, r#"{"failureTreshold":1}"#).unwrap();
    let policy = policy.to_str().unwrap();
    let in_policy = format!(
        "POLICY: the file `{policy}`: failureTreshold: is not a key of the policy; did you mean `failureThreshold`?"
    );
    let no_url =
        "must be the https address from your dead-man's switch, for example https://hc-ping.com/your-key; found no URL";
    let [from_flag, from_variable] =
        ["--heartbeat-url", "HEARTBEAT_URL"].map(|source| format!("error: {source}: {no_url}"));
    let cases: [(&[&str], (&str, &str), &str); 9] = [
        (
            &["run", "--slack-commands", "localhost:8099"],
            ("", ""),
            ": must be an address and a port, for example 127.0.0.1:8099",
        ),
        (
            &["run"],
            ("SLACK_COMMANDS", "foo"),
            "set by SLACK_COMMANDS; must be an address and a port, for example 127.0.0.1:8099",
        ),
        (&["history", "--limit", "x"], ("", ""), "must be a whole number from 0 to 4294967295, for example 20"),
        (&["demo", "--speed", "abc"], ("", ""), "must be a whole number from 1 to 300, for example 75"),
        (&["demo", "--speed", "301"], ("", ""), "must be a whole number from 1 to 300, for example 75"),
        (&["run", "--heartbeat-url", "nope-secret"], ("", ""), &from_flag),
        (&["run"], ("HEARTBEAT_URL", "nope-secret"), &from_variable),
        (&["run"], ("HEARTBEAT_URL", "http://example.com/secret"), "error: HEARTBEAT_URL: must be the https address"),
        (&["check"], ("POLICY", policy), &in_policy),
    ];
    for (arguments, (variable, value), expected) in cases {
        let variables = [(variable, value)];
        let (code, _, stderr) = bench.output(arguments, &variables[usize::from(variable.is_empty())..]).await;
        assert!(code == Some(2) && stderr.contains(expected), "{arguments:?} {variable}: {stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_how_the_deliveries_of_webhooks_went_if_their_secret_is_set() {
    let bench = Bench::new().await;
    let secret = [("GITHUB_WEBHOOK_SECRET", "notasecret")];
    let asked = |bench: &Bench| bench.github.state().counters().by_endpoint.get(&Endpoint::Hooks).copied();
    let (code, lines) = doctor(&bench, &[]).await;
    assert!(code == Some(0) && !lines.contains("webhook of") && asked(&bench).is_none(), "{lines}");

    let of_pushes = Hook { events: vec!["push".to_owned()], ..Hook::default() };
    bench.github.state().add_hook("acme/web", of_pushes);
    let (code, lines) = doctor(&bench, &secret).await;
    assert!(code == Some(0) && lines.contains("?   webhook: no target on the list has one"), "{lines}");
    assert!(lines.contains("docs/JOBS.md sets one up"), "{lines}");

    let (url, events) =
        ("https://jo:pw@hooks.acme.test/path-secret/?t=secret".to_owned(), vec!["workflow_job".to_owned()]);
    let deliveries = vec![(two_hours_ago(), 401), (two_hours_ago(), 202)];
    bench.github.state().add_hook("acme/web", Hook { url, events, deliveries, ..Hook::default() });
    let (code, lines) = doctor(&bench, &secret).await;
    assert_eq!(code, Some(1), "{lines}");
    let said =
        "BAD webhook of acme/web: to https://hooks.acme.test; the latest delivery 2 h 30 min ago was answered with 401";
    let unwrapped = lines.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unwrapped.contains(said) && unwrapped.contains("1 of the last 2 failed"), "{lines}");
    assert!(
        unwrapped.contains("→ set the secret of the webhook and GITHUB_WEBHOOK_SECRET to the same value"),
        "{lines}"
    );
    assert!(
        !lines.contains("pw@")
            && !lines.contains("secret/")
            && !lines.contains("t=secret")
            && !lines.contains("notasecret"),
        "{lines}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_shows_the_webhook_of_a_github_app() {
    let bench = Bench::new().await;
    bench.github.state().add_app(1, APP_PUBLIC_KEY_DER);
    bench.github.state().install_app(1, "acme");
    let variables = [
        ("GITHUB_TOKEN", ""),
        ("GITHUB_APP_PRIVATE_KEY", APP_PRIVATE_KEY_PEM),
        ("GITHUB_APP_ID", "1"),
        ("GITHUB_WEBHOOK_SECRET", "notasecret"),
    ];
    let (_, lines) = doctor(&bench, &variables).await;
    assert!(lines.contains("?   webhook: no target on the list has one"), "{lines}");

    let (url, events) = ("https://hooks.acme.test/".to_owned(), vec!["workflow_job".to_owned()]);
    let deliveries = vec![(two_hours_ago(), 202)];
    bench.github.state().app_hook = Some(Hook { url, events, deliveries, ..Hook::default() });
    let (code, lines) = doctor(&bench, &variables).await;
    let unwrapped = lines.split_whitespace().collect::<Vec<_>>().join(" ");
    let said =
        "ok webhook of the GitHub App: to https://hooks.acme.test; the latest delivery 2 h 30 min ago was accepted";
    assert!(code == Some(0) && unwrapped.contains(said), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_whether_the_jobs_of_polled_repositories_can_be_read() {
    let bench = Bench::new().await;
    let policy = [("POLICY", r#"{"jobs":{"poll":["acme/web"]}}"#)];
    bench.github.state().set_job("acme/web", 1, Job::queued("train", &["gpu"], wall_clock_ms()));
    let (code, lines) = doctor(&bench, &policy).await;
    assert!(code == Some(0) && lines.contains("ok  jobs of acme/web: readable; 1 job not completed"), "{lines}");
    bench.github.state().fault(Fault::Status(403), Strikes::always().endpoint(Endpoint::WorkflowRuns));
    let (code, lines) = doctor(&bench, &policy).await;
    let unwrapped = lines.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(code == Some(1) && unwrapped.contains("BAD jobs of acme/web: "), "{lines}");
    assert!(unwrapped.contains("the credential needs the scope `repo`"), "{lines}");
}
