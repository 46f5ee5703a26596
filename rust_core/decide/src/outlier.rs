//! Leaving slow and failing instances out, without ever emptying the pool.
//!
//! An exclusion that lasts until the measured p95 recovers lasts for ever, for nobody calls the instance any more and
//! the p95 stays: in simulation that raised the p99 of the whole pool from 1.2 s to 6-8 s.  So an [`Exclusion`]
//! expires by itself.  And when most instances look sick, the measure is sick, or the load is: sending everything to
//! the few that remain takes them down too.  Below the panic share all ready instances are in (Envoy's panic
//! threshold), and never more than half of them are out.
use std::cmp::Reverse;
use std::time::Duration;

/// Exclusion of one instance by its p95.
#[derive(Clone, Debug)]
pub struct Exclusion {
    limit: Option<Duration>,
    expiry: Duration,
    until: Option<Duration>,
}

impl Exclusion {
    /// Excludes for `expiry` once the p95 is over `limit`; without a limit, never.
    pub fn new(limit: Option<Duration>, expiry: Duration) -> Self {
        Self { limit, expiry, until: None }
    }

    /// Takes in the p95 at `now`.  True when an exclusion begins: clear the quantile window then, or the samples
    /// that caused this exclusion will cause the next one.
    pub fn observe(&mut self, now: Duration, p95: Duration) -> bool {
        let over = self.limit.is_some_and(|limit| p95 > limit);
        let begins = over && self.until(now).is_none();
        if begins {
            self.until = Some(now.saturating_add(self.expiry));
        }
        begins
    }

    /// When the exclusion in force at `now` ends.
    pub fn until(&self, now: Duration) -> Option<Duration> {
        self.until.filter(|until| *until > now)
    }
}

/// What decides whether an instance may be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// As of [`Exclusion::until`]; a time in the past excludes nothing.
    pub excluded_until: Option<Duration>,
    /// As of [`crate::breaker::Breaker::allows`].
    pub breaker_allows: bool,
    /// Connected, serving and not draining; an instance that is not ready is never admitted.
    pub ready: bool,
}

/// The indices that may be picked at `now`, ascending; empty only where none is ready.
///
/// An index can be admitted although its breaker does not allow it: that is the panic, and the caller lets the
/// request pass.
pub fn admit(instances: &[Health], now: Duration, panic_share: f64) -> Vec<usize> {
    let ready: Vec<usize> = (0..instances.len()).filter(|index| instances[*index].ready).collect();
    let mut sick: Vec<usize> = ready.iter().copied().filter(|index| instances[*index].is_sick(now)).collect();
    let healthy = ready.len() - sick.len();
    if (healthy as f64) < panic_share * ready.len() as f64 {
        return ready;
    }
    keep_out_longest(&mut sick, instances, ready.len() / 2);
    ready.into_iter().filter(|index| !sick.contains(index)).collect()
}

impl Health {
    fn is_sick(&self, now: Duration) -> bool {
        !self.breaker_allows || self.excluded_until.is_some_and(|until| until > now)
    }
}

// Broken before slow, and among the slow those with the longest time still to serve.
fn keep_out_longest(sick: &mut Vec<usize>, instances: &[Health], most: usize) {
    sick.sort_by_key(|index| {
        let health = &instances[*index];
        (health.breaker_allows, Reverse(health.excluded_until))
    });
    sick.truncate(most);
}
