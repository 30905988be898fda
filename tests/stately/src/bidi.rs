//! The stream of a transaction: each command is answered as it arrives.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Bytes, Frame, Incoming};
use monitor_fakes::http::{Answer, Request};
use monitor_fakes::server::{CutOff, Piece, lock, trailers};
use monitor_stately::wire::transaction::{Outcome, TransactionRequest};
use tokio::sync::mpsc;

use crate::answer::{route, wants_json_items};
use crate::faults::Trouble;
use crate::method::Method;
use crate::protocol::{Frames, Protocol};
use crate::refusal::Refusal;
use crate::state::State;
use crate::transaction::Session;

/// A transaction about to run.
pub(crate) struct Stream {
    protocol: Protocol,
    session: Session,
    /// The refusal that ends the stream, for example for a missing token.
    refusal: Option<Refusal>,
    trouble: Option<Trouble>,
    latency_ms: u64,
    request_bytes: usize,
}

/// Begins a transaction, or returns the response that refuses it.
pub(crate) fn open(request: &Request, state: &Mutex<State>) -> Result<Stream, Answer> {
    let routed = route(request)?;
    let mut state = lock(state);
    let trouble = state.next_trouble(Method::Transaction);
    if let Some(answer) = state.hindered(&routed, trouble.as_ref(), 0) {
        return Err(answer);
    }
    let refusal = state.authorise(request.header("authorization")).err();
    let session = Session::new(wants_json_items(request));
    let latency_ms = state.settings.latency_ms;
    Ok(Stream { protocol: routed.protocol, session, refusal, trouble, latency_ms, request_bytes: 0 })
}

impl Stream {
    pub(crate) fn content_type(&self) -> &'static str {
        self.protocol.content_type()
    }

    /// Answers commands until the transaction or the stream ends.
    pub(crate) async fn run(mut self, mut body: Incoming, state: Arc<Mutex<State>>, sender: mpsc::Sender<Piece>) {
        let mut frames = Frames::default();
        while self.refusal.is_none() && !self.session.is_over {
            // A stream that ends before the commit stores nothing.
            let Some(Ok(frame)) = body.frame().await else { break };
            let Ok(data) = frame.into_data() else { continue };
            self.request_bytes += data.len();
            frames.push(&data);
            if let Err(Gone) = self.answer(&mut frames, &state, &sender).await {
                return;
            }
        }
        self.note(&state);
        // Read the rest of the request, so that a reset does not lose the response.
        let rest = tokio::spawn(async move { while let Some(Ok(_)) = body.frame().await {} });
        if self.trouble != Some(Trouble::EndMissing) {
            let (end, ending) = self.protocol.end(self.refusal.as_ref());
            if !end.is_empty() {
                let _ = sender.send(Ok(Frame::data(Bytes::from(end)))).await;
            }
            if !ending.is_empty() {
                let _ = sender.send(Ok(trailers(&ending))).await;
            }
        }
        drop(sender);
        let _ = rest.await;
    }

    /// Answers the commands that have arrived completely.
    async fn answer(
        &mut self,
        frames: &mut Frames,
        state: &Mutex<State>,
        sender: &mpsc::Sender<Piece>,
    ) -> Result<(), Gone> {
        while !self.session.is_over {
            let answered = match self.next_answer(frames, state) {
                Ok(None) => return Ok(()),
                Ok(Some(answered)) => answered,
                Err(refusal) => {
                    self.refusal = Some(refusal);
                    return Ok(());
                }
            };
            self.hold_back(state, sender).await?;
            for message in answered {
                let _ = sender.send(Ok(Frame::data(Bytes::from(message)))).await;
            }
        }
        Ok(())
    }

    /// Carries out the next command and returns its framed responses.
    fn next_answer(&mut self, frames: &mut Frames, state: &Mutex<State>) -> Result<Option<Vec<Vec<u8>>>, Refusal> {
        let Some(message) = frames.next()? else { return Ok(None) };
        let codec = self.protocol.codec();
        let mut state = lock(state);
        let types = state.envelope.clone();
        let command: TransactionRequest = codec.decode("TransactionRequest", &message, &types)?;
        let mut answers = self.session.feed(&mut state, command)?;
        if self.trouble == Some(Trouble::EndMissing) {
            answers.retain(|answer| !matches!(answer.result, Some(Outcome::Finished(_))));
        }
        let framed = answers.iter().map(|answer| {
            let message = codec.encode("TransactionResponse", answer, &types)?;
            Ok(self.protocol.frame(&message))
        });
        framed.collect::<Result<_, _>>().map(Some)
    }

    /// Waits before a response. An injected fault takes effect at the response to the commit.
    async fn hold_back(&mut self, state: &Mutex<State>, sender: &mpsc::Sender<Piece>) -> Result<(), Gone> {
        let mut wait_ms = self.latency_ms;
        if self.session.is_over {
            match &self.trouble {
                Some(Trouble::AnswerLost | Trouble::AnswerCut(_)) => {
                    self.note(state);
                    let _ = sender.send(Err(CutOff::Closed)).await;
                    return Err(Gone);
                }
                Some(Trouble::AnswerStalls) => {
                    self.note(state);
                    sender.closed().await;
                    return Err(Gone);
                }
                Some(Trouble::Late(late_ms)) => wait_ms += late_ms,
                _ => {}
            }
        }
        if wait_ms > 0 {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
        Ok(())
    }

    fn note(&self, state: &Mutex<State>) {
        let code = self
            .refusal
            .as_ref()
            .map(|refusal| refusal.stately_code.clone().unwrap_or_else(|| refusal.rpc.as_str().to_owned()));
        let failed = code.or_else(|| self.trouble.as_ref().map(|trouble| format!("{trouble:?}")));
        lock(state).note_call(Method::Transaction, self.request_bytes, self.session.work, failed);
    }
}

/// The stream has ended: nothing more can be sent.
struct Gone;
