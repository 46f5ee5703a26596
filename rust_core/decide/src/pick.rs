//! Which replica gets the request.
//!
//! The default estimates when each replica would be done: `latency × (in_flight + 1) / success²`.  In-flight is
//! counted by the router itself at pick time, so the next request already sees this one; success enters squared,
//! because a failure costs its own time and that of the retry.  Ties are broken at random, or all idle replicas but
//! the first would stay idle.  Above [`SCAN_LIMIT`] replicas a full scan is no better than two random choices
//! (Mitzenmacher 2001) and costs more.
//!
//! In a simulation with one slow and one failing replica the additive score with argmax gave a p99 ten times as high
//! and failed one request in six; `tests/herding.rs` repeats it in small.
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// The most replicas that are scanned in full.
pub const SCAN_LIMIT: usize = 64;

const SHORTEST: Duration = Duration::from_micros(1);
const LEAST_SUCCESS: f64 = 0.01;

/// How a replica is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Least expected completion time over all replicas; of two random ones above [`SCAN_LIMIT`].
    ExpectedCompletion,
    /// Least expected completion time of two random replicas.
    PowerOfTwo,
    /// Higher score of two random replicas: never the best of all, which herds.
    Score,
    /// One after the other, whatever their load.
    RoundRobin,
}

/// What is known of a replica when it may be picked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Estimated latency of one request, as of [`crate::ewma::PeakEwma`].
    pub latency: Duration,
    /// Requests this router has there now.
    pub in_flight: u32,
    /// Probability of an answer, as of [`crate::success::SuccessRate`].
    pub success: f64,
    /// Additive score, as of [`crate::score::score`]; read by [`Policy::Score`] only.
    pub score: f64,
}

impl Load {
    /// Expected completion time in seconds, with floors that keep it finite and above zero.
    pub fn completion(&self) -> f64 {
        let success = self.success.clamp(LEAST_SUCCESS, 1.0);
        let latency = self.latency.max(SHORTEST).as_secs_f64();
        latency * (f64::from(self.in_flight) + 1.0) / (success * success)
    }
}

/// Picks replicas by one policy.
#[derive(Clone, Debug)]
pub struct Picker {
    policy: Policy,
    random: SmallRng,
    turn: usize,
}

impl Picker {
    /// The same seed and the same loads give the same picks.
    pub fn new(policy: Policy, seed: u64) -> Self {
        Self { policy, random: SmallRng::seed_from_u64(seed), turn: 0 }
    }

    /// The index of the chosen replica; none only where there is none.
    pub fn pick(&mut self, loads: &[Load]) -> Option<usize> {
        if loads.len() < 2 {
            return (!loads.is_empty()).then_some(0);
        }
        Some(match self.policy {
            Policy::ExpectedCompletion if loads.len() <= SCAN_LIMIT => self.least(loads),
            Policy::ExpectedCompletion | Policy::PowerOfTwo => self.better_of_two(loads, Load::completion),
            Policy::Score => self.better_of_two(loads, |load| -load.score),
            Policy::RoundRobin => self.next(loads.len()),
        })
    }

    fn least(&mut self, loads: &[Load]) -> usize {
        let (mut best, mut least, mut ties) = (0, f64::INFINITY, 0);
        for (index, cost) in loads.iter().map(Load::completion).enumerate() {
            if cost < least {
                (best, least, ties) = (index, cost, 1);
            } else if cost == least {
                ties += 1;
                if self.random.random_range(0..ties) == 0 {
                    best = index;
                }
            }
        }
        best
    }

    // The order of the pair is random, so a tie is broken at random as well.
    fn better_of_two(&mut self, loads: &[Load], cost: fn(&Load) -> f64) -> usize {
        let first = self.random.random_range(0..loads.len());
        let offset = self.random.random_range(1..loads.len());
        let second = (first + offset) % loads.len();
        if cost(&loads[second]) < cost(&loads[first]) { second } else { first }
    }

