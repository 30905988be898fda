//! Answers requests from Slack: at once, or by `response_url` if it takes longer.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use monitor_access::PageLinks;
use monitor_domain::muting::Authority;
use monitor_domain::time::Timestamp;
use monitor_pipeline::commands::{Answer, Answered, Asker, Command, RequestId};
use monitor_pipeline::person::PersonId;
use monitor_pipeline::ports::{ChatError, Clock, Outgoing, Route, Sender, Store, StoreError};
use monitor_pipeline::stages::{Disposition, Respond, RespondError};
use serde::{Deserialize, Serialize};
use tracing::{debug, error, info, warn};

use crate::Refusals;
use crate::admins::Admins;
use crate::announcement::{Announcement, Covered};
use crate::incoming::{
    Ask, Asked, CommandFault, Incoming, Misunderstanding, RawRequest, Refusal, ReplyUrl, Shown, SigningSecret,
    examine_head, read,
};
use crate::messages::help::Trouble;
use crate::messenger::Messenger;
use crate::reply::Reply;
use crate::web::WebBase;
use crate::webhook::{Webhook, WebhookSettings};

/// Slack accepts answers by `response_url` for 30 minutes.
const REPLY_WITHIN: Duration = Duration::from_secs(30 * 60);
/// How long an unavailable store or queue is retried before the answer says so.
const KEEP_TRYING: Duration = Duration::from_secs(60);
/// The wait between two attempts.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// The wait between two attempts to announce something in the channel.
const ANNOUNCE_AGAIN: Duration = Duration::from_secs(30);
/// The version of the queued messages.
const VERSION: u32 = 1;

/// Everything needed to answer.
pub struct CommandHandler<'a, St, Jobs, Later, Cl> {
    /// The store.
    pub store: &'a St,
    /// The queue of the check stage.
    pub jobs: &'a Jobs,
    /// The queue for commands that take longer, consumed by [`CommandHandler::follow_up`].
    pub later: &'a Later,
    /// The clock.
    pub clock: &'a Cl,
    /// The secret that Slack signs with.
    pub secret: &'a SigningSecret,
    /// Where links lead.
    pub web: &'a WebBase,
    /// Makes links to the page, if there is one.
    pub page: Option<&'a PageLinks>,
    /// Who may set longer and wider mutes.
    pub admins: &'a Admins,
    /// Where mutes are announced, if anywhere.
    pub messenger: Option<&'a Messenger>,
    /// Counts and logs refused requests.
    pub refusals: &'a Refusals,
    /// How long an answer may take before it is deferred. Slack waits for 3 s in all.
    pub patience: Duration,
}

/// The answer to an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The HTTP status.
    pub status: u16,
    /// JSON; empty if there is nothing to say.
    pub body: String,
}

/// A queued announcement for the channel.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToAnnounce {
    version: u32,
    announcement: Announcement,
    asked_at: Timestamp,
}

impl HttpAnswer {
    /// A status without a body.
    pub fn of(status: u16) -> Self {
        Self { status, body: String::new() }
    }
}

/// A queued command that is answered later.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Later {
    version: u32,
    /// `None` for a button that was not understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<Command>,
    by: PersonId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<RequestId>,
    public: bool,
    pressed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<ReplyUrl>,
    asked_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on: Option<Shown>,
}

