//! What was decided, for whoever keeps the record.
//!
//! One event per call goes into a bounded ring as it is, and becomes a JSON line only when somebody fetches it: the
//! call pays for a few pointers.  A full ring loses the newest event and counts it; it never waits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::{Duration, Instant, SystemTime},
};

use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use serde::{Serialize, Serializer, ser::SerializeStruct};
use tonic::Code;

use super::{methods::Method, replicas::Candidate};

const REQUEST_ID: &str = "x-request-id";
const TRACE: &str = "traceparent";

/// One decision and how it came out.
#[derive(Debug, Serialize)]
pub struct Event {
    event: &'static str,
    #[serde(serialize_with = "rfc3339")]
    timestamp: SystemTime,
    #[serde(serialize_with = "text", skip_serializing_if = "Option::is_none")]
    request_id: Option<HeaderValue>,
    #[serde(serialize_with = "text", skip_serializing_if = "Option::is_none")]
    trace: Option<HeaderValue>,
    method: &'static str,
    /// The model that was chosen; none where the call did not come so far.
    pub model: Option<Arc<str>>,
    /// Why that model.
    pub model_reason: Option<&'static str>,
    /// How replicas are chosen.
    policy: &'static str,
    /// Why that replica, or the first of them.
    pub reason: Option<&'static str>,
    /// The replicas that were considered for the first attempt.
    pub candidates: Vec<Candidate>,
    /// The instance whose answer was passed on.
    pub chosen: Option<Arc<str>>,
    /// Where it was tried.
    pub attempts: Vec<Tried>,
    #[serde(serialize_with = "milliseconds", rename = "latency_ms")]
    latency: Duration,
    #[serde(serialize_with = "code_name")]
    code: Code,
    /// What was wrong, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Size of the request message.
    pub request_bytes: usize,
    /// US dollars, estimated from the size of the request.
    pub cost_usd: f64,
}

/// One attempt.
#[derive(Debug, Serialize)]
pub struct Tried {
    /// Where.
    pub instance: Arc<str>,
    /// How it ended.
    #[serde(serialize_with = "code_name")]
    pub code: Code,
    /// How long it took.
    #[serde(serialize_with = "milliseconds", rename = "latency_ms")]
    pub latency: Duration,
}

impl Serialize for Candidate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_struct("Candidate", 5)?;
        object.serialize_field("instance", &self.instance)?;
        object.serialize_field("score", &self.scored.total)?;
        object.serialize_field("terms", &Terms::from(self.scored.terms))?;
        object.serialize_field("in_flight", &self.in_flight)?;
        object.serialize_field("admitted", &self.admitted)?;
        object.end()
    }
}

#[derive(Serialize)]
struct Terms {
    latency: f64,
    queue: f64,
    fit: f64,
    health: f64,
    feedback: f64,
}

impl From<waypost_decide::Terms> for Terms {
    fn from(terms: waypost_decide::Terms) -> Self {
        let waypost_decide::Terms { latency, queue, fit, health, feedback } = terms;
        Self { latency, queue, fit, health, feedback }
    }
}

/// The ring.
#[derive(Clone)]
pub struct Events(Arc<Ring>);

struct Ring {
    sender: SyncSender<Box<Event>>,
    receiver: Mutex<Receiver<Box<Event>>>,
    dropped: AtomicU64,
}

impl Events {
    /// Keeps up to `size` events.
    pub fn new(size: usize) -> Self {
        let (sender, receiver) = sync_channel(size);
        Self(Arc::new(Ring { sender, receiver: Mutex::new(receiver), dropped: AtomicU64::new(0) }))
    }

    /// Up to `max` events as JSON lines; waits up to `timeout` for the first.  Blocks: not for the reactor's threads.
    pub fn next(&self, max: usize, timeout: Duration) -> Vec<String> {
        let receiver = self.0.receiver.lock();
        let first = receiver.recv_timeout(timeout).into_iter();
        let events = first.chain(receiver.try_iter()).take(max);
        events.filter_map(|event| serde_json::to_string(&event).ok()).collect()
    }

    /// Events lost because nobody fetched them in time.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    fn put(&self, event: Box<Event>) {
        if self.0.sender.try_send(event).is_err() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The event of a call that is under way; put into the ring when the call ends, also where its caller leaves.
pub struct Record {
    event: Option<Box<Event>>,
    started: Instant,
    events: Events,
}

impl Record {
    /// A call has come in.
    pub fn new(events: &Events, method: &Method, headers: &HeaderMap, policy: &'static str) -> Self {
        let event = Event {
            event: "decision",
            timestamp: SystemTime::now(),
            request_id: headers.get(REQUEST_ID).cloned(),
            trace: headers.get(TRACE).cloned(),
            method: method.path,
            model: None,
            model_reason: None,
            policy,
            reason: None,
            candidates: Vec::new(),
            chosen: None,
            attempts: Vec::new(),
            latency: Duration::ZERO,
            code: Code::Cancelled,
            error: None,
            request_bytes: 0,
            cost_usd: 0.0,
        };
        Self { event: Some(Box::new(event)), started: Instant::now(), events: events.clone() }
    }

    /// Notes something about the call.
    pub fn note(&mut self, change: impl FnOnce(&mut Event)) {
        if let Some(event) = &mut self.event {
            change(event);
        }
    }

    /// Notes how it ended.
    pub fn close(&mut self, code: Code, error: Option<String>) {
        self.note(|event| (event.code, event.error) = (code, error));
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let latency = self.started.elapsed();
        if let Some(mut event) = self.event.take() {
            event.latency = latency;
            self.events.put(event);
        }
    }
}

fn rfc3339<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&prost_types::Timestamp::from(*time))
}

fn milliseconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_micros() as f64 / 1000.0)
}

fn text<S: Serializer>(value: &Option<HeaderValue>, to: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(|value| String::from_utf8_lossy(value.as_bytes())).serialize(to)
}

/// The name the gRPC specification gives a code, such as `DEADLINE_EXCEEDED`.
fn code_name<S: Serializer>(code: &Code, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    })
}
