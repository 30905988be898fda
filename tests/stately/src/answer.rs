//! Request bytes in, response bytes out: every method except Transaction, whose stream is bidirectional.

use monitor_fakes::http::{Answer, Delivery, Request};

use crate::faults::Trouble;
use crate::method::Method;
use crate::methods::Work;
use crate::protocol::{Protocol, connect_error};
use crate::refusal::{Refusal, RpcCode};
use crate::state::{Call, State};

/// Whether a request asks for items as JSON.
pub(crate) fn wants_json_items(request: &Request) -> bool {
    request.header("sc-rf").is_some_and(|form| form.starts_with("application/json"))
}

fn refused(protocol: Protocol, refusal: &Refusal) -> Answer {
    match protocol {
        Protocol::ConnectUnary(_) => {
            let body = connect_error(refusal).to_string();
            Answer::new(refusal.rpc.http_status(), "application/json", body)
        }
        stream => streamed(stream, &[], Some(refusal), true),
    }
}

fn streamed(protocol: Protocol, messages: &[Vec<u8>], refusal: Option<&Refusal>, with_end: bool) -> Answer {
    let body: Vec<u8> = messages.iter().flat_map(|message| protocol.frame(message)).collect();
    let mut answer = Answer::new(200, protocol.content_type(), body);
    if with_end {
        let (end, trailers) = protocol.end(refusal);
        answer.body.extend(end);
        answer.trailers = trailers;
    }
    answer
}

/// The method and protocol of a request.
pub(crate) struct Routed {
    pub(crate) method: Method,
    pub(crate) protocol: Protocol,
}

/// Finds a request's method and protocol, or returns the response that refuses it.
pub(crate) fn route(request: &Request) -> Result<Routed, Answer> {
    let content_type = request.header("content-type").unwrap_or_default();
    let Some(protocol) = Protocol::of_content_type(content_type) else {
        return Err(Answer::new(415, "text/plain", "this content type is not served"));
    };
    let Some(method) = Method::of_path(&request.path) else {
        let refusal = Refusal::bare(RpcCode::Unimplemented, format!("{} is not served", request.path));
        return Err(refused(protocol, &refusal));
    };
    // In Connect the content type distinguishes unary and streamed calls; in gRPC it does not.
    let fits = match protocol {
        Protocol::ConnectUnary(_) => method.is_unary(),
        Protocol::ConnectStream(_) => !method.is_unary(),
        Protocol::Grpc => true,
    };
    let compressed = request.header("content-encoding").is_some_and(|encoding| encoding != "identity");
    if !fits || compressed {
        return Err(Answer::new(415, "text/plain", "this method is not served in this form"));
    }
    Ok(Routed { method, protocol })
}

impl State {
    /// Answers a request. A transaction is refused: it needs a bidirectional stream.
    pub fn handle(&mut self, request: &Request) -> Answer {
        let routed = match route(request) {
            Ok(routed) => routed,
            Err(answer) => return answer,
        };
        let trouble = self.next_trouble(routed.method);
        let mut answer = match self.hindered(&routed, trouble.as_ref(), request.body.len()) {
            Some(answer) => answer,
            None => self.carried_out(&routed, request, trouble.as_ref()),
        };
        answer.delay_ms += self.settings.latency_ms;
        answer
    }

    /// The response to a request that an injected fault prevents from being carried out.
    pub(crate) fn hindered(
        &mut self,
        routed: &Routed,
        trouble: Option<&Trouble>,
        request_bytes: usize,
    ) -> Option<Answer> {
        let trouble = trouble.filter(|trouble| !trouble.is_carried_out())?;
        let refusal = match trouble {
            Trouble::Refused { stately_code, rpc } => {
                Some(Refusal::new(*rpc, stately_code, format!("{stately_code}, injected by the test")))
            }
            Trouble::Bare(rpc) => Some(Refusal::bare(*rpc, "injected by the test")),
            _ => None,
        };
        let answer = match (trouble, &refusal) {
            (_, Some(refusal)) => refused(routed.protocol, refusal),
            (Trouble::Proxy(status), _) => Answer::new(*status, "text/html", "<h1>Bad gateway</h1>"),
            (Trouble::RequestStalls, _) => Answer::undelivered(Delivery::Never),
            _ => Answer::undelivered(Delivery::Closed),
        };
        let failed = refusal.and_then(|refusal| refusal.stately_code).unwrap_or_else(|| format!("{trouble:?}"));
        self.note_call(routed.method, request_bytes, Work::default(), Some(failed));
        Some(answer)
    }

