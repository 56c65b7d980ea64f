//! A call: from its headers to its trailers.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use mcrpc_core::status::Status;
use mcrpc_core::time::{Millis, Nanos};
use mcrpc_core::wire::Header;
use mcrpc_core::wire::header::method_id;
use tokio::time::timeout;

use super::answers::{self, Answer};
use super::connection::Carrier;
use super::head::{self, Head};
use super::message::{self, Message};
use super::{health, reflection, status};
use crate::clock;
use crate::failure::Failure;
use crate::request::Inline;
use crate::server::reply::ReplyTo;

/// What a gRPC client says of its messages.
const CONTENT_TYPES: [&str; 2] = ["application/grpc", "application/grpc+proto"];

/// Who answers a call.
#[derive(PartialEq, Eq)]
enum Callee {
    Method,
    Health,
}

/// A call that is not answered.
struct Call {
    of: Rc<Carrier>,
    callee: Callee,
    header: Header,
    arrival: Nanos,
    respond: SendResponse<Bytes>,
}

/// Why a call is not handed on.
enum End {
    /// It is answered so.
    Refused(Failure),
    /// The caller has given it up.
    Gone,
}

impl From<Failure> for End {
    fn from(failure: Failure) -> End {
        End::Refused(failure)
    }
}

/// Serves a call.
pub(super) async fn run(of: Rc<Carrier>, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let (parts, body) = request.into_parts();
    if let Some(code) = refused_by_http(&parts) {
        // A caller that has gone hears nothing.
        let mut response = Response::new(());
        *response.status_mut() = code;
        let _ = respond.send_response(response, true);
        return;
    }
    let name = head::full_name(parts.uri.path());
    let method_id = method_id(name.as_bytes());
    let callee = match name.as_str() {
        _ if of.io.shared.methods.find(method_id).is_some() => Callee::Method,
        health::CHECK => Callee::Health,
        name if reflection::INFO.contains(&name) => return reflection::serve(&of.io.shared, body, respond).await,
        _ => Callee::Method,
    };
    let _open = of.open();
    let arrival = clock::now();
    let call_id = respond.stream_id().as_u32();
    let (header, head) = match head::read(&parts.headers, method_id, call_id, &of.io.shared.config.limits) {
        Ok(head) => (head.header, Ok(head)),
        Err(failed) => (failed.0, Err(failed.1)),
    };
    let mut call = Call { of, callee, header, arrival, respond };
    let answer = match call.handle(&parts, head, body).await {
        Ok(answer) => answer,
        Err(End::Refused(failure)) => call.refuse(&failure),
        Err(End::Gone) => return,
    };
    call.send(answer).await;
}

