//! Slash commands and buttons over HTTP, behind a reverse proxy that terminates TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use monitor_access::PageLinks;
use monitor_pipeline::ports::{Chat, Clock, Delivery};
use monitor_pipeline::stages::Disposition;
use monitor_slack::incoming::{MAX_BODY_BYTES, RawRequest, Refusal, SigningSecret};
use monitor_slack::{Admins, CommandHandler, HttpAnswer, Messenger, Refusals, Replies, WebBase};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::connections::{self, Answer, BodyError, Place};
use crate::engine::{Engine, TimeScaled};
use crate::store::ChosenStore;
use crate::webhook_server::Webhooks;

/// How long a direct answer may take before it becomes a follow-up. Slack waits 3 s in all, including the proxy.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many complete requests are answered at once; each may hold a body of 1 MiB.
const ANSWERS_AT_ONCE: usize = 16;

/// The server for requests from Slack.
pub(crate) struct SlackServer {
    listener: TcpListener,
    answering: Arc<Answering>,
    /// GitHub's reports of jobs, if they arrive at the same address.
    webhooks: Option<Arc<Webhooks>>,
}

/// What the answers need besides the engine.
pub(crate) struct Answering {
    /// The secret with which Slack signs its requests.
    pub(crate) secret: SigningSecret,
    /// The base of links to GitHub.
    pub(crate) web: WebBase,
    /// Makes links to the page, if it has a host name.
    pub(crate) page: Option<PageLinks>,
    /// Who may mute more than one target, or for longer than 24 h.
    pub(crate) admins: Admins,
    /// Announces in the channel who muted what.
    pub(crate) messenger: Messenger,
    /// Posts follow-up answers.
    pub(crate) replies: Replies,
    /// Counts refused requests.
    pub(crate) refusals: Refusals,
}

impl SlackServer {
    /// Listens at an address.
    pub(crate) async fn bind(
        address: SocketAddr,
        answering: Answering,
        webhooks: Option<Arc<Webhooks>>,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("--slack-commands cannot listen on {address}: choose another address or port"))?;
        Ok(Self { listener, answering: Arc::new(answering), webhooks })
    }

    /// The bound address. For port 0 it has the port that the system chose.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests until `stop` turns true, then lets answers in progress end.
    pub(crate) async fn serve<Ch: Chat + 'static, Cl: Clock + Clone + 'static>(
        self,
        engine: Arc<Engine<Ch, Cl>>,
        stop: watch::Receiver<bool>,
    ) {
        let Self { listener, answering, webhooks } = self;
        let answers = Semaphore::new(ANSWERS_AT_ONCE);
        let request_handler = Arc::new(RequestHandler { engine, answering, answers, webhooks });
        let receiving = request_handler.clone();
        let answer = move |request, place| receive(receiving.clone(), request, place);
        let refusals = &request_handler.answering.refusals;
        connections::serve(listener, stop, answer, || refusals.log_due(request_handler.engine.clock.now())).await;
        refusals.log_rest(request_handler.engine.clock.now());
    }

    /// The handler of follow-ups.
    pub(crate) fn follower(&self) -> Follower {
        Follower(self.answering.clone())
    }
}

/// What is shared by all requests.
struct RequestHandler<Ch, Cl> {
    engine: Arc<Engine<Ch, Cl>>,
    answering: Arc<Answering>,
    answers: Semaphore,
    webhooks: Option<Arc<Webhooks>>,
}

/// Answers the commands that are too slow for a direct answer.
pub(crate) struct Follower(Arc<Answering>);

impl Follower {
    /// Answers one of them.
    pub(crate) async fn follow_up<Ch, Cl: Clock>(&self, engine: &Engine<Ch, Cl>, delivery: &Delivery) -> Disposition {
        command_handler(engine, &self.0).follow_up(&delivery.body, &self.0.replies).await
    }
}

fn command_handler<'a, Ch, Cl: Clock>(
    engine: &'a Engine<Ch, Cl>,
    answering: &'a Answering,
) -> CommandHandler<'a, ChosenStore, TimeScaled, TimeScaled, Cl> {
    let Engine { store, checks, commands, clock, .. } = engine;
    let Answering { secret, web, page, admins, messenger, refusals, .. } = answering;
    let (page, messenger) = (page.as_ref(), Some(messenger));
    CommandHandler {
        store,
        jobs: checks,
        later: commands,
        clock,
        secret,
        web,
        page,
        admins,
        messenger,
        refusals,
        patience: PATIENCE,
    }
}

/// Answers one request on any path, because a proxy may add a prefix. The body is read only if the head is plausible.
async fn receive<Ch: Chat + 'static, Cl: Clock + Clone + 'static>(
    request_handler: Arc<RequestHandler<Ch, Cl>>,
    request: Request<Incoming>,
    place: Arc<Place>,
) -> Answer {
    let engine = &request_handler.engine;
    if let Some(webhooks) = request_handler.webhooks.as_ref().filter(|_| Webhooks::is_delivery(request.headers())) {
        // On the heap: what it needs must not make every connection larger.
        return Box::pin(webhooks.receive(&*engine.store, &engine.clock, request, &place)).await;
    }
    if request.method() != Method::POST {
        return answer(HttpAnswer::of(StatusCode::METHOD_NOT_ALLOWED.as_u16()));
    }
    let (head, body) = request.into_parts();
    let headers = || head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let command_handler = command_handler(&request_handler.engine, &request_handler.answering);
    if let Err(refused) = command_handler.examine_head(&RawRequest::new(headers(), &[], false)) {
        return answer(refused);
    }
    let body = match place.read_body(body, MAX_BODY_BYTES).await {
        Ok(body) => body,
        Err(BodyError::TooLarge) => return answer(command_handler.refuse(Refusal::TooLarge)),
        Err(BodyError::TooSlow) => return answer(HttpAnswer::of(StatusCode::REQUEST_TIMEOUT.as_u16())),
        Err(BodyError::Broken) => return answer(HttpAnswer::of(StatusCode::BAD_REQUEST.as_u16())),
    };
    // While it waits here it may still be dropped: nothing was done yet.
    let Ok(_permit) = request_handler.answers.acquire().await else {
        return answer(HttpAnswer::of(StatusCode::SERVICE_UNAVAILABLE.as_u16()));
    };
    place.complete();
    answer(command_handler.receive(&RawRequest::new(headers(), &body, false)).await)
}

fn answer(HttpAnswer { status, body }: HttpAnswer) -> Answer {
    let is_empty = body.is_empty();
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if !is_empty {
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, json);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_json_and_an_empty_one_has_no_content_type() {
        let said = answer(HttpAnswer { status: 200, body: "{}".to_owned() });
        assert_eq!(said.headers()[CONTENT_TYPE], "application/json; charset=utf-8");
        let refused = answer(HttpAnswer { status: 401, body: String::new() });
        assert_eq!((refused.status(), refused.headers().get(CONTENT_TYPE)), (StatusCode::UNAUTHORIZED, None));
    }
}
