//! What was decided, for whoever keeps the record.
//!
//! One event per call goes into a bounded [`Ring`] as it is, and becomes a JSON line only when somebody fetches it: the
//! call pays for a few pointers.

use std::{
    borrow::Cow,
    fmt::LowerHex,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use http::HeaderValue;
use parking_lot::Mutex;
use serde::{Serialize, Serializer, ser::SerializeStruct};
use tonic::Code;
use waypost_text::redact::redact;

use super::{
    Plane,
    config::PayloadMode,
    features::Features,
    instance::Served,
    methods::Method,
    metrics::Metrics,
    models::Wanted,
    money::{Tokens, Told},
    policies::{Looked, Policy},
    recent::Recent,
    replicas::Candidate,
    ring::Ring,
    signature::tier_name,
    spans::Traced,
};
use crate::{
    metrics::TraceId,
    proto::v1::{self, ErrorReason},
    trace::{Active, TraceContext},
};

/// One decision and how it came out.
#[derive(Debug, Serialize)]
pub struct Event {
    event: &'static str,
    #[serde(serialize_with = "rfc3339")]
    timestamp: SystemTime,
    #[serde(serialize_with = "text")]
    request_id: Option<HeaderValue>,
    /// The trace the call is part of, whether it is kept or not.
    #[serde(serialize_with = "hex", skip_serializing_if = "Option::is_none")]
    trace_id: Option<u128>,
    /// The call's span in it; none where the router makes none.
    #[serde(serialize_with = "hex", skip_serializing_if = "Option::is_none")]
    span_id: Option<u64>,
    pub(super) method: &'static str,
    /// For whom the call was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Arc<str>>,
    /// What was read in the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<Features>,
    /// The configured chain it went by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The models that were asked, and why each.
    pub hops: Vec<HopLine>,
    /// The model that was chosen; none where the call did not come so far.
    pub model: Option<Arc<str>>,
    /// Why that model.
    pub model_reason: Option<Cow<'static, str>>,
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
    /// From its arrival to its end.
    #[serde(serialize_with = "milliseconds", rename = "latency_ms")]
    pub latency: Duration,
    /// How it ended.
    #[serde(serialize_with = "code_name")]
    pub code: Code,
    /// What was wrong, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// Size of the request message.
    pub request_bytes: usize,
    /// Of the model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Arc<str>>,
    /// What its answer came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<Tokens>,
    /// How long it waited at its instance.
    #[serde(serialize_with = "some_milliseconds", rename = "queue_ms", skip_serializing_if = "Option::is_none")]
    queue: Option<Duration>,
    /// US dollars that all attempts came to.
    pub cost_usd: f64,
    /// "hit", "near" or "miss"; none where the answer may not be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<&'static str>,
    /// When it was let in and read, and the choice began.
    #[serde(skip)]
    pub admitted: Option<Instant>,
    /// Looking for a policy, where that was done.
    #[serde(skip)]
    pub looked: Option<Looked>,
    /// What only the counters need to know.
    #[serde(skip)]
    pub seen: Seen,
}

/// What is counted of a call beside its event.
#[derive(Debug)]
pub struct Seen {
    /// The call.
    pub method: &'static Method,
    /// It came through the door, and is not a part of another.
    pub is_rpc: bool,
    /// The capability its model was chosen for.
    pub capability: Option<Cow<'static, str>>,
    /// Why the router itself refused it.
    pub refused: Option<ErrorReason>,
    /// Deliveries made because an earlier one failed,
    pub retries: u32,
    /// or took long.
    pub hedges: u32,
    /// The trace it belongs to, where that is kept.
    pub trace: Option<TraceId>,
}

impl Seen {
    fn new(method: &'static Method, context: Option<TraceContext>) -> Self {
        let trace = context.filter(|context| context.sampled).map(|context| context.trace_id);
        Self { method, is_rpc: false, capability: None, refused: None, retries: 0, hedges: 0, trace }
    }
}

/// A model that was asked.
#[derive(Debug, Serialize)]
pub struct HopLine {
    /// Its name.
    pub model: Arc<str>,
    /// Why it was asked.
    pub reason: Cow<'static, str>,
    /// How good its answer was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<f64>,
    /// What was wrong with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<&'static str>,
    /// When that was being found.
    #[serde(skip)]
    pub judged: Option<[Instant; 2]>,
}

impl HopLine {
    /// It is asked now.
    pub fn asked(model: Arc<str>, reason: Cow<'static, str>) -> Self {
        Self { model, reason, quality: None, faults: Vec::new(), judged: None }
    }
}

impl Event {
    /// What the call is called.
    pub fn request_id(&self) -> &[u8] {
        self.request_id.as_ref().map_or(&[], HeaderValue::as_bytes)
    }

    /// Attempts that nobody ended were ended with the call; where it was answered, another one won.
    fn close_attempts(&mut self, now: Instant) {
        let code = if self.code == Code::Ok { Code::Cancelled } else { self.code };
        for tried in self.attempts.iter_mut().filter(|tried| tried.ended.is_none()) {
            tried.end(code, now - tried.begun, now);
        }
    }

    /// What is known of the answer by the attempt that brought it.
    fn sum_up(&mut self) {
        let brought = |tried: &&Tried| self.chosen.as_ref() == Some(&tried.instance);
        let Some(tried) = self.attempts.iter().rev().find(brought) else { return };
        let version = Some(tried.served.info.version.as_str()).filter(|version| !version.is_empty());
        let tokens = tried.told.tokens.filter(|tokens| *tokens != Tokens::default());
        (self.version, self.tokens, self.queue) = (version.map(Arc::from), tokens, tried.told.queue);
    }

    /// What the call is called.
    pub fn request_name(&self) -> Option<&str> {
        self.request_id.as_ref()?.to_str().ok()
    }

    /// The trace in which it can be looked up.
    pub fn trace_id(&self) -> Option<u128> {
        self.trace_id.filter(|_| self.span_id.is_some())
    }
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
    /// What answers there.
    #[serde(skip)]
    pub served: Arc<Served>,
    /// What its reply says of it.
    #[serde(skip)]
    pub told: Told,
    /// US dollars that it came to.
    #[serde(skip)]
    pub cost_usd: f64,
    /// Its span, where the call is traced.
    #[serde(skip)]
    pub span: Option<TraceContext>,
    /// When it began.
    #[serde(skip)]
    pub begun: Instant,
    /// When it ended; none while it is under way.
    #[serde(skip)]
    pub ended: Option<Instant>,
}

impl Tried {
    /// It has begun.
    pub fn begun(served: Arc<Served>, span: Option<TraceContext>) -> Self {
        Self {
            instance: served.instance.clone(),
            code: Code::Cancelled,
            latency: Duration::ZERO,
            served,
            told: Told::default(),
            cost_usd: 0.0,
            span,
            begun: Instant::now(),
            ended: None,
        }
    }

    /// It is over.
    pub fn end(&mut self, code: Code, latency: Duration, now: Instant) {
        (self.code, self.latency, self.ended) = (code, latency, Some(now));
    }
}

impl Serialize for Candidate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_struct("Candidate", 6)?;
        object.serialize_field("instance", &self.instance)?;
        object.serialize_field("score", &self.scored.total)?;
        object.serialize_field("terms", &Terms::from(self.scored.terms))?;
        object.serialize_field("in_flight", &self.in_flight)?;
        object.serialize_field("admitted", &self.admitted)?;
        object.serialize_field("propensity", &self.propensity)?;
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

/// Decisions on their way to whoever keeps the record.
#[derive(Clone)]
pub struct Events {
    ring: Ring<Box<Event>>,
    recent: Arc<Mutex<Recent>>,
}

impl Events {
    /// Keeps up to `size` events.
    pub fn new(size: usize) -> Self {
        Self { ring: Ring::new(size), recent: Arc::default() }
    }

    /// Up to `max` events as JSON lines; waits up to `timeout` for the first.  Blocks: not for the reactor's threads.
    pub fn next(&self, max: usize, timeout: Duration) -> Vec<String> {
        let events = self.ring.next(max, timeout);
        let lines: Vec<_> = events.iter().filter_map(|event| serde_json::to_string(event).ok()).collect();
        self.recent.lock().note(&events, &lines);
        lines
    }

    /// The latest of those that were fetched, as a caller asks for them.
    pub fn recent(&self, asked: &v1::ListDecisionsRequest) -> Vec<v1::Decision> {
        self.recent.lock().find(asked)
    }

    /// Events lost because nobody fetched them in time.
    pub fn dropped(&self) -> u64 {
        self.ring.dropped()
    }
}

/// What is kept of an error.
#[derive(Clone, Copy)]
enum Words {
    All,
    Redacted,
    None,
}

/// The event of a call that is under way; counted and put into the ring when the call ends, also where its caller
/// leaves.
pub struct Record {
    event: Option<Box<Event>>,
    started: Instant,
    words: Words,
    events: Events,
    traced: Option<Box<Traced>>,
    metrics: Arc<Metrics>,
}

impl Record {
    /// A call has come in, in the trace that `caller` says, and in one that is kept where it is `active`.
    pub fn new(
        plane: &Plane,
        method: &'static Method,
        (caller, active): (Option<TraceContext>, Option<Active>),
        answer_id: &HeaderValue,
    ) -> Self {
        let context = active.as_ref().map(|active| active.context);
        let event = Event {
            event: "decision",
            timestamp: SystemTime::now(),
            request_id: Some(answer_id.clone()),
            trace_id: context.or(caller).map(|context| context.trace_id),
            span_id: context.map(|context| context.span_id),
            method: method.path,
            tenant: None,
            features: None,
            route: None,
            hops: Vec::new(),
            model: None,
            model_reason: None,
            policy: plane.config.policy.as_str(),
            reason: None,
            candidates: Vec::new(),
            chosen: None,
            attempts: Vec::new(),
            latency: Duration::ZERO,
            code: Code::Cancelled,
            error: None,
            request_bytes: 0,
            version: None,
            tokens: None,
            queue: None,
            cost_usd: 0.0,
            cache: None,
            admitted: None,
            looked: None,
            seen: Seen::new(method, context.or(caller)),
        };
        let traced = active.map(|active| Box::new(Traced::new(active, method)));
        let (events, metrics) = (plane.events.clone(), plane.metrics.clone());
        Self { event: Some(Box::new(event)), started: Instant::now(), words: Words::All, events, metrics, traced }
    }

    /// It is let in, and what it asks for is known.
    pub fn admitted(&mut self, wanted: &Wanted) {
        let now = Instant::now();
        self.note(|event| event.admitted = Some(now));
        if let Some(traced) = &mut self.traced {
            traced.read(wanted);
        }
    }

    /// What is kept of it beside, where it is traced.
    pub fn traced(&mut self) -> Option<&mut Traced> {
        self.traced.as_deref_mut()
    }

    /// Whether its trace begins with it.
    pub fn is_root(&self) -> bool {
        self.traced.as_ref().is_some_and(|traced| traced.is_root())
    }

    /// A span for one of its attempts, where it is traced.
    pub fn child(&self) -> Option<TraceContext> {
        self.traced.as_ref().map(|traced| traced.context().child())
    }

    /// Notes something about the call.
    pub fn note<T>(&mut self, change: impl FnOnce(&mut Event) -> T) -> Option<T> {
        self.event.as_mut().map(|event| change(event))
    }

    /// Time since it came in.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How much of an error's words is kept, which may repeat what was asked.
    pub fn keep_words(&mut self, mode: PayloadMode, no_store: bool) {
        self.words = match mode {
            _ if no_store => Words::None,
            PayloadMode::Hash | PayloadMode::Redacted => Words::Redacted,
            PayloadMode::Off | PayloadMode::Full => Words::All,
        };
    }

    /// Notes how it ended.
    pub fn close(&mut self, code: Code, error: Option<String>) {
        let error = match self.words {
            Words::All => error,
            Words::Redacted => error.map(|words| redact(&words).0.into_owned()),
            Words::None => None,
        };
        self.note(|event| (event.code, event.error) = (code, error));
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let ended = Instant::now();
        if let Some(mut event) = self.event.take() {
            event.latency = ended - self.started;
            event.close_attempts(ended);
            event.sum_up();
            self.metrics.ended(&event, self.started, ended);
            if let Some(traced) = &self.traced {
                traced.record(&event, self.started, ended);
            }
            self.events.ring.put(event);
        }
    }
}

impl Serialize for Features {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_struct("Features", 9 + usize::from(self.policy.is_some()))?;
        object.serialize_field("complexity", &self.complexity)?;
        object.serialize_field("quantile", &self.quantile)?;
        object.serialize_field("confidence", &self.confidence)?;
        object.serialize_field("coverage", &self.coverage)?;
        object.serialize_field("tier", tier_name(self.tier))?;
        object.serialize_field("tier_reason", self.tier_reason)?;
        object.serialize_field("tags", &self.tags)?;
        object.serialize_field("guard", &self.guard.as_ref().map(|(label, _)| label))?;
        object.serialize_field("guard_score", &self.guard.as_ref().map(|(_, score)| score))?;
        match &self.policy {
            Some(policy) => object.serialize_field("policy", &**policy)?,
            None => object.skip_field("policy")?,
        }
        object.end()
    }
}

