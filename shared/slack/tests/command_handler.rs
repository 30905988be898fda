//! Requests from Slack, from the raw bytes to the answer: with a real store and real signatures, and over HTTP if the
//! answer is sent later.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use monitor_access::{AccessKeys, PageLinks};
use monitor_domain::outage::OutageId;
use monitor_domain::runner::RunnerId;
use monitor_domain::secret::Secret;
use monitor_domain::subject::Revision;
use monitor_domain::time::Timestamp;
use monitor_domain::watchlist::Watchlist;
use monitor_embedded::store::EmbeddedStore;
use monitor_fakes::FakeSlack;
use monitor_fakes::slack::Fault;
use monitor_pipeline::items::{Item, RunnerItem};
use monitor_pipeline::keys::Put;
use monitor_pipeline::messages::CheckJob;
use monitor_pipeline::ports::{Clock, Outgoing, QueueError, Sender, Store};
use monitor_pipeline::stages::Disposition;
use monitor_pipeline::testing::doubles::{Outbox, SlowStore};
use monitor_pipeline::testing::samples::{runner, target, target_record};
use monitor_slack::incoming::{MAX_BODY_BYTES, RawRequest, SigningSecret};
use monitor_slack::{
    Admins, Bot, BotSettings, CommandHandler, HttpAnswer, Messenger, Refusals, Replies, WebBase, Webhook,
    WebhookSettings, WebhookUrl,
};
use serde_json::{Value, json};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const START_SECS: i64 = 1_800_000_000;

/// The clock of the Tokio runtime, which a test can pause.
struct RuntimeClock(tokio::time::Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_epoch_ms(START_SECS * 1_000).plus(self.0.elapsed())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn random(&self) -> u64 {
        static LAST: AtomicU64 = AtomicU64::new(0);
        LAST.fetch_add(1, Ordering::Relaxed)
    }
}

/// A queue that accepts nothing.
struct Shut;

impl Sender for Shut {
    async fn send(&self, _: Vec<Outgoing>) -> Result<(), QueueError> {
        Err(QueueError("shut".to_owned()))
    }
}

struct Bench {
    store: EmbeddedStore,
    jobs: Outbox,
    later: Outbox,
    clock: RuntimeClock,
    secret: SigningSecret,
    web: WebBase,
    page: Option<PageLinks>,
    refusals: Refusals,
    admins: Admins,
    messenger: Option<Messenger>,
}

impl Bench {
    /// An installation with `targets` repositories of two runners each.
    async fn new(targets: u64) -> Self {
        let store = EmbeddedStore::open_in_memory().unwrap();
        let names: Vec<String> = (1..=targets).map(|number| format!("acme/app-{number:03}")).collect();
        let watchlist = Watchlist {
            revision: Revision(1),
            targets: names.iter().map(|name| target(name)).collect(),
            ..Watchlist::default()
        };
        let _ = store.put(&[Put::replacing(Item::Watchlist(watchlist))]).await.unwrap();
        for name in &names {
            let of_target = |id| {
                let runner = runner(id, &format!("build-{id}"));
                Put::replacing(Item::Runner(RunnerItem { target: target(name).id().clone(), runner }))
            };
            let record = Put::replacing(Item::Target(target_record(name, 1)));
            let _ = store.put(&[record, of_target(1), of_target(2)]).await.unwrap();
        }
        Self {
            store,
            jobs: Outbox::default(),
            later: Outbox::default(),
            clock: RuntimeClock(tokio::time::Instant::now()),
            secret: SigningSecret::new(SECRET),
            web: WebBase::default(),
            page: Some(PageLinks::new(&Secret::new(SECRET), "https://runners.acme.test")),
            refusals: Refusals::default(),
            admins: Admins::default(),
            messenger: None,
        }
    }

    fn command_handler_over<'a, S, Q>(
        &'a self,
        store: &'a S,
        later: &'a Q,
    ) -> CommandHandler<'a, S, Outbox, Q, RuntimeClock> {
        let Self { jobs, clock, secret, web, refusals, admins, messenger, .. } = self;
        let (page, messenger, patience) = (self.page.as_ref(), messenger.as_ref(), Duration::from_millis(1_500));
        CommandHandler { store, jobs, later, clock, secret, web, page, admins, messenger, refusals, patience }
    }

    fn command_handler(&self) -> CommandHandler<'_, EmbeddedStore, Outbox, Outbox, RuntimeClock> {
        self.command_handler_over(&self.store, &self.later)
    }

    async fn ask(&self, command: &str, text: &str) -> Value {
        said(&self.command_handler().receive(&signed(form(command, text, "")).request()).await)
    }
}

