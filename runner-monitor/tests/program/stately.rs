//! The program with StatelyDB as its store.

use monitor_fakes::github::{RunnerSpec, State};
use monitor_stately_server::{Fault, Method, Schema, StatelyServer, Trouble};

const ACCESS_KEY: &str = "sesame-open";

struct Bench {
    program: crate::Bench,
    statelydb: StatelyServer,
}

impl Bench {
    async fn new() -> Self {
        let mut github = State::new();
        github.add_token("token");
        github.add_target("acme/web");
        for number in 0..3 {
            github.add_runner("acme/web", RunnerSpec::new(&format!("build-{number}")));
        }
        let statelydb = StatelyServer::start().await.unwrap();
        statelydb.state().settings.access_key = Some(ACCESS_KEY.to_owned());
        Self { program: crate::Bench::of(github).await, statelydb }
    }

    /// Runs the program; returns its exit code and its output.
    async fn run(&self, arguments: &[&str], without: &str) -> (Option<i32>, String) {
        let variables = [
            ("RUNNER_MONITOR_STORE", "stately"),
            ("STATELYDB_ENDPOINT", &*self.statelydb.base_url()),
            ("STATELYDB_ACCESS_KEY", ACCESS_KEY),
            ("STATELYDB_STORE_ID", "17"),
            ("STATELYDB_SCHEMA_ID", "5"),
            // An empty one counts as not set, and the last one of a name counts.
            (without, ""),
        ];
        let variables = &variables[..variables.len() - usize::from(without.is_empty())];
        let (code, stdout, stderr) = self.program.output(arguments, variables).await;
        let printed = stdout + &stderr;
        assert!(!printed.contains(ACCESS_KEY), "{printed}");
        (code, printed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_what_a_check_stored() {
    let bench = Bench::new().await;
    let (code, printed) = bench.run(&["check"], "").await;
    assert_eq!(code, Some(0), "{printed}");
    let (code, printed) = bench.run(&["status"], "").await;
    assert!(code == Some(0) && printed.contains("build-2") && printed.contains("3 runners"), "{printed}");
    let (code, printed) = bench.run(&["health"], "").await;
    assert!(code == Some(1) && printed.contains("`run` has not used this store yet"), "{printed}");
    let (code, printed) = bench.run(&["history"], "").await;
    assert!(code == Some(0) && printed.contains("No outage is stored"), "{printed}");
    let (code, printed) = bench.run(&["doctor"], "").await;
    assert!(code == Some(0) && printed.contains("store StatelyDB: readable"), "{printed}");
    let counted: serde_json::Value = {
        let (_, printed) = bench.run(&["check", "--json"], "").await;
        serde_json::from_str(&printed).unwrap()
    };
    assert_eq!(counted["store"], serde_json::json!({"reads": 2, "writes": 0, "itemsWritten": 0}));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_canary_accepts_a_sound_store_and_rejects_a_wrong_schema() {
    let bench = Bench::new().await;
    // It works before anything else is set up.
    for without in ["", "GITHUB_TOKEN", "REPOS"] {
        let (code, printed) = bench.run(&["doctor", "--stately"], without).await;
        assert!(code == Some(0) && printed.contains("agree with the schema"), "{printed}");
    }
    assert_eq!(bench.statelydb.state().item_count(17), 0);

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/schema.json");
    let published = std::fs::read_to_string(path).unwrap();
    // Two fields of the runner have swapped numbers.
    let mut published: serde_json::Value = serde_json::from_str(&published).unwrap();
    let fields = published["items"]["Runner"]["fields"].as_array_mut().unwrap();
    for (name, number) in [("name", 5), ("os", 3)] {
        fields.iter_mut().find(|field| field["name"] == name).unwrap()["number"] = number.into();
    }
    let settings = bench.statelydb.state().settings.clone();
    let state = monitor_stately_server::State::new(Schema::from_json(&published.to_string()).unwrap(), settings);
    let bench = Bench { statelydb: StatelyServer::start_with(0, state).await.unwrap(), ..bench };
    let (code, printed) = bench.run(&["doctor", "--stately"], "").await;
    assert_eq!(code, Some(1), "{printed}");
    assert!(
        printed.contains("Runner.name: written as number 3") && printed.contains("docs/DEPLOY-AWS.md"),
        "{printed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_settings_and_refusals_are_named() {
    let bench = Bench::new().await;
    for name in ["STATELYDB_ACCESS_KEY", "STATELYDB_STORE_ID", "STATELYDB_SCHEMA_ID"] {
        for command in ["check", "status", "doctor"] {
            let (code, printed) = bench.run(&[command], name).await;
            assert!(code == Some(2) && printed.contains(&format!("{name}: must be set")), "{command}: {printed}");
        }
    }
    let refused = Trouble::stately_code("SchemaVersionNotFound");
    bench.statelydb.state().inject(Fault::once(refused).to(Method::Get));
    let (code, printed) = bench.run(&["status"], "").await;
    assert!(code == Some(2) && printed.contains("schema/README.md"), "{printed}");
}
