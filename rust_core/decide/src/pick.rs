//! Which replica gets the request: the policies.
//!
//! The default estimates when each replica would be done: `latency × (in_flight + 1) / success²`.  In-flight is
//! counted by the router itself at pick time, so the next request already sees this one; success enters squared,
//! because a failure costs its own time and that of the retry.  Ties are broken at random, or all idle replicas but
//! the first would stay idle.  Above [`SCAN_LIMIT`] replicas a full scan is no better than two random choices
//! (Mitzenmacher 2001) and costs more.
//!
//! A policy does not pick: it says with which probability each replica would be picked, and one draw follows.  So the
//! probability that is logged with a decision, without which logs cannot be used to judge another policy, is the true
//! one by construction.  For two choices it is exact: of `n (n-1) / 2` pairs a replica wins those with a worse one and
//! half of those with its like.
//!
//! To add a policy: a variant of [`Policy`], a row of `POLICIES`.
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
    /// At random, in proportion to the configured weights; nothing is remembered, so routers need not agree.
    Weighted,
    /// Fewest in flight.  To compare with: a replica that fails at once is always the emptiest.
    LeastLoaded,
    /// Highest score.  To compare with: everybody takes the same one, and the score learns of it too late.
    BestScore,
}

/// A policy, its name in configuration and logs, and what it does.
struct Row {
    policy: Policy,
    name: &'static str,
    rule: fn(&mut Odds, &[Rival]),
}

/// All policies.
const POLICIES: [Row; 7] = [
    Row { policy: Policy::ExpectedCompletion, name: "expected_completion", rule: expected_completion },
    Row { policy: Policy::PowerOfTwo, name: "power_of_two", rule: |odds, all| odds.better_of_two(all, Rival::cost) },
    Row { policy: Policy::Score, name: "score", rule: |odds, all| odds.better_of_two(all, Rival::demerit) },
    Row { policy: Policy::RoundRobin, name: "round_robin", rule: |odds, all| odds.next(all.len()) },
    Row { policy: Policy::Weighted, name: "weighted", rule: |odds, all| odds.in_proportion(all, Rival::weight) },
    Row { policy: Policy::LeastLoaded, name: "least_loaded", rule: |odds, all| odds.least(all, Rival::in_flight) },
    Row { policy: Policy::BestScore, name: "best_score", rule: |odds, all| odds.least(all, Rival::demerit) },
];

fn expected_completion(odds: &mut Odds, rivals: &[Rival]) {
    if rivals.len() <= SCAN_LIMIT { odds.least(rivals, Rival::cost) } else { odds.better_of_two(rivals, Rival::cost) }
}

impl Policy {
    /// The policy of this name.
    pub fn named(name: &str) -> Option<Self> {
        POLICIES.iter().find(|row| row.name == name).map(|row| row.policy)
    }

    /// As it is written in a configuration and logged.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    fn row(self) -> &'static Row {
        &POLICIES[self as usize]
    }
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
    /// Additive score, as of [`crate::score::score`].
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

/// A replica among those that may be picked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rival {
    /// What is known of it.
    pub load: Load,
    /// So many times as slow it counts, being fresh: 1 and up.
    pub freshness: f64,
    /// Its configured weight; read by [`Policy::Weighted`] only.
    pub weight: f64,
}

impl Rival {
    fn cost(&self) -> f64 {
        self.load.completion() * self.freshness
    }

    fn demerit(&self) -> f64 {
        if self.load.score.is_nan() { f64::INFINITY } else { -self.load.score }
    }

    fn weight(&self) -> f64 {
        if self.weight.is_finite() { self.weight.max(0.0) } else { 0.0 }
    }

    fn in_flight(&self) -> f64 {
        f64::from(self.load.in_flight)
    }
}

/// With which probability each replica would be picked; the vectors are kept to be filled again.
#[derive(Clone, Debug, Default)]
struct Odds {
    shares: Vec<f64>,
    order: Vec<(f64, usize)>,
    turn: usize,
}

