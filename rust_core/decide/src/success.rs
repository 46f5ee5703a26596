//! How likely is an instance to answer at all, in `(0, 1]`.
//!
//! Successes and outcomes are counted with weights that fade with time, and one imagined success stands behind them:
//! a new instance is trusted, one failure halves that trust, silence restores it.  Under load the memory is the last
//! [`MEMORY`] outcomes rather than the last seconds, otherwise thousands of old successes would hide a fresh outage.
use std::time::Duration;

use crate::fading::{Belief, FadingMean};

/// The most outcomes whose weight is kept; beyond it older ones make room.
pub const MEMORY: f64 = 32.0;

const TRUST: Belief = Belief { value: 1.0, weight: 1.0 };

/// Fading success rate of one instance.
#[derive(Clone, Debug)]
pub struct SuccessRate(FadingMean);

impl SuccessRate {
    /// `decay` is the time in which an outcome loses 63 % of its weight.
    pub fn new(decay: Duration) -> Self {
        Self(FadingMean::new(decay, MEMORY))
    }

    /// Takes in the outcome of a request that ended at `now`.
    pub fn observe(&mut self, now: Duration, ok: bool) {
        self.0.observe(now, f64::from(u8::from(ok)));
    }

    /// The rate at `now`; 1.0 where nothing was observed, or not for long.
    pub fn get(&self, now: Duration) -> f64 {
        self.0.get(now, TRUST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DECAY: Duration = Duration::from_secs(10);
    const START: Duration = Duration::ZERO;

    fn after(outcomes: impl IntoIterator<Item = bool>) -> SuccessRate {
        let mut rate = SuccessRate::new(DECAY);
        outcomes.into_iter().for_each(|ok| rate.observe(START, ok));
        rate
    }

    #[test]
    fn a_new_instance_is_trusted() {
        assert_eq!(SuccessRate::new(DECAY).get(START), 1.0);
    }

    #[test]
    fn one_failure_halves_the_trust_in_a_new_instance() {
        assert_eq!(after([false]).get(START), 0.5);
    }

    #[test]
    fn silence_restores_trust() {
        let rate = after([false; 10]);
        assert!(rate.get(START) < 0.1);
        assert!(rate.get(DECAY * 10) > 0.99);
    }

    #[test]
    fn ten_thousand_old_successes_do_not_hide_a_fresh_outage() {
        let outcomes = std::iter::repeat_n(true, 10_000).chain(std::iter::repeat_n(false, 100));
        assert!(after(outcomes).get(START) < 0.1);
    }

    #[test]
    fn a_steady_mix_is_estimated_near_its_share() {
        let rate = after((0..1000).map(|index| index % 4 != 0)).get(START);
        assert!((rate - 0.75).abs() < 0.05, "{rate}");
    }

    proptest! {
        #[test]
        fn the_rate_is_above_zero_and_at_most_one(
            outcomes in prop::collection::vec((0u64..5000, any::<bool>()), 0..200),
        ) {
            let (mut now, mut rate) = (START, SuccessRate::new(DECAY));
            for (gap, ok) in outcomes {
                now += Duration::from_millis(gap);
                rate.observe(now, ok);
                prop_assert!(rate.get(now) > 0.0 && rate.get(now) <= 1.0);
            }
        }

        #[test]
        fn a_failure_never_raises_and_a_success_never_lowers_the_rate(
            outcomes in prop::collection::vec(any::<bool>(), 1..200),
        ) {
            let mut rate = SuccessRate::new(DECAY);
            for ok in outcomes {
                let before = rate.get(START);
                rate.observe(START, ok);
                let gain = if ok { rate.get(START) - before } else { before - rate.get(START) };
                prop_assert!(gain >= -1e-12);
            }
        }
    }
}