impl Serialize for Tokens {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_struct("Tokens", 3)?;
        object.serialize_field("prompt", &self.prompt)?;
        object.serialize_field("cached", &self.cached)?;
        object.serialize_field("completion", &self.answer)?;
        object.end()
    }
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_struct("Policy", 2)?;
        object.serialize_field("id", &self.id)?;
        object.serialize_field("cosine", &self.cosine)?;
        object.end()
    }
}

fn rfc3339<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&prost_types::Timestamp::from(*time))
}

fn milliseconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_micros() as f64 / 1000.0)
}

fn some_milliseconds<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => milliseconds(time, to),
        None => to.serialize_none(),
    }
}

fn text<S: Serializer>(value: &Option<HeaderValue>, to: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(|value| String::from_utf8_lossy(value.as_bytes())).serialize(to)
}

/// All digits, as traces are written.
fn hex<T: LowerHex, S: Serializer>(id: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
    let digits = 2 * size_of::<T>();
    id.as_ref().map(|id| format!("{id:0digits$x}")).serialize(to)
}

/// The name the gRPC specification gives a code, such as `DEADLINE_EXCEEDED`.
pub fn code_text(code: Code) -> &'static str {
    match code {
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
    }
}

fn code_name<S: Serializer>(code: &Code, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(code_text(*code))
}