impl Odds {
    /// All of it to the least, in equal parts where several are.
    fn least(&mut self, rivals: &[Rival], cost: fn(&Rival) -> f64) {
        self.shares.extend(rivals.iter().map(cost));
        let least = self.shares.iter().copied().min_by(f64::total_cmp).unwrap_or_default();
        let ties = self.shares.iter().filter(|cost| cost.total_cmp(&least).is_eq()).count();
        let part = (ties as f64).recip();
        self.shares.iter_mut().for_each(|cost| *cost = if cost.total_cmp(&least).is_eq() { part } else { 0.0 });
    }

    /// As if two different ones had been drawn and the one of lower cost, or either of equals, taken.
    fn better_of_two(&mut self, rivals: &[Rival], cost: fn(&Rival) -> f64) {
        let count = rivals.len();
        let pairs = (count * (count - 1)) as f64 / 2.0;
        self.shares.resize(count, 0.0);
        self.order.clear();
        self.order.extend(rivals.iter().map(cost).zip(0..));
        self.order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut worse = count;
        for alike in self.order.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
            worse -= alike.len();
            let wins = worse as f64 + (alike.len() - 1) as f64 / 2.0;
            alike.iter().for_each(|(_, index)| self.shares[*index] = wins / pairs);
        }
    }

    /// In proportion to what counts for each; all alike where nothing does.
    fn in_proportion(&mut self, rivals: &[Rival], part: fn(&Rival) -> f64) {
        self.shares.extend(rivals.iter().map(part));
        let sum: f64 = self.shares.iter().sum();
        let even = (rivals.len() as f64).recip();
        self.shares.iter_mut().for_each(|share| *share = if sum > 0.0 { *share / sum } else { even });
    }

    /// All of it to the one whose turn it is.
    fn next(&mut self, count: usize) {
        self.shares.resize(count, 0.0);
        self.shares[self.turn % count] = 1.0;
        self.turn = self.turn.wrapping_add(1);
    }

    /// Which one `point`, between 0 and 1, falls on.
    fn at(&self, mut point: f64) -> usize {
        let fallen = self.shares.iter().position(|share| {
            point -= share;
            point < 0.0
        });
        // The shares add up to 1 only as far as floating point goes.
        fallen.or_else(|| self.shares.iter().rposition(|share| *share > 0.0)).unwrap_or(0)
    }
}

/// Picks replicas by one policy.
#[derive(Clone, Debug)]
pub struct Picker {
    policy: Policy,
    random: SmallRng,
    odds: Odds,
}

impl Picker {
    /// The same seed and the same loads give the same picks.
    pub fn new(policy: Policy, seed: u64) -> Self {
        Self { policy, random: SmallRng::seed_from_u64(seed), odds: Odds::default() }
    }

