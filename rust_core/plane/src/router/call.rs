//! One forwarded call from its arrival to its answer.
//!
//! ```text
//! who? ▶ admit ▶ read ▶ policy? ▶ think ▶ plan ▶ ┌ cache? ▶ hold money ▶ replica ▶ send ▶ judge ┐ ▶ answer
//!                                               └────────────── the next model ◀────────────────┘
//! ```
//!
//! The part in the frame is in [`super::hops`] and [`super::forward`].  Everything a call holds (its place at the
//! door, its place at an instance, its money, its event) is given back by dropping it, so a caller who leaves leaves
//! nothing behind.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header, uri::PathAndQuery};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt;
use waypost_decide::Permit;

use super::{
    Plane,
    auth::Caller,
    delivery::{Answer, Delivery},
    envelope::{self, Asked},
    events::Record,
    features::{Mode, Subject},
    inbound::Inbound,
    methods::{Method, Shape},
    models::{RETRY_PAUSE, Reason, Wanted},
    payloads::Capture,
    policies::Policy,
    reply::Reply,
    request,
    signature::Signature,
    stream,
    tenants::{Place, Tenant},
};
use crate::{
    deadline::Deadline,
    error::Error,
    flight::Flight,
    headers,
    proto::v1::ErrorReason,
    trace::{TRACESTATE, TraceContext},
};

/// A caller's own name for its call is kept for feedback up to this length; a longer one is replaced.
const NAME_BYTES: usize = 128;

/// A call under way.
pub struct Call {
    pub(super) plane: Arc<Plane>,
    pub(super) method: &'static Method,
    pub(super) deadline: Deadline,
    pub(super) headers: HeaderMap,
    pub(super) path: PathAndQuery,
    /// What follows the first message of a stream.
    pub(super) rest: Option<Inbound>,
    /// Who calls, or why it may not.
    caller: Result<Caller, Error>,
    /// Whose call it is, once that is known.
    pub(super) tenant: Option<Arc<Tenant>>,
    /// The delivery whose answer is in passage.
    pub(super) delivery: Option<Delivery>,
    /// What is kept of what is said.
    pub(super) capture: Option<Box<Capture>>,
    /// What the trailers will say.
    pub(super) signature: Signature,
    record: Record,
    stage: &'static str,
    permit: Option<Permit>,
    place: Option<Place>,
    _flight: Flight,
}

impl Call {
    /// A call has come in.
    pub fn new(
        plane: Arc<Plane>,
        method: &'static Method,
        caller: Result<Caller, Error>,
        request: Request<Inbound>,
    ) -> Self {
        let (parts, body) = request.into_parts();
        let brought = parts.headers.get(headers::REQUEST_ID).filter(|id| id.len() <= NAME_BYTES);
        let answer_id = brought.cloned().unwrap_or_else(|| plane.names.next());
        let traced = TraceContext::parse(&parts.headers);
        let traced = (traced, plane.tracer.enter(traced));
        let record = Record::new(&plane, method, traced, &answer_id);
        Self {
            method,
            caller,
            deadline: Deadline::from_headers(&parts.headers, Instant::now(), plane.config.default_timeout),
            record,
            headers: parts.headers,
            path: parts.uri.into_parts().path_and_query.unwrap_or(PathAndQuery::from_static(method.path)),
            rest: Some(body),
            tenant: None,
            delivery: None,
            capture: None,
            signature: Signature { answer_id: Some(answer_id), ..Signature::default() },
            stage: "request",
            permit: plane.limit.try_acquire(1),
            place: None,
            _flight: plane.flights.enter(),
            plane,
        }
    }

