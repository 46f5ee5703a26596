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