fn said(answer: &HttpAnswer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

/// A request that owns its headers.
struct Signed {
    timestamp: String,
    signature: String,
    body: Vec<u8>,
}

impl Signed {
    fn request(&self) -> RawRequest<'_> {
        let headers = [
            ("x-slack-request-timestamp", self.timestamp.as_bytes()),
            ("x-slack-signature", self.signature.as_bytes()),
        ];
        RawRequest::new(headers, &self.body, false)
    }
}

fn signed(body: impl AsRef<[u8]>) -> Signed {
    let body = body.as_ref().to_vec();
    Signed { timestamp: START_SECS.to_string(), signature: SigningSecret::new(SECRET).sign(START_SECS, &body), body }
}

fn form(command: &str, text: &str, response_url: &str) -> String {
    // No two requests are the same.
    static TRIGGERS: AtomicU64 = AtomicU64::new(0);
    let trigger_id = TRIGGERS.fetch_add(1, Ordering::Relaxed).to_string();
    let fields = [
        ("command", command),
        ("text", text),
        ("user_id", "U2CERLKJA"),
        ("response_url", response_url),
        ("trigger_id", &*trigger_id),
    ];
    fields.map(|(name, value)| format!("{name}={}", percent(value))).join("&")
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn button(action_id: &str, value: &Value, response_url: &str) -> String {
    let payload = json!({
        "type": "block_actions",
        "user": {"id": "U2CERLKJA"},
        "response_url": response_url,
        "actions": [{"action_id": action_id, "value": value.to_string()}],
    });
    format!("payload={}", percent(&payload.to_string()))
}

fn replies() -> Replies {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Replies::new(reqwest::Client::builder().no_proxy().build().unwrap())
}

fn reply_url(slack: &FakeSlack) -> String {
    format!("{}/commands/T0FAKE/1/notasecretreply", slack.base_url())
}

#[tokio::test]
async fn a_signed_command_is_answered_at_once() {
    let bench = Bench::new(3).await;
    let status = bench.ask("/runner-status-all", "").await;
    assert_eq!(status["response_type"], "ephemeral");
    assert!(status["text"].as_str().unwrap().contains("All 6 runners online"), "{status}");
    assert_eq!(bench.ask("/runner-status", "build-1 --public").await["response_type"], "in_channel");
    assert!(bench.ask("/runner-history", "").await["text"].as_str().unwrap().contains("Say which runner"));
    assert!(bench.ask("/runner-help", "").await["text"].as_str().unwrap().contains("What you can ask"));
    assert!(bench.ask("/nonsense", "").await["text"].as_str().unwrap().contains("is not a command"));
    assert!(bench.jobs.take().is_empty() && bench.later.take().is_empty());

    let recheck = bench.ask("/runner-recheck", "acme/app-002").await;
    assert!(recheck["text"].as_str().unwrap().contains("Checking acme/app-002 again"), "{recheck}");
    let [job] = &bench.jobs.take()[..] else { panic!("one job") };
    assert_eq!(CheckJob::from_json(&job.body).unwrap().target, target("acme/app-002"));
}

/// A writer that keeps the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The token of the link in an answer.
fn link_in(answer: &HttpAnswer) -> String {
    let text = said(answer).to_string();
    let (_, rest) = text.split_once("<https://runners.acme.test/open?link=").unwrap();
    rest.split_once('|').unwrap().0.to_owned()
}

#[tokio::test]
async fn a_link_to_the_page_is_for_the_person_alone_and_the_same_for_a_request_that_is_sent_again() {
    let mut bench = Bench::new(1).await;
    let keys = AccessKeys::new(&Secret::new(SECRET));
    let ask = async |text: &str| {
        let request = signed(form("/runner-dashboard", text, ""));
        let first = bench.command_handler().receive(&request.request()).await;
        let again = bench.command_handler().receive(&request.request()).await;
        assert_eq!(said(&first)["response_type"], "ephemeral");
        let numbers = [&first, &again].map(|answer| keys.read_link(&link_in(answer), bench.clock.now()).unwrap());
        assert_eq!(numbers[0], numbers[1]);
        let shown = said(&first)["text"].as_str().unwrap().to_owned();
        assert!(!shown.contains("link="), "a phone shows it on its lock screen: {shown}");
        numbers[0]
    };
    assert_ne!(ask("").await, ask("--public").await);
    bench.page = None;
    let answer = bench.ask("/runner-dashboard", "").await.to_string();
    assert!(answer.contains("There is no page") && answer.contains("ServePage=true"), "{answer}");
    assert!(bench.jobs.take().is_empty() && bench.later.take().is_empty());
}

#[tokio::test]
async fn an_unsigned_request_is_refused_and_leaves_only_its_length_and_reason_in_the_log() {
    // Another test, without a subscriber, may be the first to come to a log line and turn it off for all threads.
    let all = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(std::io::sink);
    let _ = all.try_init();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let _guard = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());

    let bench = Bench::new(1).await;
    let good = signed(form("/runner-recheck", "acme/app-001", "https://hooks.slack.com/commands/marker"));
    let with = |change: &dyn Fn(&mut Signed)| {
        let mut request = signed(&good.body);
        change(&mut request);
        request
    };
    let stale = |secs: i64| {
        let at = START_SECS + secs;
        Signed { timestamp: at.to_string(), signature: bench.secret.sign(at, &good.body), body: good.body.clone() }
    };
    let mut not_utf8 = b"command=/runner-recheck&text=marker".to_vec();
    not_utf8.push(0xff);
    let refused: Vec<(&str, Signed, u16)> = vec![
        ("timestamp more than 300 s off", stale(-301), 401),
        ("timestamp more than 300 s off", stale(400), 401),
        ("signature does not match", with(&|request| request.body.truncate(20)), 401),
        ("signature does not match", with(&|request| request.signature.replace_range(10..11, "z")), 401),
        ("timestamp is not an integer", with(&|request| request.timestamp.push_str("marker")), 401),
        ("larger than 1 MiB", signed(vec![b'a'; MAX_BODY_BYTES + 1]), 413),
        ("not UTF-8", signed(not_utf8), 401),
        ("not understood: payload", signed("payload=%7Bmarker"), 401),
    ];
    for (reason, request, status) in &refused {
        let answer = bench.command_handler().receive(&request.request()).await;
        assert_eq!(answer, HttpAnswer { status: *status, body: String::new() }, "{reason}");
    }
    let unsigned = RawRequest::new([("x-slack-signature", &b"marker"[..])], b"text=marker", false);
    assert_eq!(bench.command_handler().receive(&unsigned).await.status, 401);
    assert!(bench.jobs.take().is_empty() && bench.later.take().is_empty(), "nothing is done");

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for (reason, ..) in &refused {
        assert!(log.contains(&format!("reason={reason} count=1")), "{reason}: {log}");
    }
    assert!(!log.contains("marker") && !log.contains("acme") && !log.contains("v0="), "{log}");
    let reasons: std::collections::BTreeSet<&str> = refused.iter().map(|(reason, ..)| *reason).collect();
    assert_eq!(log.lines().count(), reasons.len() + 1, "{log}");
}

