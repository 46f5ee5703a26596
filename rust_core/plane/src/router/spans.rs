//! The spans of a call that is traced, made from its record when it is over.
//!
//! ```text
//! waypost.v1.GenerateService/Generate ├─ admission ─┤├─ choice ─┤├─ forward ─┤├─ choice ─┤├─ forward ─┤
//! ```
//!
//! `admission` is all that comes before models are looked at: who calls, its place, the request's bytes, what the
//! prompt is.  `choice` is the time in which no instance has the call: models and replicas weighed, caches asked, money
//! held, pauses before another attempt.  There is a `forward` for each attempt, whose context goes to the instance, and
//! a `judge` where an answer was weighed.
//!
//! The names of attributes are OpenTelemetry's, for gRPC and for generative AI, as far as it has any.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use opentelemetry::{Array, StringValue};
use tonic::Code;

use super::{
    events::{Event, Tried, code_text},
    methods::Method,
    models::Wanted,
    money,
    reply::Reply,
    signature::tier_name,
};
use crate::{
    proto::v1::{FinishReason, Task, generate_request::Input},
    trace::{Active, SpanKind, SpanRecord, TraceContext, Value},
};

type Attribute = (&'static str, Value);

const PROVIDER: &str = "waypost";

/// What is kept of a call beyond its event, because it is traced.
#[derive(Debug)]
pub struct Traced {
    active: Active,
    method: &'static Method,
    /// The model that was asked for; empty: any.
    asked: String,
    /// What the call is for, in the words of the conventions where they have one.
    operation: &'static str,
    /// Why the answer ends, where one is written.
    pub finish: Option<FinishReason>,
}

impl Traced {
    /// A call of `method`.
    pub fn new(active: Active, method: &'static Method) -> Self {
        Self { active, method, asked: String::new(), operation: operation(method), finish: None }
    }

    /// The call's own span.
    pub fn context(&self) -> TraceContext {
        self.active.context
    }

    /// Whether the trace begins with it.
    pub fn is_root(&self) -> bool {
        self.active.parent.is_none()
    }

    /// What is asked for is known now.
    pub fn read(&mut self, wanted: &Wanted) {
        self.asked.clone_from(&wanted.asked.model);
        let input = wanted.asked.prompt.as_ref().and_then(|prompt| prompt.input.as_ref());
        if let (Some(Input::Raw(_)), true) = (input, self.method.writes()) {
            self.operation = "text_completion";
        }
    }

    /// An answer is there, which may be the last.
    pub fn answered(&mut self, reply: &Reply) {
        let message = reply.message().filter(|_| self.method.writes());
        self.finish = message.and_then(|message| money::finish(&message));
    }

    /// Hands on the spans of the call that this event tells of.
    pub fn record(&self, event: &Event, started: Instant, ended: Instant) {
        let tracer = &self.active.tracer;
        tracer.record(self.whole(event, started, ended));
        for stage in event.stages(started, ended) {
            tracer.record(self.active.part(stage.name, stage.started, stage.ended));
        }
        for (number, tried) in event.attempts.iter().enumerate() {
            if let Some(span) = self.attempt(number, tried) {
                tracer.record(span);
            }
        }
    }

    fn whole(&self, event: &Event, started: Instant, ended: Instant) -> SpanRecord {
        let name = event.method.trim_start_matches('/');
        let mut span = self.active.server(name, started, ended);
        span.error = is_ours(event.code).then(|| event.error.clone().unwrap_or_else(|| code_text(event.code).into()));
        span.attributes = rpc(name, event.code);
        span.attributes.extend(self.gen_ai(event));
        span.attributes.extend(waypost(event));
        span
    }

    fn gen_ai(&self, event: &Event) -> impl Iterator<Item = Attribute> {
        let used = event.attempts.iter().rev().filter_map(|tried| tried.told.tokens).find(|tokens| tokens.prompt > 0);
        let all = [
            Some(("gen_ai.provider.name", PROVIDER.into())),
            Some(("gen_ai.operation.name", self.operation.into())),
            (!self.asked.is_empty()).then(|| ("gen_ai.request.model", self.asked.clone().into())),
            event.model.clone().map(|model| ("gen_ai.response.model", model.into())),
            used.map(|tokens| ("gen_ai.usage.input_tokens", count(tokens.prompt))),
            used.filter(|_| self.method.writes()).map(|tokens| ("gen_ai.usage.output_tokens", count(tokens.answer))),
            self.finish.and_then(finish_reason).map(|reason| ("gen_ai.response.finish_reasons", reason)),
        ];
        all.into_iter().flatten()
    }

    fn attempt(&self, number: usize, tried: &Tried) -> Option<SpanRecord> {
        let ended = tried.ended?;
        let mut span = self.active.part("forward", tried.begun, ended);
        span.context = tried.span.unwrap_or(span.context);
        span.kind = SpanKind::Client;
        span.error = (tried.code != Code::Ok).then(|| code_text(tried.code).to_string());
        span.attributes = vec![
            ("rpc.system", "grpc".into()),
            ("rpc.grpc.status_code", Value::I64(tried.code as i64)),
            ("waypost.instance", tried.instance.clone().into()),
            ("waypost.model", tried.served.info.name.clone().into()),
            ("waypost.attempt", count(number as u64 + 1)),
        ];
        span.attributes.extend(error_type(tried.code));
        Some(span)
    }
}

/// A stretch of a call's time in which no instance had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What was done: "admission", "policy", "choice" or "judge".
    pub name: &'static str,
    /// From here
    pub started: Instant,
    /// to there.
    pub ended: Instant,
}

