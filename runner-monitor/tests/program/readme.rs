//! The README shows what the program prints.

use monitor_fakes::github::{RunnerSpec, State};

use crate::Bench;

/// The words of a line, without spans of time: `2 min 4 s`.
fn words(line: &str) -> Vec<&str> {
    let all: Vec<&str> = line.split_whitespace().collect();
    let is_unit = |word: &str| ["s", "s,", "min", "h"].contains(&word);
    let is_number = |word: &str| word.parse::<f64>().is_ok();
    let of_span = |at: usize| {
        let next = all.get(at + 1).is_some_and(|next| is_unit(next));
        (is_number(all[at]) && next) || (at > 0 && is_unit(all[at]) && is_number(all[at - 1]))
    };
    (0..all.len()).filter(|at| !of_span(*at)).map(|at| all[at]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_shows_what_a_check_prints() {
    let mut github = State::new();
    github.add_token("token");
    for target in ["acme/web", "orgs/acme"] {
        github.add_target(target);
    }
    for name in ["build-1", "build-2", "build-3"] {
        github.add_runner("acme/web", RunnerSpec { labels: vec!["gpu".to_owned()], ..RunnerSpec::new(name) });
    }
    let failing = github.add_runner("acme/web", RunnerSpec::new("build-4"));
    github.add_runner("acme/web", RunnerSpec::new("warm-1").never_connected());
    github.add_runner("orgs/acme", RunnerSpec::new("shared-1").busy());
    github.add_runner("orgs/acme", RunnerSpec { os: "windows".to_owned(), ..RunnerSpec::new("shared-2") });
    let bench = Bench::of(github).await;
    let arguments = ["check", "acme/web", "orgs/acme"];
    bench.output(&arguments, &[]).await;
    bench.github.state().set_runner("acme/web", failing, "offline", false);
    let (_, printed, stderr) = bench.output(&arguments, &[]).await;

    let readme = include_str!("../../../README.md");
    let shown =
        readme.split("$ runner-monitor check acme/web orgs/acme\n").nth(1).and_then(|rest| rest.split("```").next());
    let lines = |text: &'static str| text.lines().map(words).collect::<Vec<_>>();
    let printed: &'static str = Box::leak(printed.into_boxed_str());
    // Rules are as wide as the table. With the default policy, the status changed in an earlier check.
    let is_left_out =
        |words: &Vec<&str>| words.first().is_some_and(|word| word.starts_with(['─', '═'])) || words.contains(&"→");
    let compared = |text| lines(text).into_iter().filter(|words| !is_left_out(words)).collect::<Vec<_>>();
    assert_eq!(compared(shown.unwrap()), compared(printed), "{printed}\n{stderr}");
}