#[tokio::test]
async fn headers_that_slack_cannot_have_sent_are_refused_before_the_body() {
    let bench = Bench::new(1).await;
    let head = |headers: &[(&'static str, String)]| {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        bench.command_handler().examine_head(&RawRequest::new(headers, &[], false)).map_err(|answer| answer.status)
    };
    let at = |secs: i64| ("X-Slack-Request-Timestamp", (START_SECS + secs).to_string());
    let signed_as = |signature: &str| ("X-Slack-Signature", signature.to_owned());
    let plausible = format!("v0={}", "0a".repeat(32));
    assert_eq!(head(&[at(0), signed_as(&plausible)]), Ok(()));
    assert_eq!(head(&[at(-300), signed_as(&plausible)]), Ok(()));
    assert_eq!(head(&[]), Err(401));
    assert_eq!(head(&[at(0)]), Err(401));
    assert_eq!(head(&[signed_as(&plausible)]), Err(401));
    assert_eq!(head(&[at(-301), signed_as(&plausible)]), Err(401));
    assert_eq!(head(&[at(301), signed_as(&plausible)]), Err(401));
    for shape in ["v0=", "v1=00", &plausible[..66], &plausible.to_uppercase()] {
        assert_eq!(head(&[at(0), signed_as(shape)]), Err(401), "{shape}");
    }
}

#[tokio::test(start_paused = true)]
async fn five_hundred_targets_are_answered_within_a_second() {
    let bench = Bench::new(500).await;
    let slow = SlowStore::over(&bench.store, Duration::from_millis(20));
    let began = tokio::time::Instant::now();
    let answer = bench
        .command_handler_over(&slow, &bench.later)
        .receive(&signed(form("/runner-status-all", "", "")).request())
        .await;
    assert!(said(&answer)["text"].as_str().unwrap().contains("All 1000 runners online"));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_command_that_takes_longer_is_answered_by_response_url() {
    let bench = Bench::new(1).await;
    let slack = FakeSlack::start().await.unwrap();
    let slow = SlowStore::over(&bench.store, Duration::from_secs(5));
    let command_handler = bench.command_handler_over(&slow, &bench.later);
    let began = tokio::time::Instant::now();
    let request = signed(form("/runner-status", "acme/app-001 --public", &reply_url(&slack)));
    let answer = command_handler.receive(&request.request()).await;
    assert_eq!(began.elapsed(), Duration::from_millis(1_500));
    assert!(said(&answer)["text"].as_str().unwrap().contains("The answer follows here"));
    let [later] = &bench.later.take()[..] else { panic!("one queued message") };

    // Over HTTP, in real time.
    tokio::time::resume();
    let slack_is_busy = bench.command_handler();
    slack.state().fault_next(Fault::RateLimited(2), 1);
    slack.state().fault_next(Fault::Answer(500, "oops"), 1);
    let busy = slack_is_busy.follow_up(&later.body, &replies()).await;
    assert!(matches!(busy, Disposition::Retry { after, .. } if after == Duration::from_secs(2)));
    assert!(matches!(bench.command_handler().follow_up(&later.body, &replies()).await, Disposition::Retry { .. }));
    assert_eq!(bench.command_handler().follow_up(&later.body, &replies()).await, Disposition::Done);
    let [message] = &slack.messages()[..] else { panic!("one answer") };
    assert_eq!(message.path, "/commands/T0FAKE/1/notasecretreply");
    assert_eq!(message.body["response_type"], "in_channel");
    assert!(message.text().contains("acme/app-001: all 2 runners online"), "{}", message.text());
}

#[tokio::test(start_paused = true)]
async fn without_a_way_to_answer_later_the_answer_is_that_it_took_too_long() {
    let bench = Bench::new(1).await;
    let slow = SlowStore::over(&bench.store, Duration::from_secs(5));
    let ask = async |command_handler: CommandHandler<'_, _, _, Shut, _>, url: &str| {
        said(&command_handler.receive(&signed(form("/runner-status-all", "", url)).request()).await)["text"].to_string()
    };
    assert!(ask(bench.command_handler_over(&slow, &Shut), "").await.contains("took too long"));
    assert!(
        ask(bench.command_handler_over(&slow, &Shut), "https://hooks.slack.com/commands/1/2")
            .await
            .contains("took too long")
    );
    let quick = SlowStore::over(&bench.store, Duration::ZERO);
    quick.lose_all();
    assert!(ask(bench.command_handler_over(&quick, &Shut), "").await.contains("store cannot be read"));
}

#[tokio::test]
async fn a_pressed_button_is_queued_and_answered_in_a_separate_message() {
    let bench = Bench::new(1).await;
    let slack = FakeSlack::start().await.unwrap();
    let recheck = json!({"command": "recheck", "target": "acme/app-001"});
    let press = |body: String| async { bench.command_handler().receive(&signed(body).request()).await };
    let answer = press(button("recheck", &recheck, &reply_url(&slack))).await;
    assert_eq!(answer, HttpAnswer { status: 200, body: String::new() });
    assert!(bench.jobs.take().is_empty(), "it runs only from the queue");
    let [later] = &bench.later.take()[..] else { panic!("one queued message") };
    assert_eq!(bench.command_handler().follow_up(&later.body, &replies()).await, Disposition::Done);
    assert_eq!(bench.jobs.take().len(), 1);

    press(button("recheck", &json!("of another release"), &reply_url(&slack))).await;
    let [later] = &bench.later.take()[..] else { panic!("one queued message") };
    assert_eq!(bench.command_handler().follow_up(&later.body, &replies()).await, Disposition::Done);
    let messages = slack.messages();
    assert!(messages[0].text().contains("Checking acme/app-001 again"), "{}", messages[0].text());
    assert!(messages[1].text().contains("made by another release"), "{}", messages[1].text());
    assert!(messages.iter().all(|message| message.body["replace_original"] == false));

    let shut = bench.command_handler_over(&bench.store, &Shut);
    let failed = shut.receive(&signed(button("recheck", &recheck, "")).request()).await;
    assert_eq!(failed.status, 503, "Slack shows that the press failed");
}

#[tokio::test]
async fn a_replayed_request_is_refused_if_it_would_change_something() {
    let bench = Bench::new(1).await;
    let send = async |request: &Signed| bench.command_handler().receive(&request.request()).await.status;
    let command = |name: &str, text: &str| signed(form(name, text, ""));
    let mute = command("/runner-mute", "build-1 2h");
    assert_eq!((send(&mute).await, send(&mute).await), (200, 401));
    let unmute = command("/runner-unmute", "build-1");
    assert_eq!((send(&unmute).await, send(&unmute).await), (200, 401));
    assert_eq!(send(&mute).await, 401, "the mute after its unmute");
    assert!(!bench.ask("/runner-status-all", "").await.to_string().contains("1 mute"));
    let recheck = command("/runner-recheck", "acme/app-001");
    assert_eq!((send(&recheck).await, send(&recheck).await), (200, 401));
    assert_eq!(bench.jobs.take().len(), 1);
    let status = command("/runner-status", "acme/app-001");
    assert_eq!((send(&status).await, send(&status).await), (200, 200));

    // A replayed press is queued but runs only once; a redelivery by the queue itself runs again.
    let press = signed(button("recheck", &json!({"command": "recheck", "target": "acme/app-001"}), ""));
    assert_eq!((send(&press).await, send(&press).await), (200, 200));
    let [first, again] = &bench.later.take()[..] else { panic!("two queued messages") };
    for message in [first, first, again, again] {
        assert_eq!(bench.command_handler().follow_up(&message.body, &replies()).await, Disposition::Done);
    }
    assert_eq!(bench.jobs.take().len(), 2);
}

/// A user group, and the person who sends the commands in these tests, who is in it.
const GROUP: (&str, &str) = ("S0123456789", "U2CERLKJA");

fn bot(slack: &FakeSlack) -> Messenger {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let settings = BotSettings { api_url: format!("{}/api", slack.base_url()), ..BotSettings::default() };
    Messenger::Bot(Bot::new(http, Secret::new(monitor_fakes::slack::BOT_TOKEN), "#runners", settings))
}

#[tokio::test]
async fn a_mute_and_its_author_are_announced_in_the_channel() {
    let slack = FakeSlack::start().await.unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build();
    let url = WebhookUrl::parse(&slack.webhook_url(), &[]).unwrap();
    let webhook = Messenger::Webhook(Webhook::new(http.unwrap(), url, WebhookSettings::default()));
    for messenger in [webhook, bot(&slack)] {
        let mut bench = Bench::new(1).await;
        bench.messenger = Some(messenger);
        let before = slack.messages().len();
        bench.ask("/runner-mute", "build-1 2h new disk").await;
        bench.ask("/runner-unmute", "build-1").await;
        let later = bench.later.take();
        assert_eq!(later.len(), 2);
        // Slack fails at first: the announcement is retried.
        slack.state().fault_next(Fault::Answer(500, "oops"), 1);
        let failed = bench.command_handler().follow_up(&later[0].body, &replies()).await;
        assert!(matches!(failed, Disposition::Retry { .. }), "{failed:?}");
        for message in &later {
            assert_eq!(bench.command_handler().follow_up(&message.body, &replies()).await, Disposition::Done);
        }
        let messages = slack.messages();
        let said: Vec<String> = messages[before..].iter().map(|message| message.body.to_string()).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        for words in ["build-1 muted", "Muted by <@U2CERLKJA>", "1 runner in 1 target", "new disk", "/runner-unmute"] {
            assert!(said[0].contains(words), "{words}: {}", said[0]);
        }
        assert!(said[1].contains("Unmuted by <@U2CERLKJA>"), "{}", said[1]);
    }
}

#[tokio::test]
async fn only_admins_mute_more_than_one_target_or_for_longer_than_a_day() {
    let slack = FakeSlack::start().await.unwrap();
    let mute =
        async |bench: &Bench, text: &str| bench.ask("/runner-mute", text).await["text"].as_str().unwrap().to_owned();
    let with = async |admins: &[&str], messenger: Option<Messenger>| {
        let mut bench = Bench::new(2).await;
        let ids: Vec<String> = admins.iter().map(|&id| id.to_owned()).collect();
        bench.admins = Admins::new(&ids, messenger.as_ref());
        bench
    };
    let nobody = with(&[], None).await;
    for text in ["* 30d", "build-* 1h", "build-1 25h"] {
        assert!(mute(&nobody, text).await.contains("is not muted"), "{text}");
    }
    assert!(mute(&nobody, "build-1 24h").await.contains("build-1 muted"), "a name in several targets");
    let others = with(&["U0000000001"], None).await;
    for text in ["* 30d", "build-1 1h", "acme/app-001 25h"] {
        assert!(mute(&others, text).await.contains("is not muted"), "{text}");
    }
    assert!(
        mute(&others, "acme/app-001 24h").await.contains("muted until")
            || mute(&others, "acme/app-002 24h").await.contains("muted")
    );
    let oneself = with(&["U2CERLKJA"], None).await;
    assert!(mute(&oneself, "* 30d").await.contains("muted"));

    slack.state().set_user_group(GROUP.0, &["U0000000001", GROUP.1]);
    let member = with(&[GROUP.0], Some(bot(&slack))).await;
    assert!(mute(&member, "build-* 30d").await.contains("build-* muted"));
    // The members are cached for five minutes, whatever has changed.
    let asked = slack.state().posts();
    slack.state().set_user_group(GROUP.0, &["U0000000001"]);
    assert!(mute(&member, "* 30d").await.contains("* muted"));
    assert_eq!(slack.state().posts(), asked);
    let outsider = with(&[GROUP.0], Some(bot(&slack))).await;
    assert!(mute(&outsider, "* 30d").await.contains("is not muted"));
    // If Slack does not answer, only mutes that need no admin are allowed.
    slack.state().fault_always(Fault::Answer(500, "oops"));
    let unknown = with(&[GROUP.0], Some(bot(&slack))).await;
    assert!(mute(&unknown, "* 30d").await.contains("is not muted"));
    assert!(mute(&unknown, "acme/app-001 1h").await.contains("muted"));
}

#[tokio::test]
async fn an_acknowledgement_is_stored_and_its_author_appears_in_the_message() {
    let bench = Bench::new(1).await;
    let slack = FakeSlack::start().await.unwrap();
    let command = json!({"command": "acknowledge", "target": "acme/app-001", "outages": [[1, 41], [2, 41]]});
    let button = |action: &str| json!({"type": "button", "text": {"type": "plain_text", "text": action}, "action_id": action, "value": "x"});
    let mut payload = json!({
        "type": "block_actions",
        "user": {"id": "U2CERLKJA"},
        "response_url": reply_url(&slack),
        "actions": [{"action_id": "acknowledge", "value": command.to_string()}],
        "message": {
            "type": "message", "ts": "1.2", "text": "2 runners offline",
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "text": "2 runners offline"}},
                {"type": "actions", "block_id": "b", "elements": [button("recheck"), button("acknowledge")]},
            ],
        },
    });
    let press = async |payload: &Value| {
        let body = format!("payload={}", percent(&payload.to_string()));
        assert_eq!(bench.command_handler().receive(&signed(body).request()).await.status, 200);
        let [later] = &bench.later.take()[..] else { panic!("one queued message") };
        assert_eq!(bench.command_handler().follow_up(&later.body, &replies()).await, Disposition::Done);
        slack.messages().last().unwrap().body.clone()
    };
    let shown = press(&payload).await;
    assert_eq!((&shown["replace_original"], &shown["text"]), (&json!(true), &json!("2 runners offline")));
    let blocks = shown["blocks"].as_array().unwrap();
    assert_eq!(blocks[1]["elements"].as_array().unwrap().len(), 1, "the others may still be pressed");
    let line = blocks[2]["elements"][0]["text"].as_str().unwrap();
    assert!(line.contains("Acknowledged by <@U2CERLKJA> <!date^1800000000^"), "{line}");
    let id = target("acme/app-001").id().clone();
    let outages = [1, 2].map(|runner| (RunnerId(runner), OutageId(Revision(41))));
    let kept = monitor_pipeline::records::read_acknowledgements(&bench.store, &id, outages).await.unwrap();
    assert_eq!(kept.len(), 2);

    // Without the message in the payload, only the person who pressed gets an answer.
    payload["message"] = Value::Null;
    let taken = press(&payload).await;
    assert_eq!(taken["replace_original"], false);
    assert!(taken["text"].as_str().unwrap().contains("2 outages acknowledged"), "{taken}");
}

