//! `runner-monitor demo`: the whole program on a made-up fleet, with time running faster.

mod clock;
mod screen;
mod story;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use monitor_domain::notices::Notice;
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

use crate::Outcome;
use crate::args::Demo;
use crate::engine::Engine;
use crate::out;
use crate::outside;
use crate::stopping::stop_on_signal;
use crate::store::ChosenStore;
use crate::table::{Row, Tone, colour_on_stdout, table};

use clock::DemoClock;
use screen::Screen;
use story::{BEATS, Beat, END, POLICY, TARGETS, TOKEN};

/// The time between two looks, in the time of the story.
const INTERVAL: Duration = Duration::from_secs(300);

/// The messages as they would be sent, with the time of the story at which they were.
#[derive(Clone)]
struct Told {
    clock: DemoClock,
    screen: Arc<Screen>,
    web: WebBase,
    notices: Arc<Mutex<Vec<(Timestamp, Notice)>>>,
}

impl Told {
    fn notices(&self) -> Vec<(Timestamp, Notice)> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Chat for Told {
    async fn send(&self, notice: &Notice, _form: Form, _to: Route<'_>) -> Result<Delivered, ChatError> {
        let now = self.clock.now();
        self.screen.message(&render_console(notice, colour_on_stdout(), &self.web), self.clock.minutes());
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).push((now, notice.clone()));
        Ok(Delivered::default())
    }
}

pub(crate) async fn run(arguments: &Demo) -> anyhow::Result<Outcome> {
    let stop = stop_on_signal()?;
    loop {
        let outcome = tell_story(arguments.speed, stop.clone()).await?;
        if *stop.borrow() {
            out::print(format_args!("\nStopped.\n"))?;
            return Ok(Outcome::Healthy);
        }
        if !arguments.forever {
            return Ok(outcome);
        }
    }
}

async fn tell_story(speed: u32, mut stop: watch::Receiver<bool>) -> anyhow::Result<Outcome> {
    let clock = DemoClock::start(speed);
    let github_time = clock.clone();
    let fake = FakeGitHub::start_with(story::opening(), 0, move || github_time.now().epoch_ms())
        .await
        .context("the made-up GitHub could not be started on 127.0.0.1")?;
    out::print(format_args!(
        "A made-up GitHub runs at {}. One second here is {} of the story; GitHub is asked every {}.\n\n",
        fake.base_url(),
        spoken_duration(Duration::from_secs(u64::from(speed))),
        spoken_duration(INTERVAL),
    ))?;

    let mut settings =
        monitor_github::Settings::new(monitor_github::Credential::Token(monitor_github::Secret::new(TOKEN)));
    settings.api_url = fake.base_url();
    let now = clock.clone();
    let source = GitHub::new(outside::http()?, settings, Arc::new(move || now.now()))?;
    let configured: Vec<TargetSpec> = TARGETS.iter().map(|target| target.parse()).collect::<Result<_, _>>()?;
    let document: PolicyDocument = serde_json::from_str(POLICY)?;
    let policy = Policy::new(document, &configured).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    let store = ChosenStore::Embedded(EmbeddedStore::open_in_memory()?);

    let screen = Arc::new(Screen::new(&TARGETS));
    let notices = Arc::default();
    let told = Told { clock: clock.clone(), screen: screen.clone(), web: WebBase::default(), notices };
    let engine =
        Arc::new(Engine::new(store, source, told.clone(), clock.clone(), (policy, configured, INTERVAL), speed));
    let (end, ended) = watch::channel(false);
    let watching = tokio::spawn(engine.clone().run(ended, None, |_| {}));

    let mut beats = BEATS.iter().peekable();
    while clock.minutes() < END && !*stop.borrow() {
        while let Some(beat) = beats.next_if(|beat| beat.minute <= clock.minutes()) {
            story::play(&mut fake.state(), beat);
            screen.event(beat.what, clock.minutes());
        }
        screen.show(&engine.store, clock.minutes()).await?;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    let _ = end.send(true);
    watching.await.context("the monitor broke")?;
    screen.close();
    if *stop.borrow() {
        return Ok(Outcome::Healthy);
    }
    summary(&clock, &told.notices(), &fake)
}

/// What happened, and what was told about it.
fn summary(clock: &DemoClock, notices: &[(Timestamp, Notice)], fake: &FakeGitHub) -> anyhow::Result<Outcome> {
    let mut missed = 0;
    let rows: Vec<Row> = BEATS.iter().map(|beat| row(beat, clock, notices, &mut missed)).collect();
    let table = table(&["minute", "what happened", "what was told"], &rows, colour_on_stdout());
    let counters = fake.state().counters().clone();
    out::print(format_args!(
        "\nWhat happened, and what was told:\n\n{table}\
         {} messages in {}. GitHub was asked {} times, {} of them answered by 304, which costs nothing of the quota.\n",
        notices.len(),
        spoken_duration(Duration::from_secs(u64::from(END) * 60)),
        counters.requests,
        counters.not_modified,
    ))?;
    if missed > 0 {
        let words = format!("{missed} of these should have been told and were not.");
        out::print(format_args!("{}\n", Tone::Bad.paint(&words, colour_on_stdout())))?;
        return Ok(Outcome::Unhealthy);
    }
    out::print(format_args!("\nTo watch your own: GITHUB_TOKEN=… runner-monitor check owner/name\n"))?;
    Ok(Outcome::Healthy)
}

fn row(beat: &Beat, clock: &DemoClock, notices: &[(Timestamp, Notice)], missed: &mut u32) -> Row {
    let begin = clock.at_minute(beat.minute);
    let told = notices.iter().find(|(at, notice)| *at >= begin && beat.is_told_by(notice));
    let (tone, words) = match (beat.expected.is_empty(), told) {
        (true, _) => (Tone::Faint, format!("nothing: {}", beat.why_silent)),
        (false, Some((at, _))) => (Tone::Good, format!("{} after {}", beat.expected, spoken_duration(at.since(begin)))),
        (false, None) => {
            *missed += 1;
            (Tone::Bad, format!("{} was NOT told", beat.expected))
        }
    };
    Row { tone, cells: vec![beat.minute.to_string(), beat.what.to_owned(), words] }
}