impl<St: Store, Jobs: Sender, Queue: Sender, Cl: Clock> CommandHandler<'_, St, Jobs, Queue, Cl> {
    /// Checks the headers of a request before its body is read; the error is the response to one not from Slack.
    pub fn examine_head(&self, head: &RawRequest<'_>) -> Result<(), HttpAnswer> {
        examine_head(head, self.clock.now()).map_err(|refusal| self.refuse(refusal))
    }

    /// Counts a refused request and returns the response to it.
    pub fn refuse(&self, refusal: Refusal) -> HttpAnswer {
        self.refusals.note(refusal, self.clock.now());
        HttpAnswer::of(refusal.http_status())
    }

    /// Answers one request. One that is not verifiably from Slack gets only a status.
    pub async fn receive(&self, request: &RawRequest<'_>) -> HttpAnswer {
        let now = self.clock.now();
        self.refusals.log_due(now);
        match read(request, self.secret, now) {
            Err(refusal) => self.refuse(refusal),
            Ok(Incoming::Nothing) => HttpAnswer::of(200),
            // Slack shows only whether the response to a button failed; the answer itself is sent by `response_url`.
            Ok(Incoming::Ask(ask)) if ask.pressed => {
                let asker = self.asker(&ask);
                HttpAnswer::of(if self.defer(*ask, asker, now).await { 200 } else { 503 })
            }
            Ok(Incoming::Ask(ask)) => match self.asked(*ask, now).await {
                Ok(reply) => HttpAnswer { status: 200, body: serde_json::to_string(&reply).unwrap_or_default() },
                Err(refusal) => self.refuse(refusal),
            },
        }
    }

    /// Answers a command at once, or with a note that the answer follows.
    async fn asked(&self, ask: Ask, now: Timestamp) -> Result<Reply, Refusal> {
        let asker = self.asker(&ask);
        let command = match &ask.asked {
            // Never public. The number is that of the request: one that is sent again gets the link that is used up.
            Asked::Dashboard => {
                let link = self.page.map(|page| page.link(ask.request_number, now));
                return Ok(Reply::dashboard(link.as_ref()));
            }
            Asked::Help => return Ok(Reply::help().public(ask.public)),
            Asked::Misunderstood(misunderstanding) => return Ok(Reply::misunderstood(misunderstanding)),
            Asked::Command(command) => command,
        };
        let answer = {
            let (respond, patience) =
                (pin!(self.respond(command, &asker, ask.by_name.as_deref())), pin!(self.clock.sleep(self.patience)));
            match select(respond, patience).await {
                Either::Left((answer, _)) => Some(answer),
                Either::Right(_) => None,
            }
        };
        Ok(match answer {
            Some(Ok(reply)) => reply.public(ask.public),
            Some(Err(RespondError::Repeated)) => return Err(Refusal::Repeated),
            Some(Err(error)) => failed(&error),
            None if ask.reply_to.is_some() && self.defer(ask, asker, now).await => Reply::trouble(Trouble::Later),
            None => Reply::trouble(Trouble::TooSlow),
        })
    }

    /// The person who asks. What they may mute is checked only when they mute.
    fn asker(&self, ask: &Ask) -> Asker {
        let request = RequestId { number: ask.request_number, nonce: self.clock.random() };
        Asker { id: ask.by.clone(), authority: Authority::Unknown, request: Some(request) }
    }

    async fn respond(&self, command: &Command, asker: &Asker, by_name: Option<&str>) -> Result<Reply, RespondError> {
        let mut asker = asker.clone();
        if matches!(command, Command::Mute { .. }) {
            asker.authority = self.admins.authority_of(&asker.id, self.clock.now()).await;
        }
        let asker = &asker;
        let answered = Respond { store: self.store, jobs: self.jobs, clock: self.clock }.run(command, asker).await?;
        self.log_and_announce(&answered, asker, by_name).await;
        Ok(Reply::answered(&answered, self.web))
    }

    /// Logs who has changed what, and announces it in the channel.
    async fn log_and_announce(&self, answered: &Answered, asker: &Asker, by_name: Option<&str>) {
        let (by, by_name) = (asker.id.as_str(), by_name.unwrap_or_default());
        let announcement = match &answered.answer {
            Answer::Muted { mute, fleets } => {
                info!(by, by_name, scope = %mute.scope, until = %mute.until, "a mute was set");
                Announcement::Muted { mute: mute.clone(), covered: Covered::of(fleets) }
            }
            Answer::Unmuted { mute } => {
                info!(by, by_name, scope = %mute.scope, until = %mute.until, "a mute was ended");
                Announcement::Unmuted { mute: mute.clone(), by: asker.id.clone() }
            }
            Answer::MuteRefused { scope, .. } => {
                info!(by, by_name, %scope, "a mute was refused: it needs an admin");
                return;
            }
            Answer::Acknowledged { target, outages, .. } => {
                info!(by, by_name, target_id = %target, outages, "outages were acknowledged");
                return;
            }
            _ => return,
        };
        if self.messenger.is_none() {
            return;
        }
        let message = ToAnnounce { version: VERSION, announcement, asked_at: answered.now };
        let Ok(body) = serde_json::to_string(&message) else { return };
        if let Err(error) = self.later.send(vec![Outgoing { body, ..Outgoing::default() }]).await {
            warn!(%error, "a mute was set or ended, but not announced in the channel");
        }
    }

    /// Announces in the channel what a person has changed.
    async fn announce(&self, message: &ToAnnounce, now: Timestamp) -> Disposition {
        let Some(messenger) = self.messenger else { return Disposition::Done };
        match messenger.announce(Reply::announcement(&message.announcement).message()).await {
            Ok(()) => Disposition::Done,
            Err(ChatError::Busy { retry_after }) => {
                Disposition::Retry { after: retry_after, reason: "Slack asks to wait".to_owned() }
            }
            Err(ChatError::Transient(reason) | ChatError::NotSent(reason))
                if now.since(message.asked_at) < REPLY_WITHIN =>
            {
                Disposition::Retry { after: ANNOUNCE_AGAIN, reason }
            }
            Err(error) => {
                warn!(%error, "a mute was set or ended, but not announced in the channel");
                Disposition::Done
            }
        }
    }

    /// Queues a command to be answered later.
    async fn defer(&self, ask: Ask, asker: Asker, asked_at: Timestamp) -> bool {
        let Ask { asked, public, by_name, reply_to, pressed, on, .. } = ask;
        let command = if let Asked::Command(command) = asked { Some(command) } else { None };
        let Asker { id: by, request, .. } = asker;
        let later = Later { version: VERSION, command, by, by_name, request, public, pressed, reply_to, asked_at, on };
        let Ok(body) = serde_json::to_string(&later) else { return false };
        match self.later.send(vec![Outgoing { body, ..Outgoing::default() }]).await {
            Ok(()) => true,
            Err(error) => {
                warn!(%error, "a command that takes longer could not be queued");
                false
            }
        }
    }

    /// Answers a queued command by its `response_url`, or sends a queued announcement.
    pub async fn follow_up(&self, body: &str, replies: &Replies) -> Disposition {
        let now = self.clock.now();
        if let Ok(message) = serde_json::from_str::<ToAnnounce>(body)
            && message.version == VERSION
        {
            return self.announce(&message, now).await;
        }
        let later = match serde_json::from_str::<Later>(body) {
            Ok(later) if later.version == VERSION => later,
            // The body contains a secret URL: no error may quote it.
            _ => {
                error!(body_bytes = body.len(), "a queued command cannot be read: another release wrote it");
                return Disposition::Done;
            }
        };
        let age = now.since(later.asked_at);
        if age > REPLY_WITHIN {
            warn!("a queued command is too old to be answered: Slack no longer accepts its answer");
            return Disposition::Done;
        }
        let (authority, by_name) = (Authority::Unknown, later.by_name.as_deref());
        let asker = Asker { id: later.by.clone(), authority, request: later.request };
        let reply = match &later.command {
            None => Reply::misunderstood(&Misunderstanding { verb: None, fault: CommandFault::OldButton }).beside(),
            Some(command) => match self.respond(command, &asker, by_name).await {
                Ok(reply) => match (command, later.on) {
                    (Command::Acknowledge { .. }, Some(on)) => Reply::acknowledged(on, &later.by, now),
                    _ if later.pressed => reply.public(later.public).beside(),
                    _ => reply.public(later.public),
                },
                Err(error @ (RespondError::Store(StoreError::Unavailable(_)) | RespondError::Queue(_)))
                    if age < KEEP_TRYING =>
                {
                    debug!(%error, "a command is not answered yet");
                    return Disposition::Retry { after: RETRY_AFTER, reason: error.to_string() };
                }
                Err(RespondError::Repeated) => {
                    self.refuse(Refusal::Repeated);
                    return Disposition::Done;
                }
                Err(error) if later.pressed => failed(&error).beside(),
                Err(error) => failed(&error),
            },
        };
        let Some(reply_to) = later.reply_to else { return Disposition::Done };
        match replies.post(&reply_to, &reply).await {
            Ok(()) => Disposition::Done,
            Err(ChatError::Busy { retry_after }) => {
                Disposition::Retry { after: retry_after, reason: "Slack asks to wait".to_owned() }
            }
            Err(ChatError::Transient(reason) | ChatError::NotSent(reason)) => {
                Disposition::Retry { after: RETRY_AFTER, reason }
            }
            Err(ChatError::ContentRefused(_) | ChatError::Dead(_)) => {
                warn!("an answer was not accepted: its URL is used up or no longer valid");
                Disposition::Done
            }
        }
    }
}

fn failed(error: &RespondError) -> Reply {
    warn!(%error, "a command was not answered");
    Reply::trouble(match error {
        RespondError::Store(_) | RespondError::Repeated => Trouble::NoRecords,
        RespondError::Queue(_) => Trouble::NotSent,
    })
}

/// Posts answers to the URLs that Slack gave.
#[derive(Clone, Debug)]
pub struct Replies {
    http: reqwest::Client,
    settings: WebhookSettings,
}

impl Replies {
    /// Posts with `http`, which should not follow redirects.
    pub fn new(http: reqwest::Client) -> Self {
        Self { http, settings: WebhookSettings::default() }
    }

    async fn post(&self, to: &ReplyUrl, reply: &Reply) -> Result<(), ChatError> {
        Webhook::new(self.http.clone(), to.address(), self.settings.clone())
            .send_json(reply, Route::Default, false)
            .await
            .map(drop)
    }
}