    fn next(&mut self, count: usize) -> usize {
        self.turn = self.turn.wrapping_add(1);
        self.turn.wrapping_sub(1) % count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICIES: [Policy; 4] = [Policy::ExpectedCompletion, Policy::PowerOfTwo, Policy::Score, Policy::RoundRobin];
    const IDLE: Load = Load { latency: Duration::from_millis(10), in_flight: 0, success: 1.0, score: 1.0 };

    fn picks(policy: Policy, loads: &[Load], count: usize) -> Vec<usize> {
        let mut picker = Picker::new(policy, 7);
        (0..count).filter_map(|_| picker.pick(loads)).collect()
    }

    fn share(picks: &[usize], index: usize) -> f64 {
        picks.iter().filter(|pick| **pick == index).count() as f64 / picks.len() as f64
    }

    #[test]
    fn nothing_is_picked_from_nothing() {
        for policy in POLICIES {
            assert!(picks(policy, &[], 1).is_empty());
        }
    }

    #[test]
    fn an_only_replica_is_picked_whatever_its_state() {
        let hopeless = Load { latency: Duration::MAX, in_flight: u32::MAX, success: 0.0, score: f64::NAN };
        for policy in POLICIES {
            assert_eq!(picks(policy, &[hopeless], 1), [0]);
        }
    }

    #[test]
    fn expected_completion_weighs_latency_queue_and_failures() {
        let fast_but_busy = Load { in_flight: 9, ..IDLE };
        let slow = Load { latency: Duration::from_millis(50), ..IDLE };
        let flaky = Load { success: 0.4, ..IDLE };
        assert_eq!(picks(Policy::ExpectedCompletion, &[fast_but_busy, slow, flaky], 1), [1]);
    }

    #[test]
    fn ties_are_spread_evenly() {
        for policy in POLICIES {
            let picks = picks(policy, &[IDLE; 4], 4000);
            for index in 0..4 {
                assert!((share(&picks, index) - 0.25).abs() < 0.03, "{policy:?} {index}");
            }
        }
    }

    #[test]
    fn reservations_keep_a_burst_from_herding() {
        let mut loads = [IDLE; 8];
        let mut picker = Picker::new(Policy::ExpectedCompletion, 7);
        for _ in 0..80 {
            let index = picker.pick(&loads).unwrap();
            loads[index].in_flight += 1;
        }
        assert!(loads.iter().all(|load| load.in_flight == 10), "{loads:?}");
    }

    #[test]
    fn two_choices_never_take_the_worst_and_never_herd_on_the_best() {
        let loads: Vec<Load> = (0..4).map(|index| Load { score: f64::from(index), ..IDLE }).collect();
        let picks = picks(Policy::Score, &loads, 4000);
        assert_eq!(share(&picks, 0), 0.0);
        assert!((share(&picks, 3) - 0.5).abs() < 0.03);
    }

    #[test]
    fn beyond_the_scan_limit_expected_completion_makes_two_choices() {
        let mut loads = vec![IDLE; SCAN_LIMIT + 1];
        loads[9].latency = Duration::from_millis(1);
        let herding = share(&picks(Policy::ExpectedCompletion, &loads, 1000), 9);
        assert!(herding > 0.0 && herding < 0.1, "{herding}");
        loads.pop();
        assert_eq!(share(&picks(Policy::ExpectedCompletion, &loads, 1000), 9), 1.0);
    }

    #[test]
    fn round_robin_takes_turns() {
        assert_eq!(picks(Policy::RoundRobin, &[IDLE; 3], 7), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn a_seed_repeats_its_picks() {
        for policy in POLICIES {
            assert_eq!(picks(policy, &[IDLE; 8], 100), picks(policy, &[IDLE; 8], 100));
        }
    }

    prop_compose! {
        fn load()(
            nanos in any::<u64>(),
            in_flight in any::<u32>(),
            success in any::<f64>(),
            score in any::<f64>(),
        ) -> Load {
            Load { latency: Duration::from_nanos(nanos), in_flight, success, score }
        }
    }

    proptest! {
        #[test]
        fn a_pick_is_always_in_range(loads in prop::collection::vec(load(), 1..100), seed in any::<u64>()) {
            for policy in POLICIES {
                let pick = Picker::new(policy, seed).pick(&loads);
                prop_assert!(pick.is_some_and(|index| index < loads.len()));
            }
        }

        #[test]
        fn a_full_scan_finds_a_least_completion_time(loads in prop::collection::vec(load(), 1..=SCAN_LIMIT)) {
            let pick = Picker::new(Policy::ExpectedCompletion, 7).pick(&loads).unwrap();
            prop_assert!(loads.iter().all(|load| load.completion() >= loads[pick].completion()));
        }

        #[test]
        fn a_completion_time_is_finite_and_above_zero(load in load()) {
            prop_assert!(load.completion().is_finite() && load.completion() > 0.0);
        }
    }
}
