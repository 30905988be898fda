//! 100,000 targets of 25 credentials: a tick fits into its minute, every row into its limit, and all of it into memory.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use monitor_domain::observation::{Failure, Lookup, PageTag};
use monitor_domain::policy::Policy;
use monitor_domain::runner::RunnerId;
use monitor_domain::subject::CredentialId;
use monitor_domain::target::{Target, TargetSpec};
use monitor_dynamodb_emulators::{Emulator, on_a_large_stack};
use monitor_pipeline::ports::{Clock as _, Listing, Outgoing, QueueError, RunnerSource, Sender};
use monitor_pipeline::stages::{Disposition, QuotaEstimators, Schedule, ScheduleSettings};
use monitor_pipeline::testing::doubles::StillClock;
use tokio::time::Instant;

const CREDENTIALS: usize = 25;
const TARGETS: usize = 4_000;
const MINUTE: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_secs(300);
/// The memory of a function, as infra/template.yaml sets it.
const MEMORY_MIB: u64 = 256;

/// An App that is installed on 25 organizations.
struct Apps;

impl RunnerSource for Apps {
    fn credential(&self, target: &Target) -> CredentialId {
        CredentialId::app_installation(target.owner())
    }

    async fn list(&self, _: &Target, _: &[PageTag]) -> Listing {
        unreachable!("a tick lists no runners")
    }

    async fn runner(&self, _: &Target, _: RunnerId) -> Result<Lookup, Failure> {
        unreachable!("a tick requests no runner")
    }

    async fn repositories_of(&self, account: &str) -> Result<Vec<Target>, Failure> {
        let name = |number: usize| {
            // Names that deflate badly.
            let random = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
            format!("{account}/service-{random:016x}").parse().expect("a target")
        };
        Ok((0..TARGETS).map(name).collect())
    }
}

#[derive(Default)]
struct Sent(Mutex<Vec<Duration>>);

impl Sender for Sent {
    async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        self.0.lock().expect("no panic").extend(messages.iter().map(|message| message.delay));
        Ok(())
    }
}

/// The largest memory that this process has had.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|kib| kib.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib / 1_024)
}

#[test]
fn a_tick_of_100_000_targets_is_sent_within_its_minute() {
    on_a_large_stack(tick);
}

async fn tick() {
    let emulator = Emulator::dynoxide(None).await.expect("dynoxide starts");
    let clock = StillClock::default();
    let now: SystemTime = UNIX_EPOCH + Duration::from_secs(clock.now().epoch_secs().unsigned_abs());
    let store = emulator.store(now).await.expect("a table");
    let accounts = (0..CREDENTIALS).map(|number| format!("org-{number}/*").parse());
    let settings = ScheduleSettings {
        policy: Policy::default(),
        configured: accounts.collect::<Result<Vec<TargetSpec>, _>>().expect("accounts"),
        interval: INTERVAL,
        jobs_per_minute: Some(900),
        jobs: false,
    };
    let (changes, quota_estimators) = (Sent::default(), QuotaEstimators::default());
    let mut figures: BTreeMap<usize, (f64, usize, f64, f64)> = BTreeMap::new();
    for number in 1..=3 {
        let (jobs, before, began) = (Sent::default(), store.table().consumed(), Instant::now());
        let schedule = Schedule {
            store: &store,
            source: &Apps,
            jobs: &jobs,
            changes: &changes,
            clock: &clock,
            settings: &settings,
            quota_estimators: &quota_estimators,
        };
        let report = schedule.run().await;
        let (took, after) = (began.elapsed(), store.table().consumed());
        assert!(matches!(report.disposition, Disposition::Done), "tick {number}: {:?}", report.disposition);
        let delays = jobs.0.into_inner().expect("no panic");
        assert_eq!(delays.len(), CREDENTIALS * TARGETS, "tick {number} sends a job for each target");
        // The jobs of a tick start a minute after it, and those of the next tick a minute after that.
        let latest = delays.iter().max().copied().unwrap_or_default();
        assert!(latest < INTERVAL + MINUTE, "tick {number}: a job comes {latest:?} after it");
        assert!(took < MINUTE, "tick {number} took {took:?}");
        let units = (after.read_units - before.read_units, after.write_units - before.write_units);
        figures.insert(number, (took.as_secs_f64(), delays.len(), units.0, units.1));
        clock.advance(INTERVAL);
    }
    let peak_mib = peak_mib();
    println!("tick: seconds, jobs, read units, write units: {figures:#?}; peak {peak_mib} MiB");
    assert!(peak_mib < MEMORY_MIB, "{peak_mib} MiB");
}