    /// It came in by itself, not as a part of another.
    pub fn through_the_door(mut self) -> Self {
        self.record.note(|event| event.seen.is_rpc = true);
        self
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
        let caller = self.caller.clone()?;
        self.admit()?;
        let message = self.read().await?;
        let asked = envelope::decode(self.method, &message)?;
        let tenant = self.plane.tenant_of(&caller, &asked.route.tenant, self.method.path)?;
        self.strip_headers();
        self.place = self.plane.tenants.admit(&tenant, self.plane.clock.now())?;
        self.tenant = Some(tenant.clone());
        let policy = self.look(&asked).await?;
        let wanted = self.think(asked, policy, message.len(), &tenant)?;
        self.keep(&tenant, &wanted, &message);
        self.record.admitted(&wanted);
        if let Some(reply) = self.by_policy(&wanted) {
            return Ok(Answer::Whole(reply));
        }
        self.stage = "instance";
        self.route(&wanted, &message).await
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

    /// The caller's metadata without what is of this hop only, its key above all; HTTP/2 itself refuses `connection`
    /// and its kin.
    fn strip_headers(&mut self) {
        let ours = self.plane.auth.is_wanted().then_some(header::AUTHORIZATION.as_str());
        let hop =
            [header::HOST.as_str(), header::CONTENT_LENGTH.as_str(), headers::MODEL, headers::TENANT, headers::PEER];
        // What others noted of their trace is nothing to a new one.
        let theirs = self.record.is_root().then_some(TRACESTATE);
        for name in hop.into_iter().chain(ours).chain(theirs) {
            self.headers.remove(name);
        }
    }

    /// The policy that the prompt is nearest to.
    async fn look(&mut self, asked: &Asked) -> Result<Option<Arc<Policy>>, Error> {
        let plane = self.plane.clone();
        let Some(policies) = &plane.policies else { return Ok(None) };
        self.stage = "policy";
        let (looked, found) = policies.look(&plane, asked, self.deadline).await;
        self.record.note(|event| event.looked = looked);
        found
    }

    /// Reads the prompt, and refuses what the guard is to block.
    fn think(
        &mut self,
        asked: Asked,
        policy: Option<Arc<Policy>>,
        bytes: usize,
        tenant: &Tenant,
    ) -> Result<Wanted, Error> {
        let plane = &self.plane;
        let subject = Subject::of(&asked, tenant, policy, plane.purse.most());
        let features = subject.map(|subject| plane.reader.read(subject, plane.clock.now(), Mode::Count));
        self.record.note(|event| {
            event.request_bytes = bytes;
            event.tenant = Some(tenant.name.clone()).filter(|name| !name.is_empty());
            event.features.clone_from(&features);
        });
        if let Some(features) = &features {
            self.signature.guard.clone_from(&features.guard);
            self.signature.tier = Some(features.tier);
            self.signature.policy.clone_from(&features.policy);
            features.check(tenant.guard)?;
        }
        Ok(Wanted { method: self.method, asked, bytes, features })
    }

    /// The answer that a policy has instead of a model's.
    fn by_policy(&mut self, wanted: &Wanted) -> Option<Reply> {
        let policy = wanted.features.as_ref()?.policy.as_ref()?;
        let reply = policy.reply(&self.plane, self.method.shape, &wanted.asked)?;
        self.record.note(|event| event.model_reason = Some(Reason::Policy.as_str().into()));
        Some(reply)
    }

    /// Keeps what is said, as far as tenant and caller will have it.
    fn keep(&mut self, tenant: &Tenant, wanted: &Wanted, message: &Bytes) {
        let hints = &wanted.asked.route;
        self.record.keep_words(tenant.payloads, hints.no_store);
        self.capture = self.plane.payloads.begin(tenant, hints, self.method, || self.request_id(), message);
        if let Some(capture) = self.capture.as_ref().filter(|_| self.method.shape == Shape::Both) {
            self.rest = self.rest.take().map(|rest| rest.heard(capture.tap()));
        }
    }

    /// For what only the router's own record needs to know.
    pub fn record(&mut self) -> &mut Record {
        &mut self.record
    }

    /// Tells the client where its answer comes from, and the record how it ended.
    pub fn sign(&mut self, meta: &mut HeaderMap, code: Code, message: Option<String>) {
        self.record.close(code, message);
        if let Some(capture) = &mut self.capture {
            capture.close(code, self.signature.hops.last());
        }
        self.signature.write(meta);
    }

    fn pass_on(mut self, mut reply: Reply) -> Response<Body> {
        let (code, message) = (reply.code(), reply.status_message());
        if let Some(capture) = &mut self.capture {
            capture.answered(reply.frames());
        }
        self.sign(reply.meta_mut(), code, message);
        reply.into_response()
    }

    fn refuse(mut self, status: Status) -> Response<Body> {
        self.note_refusal(&status);
        let (code, message) = (status.code(), status.message().to_string());
        let pause = pushback(&status);
        let mut response = status.into_http();
        response.headers_mut().extend(pause);
        self.sign(response.headers_mut(), code, Some(message));
        response
    }

    /// The router says `status` itself.
    pub fn note_refusal(&mut self, status: &Status) {
        if self.plane.metrics.is_enabled() {
            let reason = reason_of(status);
            self.record.note(|event| event.seen.refused = Some(reason));
        }
    }

    fn time_out(self) -> Response<Body> {
        let stage = self.stage;
        self.refuse(Error::Deadline { stage }.into())
    }
}

fn reason_of(status: &Status) -> ErrorReason {
    let info = status.get_details_error_info();
    info.and_then(|info| ErrorReason::from_str_name(&info.reason)).unwrap_or_default()
}

/// The same as RetryInfo says, for clients that look for it here.  Only with the one code that is retried as it stands:
/// grpc-java retries whatever comes with this header, and a caller without quota would hear of it at its deadline.
fn pushback(status: &Status) -> Option<(header::HeaderName, HeaderValue)> {
    if status.code() != Code::Unavailable {
        return None;
    }
    let pause = status.get_details_retry_info()?.retry_delay?;
    let millis = u64::try_from(pause.as_millis()).ok()?;
    Some((header::HeaderName::from_static("grpc-retry-pushback-ms"), HeaderValue::from(millis)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_is_unavailable_asks_the_clients_library_to_come_back() {
        let retry_after = Duration::from_millis(250);
        let away = Error::NoInstance { model: "m".into(), retry_after };
        let full = Error::QueueFull { limit: 1, retry_after };
        assert_eq!(pushback(&away.into()).map(|(_, value)| value), Some(HeaderValue::from(250)));
        assert_eq!(pushback(&full.into()), None);
    }
}
