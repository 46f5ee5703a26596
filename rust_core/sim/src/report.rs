//! How it went.
use std::time::Duration;

use serde::Serialize;

use crate::{contender::Contender, scenario::Scenario};

/// Answers later than this are late for whoever waits before a screen.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With an answer.
    Answered,
    /// No worker could be found that works.
    Failed,
    /// At the door, at once.
    Refused,
    /// Its time was over.
    Late,
}

/// Counts while it happens.
#[derive(Debug)]
pub struct Tally {
    latencies: Vec<Duration>,
    failed: usize,
    refused: usize,
    late: usize,
    /// Attempts per second and worker.
    sent: Vec<Vec<u32>>,
}

/// Figures of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the scenario,
    pub scenario: String,
    /// and of the contender.
    pub contender: String,
    /// Calls that came.
    pub calls: usize,
    /// Milliseconds within which half of the answers came,
    pub p50_ms: f64,
    /// 95 % of them,
    pub p95_ms: f64,
    /// 99 % of them,
    pub p99_ms: f64,
    /// 99.9 % of them.
    pub p999_ms: f64,
    /// Share of the calls without an answer: failed, refused or late.
    pub errors: f64,
    /// Share of the calls that were refused at the door.
    pub refused: f64,
    /// Share of the calls that were answered within a second.
    pub prompt: f64,
    /// Attempts per call.
    pub attempts: f64,
    /// What the workers are,
    pub workers: Vec<&'static str>,
    /// and each one's share of all attempts.
    pub shares: Vec<f64>,
    /// Attempts, per second and worker.
    pub timeline: Vec<Vec<u32>>,
}

impl Tally {
    /// Nothing happened yet.
    pub fn new(scenario: &Scenario) -> Self {
        let seconds = scenario.traffic.duration.as_secs_f64().ceil() as usize;
        let sent = vec![vec![0; scenario.workers.len()]; seconds];
        Self { latencies: Vec::new(), failed: 0, refused: 0, late: 0, sent }
    }

    /// An attempt was sent to a worker.
    pub fn sent(&mut self, now: Duration, worker: usize) {
        let last = self.sent.len() - 1;
        self.sent[last.min(now.as_secs() as usize)][worker] += 1;
    }

    /// A call ended, so long after it came.
    pub fn ended(&mut self, end: End, after: Duration) {
        match end {
            End::Answered => self.latencies.push(after),
            End::Failed => self.failed += 1,
            End::Refused => self.refused += 1,
            End::Late => self.late += 1,
        }
    }

    /// The figures.
    pub fn report(mut self, scenario: &Scenario, contender: &Contender) -> Report {
        self.latencies.sort_unstable();
        let unanswered = self.failed + self.refused + self.late;
        let calls = self.latencies.len() + unanswered;
        let of_calls = |count: usize| count as f64 / calls.max(1) as f64;
        let per_worker: Vec<u32> =
            (0..scenario.workers.len()).map(|worker| self.sent.iter().map(|second| second[worker]).sum()).collect();
        let attempts: u32 = per_worker.iter().sum();
        Report {
            scenario: scenario.name.into(),
            contender: contender.name.clone(),
            calls,
            p50_ms: self.quantile(0.5),
            p95_ms: self.quantile(0.95),
            p99_ms: self.quantile(0.99),
            p999_ms: self.quantile(0.999),
            errors: of_calls(unanswered),
            refused: of_calls(self.refused),
            prompt: of_calls(self.latencies.partition_point(|latency| *latency <= PATIENCE)),
            attempts: of_calls(attempts as usize),
            workers: scenario.workers.iter().map(|plan| plan.kind).collect(),
            shares: per_worker.iter().map(|count| f64::from(*count) / f64::from(attempts.max(1))).collect(),
            timeline: self.sent,
        }
    }

    fn quantile(&self, q: f64) -> f64 {
        let rank = (q * self.latencies.len() as f64).ceil() as usize;
        self.latencies.get(rank.saturating_sub(1)).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }
}

impl Report {
    /// Share of a worker's attempts in these seconds.
    pub fn share(&self, worker: usize, seconds: std::ops::Range<usize>) -> f64 {
        let seconds = &self.timeline[seconds];
        let all: u32 = seconds.iter().flatten().sum();
        let mine: u32 = seconds.iter().map(|second| second[worker]).sum();
        f64::from(mine) / f64::from(all.max(1))
    }

    /// The greatest share of attempts that a worker of this kind had, as multiple of an equal share.
    pub fn times_fair(&self, kind: &str) -> f64 {
        let shares = self.workers.iter().zip(&self.shares).filter(|(worker, _)| **worker == kind);
        shares.map(|(_, share)| share * self.shares.len() as f64).fold(0.0, f64::max)
    }
}
