//! The additive score of an instance, term by term.
//!
//! `score = W_latency·(1/p95) + W_queue·(1/(1+queue_depth)) + W_fit·fit + W_health·uptime + W_feedback·quality`,
//! each term divided by the best among the candidates, so that it lies in `[0, 1]` and the best has 1.  Dividing by
//! the best keeps ratios; stretching between worst and best instead would turn an uptime of 0.99 beside 1.00 into
//! 0 beside 1.
//!
//! It ranks models and tiers, and it is logged with every decision.  Between replicas of one model prefer
//! [`crate::pick::Policy::ExpectedCompletion`]: everybody who takes the best score takes the same instance, and the
//! score learns of it too late.
use std::time::Duration;

const FASTEST: Duration = Duration::from_micros(1);

/// How much each term counts; 1.0 each by default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Weight of `1 / p95`.
    pub latency: f64,
    /// Weight of `1 / (1 + queue_depth)`.
    pub queue: f64,
    /// Weight of the capability match.
    pub fit: f64,
    /// Weight of the uptime.
    pub health: f64,
    /// Weight of the quality reported by feedback.
    pub feedback: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { latency: 1.0, queue: 1.0, fit: 1.0, health: 1.0, feedback: 1.0 }
    }
}

/// What is known of an instance when it is scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Recent p95 latency; without one the instance counts as fast as the fastest, so that it gets tried.
    pub p95: Option<Duration>,
    /// Requests waiting or running there.
    pub queue_depth: u32,
    /// Capability match, 0 and up.
    pub fit: f64,
    /// Share of time or requests it was available, 0 to 1.
    pub uptime: f64,
    /// Quality from feedback, 0 and up.
    pub quality: f64,
}

/// The five terms, normalised, before weighting.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Terms {
    /// Fastest p95 over this one.
    pub latency: f64,
    /// Emptiness of the queue relative to the emptiest.
    pub queue: f64,
    /// Fit relative to the best.
    pub fit: f64,
    /// Uptime relative to the best.
    pub health: f64,
    /// Quality relative to the best.
    pub feedback: f64,
}

/// A candidate's score and how it came about.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scored {
    /// The weighted sum of the terms.
    pub total: f64,
    /// The terms.
    pub terms: Terms,
}

/// Scores all candidates together, in their order.  Negative and non-finite inputs count as 0.
pub fn score(candidates: &[Candidate], weights: &Weights) -> Vec<Scored> {
    let raw: Vec<Terms> = candidates.iter().map(Terms::raw).collect();
    let best = raw.iter().fold(Terms::default(), |best, terms| best.zip(terms, f64::max));
    raw.iter()
        .zip(candidates)
        .map(|(raw, candidate)| {
            let mut terms = raw.zip(&best, share);
            if candidate.p95.is_none() {
                terms.latency = 1.0;
            }
            Scored { total: terms.weighted(weights), terms }
        })
        .collect()
}

impl Terms {
    fn raw(candidate: &Candidate) -> Self {
        Self {
            latency: candidate.p95.map_or(0.0, |p95| p95.max(FASTEST).as_secs_f64().recip()),
            queue: (1.0 + f64::from(candidate.queue_depth)).recip(),
            fit: sane(candidate.fit),
            health: sane(candidate.uptime),
            feedback: sane(candidate.quality),
        }
    }

    fn zip(&self, other: &Self, f: fn(f64, f64) -> f64) -> Self {
        Self {
            latency: f(self.latency, other.latency),
            queue: f(self.queue, other.queue),
            fit: f(self.fit, other.fit),
            health: f(self.health, other.health),
            feedback: f(self.feedback, other.feedback),
        }
    }

    fn weighted(&self, weights: &Weights) -> f64 {
        weights.latency * self.latency
            + weights.queue * self.queue
            + weights.fit * self.fit
            + weights.health * self.health
            + weights.feedback * self.feedback
    }
}

fn sane(value: f64) -> f64 {
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}

fn share(value: f64, best: f64) -> f64 {
    if best > 0.0 { value / best } else { 0.0 }
}
