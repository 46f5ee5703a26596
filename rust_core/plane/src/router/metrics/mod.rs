//! What the router counts and measures.
//!
//! A call is counted once, when its record is dropped ([`super::events`]): whichever way it ended, it is in the
//! counters, and they agree with the decision log.  [`grpc`] counts the rpcs of all services at the door, [`figures`]
//! reads what is known elsewhere, and [`gather`] adds what the instances tell.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tonic::Code;

use super::{
    events::{Event, Tried, code_text},
    money::Tokens,
    signature::tier_name,
};
use crate::{
    metrics::{Amounts, CALLS, Counters, Histograms, Meter, PARTS, TraceId, process::Process},
    proto::v1::{ErrorReason, Task, Tier},
};

mod figures;
mod gather;
pub mod grpc;

pub use gather::gather;
use grpc::Grpc;

/// Everything that is counted as it happens.
pub struct Metrics {
    meter: Meter,
    /// What the process takes of its machine.
    pub process: Process,
    /// At the door.
    pub grpc: Grpc,
    generated: Counters<2>,
    generation: Histograms<1>,
    decisions: Counters<2>,
    calls: Counters<3>,
    seconds: Histograms<2>,
    overhead: Histograms<1>,
    stages: Histograms<1>,
    tokens: Counters<2>,
    cost: Amounts<1>,
    tiers: Counters<1>,
    policies: Counters<1>,
    fallbacks: Counters<1>,
    refusals: Counters<1>,
    attempts: Counters<2>,
    retries: Counters<0>,
    hedges: Counters<0>,
}

/// What the counters have come to, all series together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Calls that ended, and those of them that failed.
    pub calls: Ends,
    /// Calls by how long they took: see [`CALLS`].
    pub latencies: Vec<u64>,
    /// Tokens.
    pub tokens: Tokens,
    /// US dollars.
    pub cost_usd: f64,
    /// Attempts by instance.
    pub attempts: HashMap<String, Ends>,
}

/// How many ended, and how many of them failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// All.
    pub all: u64,
    /// Without those whose caller left.
    pub failed: u64,
}

impl Ends {
    fn add(&mut self, code: &str, count: u64) {
        self.all += count;
        let good = [Code::Ok, Code::Cancelled].map(code_text).contains(&code);
        self.failed += if good { 0 } else { count };
    }
}

impl Metrics {
    /// Nothing counted yet; one that is not `enabled` stays so.
    pub fn new(enabled: bool) -> Self {
        let m = Meter::new(enabled);
        let metrics = Self {
            process: Process::default(),
            generated: m.counters("tsa_tokens_generated", "Tokens of answers that models wrote", ["model", "instance"]),
            generation: m.histograms(
                "tsa_generation_latency_seconds",
                "From a prompt's arrival to the end of its answer",
                ["model"],
                CALLS,
            ),
            decisions: m.counters(
                "tsa_routing_decisions",
                "Calls by why their model was chosen, and for what",
                ["reason", "selected_capability"],
            ),
            grpc: Grpc::new(&m),
            calls: m.counters("waypost_calls", "Forwarded calls by how they ended", ["task", "model", "code"]),
            seconds: m.histograms("waypost_call_seconds", "How long forwarded calls took", ["task", "model"], CALLS),
            overhead: m.histograms(
                "waypost_overhead_seconds",
                "Time of calls that was not spent at an instance: the router's own",
                ["task"],
                PARTS,
            ),
            stages: m.histograms("waypost_stage_seconds", "Where calls spent their time", ["stage"], PARTS),
            tokens: m.counters(
                "waypost_tokens",
                "Tokens read (prompt; cached: those of them not read anew) and written (completion)",
                ["model", "kind"],
            ),
            cost: m.amounts("waypost_cost_usd", "What calls to models with a price came to", ["model"]),
            tiers: m.counters("waypost_tier_calls", "Prompts by the tier they were given", ["tier"]),
            policies: m.counters(
                "waypost_policies",
                "Prompts looked up among policies, by what came of it",
                ["result"],
            ),
            fallbacks: m.counters("waypost_fallbacks", "Times another model was asked, by why", ["reason"]),
            refusals: m.counters("waypost_refusals", "Calls the router itself refused, by why", ["reason"]),
            attempts: m.counters("waypost_attempts", "Deliveries to instances by how they ended", ["instance", "code"]),
            retries: m.counters("waypost_retries", "Deliveries made because an earlier one failed", []),
            hedges: m.counters("waypost_hedges", "Deliveries made because an earlier one took long", []),
            meter: m,
        };
        // Those without labels are there from the beginning, so that rates of them are 0 and not nothing.
        metrics.retries.add([], 0);
        metrics.hedges.add([], 0);
        metrics
    }