    /// By what it picks.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The index of the chosen replica, none only where there is none, and the probability that each had.
    pub fn draw(&mut self, rivals: &[Rival]) -> Option<(usize, &[f64])> {
        self.odds.shares.clear();
        match rivals {
            [] => return None,
            [_] => self.odds.shares.push(1.0),
            _ => (self.policy.row().rule)(&mut self.odds, rivals),
        }
        let index = self.odds.at(self.random.random());
        Some((index, &self.odds.shares))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IDLE: Load = Load { latency: Duration::from_millis(10), in_flight: 0, success: 1.0, score: 1.0 };

    fn pick(picker: &mut Picker, loads: &[Load]) -> Option<usize> {
        let rivals: Vec<Rival> = loads.iter().map(|load| Rival { load: *load, freshness: 1.0, weight: 1.0 }).collect();
        picker.draw(&rivals).map(|(index, _)| index)
    }

    fn picks(policy: Policy, loads: &[Load], count: usize) -> Vec<usize> {
        let mut picker = Picker::new(policy, 7);
        (0..count).filter_map(|_| pick(&mut picker, loads)).collect()
    }

    fn share(picks: &[usize], index: usize) -> f64 {
        picks.iter().filter(|pick| **pick == index).count() as f64 / picks.len() as f64
    }

    #[test]
    fn nothing_is_picked_from_nothing() {
        for policy in POLICIES.map(|row| row.policy) {
            assert!(picks(policy, &[], 1).is_empty());
        }
    }

    #[test]
    fn an_only_replica_is_picked_whatever_its_state() {
        let hopeless = Load { latency: Duration::MAX, in_flight: u32::MAX, success: 0.0, score: f64::NAN };
        for policy in POLICIES.map(|row| row.policy) {
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
        for policy in POLICIES.map(|row| row.policy) {
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
            let index = pick(&mut picker, &loads).unwrap();
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
    fn every_policy_is_found_by_its_name_and_in_its_own_row() {
        for row in POLICIES {
            assert_eq!(Policy::named(row.name), Some(row.policy));
            assert_eq!(row.policy.name(), row.name);
        }
        assert_eq!(Policy::named("random"), None);
    }

    #[test]
    fn weights_are_shares_and_nonsense_weighs_nothing() {
        let rivals = [1.0, 3.0, f64::NAN, -2.0].map(|weight| Rival { load: IDLE, freshness: 1.0, weight });
        let mut picker = Picker::new(Policy::Weighted, 7);
        assert_eq!(picker.draw(&rivals).unwrap().1, [0.25, 0.75, 0.0, 0.0]);
        let rivals = [0.0; 4].map(|weight| Rival { load: IDLE, freshness: 1.0, weight });
        assert_eq!(picker.draw(&rivals).unwrap().1, [0.25; 4]);
    }

    #[test]
    fn a_fresh_replica_is_as_dear_as_a_slow_one() {
        let rivals = [9.0, 1.0].map(|freshness| Rival { load: IDLE, freshness, weight: 1.0 });
        assert_eq!(Picker::new(Policy::ExpectedCompletion, 7).draw(&rivals).unwrap().0, 1);
    }

    #[test]
    fn of_two_choices_the_odds_count_the_pairs_won_and_half_of_those_tied() {
        let rivals = [10, 20, 20, 40].map(|millis| Rival {
            load: Load { latency: Duration::from_millis(millis), ..IDLE },
            freshness: 1.0,
            weight: 1.0,
        });
        let mut picker = Picker::new(Policy::PowerOfTwo, 7);
        let sixths = picker.draw(&rivals).unwrap().1.iter().map(|share| share * 6.0);
        assert_eq!(sixths.collect::<Vec<_>>(), [3.0, 1.5, 1.5, 0.0]);
    }

    #[test]
    fn round_robin_takes_turns() {
        assert_eq!(picks(Policy::RoundRobin, &[IDLE; 3], 7), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn a_seed_repeats_its_picks() {
        for policy in POLICIES.map(|row| row.policy) {
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
            for policy in POLICIES.map(|row| row.policy) {
                let pick = pick(&mut Picker::new(policy, seed), &loads);
                prop_assert!(pick.is_some_and(|index| index < loads.len()));
            }
        }

        #[test]
        fn odds_are_probabilities_and_the_pick_had_some(
            loads in prop::collection::vec((load(), 1.0f64..10.0, any::<f64>()), 1..100),
            seed in any::<u64>(),
        ) {
            let rivals: Vec<Rival> =
                loads.into_iter().map(|(load, freshness, weight)| Rival { load, freshness, weight: weight / 1e9 }).collect();
            for policy in POLICIES.map(|row| row.policy) {
                let mut picker = Picker::new(policy, seed);
                let (index, odds) = picker.draw(&rivals).unwrap();
                prop_assert!(odds[index] > 0.0, "{policy:?}");
                prop_assert!(odds.iter().all(|share| (0.0..=1.0 + 1e-9).contains(share)), "{policy:?} {odds:?}");
                prop_assert!((odds.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{policy:?} {odds:?}");
            }
        }

        #[test]
        fn a_full_scan_finds_a_least_completion_time(loads in prop::collection::vec(load(), 1..=SCAN_LIMIT)) {
            let pick = pick(&mut Picker::new(Policy::ExpectedCompletion, 7), &loads).unwrap();
            prop_assert!(loads.iter().all(|load| load.completion() >= loads[pick].completion()));
        }

        #[test]
        fn a_completion_time_is_finite_and_above_zero(load in load()) {
            prop_assert!(load.completion().is_finite() && load.completion() > 0.0);
        }
    }
}
