//! A mean that forgets, with something believed beforehand.
//!
//! Values and their number are summed with weights that fade with time, and an imagined value stands behind them: with
//! nothing observed the mean is that one, a few observations move it a little, and silence leads back to it.  Under
//! load the memory is the last so many values rather than the last seconds, otherwise thousands of old ones would hide
//! what has just changed.
use std::time::Duration;

use crate::ewma::decayed;

/// What was believed before anything was observed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Belief {
    /// The value.
    pub value: f64,
    /// How many observations outweigh it.
    pub weight: f64,
}

/// Fading mean of what was observed.
#[derive(Clone, Debug)]
pub struct FadingMean {
    decay: Duration,
    memory: f64,
    at: Duration,
    sum: f64,
    count: f64,
}

impl FadingMean {
    /// `decay` is the time in which a value loses 63 % of its weight, `memory` the most values whose weight is kept.
    pub fn new(decay: Duration, memory: f64) -> Self {
        Self { decay, memory: memory.max(2.0), at: Duration::ZERO, sum: 0.0, count: 0.0 }
    }

    /// Takes in a value at `now`; what is no number is left out.
    pub fn observe(&mut self, now: Duration, value: f64) {
        if !value.is_finite() {
            return;
        }
        let most = self.memory - 1.0;
        let weight = self.weight(now).min(most / self.count.max(most));
        self.sum = self.sum * weight + value;
        self.count = self.count * weight + 1.0;
        self.at = now;
    }

    /// The mean at `now`, with `belief` behind it.
    pub fn get(&self, now: Duration, belief: Belief) -> f64 {
        let weight = self.weight(now);
        (self.sum * weight + belief.value * belief.weight) / (self.count * weight + belief.weight)
    }

    fn weight(&self, now: Duration) -> f64 {
        decayed(now.saturating_sub(self.at), self.decay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DECAY: Duration = Duration::from_secs(10);
    const BELIEF: Belief = Belief { value: 0.8, weight: 4.0 };

    fn after(values: impl IntoIterator<Item = f64>) -> f64 {
        let mut mean = FadingMean::new(DECAY, 32.0);
        values.into_iter().for_each(|value| mean.observe(Duration::ZERO, value));
        mean.get(Duration::ZERO, BELIEF)
    }

    #[test]
    fn with_nothing_observed_it_is_what_was_believed() {
        assert_eq!(after([]), 0.8);
    }

    #[test]
    fn as_many_observations_as_the_belief_weighs_go_half_the_way() {
        assert!((after([0.0; 4]) - 0.4).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_number_changes_nothing() {
        assert_eq!(after([f64::NAN, f64::INFINITY]), 0.8);
    }

    #[test]
    fn beyond_the_memory_old_values_make_room() {
        let values = std::iter::repeat_n(1.0, 10_000).chain(std::iter::repeat_n(0.0, 100));
        assert!(after(values) < 0.2);
    }

    proptest! {
        #[test]
        fn it_lies_between_the_least_and_the_greatest_of_values_and_belief(
            values in prop::collection::vec((0u64..5000, 0.0f64..=1.0), 0..100),
        ) {
            let (mut now, mut mean) = (Duration::ZERO, FadingMean::new(DECAY, 32.0));
            let (mut least, mut greatest) = (BELIEF.value, BELIEF.value);
            for (gap, value) in values {
                now += Duration::from_millis(gap);
                mean.observe(now, value);
                (least, greatest) = (least.min(value), greatest.max(value));
                let got = mean.get(now, BELIEF);
                prop_assert!(got >= least - 1e-9 && got <= greatest + 1e-9);
            }
        }
    }
}
