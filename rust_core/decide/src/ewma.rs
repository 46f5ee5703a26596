//! Latency of one instance as a number that believes bad news at once and good news slowly.
//!
//! A plain moving average needs many samples to notice a stall, and a stalled instance returns few.  Peak EWMA
//! (Finagle, later linkerd and tower) jumps to any sample above the estimate and decays towards those below it with
//! time, not with count.  It also decays while nothing is heard, so an instance that was slow once is tried again;
//! the picker's in-flight factor keeps that to a probe.
//!
//! Feed it answers only.  A quick refusal is not a quick answer, and counting it makes a failing instance look fast.
use std::time::Duration;

/// Peak-sensitive exponentially weighted moving average of latency.
#[derive(Clone, Debug)]
pub struct PeakEwma {
    decay: Duration,
    initial: Duration,
    last: Option<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Duration,
    seconds: f64,
}

impl PeakEwma {
    /// `decay` is the time in which an old estimate loses 63 % of its weight; `initial` stands in until the first
    /// observation and leaves no trace after it.
    pub fn new(decay: Duration, initial: Duration) -> Self {
        Self { decay, initial, last: None }
    }

    /// Takes in the latency of an answer that ended at `now`.
    pub fn observe(&mut self, now: Duration, latency: Duration) {
        let sample = latency.as_secs_f64();
        let seconds = self.last.map_or(sample, |last| {
            let weight = self.weight(last.at, now);
            sample.max(last.seconds * weight + sample * (1.0 - weight))
        });
        self.last = Some(Sample { at: now, seconds });
    }

    /// The estimate at `now`, decayed by the silence since the last observation.
    pub fn get(&self, now: Duration) -> Duration {
        self.last.map_or(self.initial, |last| Duration::from_secs_f64(last.seconds * self.weight(last.at, now)))
    }

    fn weight(&self, then: Duration, now: Duration) -> f64 {
        decayed(now.saturating_sub(then), self.decay)
    }
}

/// The share of weight left after `elapsed`; a zero `decay` forgets at once.
pub(crate) fn decayed(elapsed: Duration, decay: Duration) -> f64 {
    if decay.is_zero() {
        return 0.0;
    }
    (-elapsed.as_secs_f64() / decay.as_secs_f64()).exp()
}