    /// Whether anything is counted.
    pub fn is_enabled(&self) -> bool {
        self.meter.is_enabled()
    }

    /// A call that came in at `arrived` has ended.
    pub fn ended(&self, event: &Event, arrived: Instant, ended: Instant) {
        if !self.is_enabled() {
            return;
        }
        let (task, model) = (task_name(event.seen.method.task), event.model.as_deref().unwrap_or_default());
        let (latency, trace) = (event.latency.as_secs_f64(), event.seen.trace);
        self.calls.inc([task, model, code_text(event.code)]);
        self.seconds.observe([task, model], latency, trace);
        if event.seen.is_rpc {
            self.grpc.ended(event.seen.method.into(), event.code, event.latency);
        }
        if let Some(reason) = event.seen.refused {
            self.refusals.inc([&reason_name(reason)]);
        }
        self.decided(event, task);
        self.timed(event, task, arrived, ended);
        self.tried(event, latency, trace);
    }

    fn decided(&self, event: &Event, task: &'static str) {
        if let Some(reason) = &event.model_reason {
            self.decisions.inc([reason, event.seen.capability.as_deref().unwrap_or(task)]);
        }
        for hop in event.hops.iter().skip(1) {
            self.fallbacks.inc([&hop.reason]);
        }
        if let Some(looked) = &event.looked {
            self.policies.inc([looked.result]);
        }
        let tier = event.features.as_ref().map(|features| features.tier);
        if let Some(tier) = tier.filter(|tier| *tier != Tier::Unspecified) {
            self.tiers.inc([tier_name(tier)]);
        }
    }

    fn timed(&self, event: &Event, task: &'static str, arrived: Instant, ended: Instant) {
        let Some(admitted) = event.admitted else { return };
        let looked = event.looked.map(|looked| looked.begun);
        self.stages.observe(["admission"], seconds(arrived, looked.unwrap_or(admitted)), None);
        if let Some(begun) = looked {
            self.stages.observe(["policy"], seconds(begun, admitted), None);
        }
        if event.attempts.is_empty() {
            return;
        }
        let attempts = event.attempts.iter().map(|tried| (tried.begun, tried.ended.unwrap_or(ended)));
        let Spent { choice, forward } = Spent::between(admitted, attempts);
        self.stages.observe(["choice"], choice.as_secs_f64(), None);
        self.stages.observe(["forward"], forward.as_secs_f64(), None);
        self.overhead.observe([task], event.latency.saturating_sub(forward).as_secs_f64(), None);
    }

    fn tried(&self, event: &Event, latency: f64, trace: Option<TraceId>) {
        let Some(last) = event.attempts.last() else { return };
        let (writes, model) = (event.seen.method.writes(), event.model.as_deref());
        if writes {
            self.generation.observe([model.unwrap_or(&last.served.info.name)], latency, trace);
        }
        self.retries.add([], event.seen.retries.into());
        self.hedges.add([], event.seen.hedges.into());
        for tried in &event.attempts {
            self.attempts.inc([&tried.instance, code_text(tried.code)]);
            self.cost.add([&tried.served.info.name], tried.cost_usd);
            self.used(tried, writes);
        }
    }

