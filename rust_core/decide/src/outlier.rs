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
pub fn admit<'a>(instances: impl IntoIterator<Item = &'a Health>, now: Duration, panic_share: f64) -> Vec<usize> {
    let instances = instances.into_iter();
    let mut ready = Vec::with_capacity(instances.size_hint().0);
    let mut sick = Vec::new();
    for (index, health) in instances.enumerate().filter(|(_, health)| health.ready) {
        ready.push(index);
        if health.is_sick(now) {
            sick.push((health, index));
        }
    }
    let healthy = ready.len() - sick.len();
    if (healthy as f64) < panic_share * ready.len() as f64 {
        return ready;
    }
    keep_out_longest(&mut sick, ready.len() / 2);
    ready.retain(|index| !sick.iter().any(|(_, out)| out == index));
    ready
}

impl Health {
    fn is_sick(&self, now: Duration) -> bool {
        !self.breaker_allows || self.excluded_until.is_some_and(|until| until > now)
    }
}

// Broken before slow, and among the slow those with the longest time still to serve.
fn keep_out_longest(sick: &mut Vec<(&Health, usize)>, most: usize) {
    sick.sort_by_key(|(health, _)| (health.breaker_allows, Reverse(health.excluded_until)));
    sick.truncate(most);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Duration = Duration::from_secs(100);
    const PANIC: f64 = 0.5;
    const WELL: Health = Health { excluded_until: None, breaker_allows: true, ready: true };
    const BROKEN: Health = Health { breaker_allows: false, ..WELL };
    const GONE: Health = Health { ready: false, ..WELL };

    fn excluded(seconds_more: u64) -> Health {
        Health { excluded_until: Some(NOW + Duration::from_secs(seconds_more)), ..WELL }
    }

    #[test]
    fn the_well_are_admitted_and_the_sick_are_not() {
        assert_eq!(admit(&[WELL, excluded(1), WELL, BROKEN], NOW, PANIC), [0, 2]);
    }

    #[test]
    fn an_instance_that_is_not_ready_is_never_admitted() {
        assert_eq!(admit(&[GONE, WELL, GONE], NOW, PANIC), [1]);
        assert!(admit(&[GONE, GONE], NOW, PANIC).is_empty());
    }

    #[test]
    fn an_exclusion_that_is_over_excludes_nothing() {
        assert_eq!(admit(&[excluded(0), WELL], NOW, PANIC), [0, 1]);
    }

    #[test]
    fn an_only_instance_is_admitted_however_sick() {
        assert_eq!(admit(&[BROKEN], NOW, PANIC), [0]);
        assert_eq!(admit(&[excluded(9), GONE], NOW, PANIC), [0]);
    }

    #[test]
    fn below_the_panic_share_all_ready_are_admitted() {
        assert_eq!(admit(&[WELL, BROKEN, excluded(1), GONE], NOW, PANIC), [0, 1, 2]);
    }

    #[test]
    fn a_low_panic_share_still_leaves_out_half_at_most_and_the_worst_first() {
        let instances = [excluded(1), WELL, excluded(9), BROKEN];
        assert_eq!(admit(&instances, NOW, 0.1), [0, 1]);
    }

    #[test]
    fn a_p95_over_the_limit_excludes_until_the_expiry_and_no_longer() {
        let mut exclusion = Exclusion::new(Some(Duration::from_secs(1)), Duration::from_secs(5));
        assert!(!exclusion.observe(NOW, Duration::from_secs(1)));
        assert!(exclusion.observe(NOW, Duration::from_secs(2)));
        let until = NOW + Duration::from_secs(5);
        assert_eq!(exclusion.until(NOW), Some(until));
        assert_eq!(exclusion.until(until), None);
    }

    #[test]
    fn late_answers_do_not_prolong_an_exclusion() {
        let mut exclusion = Exclusion::new(Some(Duration::from_secs(1)), Duration::from_secs(5));
        exclusion.observe(NOW, Duration::from_secs(2));
        assert!(!exclusion.observe(NOW + Duration::from_secs(4), Duration::from_secs(2)));
        assert_eq!(exclusion.until(NOW), Some(NOW + Duration::from_secs(5)));
    }

    #[test]
    fn without_a_limit_nothing_is_excluded() {
        assert!(!Exclusion::new(None, Duration::from_secs(5)).observe(NOW, Duration::MAX));
    }

    prop_compose! {
        fn health()(
            excluded_until in prop::option::of(90u64..110),
            breaker_allows in any::<bool>(),
            ready in any::<bool>(),
        ) -> Health {
            Health { excluded_until: excluded_until.map(Duration::from_secs), breaker_allows, ready }
        }
    }

    proptest! {
        #[test]
        fn at_least_half_of_the_ready_and_only_the_ready_are_admitted(
            instances in prop::collection::vec(health(), 0..30),
            panic_share in 0.0f64..=1.0,
        ) {
            let admitted = admit(&instances, NOW, panic_share);
            let ready = instances.iter().filter(|health| health.ready).count();
            prop_assert!(admitted.is_sorted_by(|a, b| a < b));
            prop_assert!(admitted.iter().all(|index| instances[*index].ready));
            prop_assert!(2 * admitted.len() >= ready);
        }

        #[test]
        fn every_well_instance_is_admitted(
            instances in prop::collection::vec(health(), 0..30),
            panic_share in 0.0f64..=1.0,
        ) {
            let admitted = admit(&instances, NOW, panic_share);
            for (index, health) in instances.iter().enumerate() {
                prop_assert!(!health.ready || health.is_sick(NOW) || admitted.contains(&index));
            }
        }
    }
}
