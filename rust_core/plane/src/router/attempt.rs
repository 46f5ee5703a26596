//! One call at one instance, from the moment it is chosen.
//!
//! The instance's counters are moved by making an [`Attempt`] and by its end, whichever way that comes: an attempt
//! that is dropped after its deadline has timed out, one that is dropped before was abandoned by the caller (or lost
//! a race), which is counted out but judges nobody.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use waypost_decide::stats::Verdict;

use super::registry::Replica;
use crate::deadline::Deadline;

/// Bytes of a request that make one unit of work.
///
/// Requests differ a hundredfold in size, and a long one that takes long is no sign of a slow instance.  So latency
/// is compared per unit, and what is in flight is counted in units: one for the call and one for each so many bytes
/// (about thirty tokens, where the length of a text begins to outweigh the cost of a call).
const UNIT_BYTES: usize = 128;

/// Size of a request in units of work.
pub fn units(bytes: usize) -> u32 {
    u32::try_from(1 + bytes / UNIT_BYTES).unwrap_or(u32::MAX)
}

/// Time since the router began: the `now` of all its decisions.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock {
    /// The present.
    pub fn now(self) -> Duration {
        self.0.elapsed()
    }

    /// When `deadline` is.
    pub fn at(self, deadline: Deadline) -> Duration {
        deadline.left(self.0)
    }
}

/// A call that an instance has.
#[derive(Debug)]
pub struct Attempt {
    /// Where.
    pub replica: Replica,
    clock: Clock,
    started: Duration,
    deadline: Duration,
    units: u32,
    heard: bool,
    open: bool,
}

impl Attempt {
    /// Counts a call of `units` in.
    pub fn begin(replica: Replica, clock: Clock, now: Duration, deadline: Duration, units: u32) -> Self {
        replica.instance.stats.lock().enter(now, units);
        replica.served.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { replica, clock, started: now, deadline, units, heard: false, open: true }
    }

    /// How long it has been open.
    pub fn elapsed(&self) -> Duration {
        self.clock.now().saturating_sub(self.started)
    }

    /// The instance has begun to answer.
    pub fn heard(&mut self) {
        if std::mem::replace(&mut self.heard, true) {
            return;
        }
        let now = self.clock.now();
        let latency = now.saturating_sub(self.started);
        self.replica.served.serving.lock().heard(now, latency, self.units);
        self.replica.instance.stats.lock().heard(now, latency);
    }

    /// It is over.
    pub fn end(mut self, verdict: Verdict) {
        if verdict == Verdict::Answered {
            self.heard();
        }
        self.leave(verdict);
    }

    fn leave(&mut self, verdict: Verdict) {
        self.open = false;
        self.replica.served.in_flight.fetch_sub(1, Ordering::Relaxed);
        let now = self.clock.now();
        if self.heard {
            return self.replica.instance.stats.lock().leave(now, self.units, verdict);
        }
        let waited = now.saturating_sub(self.started);
        self.replica.served.serving.lock().unheard(now, verdict, waited, self.units);
        self.replica.instance.stats.lock().leave_unheard(now, self.units, verdict, waited);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.open {
            let late = self.clock.now() >= self.deadline;
            self.leave(if late { Verdict::TimedOut } else { Verdict::Abandoned });
        }
    }
}