#[tokio::test]
async fn a_mute_can_be_set_by_command_and_by_button() {
    let bench = Bench::new(1).await;
    let muted = bench.ask("/runner-mute", "build-1 2h new disk").await;
    assert!(muted["text"].as_str().unwrap().contains("build-1 muted"), "{muted}");
    let status = bench.ask("/runner-status", "acme/app-001").await.to_string();
    assert!(status.contains("1 mute") && status.contains("new disk") && status.contains("<@U2CERLKJA>"), "{status}");
    let scope = json!({"runner": {"target": "acme/app-001", "name": "build-2"}});
    let command = json!({"command": "mute", "scope": scope, "lastingSecs": 7200});
    assert_eq!(bench.command_handler().receive(&signed(button("mute", &command, "")).request()).await.status, 200);
    let [later] = &bench.later.take()[..] else { panic!("one queued message") };
    assert_eq!(bench.command_handler().follow_up(&later.body, &replies()).await, Disposition::Done);
    assert!(bench.ask("/runner-status-all", "").await.to_string().contains("2 mutes"));
    let unmuted = bench.ask("/runner-unmute", "build-1").await;
    assert!(unmuted["text"].as_str().unwrap().contains("build-1 no longer muted"), "{unmuted}");
    assert!(bench.ask("/runner-unmute", "build-1").await["text"].as_str().unwrap().contains("is not muted"));
    assert!(
        bench.ask("/runner-mute", "biuld-1 2h").await["text"]
            .as_str()
            .unwrap()
            .contains("No runner, label or target is called biuld-1")
    );
}

