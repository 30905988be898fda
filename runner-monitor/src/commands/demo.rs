//! `runner-monitor demo`: the whole program on a made-up fleet, with time running faster.

mod clock;
mod past;
mod scenario;
mod screen;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use monitor_domain::cycle::DEFAULT_PENDING_LIMIT;
use monitor_domain::notifications::Notification;
use monitor_domain::policy::{Policy, PolicyDocument};
use monitor_domain::target::TargetSpec;
use monitor_domain::time::{Timestamp, spoken_duration};
use monitor_embedded::store::EmbeddedStore;
use monitor_fakes::FakeGitHub;
use monitor_github::GitHub;
use monitor_pipeline::items::Delivered;
use monitor_pipeline::ports::{Chat, ChatError, Clock, Form, Route};
use monitor_slack::{WebBase, render_console};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Outcome;
use crate::args::{parse_address, whole_number};
use crate::descriptors::CHECKS_AT_ONCE;
use crate::engine::Engine;
use crate::loops::Servers;
use crate::out;
use crate::setup;
use crate::stopping::stop_on_signal;
use crate::store::ChosenStore;
use crate::table::{Tone, colour_on_stdout};
use crate::web_server::{PageArguments, WebServer};

use clock::{DemoClock, INTERVAL};
use scenario::{BEATS, Beat, END, POLICY, TARGETS, TOKEN};
use screen::Display;

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How many times faster than real time the demo runs
    #[arg(long, default_value_t = 75, value_parser = |text: &str| whole_number(text, 1..=300, 75))]
    pub(crate) speed: u32,
    /// Start again at the end, until stopped
    #[arg(long)]
    pub(crate) forever: bool,
    /// Show the page of the demo's fleet, at 127.0.0.1:8080 or at this address
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:8080", value_parser = parse_address)]
    pub(crate) web: Option<SocketAddr>,
}

/// How often the demo's clock is advanced, in real time.
const STEP: Duration = Duration::from_millis(20);
/// The clock waits for work at most this long.
const STUCK: Duration = Duration::from_secs(120);

/// Prints messages as they would be sent, and keeps each with its time in the scenario.
#[derive(Clone)]
struct DemoChat {
    clock: DemoClock,
    screen: Arc<Display>,
    web: WebBase,
    notifications: Arc<Mutex<Vec<(Timestamp, Notification)>>>,
}