impl Stage {
    /// How long it took.
    pub fn length(&self) -> Duration {
        self.ended.duration_since(self.started)
    }
}

impl Event {
    /// What the router itself did from `started` to `ended`, in order, without gaps between it and the attempts but
    /// for what comes after the last of them.
    pub fn stages(&self, started: Instant, ended: Instant) -> Vec<Stage> {
        let read = self.admitted.unwrap_or(ended);
        let looked = self.looked.map(|looked| Stage { name: "policy", started: looked.begun, ended: read });
        let admission = Stage { name: "admission", started, ended: looked.map_or(read, |looked| looked.started) };
        let mut stages = vec![admission];
        stages.extend(looked);
        let Some(mut free) = self.admitted else { return stages };
        let attempts = self.attempts.iter().map(|tried| (None, tried.begun, tried.ended.unwrap_or(ended)));
        let judged = self.hops.iter().filter_map(|hop| hop.judged).map(|[begun, done]| (Some("judge"), begun, done));
        let mut busy: Vec<_> = attempts.chain(judged).collect();
        busy.sort_by_key(|(_, begun, _)| *begun);
        if busy.is_empty() {
            busy.push((None, ended, ended));
        }
        for (name, begun, done) in busy {
            if begun > free {
                stages.push(Stage { name: "choice", started: free, ended: begun });
            }
            stages.extend(name.map(|name| Stage { name, started: begun, ended: done }));
            free = free.max(done);
        }
        stages
    }
}

fn operation(method: &Method) -> &'static str {
    match method.task {
        _ if !method.works => "count_tokens",
        Task::Generate => "chat",
        Task::Embed => "embeddings",
        Task::Classify => "classify",
        Task::Rerank => "rerank",
        Task::Retrieve => "retrieval",
        Task::Unspecified => "unknown",
    }
}

fn rpc(name: &'static str, code: Code) -> Vec<Attribute> {
    let (service, method) = name.split_once('/').unwrap_or((name, ""));
    let mut attributes = vec![
        ("rpc.system", "grpc".into()),
        ("rpc.service", service.into()),
        ("rpc.method", method.into()),
        ("rpc.grpc.status_code", Value::I64(code as i64)),
    ];
    attributes.extend(error_type(code));
    attributes
}

fn waypost(event: &Event) -> impl Iterator<Item = Attribute> {
    let text = |name, value: &Option<Arc<str>>| value.clone().map(|value| (name, value.into()));
    let all = [
        event.request_name().map(|id| ("waypost.request_id", id.to_string().into())),
        text("waypost.tenant", &event.tenant),
        event.features.as_ref().map(|features| ("waypost.tier", tier_name(features.tier).into())),
        event.route.clone().map(|route| ("waypost.route", route.into())),
        event.model_reason.clone().map(|reason| ("waypost.reason", reason.into())),
        event.cache.map(|cache| ("waypost.cache", cache.into())),
        (event.cost_usd > 0.0).then_some(("waypost.cost_usd", Value::F64(event.cost_usd))),
    ];
    all.into_iter().flatten()
}

fn error_type(code: Code) -> Option<Attribute> {
    (code != Code::Ok).then(|| ("error.type", code_text(code).into()))
}

/// By the conventions, what a caller did wrong is no error of the server's span.
fn is_ours(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}

fn count(number: u64) -> Value {
    Value::I64(number.try_into().unwrap_or(i64::MAX))
}

fn finish_reason(reason: FinishReason) -> Option<Value> {
    let name = reason.as_str_name().strip_prefix("FINISH_REASON_").filter(|_| reason != FinishReason::Unspecified)?;
    Some(Value::Array(Array::String(vec![StringValue::from(name.to_ascii_lowercase())])))
}
