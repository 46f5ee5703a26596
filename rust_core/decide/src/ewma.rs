//! Latency of one instance as a number that believes bad news at once and good news slowly.
//!
//! A plain moving average needs many samples to notice a stall, and a stalled instance returns few.  Peak EWMA
//! (Finagle, later linkerd and tower) jumps to any sample above the estimate and decays towards those below it with
//! time, not with count.  It also decays while nothing is heard, so an instance that was slow once is tried again;
//! the picker's in-flight factor keeps that to a probe.
//!
//! Feed it answers only.  A quick refusal is not a quick answer, and counting it makes a failing instance look fast.
//! For the same reason start from a typical latency, not from zero: an instance that only ever fails keeps it.
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

    /// The estimate as the last observation left it, and the share of its weight that it has left at `now`: for who
    /// knows better than zero what to expect of an instance that is silent.
    pub fn faded(&self, now: Duration) -> (Duration, f64) {
        self.last.map_or((self.initial, 0.0), |last| (Duration::from_secs_f64(last.seconds), self.weight(last.at, now)))
    }

    fn weight(&self, then: Duration, now: Duration) -> f64 {
        decayed(now.saturating_sub(then), self.decay)
    }
}

/// The share of weight left after `elapsed`; a zero `decay` counts as a nanosecond.
pub(crate) fn decayed(elapsed: Duration, decay: Duration) -> f64 {
    let decay = decay.max(Duration::from_nanos(1));
    (-elapsed.as_secs_f64() / decay.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DECAY: Duration = Duration::from_secs(10);

    fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    fn fed(samples: &[(u64, u64)]) -> PeakEwma {
        let mut ewma = PeakEwma::new(DECAY, ms(1));
        samples.iter().for_each(|(at, latency)| ewma.observe(ms(*at), ms(*latency)));
        ewma
    }

    #[test]
    fn the_initial_value_stands_until_the_first_observation_and_leaves_no_trace() {
        let mut ewma = PeakEwma::new(DECAY, ms(1000));
        assert_eq!(ewma.get(ms(999_999)), ms(1000));
        ewma.observe(ms(5), ms(20));
        assert_eq!(ewma.get(ms(5)), ms(20));
    }

    #[test]
    fn a_peak_is_believed_at_once() {
        assert_eq!(fed(&[(0, 10), (0, 500)]).get(ms(0)), ms(500));
    }

    #[test]
    fn a_better_sample_counts_by_the_time_since_the_last() {
        let at_once = fed(&[(0, 500), (1, 10)]).get(ms(1));
        let later = fed(&[(0, 500), (30_000, 10)]).get(ms(30_000));
        assert!(at_once > ms(499) && later < ms(40), "{at_once:?} {later:?}");
    }

    #[test]
    fn silence_decays_the_estimate_by_a_factor_e_per_decay_time() {
        let left = fed(&[(0, 1000)]).get(DECAY).as_secs_f64();
        assert!((left - (-1f64).exp()).abs() < 1e-6, "{left}");
    }

    #[test]
    fn what_it_was_and_what_is_left_of_it_make_the_estimate() {
        let (was, left) = fed(&[(0, 1000)]).faded(DECAY);
        assert_eq!(was, ms(1000));
        assert!((was.as_secs_f64() * left - fed(&[(0, 1000)]).get(DECAY).as_secs_f64()).abs() < 1e-9);
        assert_eq!(PeakEwma::new(DECAY, ms(3)).faded(DECAY), (ms(3), 0.0));
    }

    #[test]
    fn a_clock_that_steps_back_changes_nothing() {
        assert_eq!(fed(&[(1000, 50)]).get(ms(0)), ms(50));
    }

    #[test]
    fn without_decay_only_the_last_sample_counts() {
        let mut ewma = PeakEwma::new(Duration::ZERO, ms(1));
        ewma.observe(ms(0), ms(500));
        ewma.observe(ms(1), ms(10));
        assert_eq!(ewma.get(ms(1)), ms(10));
    }

    proptest! {
        #[test]
        fn the_estimate_lies_between_the_sample_and_the_worst_so_far(
            samples in prop::collection::vec((0u64..1000, 0u64..100_000), 1..50),
        ) {
            let (mut at, mut worst) = (0, Duration::ZERO);
            let mut ewma = PeakEwma::new(DECAY, ms(1));
            for (gap, latency) in samples {
                at += gap;
                worst = worst.max(ms(latency));
                ewma.observe(ms(at), ms(latency));
                let nanosecond = Duration::from_nanos(1);
                prop_assert!(ewma.get(ms(at)) + nanosecond >= ms(latency));
                prop_assert!(ewma.get(ms(at)) <= worst + nanosecond);
            }
        }
    }
}
