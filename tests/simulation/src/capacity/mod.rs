//! How much of a credential's quota can be used: a scheduler and several pollers run for any number of hours against a
//! fake GitHub with its limits per minute and per hour.
//!
//! The stages and the GitHub client are the real ones, and the client speaks HTTP, because it keeps the ETags and the
//! App's token that the quota depends on. Simulated are time, the queue (delays in whole seconds, late and double
//! deliveries), how long a poller is busy, and when a tick arrives. The client's own rate limit is switched off: only
//! the schedule keeps the requests below the limit per minute.

mod fleet;
mod installation;
mod tally;

use std::time::Duration;

use monitor_fakes::Chance;

use fleet::Fleet;
use installation::{BATCH, Installation};

pub use tally::Outcome;

/// The time between two ticks.
const INTERVAL: Duration = Duration::from_secs(300);
/// 2026-11-23 12:00:00 UTC, the start of an interval.
const START_MS: i64 = 1_795_435_200_000;
/// How long a poller is busy with a batch, in milliseconds: from, to.
const BUSY_MS: (u64, u64) = (200, 900);

/// A fleet, its pollers and the limits of its credentials.
#[derive(Clone, Debug)]
pub struct Load {
    /// Whether requests use a GitHub App instead of a token.
    pub app: bool,
    /// Organizations on which the App is installed; 1 with a token.
    pub credentials: usize,
    /// Targets of each credential.
    pub targets: usize,
    /// The number of pollers.
    pub pollers: usize,
    /// How many of a thousand targets change in each interval.
    pub changing: u64,
    /// Whether always the same targets change. Otherwise all change in turn, and a rarely checked target has changed.
    pub same: bool,
    /// A credential's requests per hour.
    pub hourly_limit: u64,
    /// A credential's requests per minute.
    pub per_minute: u32,
    /// Whether the scheduler starts cold for every tick.
    pub forgets: bool,
    /// The seed of all random choices.
    pub seed: u64,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            app: false,
            credentials: 1,
            targets: 4_000,
            pollers: 4,
            changing: 50,
            same: false,
            hourly_limit: 5_000,
            per_minute: 900,
            forgets: false,
            seed: 1,
        }
    }
}

/// Plays a load in virtual time.
///
/// # Errors
/// A failure of this machine. Errors of GitHub or the stages are part of the outcome.
pub fn play(load: &Load, hours: i64) -> anyhow::Result<Outcome> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(play_hours(load, hours))
}

async fn play_hours(load: &Load, hours: i64) -> anyhow::Result<Outcome> {
    let this = Installation::start(load).await?;
    let mut chance = Chance::new(load.seed);
    let mut fleet = Fleet::new(load);
    let end_ms = START_MS + hours * 3_600_000;
    let mut free_at_ms = vec![START_MS; load.pollers];
    let (mut ticks, mut next_tick_ms) = (0_i64, START_MS);
    loop {
        let free_ms = free_at_ms.iter().copied().min().unwrap_or(START_MS);
        let job_ms = this.queue.next_visible_ms().map_or(i64::MAX, |visible| visible.max(free_ms));
        let now_ms = next_tick_ms.min(job_ms).min(fleet.next_change_ms);
        if now_ms >= end_ms {
            break;
        }
        this.clock.set(now_ms);
        fleet.change_until(now_ms, &this.github);
        if now_ms == next_tick_ms {
            this.tick().await;
            ticks += 1;
            // EventBridge fires within its minute, mostly in its first seconds.
            let late = if chance.in_thousand(100) { chance.below(60_000) } else { chance.below(5_000) };
            next_tick_ms = START_MS + ticks * i64::try_from(INTERVAL.as_millis())? + i64::try_from(late)?;
        } else if now_ms == job_ms {
            let free: Vec<usize> = (0..load.pollers).filter(|poller| free_at_ms[*poller] <= now_ms).collect();
            let poller = free[usize::try_from(chance.below(free.len() as u64))?];
            let has_asked = this.handle(poller, this.queue.take(BATCH, now_ms)).await;
            let asking = BUSY_MS.0 + chance.below(BUSY_MS.1 - BUSY_MS.0);
            let busy = if has_asked { asking } else { 5 };
            free_at_ms[poller] = now_ms + i64::try_from(busy)?;
        }
    }
    this.clock.set(end_ms);
    Ok(this.outcome())
}
