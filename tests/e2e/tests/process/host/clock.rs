//! Trouble with the clock: it is set while the program runs.

use std::path::Path;

use monitor_e2e::until;

use super::world::{INTERVAL, Options, World};

/// The paths of libfaketime on Debian and Ubuntu, Fedora, and Arch.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// The file through which libfaketime sets the program's clock.
struct Clock(tempfile::NamedTempFile);

impl Clock {
    fn new() -> Self {
        let this = Self(tempfile::NamedTempFile::new().expect("a file"));
        this.set("+0");
        this
    }

    /// Sets the clock's offset from the real one, for example `+2h`.
    fn set(&self, offset: &str) {
        // Atomically: the program must not read a half-written file.
        let new = self.0.path().with_extension("new");
        std::fs::write(&new, offset).expect("a file");
        std::fs::rename(&new, self.0.path()).expect("a file");
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let library = LIBRARIES.into_iter().find(|library| Path::new(library).exists());
        let library = library.expect("libfaketime, which sets the clock of the program: apt-get install libfaketime");
        vec![
            ("LD_PRELOAD", library.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", self.0.path().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            // Setting a clock does not change the monotonic one.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}

/// Two failed checks confirm an outage, so that the runner is only suspected while the clock is set.
const TWO_CHECKS: &str = r#"{"failureThreshold":2,"successThreshold":1,"recheckInterval":"10s"}"#;

async fn an_outage_is_notified_across(offset: &str) {
    let clock = Clock::new();
    let options = Options { variables: clock.variables(), policy: Some(TWO_CHECKS), ..Options::default() };
    let world = World::start_well(options).await;
    let asked = world.fakes.github.state().counters().requests;
    world.set("acme/app-1", "offline");
    // Once each target was checked again, the runner is suspected.
    let is_suspected = || world.fakes.github.state().counters().requests >= asked + 3;
    until(is_suspected, || format!("no check: {}", world.running.log())).await;
    clock.set(offset);
    world.says("app-1-runner-0", 1).await;
    world.stays_well_for(2 * INTERVAL).await;
    world.set("acme/app-1", "online");
    world.says("online", 2).await;
    let texts = world.texts();
    assert_eq!(texts.len(), 3, "unexpected messages: {texts:?}");
    world.stops_in_time().await;
}

pub(crate) async fn a_clock_set_back_by_two_hours_suppresses_no_outage() {
    an_outage_is_notified_across("-2h").await;
}

pub(crate) async fn a_clock_set_forward_by_two_hours_suppresses_no_outage_and_makes_no_gap() {
    an_outage_is_notified_across("+2h").await;
}
