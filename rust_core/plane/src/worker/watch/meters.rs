//! What a worker counts and measures; the names are those of the documentation.

use std::time::Duration;

use tonic::Code;

use super::{
    Ran,
    trail::{Facts, Mark, Stage, Trail},
};
use crate::{
    metrics::{CALLS, Counters, Histograms, Meter, SIZES, TraceId},
    router::{code_text, methods::Method, task_name},
};

/// Label names of what is told of a model.
const OF_MODEL: [&str; 2] = ["instance", "model"];

/// Seconds of a stage, be it of a hash or of a long answer: upper ends of the buckets.
const STAGES: &[f64] = &[
    0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0,
    5.0, 10.0, 20.0, 60.0,
];

/// The families of a worker.
pub struct Meters {
    queue: Histograms<2>,
    tokenize: Histograms<2>,
    inference: Histograms<2>,
    first_token: Histograms<2>,
    token: Histograms<2>,
    stream: Histograms<2>,
    batch_texts: Histograms<2>,
    batch_tokens: Counters<3>,
    runs: Counters<2>,
    lookups: Counters<3>,
    calls: Counters<4>,
    tokens: Counters<3>,
}

impl Meters {
    /// All of them, still empty.
    pub fn new(meter: &Meter) -> Self {
        let seconds = |name, help| meter.histograms(name, help, OF_MODEL, STAGES);
        let answer = |name, help| meter.histograms(name, help, OF_MODEL, CALLS);
        let counters = |name, help, third| meter.counters(name, help, ["instance", "model", third]);
        let (calls, call_labels) = ("waypost_worker_calls", ["instance", "task", "model", "code"]);
        Self {
            queue: seconds("waypost_worker_queue_seconds", "A call's time before a session or slot took it"),
            tokenize: seconds("waypost_worker_tokenize_seconds", "Time in which a call's texts became tokens"),
            inference: seconds(
                "waypost_worker_inference_seconds",
                "From when a session or slot took a call to its end",
            ),
            first_token: answer("waypost_worker_first_token_seconds", "From a call's arrival to its first token"),
            token: seconds("waypost_worker_token_seconds", "Mean time between the tokens of an answer"),
            stream: answer("waypost_worker_stream_seconds", "From the first token of an answer to its last"),
            batch_texts: meter.histograms("waypost_worker_batch_texts", "Texts of a run", OF_MODEL, SIZES),
            batch_tokens: counters("waypost_worker_batch_tokens", "Tokens of runs, those of texts and padding", "kind"),
            runs: meter.counters("waypost_worker_runs", "Runs of a session", OF_MODEL),
            lookups: counters("waypost_worker_vector_cache_requests", "Texts looked up among vectors kept", "result"),
            calls: meter.counters(calls, "Calls that have ended, by how they ended", call_labels),
            tokens: counters(
                "waypost_worker_tokens",
                "Tokens read, those of them that were known, and written",
                "kind",
            ),
        }
    }

    /// A call has ended.
    pub fn ended(&self, instance: &str, method: &Method, model: &str, code: Code) {
        self.calls.inc([instance, task_name(method.task), model, code_text(code)]);
    }

    /// What a call, or a message, spent its time on.
    pub fn spent(&self, of: [&str; 2], trail: &Trail, ended: Duration) {
        let trace = trail.traced.as_ref().map(|traced| traced.trace_id());
        let (mut queue, mut inference) = (None, None);
        for (stage, from, to) in trail.stages(ended) {
            match stage {
                Stage::Tokenize => observe(&self.tokenize, of, Some(to - from), trace),
                Stage::Queue => *queue.get_or_insert_default() += to - from,
                Stage::Inference | Stage::Prefill | Stage::Decode => *inference.get_or_insert_default() += to - from,
            }
        }
        observe(&self.queue, of, queue, trace);
        observe(&self.inference, of, inference, trace);
    }

    /// How an answer came, as far as it did.
    pub fn wrote(&self, of: [&str; 2], trail: &Trail, ended: Duration) {
        let Some(first) = trail.at(Mark::First) else { return };
        let trace = trail.traced.as_ref().map(|traced| traced.trace_id());
        let stream = trail.at(Mark::Done).unwrap_or(ended).saturating_sub(first);
        let steps = trail.facts().completion.unwrap_or(0).saturating_sub(1);
        observe(&self.first_token, of, Some(first), trace);
        observe(&self.stream, of, Some(stream), trace);
        observe(&self.token, of, (steps > 0).then(|| stream.div_f64(steps as f64)), trace);
    }

    /// What a call, or a message, came to.
    pub fn tokens(&self, [instance, model]: [&str; 2], facts: &Facts) {
        let kinds = [("prompt", facts.prompt), ("cached", facts.cached), ("completion", facts.completion.unwrap_or(0))];
        for (kind, tokens) in kinds.into_iter().filter(|(_, tokens)| *tokens > 0) {
            self.tokens.add([instance, model, kind], tokens);
        }
    }

    /// A session has run a batch.
    pub fn ran(&self, instance: &str, ran: &Ran<'_>, trace: Option<TraceId>) {
        let of = [instance, ran.model];
        self.runs.inc(of);
        self.batch_texts.observe(of, ran.items.len() as f64, trace);
        self.batch_tokens.add([instance, ran.model, "real"], ran.tokens() as u64);
        self.batch_tokens.add([instance, ran.model, "padding"], ran.padding() as u64);
    }

    /// So many texts had their vectors kept, and so many had not.
    pub fn looked_up(&self, [instance, model]: [&str; 2], hits: u64, misses: u64) {
        self.lookups.add([instance, model, "hit"], hits);
        self.lookups.add([instance, model, "miss"], misses);
    }
}

fn observe(family: &Histograms<2>, of: [&str; 2], time: Option<Duration>, trace: Option<TraceId>) {
    if let Some(time) = time {
        family.observe(of, time.as_secs_f64(), trace);
    }
}
