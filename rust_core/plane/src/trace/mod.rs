//! Traces: where a call's time went, as spans that any OpenTelemetry receiver takes.
//!
//! A call that is traced carries an [`Active`]: the context of its own span, and an [`Anchor`] by which the moments it
//! measured anyway become times of day.  Its spans are made when it is over, put into a bounded [`queue`] and sent from
//! there by a task of their own ([`export`]), so a call waits for nobody; one that is not traced pays for a branch.
//!
//! Whether a call is traced is decided once, at the head: by the caller's `traceparent` where it brings one, else by
//! its new trace id.  Everybody behind follows.  The context's form is W3C's ([`context`]).

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use http::HeaderMap;
pub use opentelemetry::{Value, trace::SpanKind};

mod context;
mod export;
mod queue;
#[cfg(test)]
mod tests;

pub use context::{TRACEPARENT, TRACESTATE, TraceContext};
use export::Exporter;
use queue::Queue;

use crate::telemetry::Traces;

/// A span that is over.
#[derive(Clone, Debug)]
pub struct SpanRecord {
    /// Its own.
    pub context: TraceContext,
    /// The span it is part of.
    pub parent: Option<u64>,
    /// What was done.
    pub name: &'static str,
    /// Which side of a call it is.
    pub kind: SpanKind,
    /// When it began.
    pub started: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// More about it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Spans elsewhere that it has to do with.
    pub links: Vec<TraceContext>,
    /// What went wrong.
    pub error: Option<String>,
}

/// A moment on both clocks: durations are measured on one, receivers know the other.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    instant: Instant,
    time: SystemTime,
}

impl Anchor {
    /// The present.
    pub fn now() -> Self {
        Self { instant: Instant::now(), time: SystemTime::now() }
    }

    /// The time of day at `instant`.
    pub fn at(&self, instant: Instant) -> SystemTime {
        match instant.checked_duration_since(self.instant) {
            Some(later) => self.time + later,
            None => self.time - self.instant.duration_since(instant),
        }
    }
}

/// Takes spans, where anybody wants them.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Running>>);

#[derive(Debug)]
struct Running {
    sample: f64,
    queue: Arc<Queue>,
    exporter: Exporter,
}

impl Tracer {
    /// Spans go where `traces` says, from the instance of this name of this service.  Needs a runtime.
    ///
    /// # Errors
    ///
    /// The endpoint is no URL.
    pub fn start(traces: Option<&Traces>, service: &'static str, instance: &str) -> io::Result<Self> {
        let Some(traces) = traces else { return Ok(Self::default()) };
        let queue = Arc::new(Queue::new(traces.queue));
        let exporter = Exporter::start(&traces.endpoint, service, instance, queue.clone())?;
        Ok(Self(Some(Arc::new(Running { sample: traces.sample, queue, exporter }))))
    }

    /// At the mesh's door: the trace the caller is in, or a new one for as many calls as are to be traced.
    pub fn root(&self, headers: &HeaderMap) -> Option<Active> {
        self.enter(TraceContext::parse(headers))
    }

    /// The same, for who has read the caller's word already.
    pub fn enter(&self, caller: Option<TraceContext>) -> Option<Active> {
        let running = self.0.as_ref()?;
        match caller {
            Some(caller) => self.within(caller),
            None => {
                let context = TraceContext::root();
                context.is_sampled_at(running.sample).then(|| self.active(context, None))
            }
        }
    }

    /// Behind the door: the trace the caller is in, if it is kept.
    pub fn follow(&self, headers: &HeaderMap) -> Option<Active> {
        self.0.as_ref()?;
        self.within(TraceContext::parse(headers)?)
    }

    fn within(&self, caller: TraceContext) -> Option<Active> {
        caller.sampled.then(|| self.active(caller.child(), Some(caller.span_id)))
    }

    fn active(&self, context: TraceContext, parent: Option<u64>) -> Active {
        Active { tracer: self.clone(), context, parent, anchor: Anchor::now() }
    }

    /// Takes a span; never waits: where there is no room it is counted and lost.
    pub fn record(&self, span: SpanRecord) {
        if let Some(running) = &self.0 {
            running.queue.put(span);
        }
    }

    /// Spans lost because there was no room or nobody took them.
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |running| running.queue.dropped())
    }

    /// Sends what there is, for no longer than `patience`, and ends: spans that come later are lost.
    pub async fn close(&self, patience: Duration) {
        if let Some(running) = &self.0 {
            running.exporter.close(patience).await;
        }
    }
}

/// A call that is traced, from the moment it came in.
#[derive(Clone, Debug)]
pub struct Active {
    /// Takes its spans.
    pub tracer: Tracer,
    /// Of the call's own span.
    pub context: TraceContext,
    /// The caller's span.
    pub parent: Option<u64>,
    /// Of the moment it came in.
    pub anchor: Anchor,
}

impl Active {
    /// The call's own span, for [`Tracer::record`].
    pub fn server(&self, name: &'static str, started: Instant, ended: Instant) -> SpanRecord {
        self.span(self.context, self.parent, name, SpanKind::Server, [started, ended])
    }

    /// A part of it, for [`Tracer::record`].
    pub fn part(&self, name: &'static str, started: Instant, ended: Instant) -> SpanRecord {
        self.span(self.context.child(), Some(self.context.span_id), name, SpanKind::Internal, [started, ended])
    }

    fn span(
        &self,
        context: TraceContext,
        parent: Option<u64>,
        name: &'static str,
        kind: SpanKind,
        [started, ended]: [Instant; 2],
    ) -> SpanRecord {
        let (started, ended) = (self.anchor.at(started), self.anchor.at(ended));
        SpanRecord { context, parent, name, kind, started, ended, attributes: vec![], links: vec![], error: None }
    }
}