/// What is no call of gRPC at all.
fn refused_by_http(parts: &Parts) -> Option<StatusCode> {
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim_end();
    if parts.method != Method::POST {
        Some(StatusCode::METHOD_NOT_ALLOWED)
    } else if !CONTENT_TYPES.contains(&content_type) {
        Some(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    } else {
        None
    }
}

impl Call {
    /// From the head of the call to its answer.
    async fn handle(&mut self, parts: &Parts, head: Result<Head, Failure>, body: RecvStream) -> Result<Answer, End> {
        let Head { metadata, caller, .. } = head?;
        if parts.headers.get("grpc-encoding").is_some_and(|encoding| encoding != "identity") {
            return Err(message::compressed().into());
        }
        self.introduce(&caller);
        let patience = self.patience();
        let payload = match timeout(patience, self.receive(body)).await {
            Ok(received) => received?,
            Err(_) => return Err(Failure::of_system(Status::TIMED_OUT).with_text("the message did not arrive").into()),
        };
        if self.callee == Callee::Health {
            return health::check(&payload, &self.of.io.shared).map(answers::of_reply).map_err(End::Refused);
        }
        self.ask(&metadata, &payload).await
    }

    /// The first call with a name says who calls, as a hello does natively.
    fn introduce(&self, caller: &str) {
        if !caller.is_empty() && self.of.connection.caller().is_empty() {
            self.of.turn(|intake, turn| intake.set_caller(caller, turn));
        }
    }

    /// How long the message may take to arrive.
    fn patience(&self) -> Duration {
        let stall_timeout = self.of.io.shared.live().stall_timeout;
        match Millis(self.header.budget_ms) {
            Millis::UNLIMITED => stall_timeout,
            Millis(budget_ms) => stall_timeout.min(Duration::from_millis(budget_ms.into())),
        }
    }

    /// The message. What would be refused now is refused before it has arrived.
    async fn receive(&self, mut body: RecvStream) -> Result<Bytes, End> {
        let shared = &self.of.io.shared;
        let max_len = shared.config.limits.max_body_len;
        let (mut message, mut lease, mut is_judged) =
            (Message::default(), shared.memory.lease(), self.callee == Callee::Health);
        loop {
            let next = poll_fn(|cx| match body.poll_data(cx) {
                Poll::Pending if !is_judged => Poll::Ready(None),
                next => next.map(Some),
            });
            match next.await {
                None => {
                    is_judged = true;
                    let (verdict, _) = self.of.turn(|intake, turn| intake.judge_early(&self.header, turn));
                    verdict.map_err(Failure::from)?;
                }
                Some(Some(Ok(piece))) => {
                    if !lease.extend(piece.len()) {
                        return Err(Failure::of_system(Status::QUEUE_FULL).into());
                    }
                    message.extend(&piece, max_len)?;
                    // Fails only for what was not received.
                    let _ = body.flow_control().release_capacity(piece.len());
                }
                Some(Some(Err(_))) => return Err(End::Gone),
                Some(None) => return Ok(message.finish()?),
            }
        }
    }

    /// Hands the request to the intake, and waits for its answer.
    async fn ask(&mut self, metadata: &[u8], payload: &[u8]) -> Result<Answer, End> {
        let Call { of, header, arrival, respond, .. } = self;
        let to = ReplyTo::native(*header);
        let inline = Inline { metadata, payload, ..Inline::new(to, *arrival) };
        let (_, at_once) = of.turn(|intake, turn| intake.take(&inline, turn));
        if let Some(answer) = at_once {
            return Ok(answer);
        }
        let answer = of.wait(header.call_id);
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| End::Gone),
            _ = poll_fn(|cx| respond.poll_reset(cx)) => {
                of.cancel(header.call_id);
                Err(End::Gone)
            }
        }
    }

    /// Counts the call as refused.
    fn refuse(&self, failure: &Failure) -> Answer {
        let (_, told) =
            self.of.turn(|intake, turn| intake.refuse(&ReplyTo::native(self.header), failure.status(), turn));
        let answer = Answer::of_status(failure.status(), failure.text());
        Answer { hold_ms: told.map_or(0, |told| told.hold_ms), ..answer }
    }

    /// Says how it ended. A caller that has gone hears nothing.
    async fn send(mut self, answer: Answer) {
        let trailers = status::trailers(&answer);
        let mut response = status::response();
        if !answer.status.is_ok() {
            response.headers_mut().extend(trailers);
            let _ = self.respond.send_response(response, true);
            return;
        }
        let Ok(mut stream) = self.respond.send_response(response, false) else { return };
        let stall_timeout = self.of.io.shared.live().stall_timeout;
        match send_all(&mut stream, answer.message, stall_timeout).await {
            Ok(()) => _ = stream.send_trailers(trailers),
            Err(reason) => stream.send_reset(reason),
        }
    }
}

/// Sends the message as the caller takes it, who must take something within `stall_timeout`.
pub(super) async fn send_all(
    stream: &mut SendStream<Bytes>,
    mut rest: Bytes,
    stall_timeout: Duration,
) -> Result<(), Reason> {
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len());
        match timeout(stall_timeout, poll_fn(|cx| stream.poll_capacity(cx))).await {
            Ok(Some(Ok(room))) => {
                let piece = rest.split_to(room.min(rest.len()));
                stream.send_data(piece, false).map_err(|_| Reason::CANCEL)?;
            }
            _ => return Err(Reason::CANCEL),
        }
    }
    Ok(())
}