    fn used(&self, tried: &Tried, writes: bool) {
        let Tokens { prompt, cached, answer } = tried.told.tokens.unwrap_or_default();
        let model = tried.served.info.name.as_str();
        for (kind, count) in [("prompt", prompt), ("cached", cached), ("completion", answer)] {
            if count > 0 {
                self.tokens.add([model, kind], count);
            }
        }
        if writes && answer > 0 {
            self.generated.add([model, &tried.instance], answer);
        }
    }

    /// All series together.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { latencies: vec![0; CALLS.len() + 1], ..Totals::default() };
        self.calls.each(|[_, _, code], count| totals.calls.add(code, count));
        self.seconds.each(|_, buckets| {
            totals.latencies.iter_mut().zip(buckets).for_each(|(sum, count)| *sum += count);
        });
        self.tokens.each(|[_, kind], count| match kind {
            "prompt" => totals.tokens.prompt += count,
            "cached" => totals.tokens.cached += count,
            _ => totals.tokens.answer += count,
        });
        self.cost.each(|_, usd| totals.cost_usd += usd);
        self.attempts.each(|[instance, code], count| {
            totals.attempts.entry(instance.to_string()).or_default().add(code, count);
        });
        totals
    }
}

/// What became of a call's time once it was admitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spent {
    /// Before and between attempts.
    choice: Duration,
    /// At least one of them was under way: two may race.
    forward: Duration,
}

impl Spent {
    /// With `attempts` from there to there, in the order they began.
    fn between(admitted: Instant, attempts: impl Iterator<Item = (Instant, Instant)>) -> Self {
        let (mut spent, mut until) = (Self::default(), admitted);
        for (begun, ended) in attempts {
            spent.choice += begun.saturating_duration_since(until);
            spent.forward += ended.saturating_duration_since(begun.max(until));
            until = until.max(ended);
        }
        spent
    }
}

fn seconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64()
}

/// As labels have it.
pub fn task_name(task: Task) -> &'static str {
    match task {
        Task::Unspecified => "",
        Task::Embed => "embed",
        Task::Classify => "classify",
        Task::Rerank => "rerank",
        Task::Generate => "generate",
        Task::Retrieve => "retrieve",
    }
}

/// `ERROR_REASON_QUEUE_FULL` is "queue_full".
fn reason_name(reason: ErrorReason) -> String {
    reason.as_str_name().trim_start_matches("ERROR_REASON_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn time_at_instances_counts_once_where_attempts_race(
            mut spans in prop::collection::vec((0_u64..50, 0_u64..50), 0..6),
        ) {
            spans.sort_unstable();
            let (base, ms) = (Instant::now(), Duration::from_millis);
            let attempts = spans.iter().map(|(from, length)| (base + ms(*from), base + ms(from + length)));
            let last = spans.iter().map(|(from, length)| from + length).max().unwrap_or_default();
            let is_busy = |at: &u64| spans.iter().any(|(from, length)| (*from..from + length).contains(at));
            let busy = (0..last).filter(is_busy).count() as u64;
            let spent = Spent { choice: ms(last - busy), forward: ms(busy) };
            prop_assert_eq!(Spent::between(base, attempts), spent);
        }
    }

    #[test]
    fn a_reason_is_told_in_small_letters_without_its_prefix() {
        assert_eq!(reason_name(ErrorReason::QueueFull), "queue_full");
    }

    #[test]
    fn callers_who_left_failed_nobody() {
        let mut ends = Ends::default();
        [("OK", 5), ("CANCELLED", 2), ("UNAVAILABLE", 1)].into_iter().for_each(|(code, count)| ends.add(code, count));
        assert_eq!(ends, Ends { all: 8, failed: 1 });
    }
}
