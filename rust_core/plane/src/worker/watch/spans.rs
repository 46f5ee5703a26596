//! The spans of a traced call: its own, one for each stage, and of each run one that it shares with the calls beside it.
//!
//! A run belongs to no trace more than to another, so its span begins a trace of its own and is linked with the
//! `inference` span of every traced call in it, from either side.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use tonic::Code;

use super::{
    Ran,
    trail::{Facts, Stage, Trail},
};
use crate::{
    headers,
    metrics::TraceId,
    router::code_text,
    trace::{Active, SpanKind, SpanRecord, TraceContext, Value},
};

/// What a traced call carries.
#[derive(Debug)]
pub struct Traced {
    active: Active,
    request_id: Option<HeaderValue>,
    /// The span of its inference, which runs are linked with before it is over.
    inference: TraceContext,
    runs: Mutex<Vec<TraceContext>>,
}

impl Traced {
    /// A call that has come in with these headers.
    pub fn new(active: Active, headers: &HeaderMap) -> Self {
        let request_id = headers.get(headers::REQUEST_ID).cloned();
        Self { inference: active.context.child(), active, request_id, runs: Mutex::default() }
    }

    /// A message of a stream.
    pub fn part(&self) -> Self {
        let (context, parent) = (self.active.context.child(), Some(self.active.context.span_id));
        let active = Active { context, parent, ..self.active.clone() };
        Self { inference: context.child(), active, request_id: None, runs: Mutex::default() }
    }

    /// Its trace.
    pub fn trace_id(&self) -> TraceId {
        self.active.context.trace_id
    }

    /// Its own span.
    pub fn context(&self) -> TraceContext {
        self.active.context
    }
}

/// A call, or a message without a code, has ended so long after its start.
pub fn ended(traced: &Traced, trail: &Trail, facts: &Facts, instance: &str, code: Option<Code>, ended: Duration) {
    let at = |since: Duration| trail.started + since;
    for (stage, from, to) in trail.stages(ended) {
        let span = traced.active.part(stage.name(), at(from), at(to));
        traced.active.tracer.record(dressed(span, stage, traced, facts));
    }
    let name = trail.method.map_or("message", |method| &method.path[1..]);
    let mut span = traced.active.server(name, trail.started, at(ended));
    if trail.method.is_none() {
        span.kind = SpanKind::Internal;
    }
    span.attributes = about(traced, trail, facts, instance, code);
    span.error = code.filter(|code| *code != Code::Ok).map(|code| code_text(code).to_string());
    traced.active.tracer.record(span);
}

/// With what there is to say of its stage.
fn dressed(mut span: SpanRecord, stage: Stage, traced: &Traced, facts: &Facts) -> SpanRecord {
    let tokens = |name, count: u64| (name, Value::from(count as i64));
    match stage {
        Stage::Queue => {}
        Stage::Tokenize => span.attributes.push(tokens("waypost.tokens.prompt", facts.prompt)),
        Stage::Inference => {
            span.context = traced.inference;
            span.links = traced.runs.lock().clone();
        }
        Stage::Prefill => span.attributes.push(tokens("waypost.tokens.cached", facts.cached)),
        Stage::Decode => span.attributes.push(tokens("waypost.tokens.completion", facts.completion.unwrap_or(0))),
    }
    span
}

fn about(
    traced: &Traced,
    trail: &Trail,
    facts: &Facts,
    instance: &str,
    code: Option<Code>,
) -> Vec<(&'static str, Value)> {
    let mut about = vec![("waypost.instance", Value::from(instance.to_string()))];
    about.extend(facts.model.as_ref().map(|model| ("waypost.model", Value::from(model.to_string()))));
    let request_id = traced.request_id.as_ref().and_then(|id| id.to_str().ok());
    about.extend(request_id.map(|id| ("waypost.request_id", Value::from(id.to_string()))));
    if let Some(method) = trail.method {
        let name = method.path.rsplit('/').next().unwrap_or_default();
        about.push(("rpc.system", "grpc".into()));
        about.push(("rpc.service", method.service.into()));
        about.push(("rpc.method", name.into()));
    }
    if let Some(code) = code {
        about.push(("rpc.grpc.status_code", Value::from(i64::from(code as i32))));
        about.extend((code != Code::Ok).then(|| ("error.type", code_text(code).into())));
    }
    about
}

/// A session has run a batch; the trace of one of the calls in it, if any is traced.
pub fn ran(ran: &Ran<'_>) -> Option<TraceId> {
    let traced = ran.items.iter().filter_map(|item| item.call.trail.traced.as_deref());
    let mut calls: Vec<&Traced> = traced.collect();
    calls.dedup_by_key(|call| call.inference.span_id);
    let first = calls.first()?;
    let context = TraceContext::root();
    calls.iter().for_each(|call| call.runs.lock().push(context));
    let count = |name, number: usize| (name, Value::from(number as i64));
    first.active.tracer.record(SpanRecord {
        context,
        parent: None,
        name: "batch",
        kind: SpanKind::Internal,
        started: first.active.anchor.at(ran.started),
        ended: first.active.anchor.at(ran.ended),
        attributes: vec![
            ("waypost.model", Value::from(ran.model.to_string())),
            count("batch.texts", ran.items.len()),
            count("batch.tokens", ran.tokens()),
            count("batch.padding", ran.padding()),
        ],
        links: calls.iter().map(|call| call.inference).collect(),
        error: None,
    });
    Some(first.trace_id())
}