impl DemoChat {
    fn notifications(&self) -> Vec<(Timestamp, Notification)> {
        self.notifications.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Chat for DemoChat {
    async fn send(&self, notification: &Notification, _form: Form, _to: Route<'_>) -> Result<Delivered, ChatError> {
        let now = self.clock.now();
        self.screen.message(&render_console(notification, colour_on_stdout(), &self.web), self.clock.minutes());
        self.notifications.lock().unwrap_or_else(PoisonError::into_inner).push((now, notification.clone()));
        Ok(Delivered::default())
    }
}

pub(crate) async fn run(arguments: &Demo) -> anyhow::Result<Outcome> {
    let stop = stop_on_signal()?;
    loop {
        let outcome = play_scenario(arguments, stop.clone()).await?;
        if *stop.borrow() {
            out::print(format_args!("\nStopped.\n"))?;
            return Ok(Outcome::Healthy);
        }
        if !arguments.forever {
            return Ok(outcome);
        }
    }
}

async fn play_scenario(arguments: &Demo, mut stop: watch::Receiver<bool>) -> anyhow::Result<Outcome> {
    let speed = arguments.speed;
    let clock = DemoClock::start();
    let github_time = clock.clone();
    let fake = FakeGitHub::start_with(scenario::opening(), 0, move || github_time.now().epoch_ms())
        .await
        .context("the simulated GitHub could not be started on 127.0.0.1")?;
    out::print(format_args!(
        "A simulated GitHub runs at {}.\nOne real second is {} of simulated time; checks run every {}.\nThe demo takes about {}.\n\n",
        fake.base_url(),
        spoken_duration(Duration::from_secs(u64::from(speed))),
        spoken_duration(INTERVAL),
        spoken_duration(Duration::from_secs(u64::from(END) * 60 / u64::from(speed))),
    ))?;

    let mut settings =
        monitor_github::Settings::new(monitor_github::Credential::Token(monitor_github::Secret::new(TOKEN)));
    settings.api_url = fake.base_url();
    let now = clock.clone();
    let source = GitHub::new(setup::http()?, settings, Arc::new(move || now.now()))?;
    let configured: Vec<TargetSpec> = TARGETS.iter().map(|target| target.parse()).collect::<Result<_, _>>()?;
    let document: PolicyDocument = serde_json::from_str(POLICY)?;
    let policy = Policy::new(document, &configured).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    let store = ChosenStore::Embedded(Box::new(EmbeddedStore::open_in_memory()?), Duration::MAX);

    let web_server = match arguments.web {
        Some(address) => Some(WebServer::bind(address, &PageArguments::default(), WebBase::default()).await?),
        None => None,
    };
    let mut has_past = web_server.is_none();
    if let Some(web_server) = &web_server {
        past::store_jobs(&store, &clock, &scenario::opening()).await?;
        out::print(format_args!("Its page is at http://{}/\n\n", web_server.address()?))?;
    }
    let screen = Arc::new(Display::new(&TARGETS));
    let notifications = Arc::default();
    let demo_chat = DemoChat { clock: clock.clone(), screen: screen.clone(), web: WebBase::default(), notifications };
    let what = (policy, configured, INTERVAL);
    let limits = (DEFAULT_PENDING_LIMIT, CHECKS_AT_ONCE);
    let engine = Arc::new(Engine::new(store, source, demo_chat.clone(), clock.clone(), what, limits, true));
    let (end, ended) = watch::channel(false);
    let cycles = Arc::new(AtomicU32::new(0));
    let ended_cycles = cycles.clone();
    let watching =
        tokio::spawn(engine.clone().run(ended, Servers { web: web_server, ..Servers::default() }, move |_| {
            ended_cycles.fetch_add(1, Ordering::SeqCst);
        }));

    let mut beats = BEATS.iter().peekable();
    let mut last = Instant::now();
    let mut busy_since = last;
    while clock.minutes() < END && !*stop.borrow() {
        while let Some(beat) = beats.next_if(|beat| beat.minute <= clock.minutes()) {
            scenario::play(&mut fake.state(), beat);
            screen.event(beat.what, clock.minutes());
        }
        if !has_past && cycles.load(Ordering::SeqCst) > 0 {
            past::date_back(&*engine.store, &clock).await?;
            has_past = true;
        }
        screen.show(&*engine.store, clock.minutes()).await?;
        tokio::select! {
            () = tokio::time::sleep(STEP) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        // The clock waits for the tick that is due, its checks and their messages, and for this loop: on a busy machine
        // nothing in the scenario may end before a check could see it.
        let (now, before) = (Instant::now(), last);
        last = now;
        let is_busy =
            cycles.load(Ordering::SeqCst) < clock.ticks_due() || engine.checks.is_busy() || engine.changes.is_busy();
        if !is_busy {
            busy_since = now;
        } else if now - busy_since < STUCK {
            continue;
        }
        clock.advance((now - before).min(STEP * 2) * speed);
    }
    let _ = end.send(true);
    watching.await.context("the monitor panicked")??;
    screen.close();
    if *stop.borrow() {
        return Ok(Outcome::Healthy);
    }
    summary(&clock, &demo_chat.notifications(), &fake)
}

/// Prints what happened, and which message was sent for it.
fn summary(
    clock: &DemoClock,
    notifications: &[(Timestamp, Notification)],
    fake: &FakeGitHub,
) -> anyhow::Result<Outcome> {
    let colour = colour_on_stdout();
    let mut missed = 0;
    let lines: Vec<String> = BEATS.iter().map(|beat| lines(beat, clock, notifications, &mut missed, colour)).collect();
    let counters = fake.state().counters().clone();
    out::print(format_args!(
        "\nWhat happened, and which alert was sent:\n\n{}\n\
         {} messages in {}. {} requests to GitHub, {} of them answered with 304,\n\
         which does not count towards the hourly quota.\n",
        lines.concat(),
        notifications.len(),
        spoken_duration(Duration::from_secs(u64::from(END) * 60)),
        counters.requests,
        counters.not_modified,
    ))?;
    if missed > 0 {
        let text = format!("{missed} alerts are missing.");
        out::print(format_args!("{}\n", Tone::Bad.paint(&text, colour)))?;
        return Ok(Outcome::Unhealthy);
    }
    out::print(format_args!("\nTo check your own runners: GITHUB_TOKEN=… runner-monitor check owner/name\n"))?;
    Ok(Outcome::Healthy)
}

/// Two lines: what happened, and what was sent.
fn lines(
    beat: &Beat,
    clock: &DemoClock,
    notifications: &[(Timestamp, Notification)],
    missed: &mut u32,
    colour: bool,
) -> String {
    let begin = clock.at_minute(beat.minute);
    let sent = notifications.iter().find(|(at, notification)| *at >= begin && beat.is_notified_by(notification));
    let (tone, text) = match (beat.expected.is_empty(), sent) {
        (true, _) => (Tone::Faint, format!("– nothing: {}", beat.why_silent)),
        (false, Some((at, _))) => {
            (Tone::Good, format!("✓ {} (after {})", beat.expected, spoken_duration(at.since(begin))))
        }
        (false, None) => {
            *missed += 1;
            (Tone::Bad, format!("✗ {} is MISSING", beat.expected))
        }
    };
    format!("{:>3} min  {}\n         {}\n", beat.minute, beat.what, tone.paint(&text, colour))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_demo_with_a_missing_alert_fails() {
        let fake = FakeGitHub::start().await.unwrap();
        assert_eq!(summary(&DemoClock::start(), &[], &fake).unwrap(), Outcome::Unhealthy);
    }
}
