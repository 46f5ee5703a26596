//! How likely is an instance to answer at all, in `(0, 1]`.
//!
//! Successes and outcomes are counted with weights that fade with time, and one imagined success stands behind them:
//! a new instance is trusted, one failure halves that trust, silence restores it.  Under load the memory is the last
//! [`MEMORY`] outcomes rather than the last seconds, otherwise thousands of old successes would hide a fresh outage.
use std::time::Duration;

use crate::ewma::decayed;

/// The most outcomes whose weight is kept; beyond it older ones make room.
pub const MEMORY: f64 = 32.0;

const TRUST: f64 = 1.0;

/// Fading success rate of one instance.
#[derive(Clone, Debug)]
pub struct SuccessRate {
    decay: Duration,
    at: Duration,
    successes: f64,
    outcomes: f64,
}

impl SuccessRate {
    /// `decay` is the time in which an outcome loses 63 % of its weight.
    pub fn new(decay: Duration) -> Self {
        Self { decay, at: Duration::ZERO, successes: 0.0, outcomes: 0.0 }
    }

    /// Takes in the outcome of a request that ended at `now`.
    pub fn observe(&mut self, now: Duration, ok: bool) {
        let weight = self.weight(now).min((MEMORY - 1.0) / self.outcomes.max(MEMORY - 1.0));
        self.successes = self.successes * weight + f64::from(u8::from(ok));
        self.outcomes = self.outcomes * weight + 1.0;
        self.at = now;
    }

    /// The rate at `now`; 1.0 where nothing was observed, or not for long.
    pub fn get(&self, now: Duration) -> f64 {
        let weight = self.weight(now);
        (self.successes * weight + TRUST) / (self.outcomes * weight + TRUST)
    }

    fn weight(&self, now: Duration) -> f64 {
        decayed(now.saturating_sub(self.at), self.decay)
    }
}