    fn carried_out(&mut self, routed: &Routed, request: &Request, trouble: Option<&Trouble>) -> Answer {
        let with_end = trouble != Some(&Trouble::EndMissing);
        let outcome = self.messages(routed, request, with_end);
        let (work, refusal) = match &outcome {
            Ok((_, work)) => (*work, None),
            Err(refusal) => (Work::default(), Some(refusal)),
        };
        let mut failed =
            refusal.map(|refusal| refusal.stately_code.clone().unwrap_or_else(|| refusal.rpc.as_str().to_owned()));
        let mut answer = match outcome {
            Ok((messages, _)) => streamed(routed.protocol, &messages, None, with_end),
            Err(refusal) => refused(routed.protocol, &refusal),
        };
        match trouble {
            Some(Trouble::AnswerLost) => answer.delivery = Delivery::Closed,
            Some(Trouble::AnswerCut(bytes)) => answer.delivery = Delivery::CutAfter(*bytes),
            Some(Trouble::AnswerStalls) => answer.delivery = Delivery::Never,
            Some(Trouble::Late(late_ms)) => answer.delay_ms += late_ms,
            _ => {}
        }
        failed = failed
            .or_else(|| trouble.filter(|trouble| !matches!(trouble, Trouble::Late(_))).map(|it| format!("{it:?}")));
        self.note_call(routed.method, request.body.len(), work, failed);
        answer
    }

    pub(crate) fn note_call(&mut self, method: Method, request_bytes: usize, work: Work, failed: Option<String>) {
        let Work { read: items_read, written: items_written } = work;
        self.note(Call { method, items_read, items_written, request_bytes, failed });
    }

    /// The encoded messages of the response. If `with_end` is false, a list lacks its last message.
    fn messages(
        &mut self,
        routed: &Routed,
        request: &Request,
        with_end: bool,
    ) -> Result<(Vec<Vec<u8>>, Work), Refusal> {
        let (codec, types) = (routed.protocol.codec(), self.envelope.clone());
        let body = routed.protocol.one_message(&request.body)?;
        if routed.method == Method::GetAuthToken {
            let answer = self.auth_token(&codec.decode("GetAuthTokenRequest", &body, &types)?)?;
            return Ok((vec![codec.encode("GetAuthTokenResponse", &answer, &types)?], Work::default()));
        }
        self.authorise(request.header("authorization"))?;
        let as_json = wants_json_items(request);
        let (mut parts, work) = match routed.method {
            Method::Put => {
                let (answer, work) = self.put(&codec.decode("PutRequest", &body, &types)?, as_json)?;
                return Ok((vec![codec.encode("PutResponse", &answer, &types)?], work));
            }
            Method::Get => {
                let (answer, work) = self.get(&codec.decode("GetRequest", &body, &types)?, as_json)?;
                return Ok((vec![codec.encode("GetResponse", &answer, &types)?], work));
            }
            Method::Delete => {
                let (answer, work) = self.delete(&codec.decode("DeleteRequest", &body, &types)?)?;
                return Ok((vec![codec.encode("DeleteResponse", &answer, &types)?], work));
            }
            Method::BeginList => self.begin_list(codec.decode("BeginListRequest", &body, &types)?, as_json)?,
            Method::ContinueList => {
                self.continue_list(&codec.decode("ContinueListRequest", &body, &types)?, as_json)?
            }
            Method::BeginScan => self.begin_scan(codec.decode("BeginScanRequest", &body, &types)?, as_json)?,
            Method::ContinueScan => {
                self.continue_scan(&codec.decode("ContinueScanRequest", &body, &types)?, as_json)?
            }
            Method::GetAuthToken | Method::Transaction => {
                return Err(Refusal::bare(RpcCode::Unimplemented, "a transaction needs a bidirectional stream"));
            }
        };
        if !with_end {
            parts.pop();
        }
        let messages = parts.into_iter().map(|part| {
            let message = monitor_stately::wire::ListResponse { response: Some(part) };
            codec.encode("ListResponse", &message, &types)
        });
        Ok((messages.collect::<Result<_, _>>()?, work))
    }
}