#[tokio::test]
async fn an_answer_nobody_waits_for_any_more_is_abandoned() {
    let bench = Bench::new(1).await;
    let slack = FakeSlack::start().await.unwrap();
    let later = |asked_at: &str, version: u32| {
        json!({
            "version": version, "command": {"command": "statusAll"}, "by": "U1", "public": false, "pressed": false,
            "replyTo": reply_url(&slack), "askedAt": asked_at,
        })
        .to_string()
    };
    let fresh = Timestamp::from_epoch_ms(START_SECS * 1_000);
    let minutes_ago = |minutes: u64| fresh.minus(Duration::from_secs(60 * minutes)).to_string();
    for body in [later(&minutes_ago(31), 1), later(&minutes_ago(0), 2), "{".to_owned(), String::new()] {
        assert_eq!(bench.command_handler().follow_up(&body, &replies()).await, Disposition::Done, "{body}");
    }
    assert!(slack.messages().is_empty());

    // A store that cannot be read is retried for a minute; then the answer says so.
    let lost = SlowStore::over(&bench.store, Duration::ZERO);
    lost.lose_all();
    let command_handler = bench.command_handler_over(&lost, &bench.later);
    assert!(matches!(
        command_handler.follow_up(&later(&minutes_ago(0), 1), &replies()).await,
        Disposition::Retry { .. }
    ));
    assert_eq!(command_handler.follow_up(&later(&minutes_ago(2), 1), &replies()).await, Disposition::Done);
    let messages = slack.messages();
    assert!(messages.len() == 1 && messages[0].text().contains("store cannot be read"));

    // A URL that is used up is not retried.
    slack.state().fault_next(Fault::Answer(404, "used_url"), 1);
    assert_eq!(bench.command_handler().follow_up(&later(&minutes_ago(0), 1), &replies()).await, Disposition::Done);
}
