//! One forwarded call from its arrival to its answer.
//!
//! ```text
//! admit ▶ read ▶ choose the model ▶ ┌ choose a replica ▶ send ▶ judge ┐ ▶ answer
//!                                   └────── once more elsewhere ◀─────┘
//! ```
//!
//! The part in the frame is in [`super::forward`].  Everything a call holds (its place at the door, its place at an
//! instance, its event) is given back by dropping it, so a caller who leaves leaves nothing behind.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header, uri::PathAndQuery};
use hyper::body::Incoming;
use tonic::{Code, Status, body::Body};
use waypost_decide::Permit;

use super::{
    Plane,
    attempt::Attempt,
    envelope,
    events::{Record, Tried},
    methods::{Method, Shape},
    models::{self, RETRY_PAUSE, Wanted},
    registry::{Model, Replica},
    reply::{self, Reply},
    request,
    stats::Verdict,
    stream::{self, Streamed},
};
use crate::{deadline::Deadline, error::Error, flight::Flight, headers};

/// A call under way.
pub struct Call {
    pub(super) plane: Arc<Plane>,
    pub(super) method: &'static Method,
    pub(super) deadline: Deadline,
    pub(super) headers: HeaderMap,
    pub(super) path: PathAndQuery,
    /// What follows the first message of a stream.
    pub(super) rest: Option<Incoming>,
    /// The place at an instance, while it has one.
    pub(super) attempt: Option<Attempt>,
    /// Where it was tried last.
    pub(super) replica: Option<Replica>,
    pub(super) attempts: usize,
    pub(super) model_reason: &'static str,
    pub(super) replica_reason: &'static str,
    record: Record,
    stage: &'static str,
    permit: Option<Permit>,
    _flight: Flight,
}

/// What goes back to the client.
pub enum Answer {
    /// A whole reply.
    Whole(Reply),
    /// A reply that has begun.
    Streamed(Streamed),
}

impl Call {
    /// A call has come in.
    pub fn new(plane: Arc<Plane>, method: &'static Method, request: Request<Incoming>) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            method,
            deadline: Deadline::from_headers(&parts.headers, Instant::now(), plane.config.default_timeout),
            record: Record::new(&plane.events, method, &parts.headers, plane.config.policy.as_str()),
            headers: end_to_end(parts.headers),
            path: parts.uri.into_parts().path_and_query.unwrap_or(PathAndQuery::from_static(method.path)),
            rest: Some(body),
            attempt: None,
            replica: None,
            attempts: 0,
            model_reason: "",
            replica_reason: "",
            stage: "request",
            permit: plane.limit.try_acquire(1),
            _flight: plane.flights.enter(),
            plane,
        }
    }

    /// Its answer, by its deadline.
    pub async fn serve(mut self) -> Response<Body> {
        let deadline = self.deadline;
        match deadline.run(self.stage, self.answer()).await {
            Ok(Ok(Answer::Whole(reply))) => self.pass_on(reply),
            Ok(Ok(Answer::Streamed(streamed))) => stream::pass_on(self, streamed),
            Ok(Err(status)) => self.refuse(status),
            Err(_) => self.time_out(),
        }
    }

    async fn answer(&mut self) -> Result<Answer, Status> {
        self.admit()?;
        let message = self.read().await?;
        let asked = envelope::decode(self.method, &message)?;
        let wanted = Wanted { method: self.method, asked, bytes: message.len() };
        let model = self.choose_model(&wanted)?;
        self.stage = "instance";
        self.forward(&wanted, &model, message).await
    }

    fn admit(&self) -> Result<(), Error> {
        let full = || Error::QueueFull { limit: self.plane.limit.max(), retry_after: RETRY_PAUSE };
        self.permit.is_some().then_some(()).ok_or_else(full)
    }

    async fn read(&mut self) -> Result<Bytes, Status> {
        let limit = self.plane.config.limits.max_receive_bytes;
        let Some(body) = &mut self.rest else { return Ok(Bytes::new()) };
        match self.method.shape {
            Shape::Both => request::first(body, limit).await,
            Shape::Unary | Shape::Replies => request::whole(body, limit).await,
        }
    }

    fn choose_model(&mut self, wanted: &Wanted) -> Result<Arc<Model>, Error> {
        let plane = &self.plane;
        let chosen = models::choose(&plane.registry.snapshot(), wanted, plane.chooser.weights(), plane.clock.now());
        self.record.note(|event| event.request_bytes = wanted.bytes);
        let (model, reason) = chosen?;
        self.model_reason = reason.as_str();
        self.record.note(|event| {
            event.model = Some(model.name.clone());
            event.model_reason = Some(reason.as_str());
        });
        Ok(model)
    }

    /// Notes the end of the attempt it had.
    pub fn end_attempt(&mut self, code: Code, verdict: Verdict) {
        let Some(attempt) = self.attempt.take() else { return };
        let instance = attempt.replica.served.instance.clone();
        let latency = attempt.elapsed();
        attempt.end(verdict);
        self.record.note(|event| event.attempts.push(Tried { instance, code, latency }));
    }

    /// For what only the router's own record needs to know.
    pub fn record(&mut self) -> &mut Record {
        &mut self.record
    }

    /// Tells the client where its answer comes from.
    pub fn sign(&self, meta: &mut HeaderMap) {
        let Some(replica) = &self.replica else { return };
        let reason = if self.attempts > 1 { "retry" } else { self.replica_reason };
        reply::sign(meta, &replica.served.instance_header, &[self.model_reason, reason].join("/"), self.attempts);
    }

    fn pass_on(mut self, mut reply: Reply) -> Response<Body> {
        self.record.close(reply.code(), reply.message());
        self.sign(reply.meta_mut());
        reply.into_response()
    }

    fn refuse(mut self, status: Status) -> Response<Body> {
        self.record.close(status.code(), Some(status.message().into()));
        let mut response = status.into_http();
        self.sign(response.headers_mut());
        response
    }

    fn time_out(mut self) -> Response<Body> {
        self.end_attempt(Code::DeadlineExceeded, Verdict::TimedOut);
        let stage = self.stage;
        self.refuse(Error::Deadline { stage }.into())
    }
}

/// The caller's metadata without what is of this hop only; HTTP/2 itself refuses `connection` and its kin.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in [header::HOST, header::CONTENT_LENGTH] {
        headers.remove(name);
    }
    headers.remove(headers::MODEL);
    headers
}
