//! What a worker tells of its calls: how many and how they ended, where their time went, and a trace of those whose
//! callers want one.
//!
//! A [`door::Door`] follows every call with a [`Trail`], from its headers to the last byte of its answer, so that what
//! is refused before a service sees it, and what is given up, counts too.  All is told when the call has ended: nobody
//! waits for it.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderMap;
use tonic::Code;

use super::call::Item;
use crate::{
    metrics::{Meter, process::Process},
    proto::v1::MetricFamily,
    router::methods::Method,
    telemetry::Telemetry,
    trace::Tracer,
};

pub mod door;
mod meters;
mod spans;
pub mod trail;

use meters::Meters;
use spans::Traced;
use trail::Trail;

/// Its name in traces.
const SERVICE: &str = "waypost-worker";

/// Tells of the calls of one worker.
pub struct Watch {
    instance: Arc<str>,
    meter: Meter,
    meters: Meters,
    process: Process,
    tracer: Tracer,
    traces: bool,
}

/// A run of a session.
pub struct Ran<'a> {
    /// The model it was of.
    pub model: &'a str,
    /// Its texts.
    pub items: &'a [Item],
    /// When it began.
    pub started: Instant,
    /// When it was over.
    pub ended: Instant,
}

impl Ran<'_> {
    /// Of its texts.
    pub fn tokens(&self) -> usize {
        self.items.iter().map(|item| item.input.ids.len()).sum()
    }

    /// Computed beside them.
    pub fn padding(&self) -> usize {
        let longest = self.items.iter().map(|item| item.input.ids.len()).max().unwrap_or(0);
        longest * self.items.len() - self.tokens()
    }
}

impl Watch {
    /// Of the worker that is called so.  Needs a runtime where there are traces.
    ///
    /// # Errors
    ///
    /// The receiver of traces is no URL.
    pub fn start(instance: &str, telemetry: &Telemetry) -> io::Result<Self> {
        let meter = Meter::new(telemetry.metrics);
        let traces = telemetry.traces.as_ref();
        Ok(Self {
            tracer: Tracer::start(traces, SERVICE, instance)?,
            traces: traces.is_some(),
            instance: instance.into(),
            meters: Meters::new(&meter),
            meter,
            process: Process::default(),
        })
    }

    /// Whether anything is counted.
    pub fn counts(&self) -> bool {
        self.meter.is_enabled()
    }

    /// Whether anything is told at all.
    fn is_on(&self) -> bool {
        self.counts() || self.traces
    }

    /// A call has come in.
    fn follow(&self, method: &'static Method, headers: &HeaderMap) -> Trail {
        let started = Instant::now();
        let traced = self.tracer.follow(headers).map(|active| Box::new(Traced::new(active, headers)));
        Trail::new(Some(method), traced, started)
    }

    /// A call, or a message without a code, has ended.
    fn ended(&self, trail: &Trail, code: Option<Code>, now: Instant) {
        let (facts, ended) = (trail.facts(), now.saturating_duration_since(trail.started));
        let model = facts.model.as_deref().unwrap_or_default();
        let of = [&*self.instance, model];
        if let Some((method, code)) = trail.method.zip(code) {
            self.meters.ended(&self.instance, method, model, code);
        }
        self.meters.spent(of, trail, ended);
        self.meters.wrote(of, trail, ended);
        self.meters.tokens(of, &facts);
        if let Some(traced) = &trail.traced {
            spans::ended(traced, trail, &facts, &self.instance, code, ended);
        }
    }

    /// A session has run a batch.
    pub fn ran(&self, ran: &Ran<'_>) {
        self.meters.ran(&self.instance, ran, spans::ran(ran));
    }

    /// So many texts had their vectors kept, and so many had not.
    pub fn looked_up(&self, model: &str, hits: usize, misses: usize) {
        self.meters.looked_up([&self.instance, model], hits as u64, misses as u64);
    }

    /// Sends what spans there are, for no longer than `patience`.
    pub async fn close(&self, patience: Duration) {
        self.tracer.close(patience).await;
    }

    /// All that was counted, and what the process takes.
    pub fn families(&self, now: Instant) -> Vec<MetricFamily> {
        let mut families = self.meter.families();
        families.extend(self.process.families(&self.instance, now));
        families
    }
}

#[cfg(test)]
mod tests {
    use super::{trail::Mark, *};
    use crate::router::methods;

    /// The pace on this machine, by hand: `cargo test --release -p waypost-plane a_call_costs -- --ignored --nocapture`.
    #[test]
    #[ignore = "a measurement"]
    fn a_call_costs_about_a_microsecond() {
        let watch = Watch::start("w-0", &Telemetry::default()).expect("starts");
        let method = methods::find("/waypost.v1.EmbedService/Embed").expect("is in the table");
        let (model, headers) = (Arc::from("minilm-l6-v2"), HeaderMap::new());
        let rounds = 1_000_000_u32;
        let begun = Instant::now();
        for _ in 0..rounds {
            let trail = Arc::new(watch.follow(method, &headers));
            trail.meant(&model);
            trail.read(12, 0);
            for mark in [Mark::Read, Mark::Queued, Mark::Begun, Mark::Done] {
                trail.mark(mark, Instant::now());
            }
            watch.ended(&trail, Some(Code::Ok), Instant::now());
        }
        println!("a call: {:.0} ns", begun.elapsed().as_nanos() as f64 / f64::from(rounds));
    }
}
