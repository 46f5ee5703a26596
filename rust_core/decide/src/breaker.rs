//! A circuit breaker: after some failures in a row, leave an instance alone, then let one request try it.
//!
//! ```text
//! Closed --failures in a row--> Open --time--> HalfOpen --success--> Closed
//!                                ^                 |
//!                                +-----failure-----+
//! ```
//!
//! Call [`Breaker::acquire`] when a request is about to go there, and then exactly one of [`Breaker::record`] and
//! [`Breaker::forget`], the latter when the request was cancelled and says nothing about the instance.  A drop guard
//! around the request is the place for it: a half-open breaker whose probe never reports admits nobody.
use std::time::Duration;

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All requests pass.
    Closed {
        /// Failures since the last success.
        failures: u32,
    },
    /// No request passes.
    Open {
        /// When a probe may pass.
        until: Duration,
    },
    /// One request passes as a probe.
    HalfOpen {
        /// Whether it is under way.
        probe_in_flight: bool,
    },
}

/// Circuit breaker of one instance.
#[derive(Clone, Debug)]
pub struct Breaker {
    failures: u32,
    open_for: Duration,
    state: State,
}

impl Breaker {
    /// Opens for `open_for` after `failures` failures in a row; 0 counts as 1.
    pub fn new(failures: u32, open_for: Duration) -> Self {
        Self { failures: failures.max(1), open_for, state: State::Closed { failures: 0 } }
    }

    /// The state at `now`: an open breaker whose time is over is half-open.
    pub fn state(&self, now: Duration) -> State {
        match self.state {
            State::Open { until } if until <= now => State::HalfOpen { probe_in_flight: false },
            state => state,
        }
    }

    /// Whether a request could pass at `now`; takes nothing, so candidates can be filtered by it.
    pub fn allows(&self, now: Duration) -> bool {
        matches!(self.state(now), State::Closed { .. } | State::HalfOpen { probe_in_flight: false })
    }

    /// Lets a request pass at `now`, or not; in the half-open state the one that passes is the probe.
    pub fn acquire(&mut self, now: Duration) -> bool {
        let allowed = self.allows(now);
        if let State::HalfOpen { .. } = self.state(now) {
            self.state = State::HalfOpen { probe_in_flight: true };
        }
        allowed
    }

    /// Takes in the outcome of a request that ended at `now`.
    pub fn record(&mut self, now: Duration, ok: bool) {
        self.state = match self.state {
            State::Closed { .. } | State::HalfOpen { .. } if ok => State::Closed { failures: 0 },
            State::Closed { failures } if failures + 1 < self.failures => State::Closed { failures: failures + 1 },
            State::Closed { .. } | State::HalfOpen { .. } => State::Open { until: now.saturating_add(self.open_for) },
            // A straggler from before it opened: neither news nor a reason to stay open longer.
            open @ State::Open { .. } => open,
        }
    }

    /// A request that passed was cancelled: frees the probe, judges nothing.
    pub fn forget(&mut self) {
        if let State::HalfOpen { .. } = self.state {
            self.state = State::HalfOpen { probe_in_flight: false };
        }
    }
}
