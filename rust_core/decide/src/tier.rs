//! How much model a prompt deserves, relative to the prompts around it.
//!
//! A head's score says which of two prompts is harder, not how many of either there will be: a threshold fixed on
//! training data sends 90 % of somebody's traffic to the dearest model.  So thresholds are quantiles of the scores
//! seen lately, beginning with those of the training data: where simple prompts are to be 60 %, a prompt is simple
//! that is among the easier 60 %.
//!
//! What is served differs from what is chosen, for callers ask for tiers, models fail and fall back, and money runs
//! low.  A slow integral controller compares the share each tier was served with its target and means it to get more,
//! or less.  It acts when the difference is more than chance, keeps its corrections within bounds (so it does not wind
//! up while nothing can be done) and rests while money decides.  [`TierStatus`] says in words when the
//! shares cannot be held.
//!
//! Prompts with the same score stay together, in the tier of their middle: the same prompt is not simple now and
//! premium a second later.  Where this alone breaks the shares, the status says so.
use std::fmt;
use std::time::Duration;

use crate::rank::RecentScores;

/// What a tier maps to is the router's configuration; the order is that of capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Local, cheapest.
    Simple = 1,
    /// Between.
    Medium = 2,
    /// Strong.
    High = 3,
    /// Strong, for those who ask for it; counts as high.
    Creative = 4,
    /// Hosted, dearest.
    Premium = 5,
}

/// Tiers that are chosen, in the order of [`TierConfig::shares`].
pub const CHOSEN: [Tier; 4] = [Tier::Simple, Tier::Medium, Tier::High, Tier::Premium];

const CUTS: usize = CHOSEN.len() - 1;

/// Served calls without which shares are not judged.
const FEWEST: u64 = 100;

/// Part of a difference that one correction takes back.
const GAIN: f64 = 0.5;

/// Differences within are left alone.
const DEAD_BAND: f64 = 0.01;

/// The share that is meant is corrected by at most so much.
const BOUND: f64 = 0.25;

/// A share that is further off than this is not held.
const TOLERANCE: f64 = 0.03;

/// Prompts of one score that are more than this share break the targets.
const MANY: f64 = 0.2;

/// After so many intervals without enough calls the traffic is too little to hold shares.
const PATIENCE: u32 = 12;

/// Targets and pace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TierConfig {
    /// Of the calls, for simple, medium, high and premium; scaled to sum to 1.
    pub shares: [f64; 4],
    /// Recent prompts that a prompt is compared with.
    pub window: usize,
    /// Time between corrections.
    pub adjust: Duration,
}

impl Default for TierConfig {
    fn default() -> Self {
        Self { shares: [0.60, 0.20, 0.15, 0.05], window: 2000, adjust: Duration::from_secs(5) }
    }
}

/// Where a prompt was placed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    /// The tier it deserves.
    pub tier: Tier,
    /// The share of recent prompts that need less.
    pub quantile: f64,
}

/// How the targets are kept; shares in the order of [`CHOSEN`].
#[derive(Clone, Debug, PartialEq)]
pub struct TierStatus {
    /// What should be.
    pub targets: [f64; 4],
    /// What was served lately; none before enough calls were.
    pub achieved: Option<[f64; 4]>,
    /// Scores from which a prompt is medium, high and premium.
    pub thresholds: [f32; 3],
    /// Why targets are not held, a sentence each; empty: they are.
    pub cannot: Vec<String>,
}

/// Places prompts in tiers by the scores of a head.
#[derive(Clone, Debug)]
pub struct TierChooser {
    targets: [f64; 4],
    adjust: Duration,
    next_adjust: Option<Duration>,
    judged_at: Option<Duration>,
    scores: RecentScores,
    correction: [f64; 4],
    lately: Counts,
    memory: f64,
    achieved: Option<[f64; 4]>,
    missing: [u64; 4],
    hinted: [f64; 4],
    lowered: f64,
}

// Calls since the shares were last judged.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    placed: [u64; 4],
    hinted: [u64; 4],
    served: [u64; 4],
    lowered: u64,
}

impl TierChooser {
    /// `initial_quantiles` are the training scores' (ascending, evenly spaced); without them scores count as spread
    /// evenly over 0 to 1 until traffic tells.
    pub fn new(config: TierConfig, initial_quantiles: Option<&[f32]>) -> Self {
        let scores = RecentScores::new(config.window, initial_quantiles);
        Self {
            targets: normalised(config.shares),
            adjust: config.adjust,
            next_adjust: None,
            judged_at: None,
            memory: scores.window() as f64,
            scores,
            correction: [0.0; 4],
            lately: Counts::default(),
            achieved: None,
            missing: [0; 4],
            hinted: [0.0; 4],
            lowered: 0.0,
        }
    }

    /// Places a prompt and remembers its score.
    pub fn choose(&mut self, now: Duration, score: f32) -> Placed {
        self.advance(now);
        let placed = self.place(score);
        self.scores.push(score);
        self.lately.placed[slot(placed.tier)] += 1;
        placed
    }

    /// Where a prompt would be placed; remembers nothing.
    pub fn place(&self, score: f32) -> Placed {
        let quantile = self.scores.quantile(score);
        let above = self.cuts().iter().filter(|cut| quantile >= **cut).count();
        Placed { tier: CHOSEN[above], quantile }
    }

    /// A call was answered in `tier`, whatever was chosen for it.
    pub fn served(&mut self, tier: Tier) {
        self.lately.served[slot(tier)] += 1;
    }

    /// A caller asked for `tier`; its prompt was, or was not, placed before.
    pub fn hinted(&mut self, tier: Tier) {
        self.lately.hinted[slot(tier)] += 1;
    }

    /// A prompt got a smaller tier than the one it was placed in, to save money.
    pub fn lowered(&mut self) {
        self.lately.lowered += 1;
    }

    /// How the targets are kept at `now`.
    pub fn status(&mut self, now: Duration) -> TierStatus {
        self.advance(now);
        let thresholds = self.cuts().map(|cut| self.scores.at(cut));
        TierStatus { targets: self.targets, achieved: self.achieved, thresholds, cannot: self.cannot(now) }
    }

    // Quantiles from which a prompt is medium, high and premium, ascending.
    fn cuts(&self) -> [f64; CUTS] {
        let meant = std::array::from_fn(|slot| self.targets[slot] + self.correction[slot]);
        let mut sum = 0.0;
        let shares = normalised(meant);
        std::array::from_fn(|index| {
            sum += shares[index];
            sum
        })
    }
}

// ---- the controller ----

impl TierChooser {
    fn advance(&mut self, now: Duration) {
        let due = *self.next_adjust.get_or_insert(now.saturating_add(self.adjust));
        self.judged_at.get_or_insert(now);
        if now < due {
            return;
        }
        self.next_adjust = Some(now.saturating_add(self.adjust));
        if let Some(differences) = self.differences() {
            self.correct(&differences);
            self.remember(now);
        }
    }

    // From the targets, as soon as one is more than chance, or as many calls as the window holds say none is.
    fn differences(&self) -> Option<[f64; 4]> {
        let calls = self.lately.served.iter().sum::<u64>();
        let served = shares(&self.lately.served);
        let differences: [f64; 4] = std::array::from_fn(|slot| self.targets[slot] - served[slot]);
        let chance = (1.0 / (calls.max(1) as f64).sqrt()).max(DEAD_BAND);
        let telling = differences.iter().any(|difference| difference.abs() > chance);
        (calls >= FEWEST && (telling || calls as f64 >= self.memory)).then_some(differences)
    }

    // Not while money decides, nor where moving a threshold would move many prompts at once, back and forth.
    fn correct(&mut self, differences: &[f64; 4]) {
        let saving = self.lately.lowered as f64 > TOLERANCE * self.lately.served.iter().sum::<u64>() as f64;
        if saving || self.scores.most_common().1 > MANY {
            return;
        }
        for (slot, difference) in differences.iter().enumerate() {
            let change = if difference.abs() > DEAD_BAND { GAIN * difference } else { 0.0 };
            let least = -BOUND.min(self.targets[slot]);
            self.correction[slot] = (self.correction[slot] + change).clamp(least, BOUND);
        }
    }

    fn remember(&mut self, now: Duration) {
        let lately = std::mem::take(&mut self.lately);
        let calls = lately.served.iter().sum::<u64>() as f64;
        let (fresh, weight) = (shares(&lately.served), (calls / self.memory).min(1.0));
        let before = self.achieved.unwrap_or(fresh);
        self.achieved = Some(std::array::from_fn(|slot| before[slot] + weight * (fresh[slot] - before[slot])));
        self.missing = std::array::from_fn(|slot| if lately.served[slot] == 0 { lately.placed[slot] } else { 0 });
        self.hinted = lately.hinted.map(|hinted| hinted as f64 / calls);
        self.lowered = lately.lowered as f64 / calls;
        self.judged_at = Some(now);
    }
}

// ---- why it cannot ----

impl TierChooser {
    fn cannot(&self, now: Duration) -> Vec<String> {
        let off = CHOSEN.into_iter().filter_map(|tier| self.off(tier));
        let causes = [self.too_little(now), self.saving(), self.tied()];
        causes.into_iter().flatten().chain(off).collect()
    }

    fn too_little(&self, now: Duration) -> Option<String> {
        let waited = now.saturating_sub(self.judged_at?);
        let calls: u64 = self.lately.served.iter().sum();
        let thin = calls < FEWEST && waited > self.adjust * PATIENCE;
        thin.then(|| format!("{calls} calls in {} s are too few to hold shares by", waited.as_secs()))
    }

    fn saving(&self) -> Option<String> {
        let saving = self.lowered > TOLERANCE;
        saving.then(|| format!("to save money {} of the calls get a smaller tier", percent(self.lowered)))
    }

    fn tied(&self) -> Option<String> {
        let (score, share) = self.scores.most_common();
        (share > MANY).then(|| {
            let percent = percent(share);
            format!("{percent} of recent prompts have one score, {score:.3}, and so one tier: the head does not tell them apart")
        })
    }

    fn off(&self, tier: Tier) -> Option<String> {
        let (target, got) = (self.targets[slot(tier)], self.achieved?[slot(tier)]);
        let why = self.why(tier, got > target);
        let numbers = format!("{tier} gets {} of the calls instead of {}", percent(got), percent(target));
        ((got - target).abs() > TOLERANCE).then(|| format!("{numbers}: {why}"))
    }

    fn why(&self, tier: Tier, too_much: bool) -> String {
        let (asked, meant) = (self.hinted[slot(tier)], self.missing[slot(tier)]);
        if self.lowered > TOLERANCE {
            return "money decides".to_owned();
        }
        if too_much && asked > self.targets[slot(tier)] {
            return format!("callers ask for it in {} of them", percent(asked));
        }
        if !too_much && meant > 0 {
            return format!("{meant} calls were meant for it and none was served there, has it a model?");
        }
        let correction = self.correction[slot(tier)];
        let at_bound = correction >= BOUND || correction <= -BOUND.min(self.targets[slot(tier)]);
        let why = if at_bound { "the thresholds cannot be moved further" } else { "thresholds are being corrected" };
        why.to_owned()
    }
}

// ---- shares ----

fn slot(tier: Tier) -> usize {
    match tier {
        Tier::Simple => 0,
        Tier::Medium => 1,
        Tier::High | Tier::Creative => 2,
        Tier::Premium => 3,
    }
}

fn normalised(shares: [f64; 4]) -> [f64; 4] {
    let shares = shares.map(|share| if share.is_finite() { share.max(0.0) } else { 0.0 });
    let sum: f64 = shares.iter().sum();
    if sum > 0.0 { shares.map(|share| share / sum) } else { TierConfig::default().shares }
}

fn shares(counts: &[u64; 4]) -> [f64; 4] {
    let sum = counts.iter().sum::<u64>().max(1) as f64;
    counts.map(|count| count as f64 / sum)
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Simple => "simple",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Creative => "creative",
            Self::Premium => "premium",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    const START: Duration = Duration::from_secs(100);
    const SHARES: [f64; 4] = [0.60, 0.20, 0.15, 0.05];

    // Traffic of 100 calls a second whose scores and answers a test decides.
    struct Traffic {
        chooser: TierChooser,
        random: SmallRng,
        now: Duration,
    }

    impl Traffic {
        fn new() -> Self {
            let chooser = TierChooser::new(TierConfig::default(), None);
            Self { chooser, random: SmallRng::seed_from_u64(7), now: START }
        }

        // Served as placed.
        fn plain(&mut self, calls: usize, score: impl Fn(&mut SmallRng) -> f32) -> [f64; 4] {
            self.run(calls, score, |_, tier| tier)
        }

        fn run(
            &mut self,
            calls: usize,
            score: impl Fn(&mut SmallRng) -> f32,
            answer: impl Fn(&mut SmallRng, Tier) -> Tier,
        ) -> [f64; 4] {
            let mut counts = [0; 4];
            for _ in 0..calls {
                self.now += Duration::from_millis(10);
                let placed = self.chooser.choose(self.now, score(&mut self.random));
                let served = answer(&mut self.random, placed.tier);
                self.chooser.served(served);
                counts[slot(served)] += 1;
            }
            shares(&counts)
        }

        fn cannot(&mut self) -> String {
            self.chooser.status(self.now).cannot.join("; ")
        }
    }

    fn even(random: &mut SmallRng) -> f32 {
        random.random()
    }

    fn squeezed(random: &mut SmallRng) -> f32 {
        0.97 + 0.02 * random.random::<f32>()
    }

    fn near(got: [f64; 4], wanted: [f64; 4], within: f64) -> bool {
        got.iter().zip(wanted).all(|(got, wanted)| (got - wanted).abs() <= within)
    }

    #[test]
    fn tiers_are_ordered_as_they_cost() {
        assert!([Tier::Simple, Tier::Medium, Tier::High, Tier::Creative, Tier::Premium].is_sorted());
    }

    #[test]
    fn the_first_prompt_is_placed_by_the_training_quantiles() {
        let training: Vec<f32> = (0..=100).map(|percent| 0.5 + percent as f32 / 1000.0).collect();
        let mut chooser = TierChooser::new(TierConfig::default(), Some(&training));
        let tiers = [0.4, 0.57, 0.59, 0.7].map(|score| chooser.choose(START, score).tier);
        assert_eq!(tiers, [Tier::Simple, Tier::Medium, Tier::High, Tier::Premium]);
    }

    #[test]
    fn shares_hold_wherever_the_head_puts_its_scores() {
        let mut traffic = Traffic::new();
        traffic.plain(2500, squeezed);
        assert!(near(traffic.plain(5000, squeezed), SHARES, 0.02));
        assert_eq!(traffic.cannot(), "");
    }

    #[test]
    fn a_shift_of_the_scores_is_followed_within_a_window() {
        let mut traffic = Traffic::new();
        traffic.plain(5000, even);
        traffic.plain(3000, squeezed);
        assert!(near(traffic.plain(3000, squeezed), SHARES, 0.03));
    }

    #[test]
    fn dry_runs_leave_no_trace() {
        let chooser = TierChooser::new(TierConfig::default(), None);
        (0..1000).for_each(|_| assert_eq!(chooser.place(0.99).tier, Tier::Premium));
    }

    #[test]
    fn a_prompt_that_callers_raise_is_made_up_for_among_the_others() {
        let mut traffic = Traffic::new();
        let raised = |random: &mut SmallRng, tier: Tier| match random.random_bool(0.1) {
            true => tier.max(Tier::High),
            false => tier,
        };
        let before = traffic.run(500, even, raised);
        traffic.run(20_000, even, raised);
        let after = traffic.run(10_000, even, raised);
        assert!(before[2] > 0.2, "{before:?}");
        assert!(near(after, SHARES, 0.03), "{after:?}");
        assert_eq!(traffic.cannot(), "");
    }

    #[test]
    fn too_many_hints_are_named() {
        let mut traffic = Traffic::new();
        for _ in 0..200 {
            traffic.run(100, even, |random, tier| if random.random_bool(0.3) { Tier::Premium } else { tier });
            (0..30).for_each(|_| traffic.chooser.hinted(Tier::Premium));
        }
        let cannot = traffic.cannot();
        assert!(cannot.contains("premium gets") && cannot.contains("callers ask for it in"), "{cannot}");
    }

    #[test]
    fn a_tier_without_a_model_is_named() {
        let mut traffic = Traffic::new();
        traffic.run(10_000, even, |_, tier| if tier == Tier::Medium { Tier::Simple } else { tier });
        let cannot = traffic.cannot();
        assert!(cannot.contains("medium gets 0 % of the calls instead of 20 %"), "{cannot}");
        assert!(cannot.contains("none was served there, has it a model?"), "{cannot}");
    }

    #[test]
    fn what_could_not_be_held_does_not_linger_once_it_can() {
        let mut traffic = Traffic::new();
        traffic.run(60_000, even, |_, tier| if tier == Tier::Medium { Tier::Simple } else { tier });
        traffic.plain(10_000, even);
        assert!(near(traffic.plain(5000, even), SHARES, 0.03));
        assert_eq!(traffic.cannot(), "");
    }

    #[test]
    fn prompts_that_tie_stay_together_and_the_status_says_so() {
        let mut traffic = Traffic::new();
        let shares = traffic.plain(5000, |_| 0.42);
        assert!(shares.contains(&1.0), "{shares:?}");
        let cannot = traffic.cannot();
        assert!(cannot.contains("recent prompts have one score, 0.420"), "{cannot}");
    }

    #[test]
    fn one_prompt_repeated_among_others_does_not_move_the_others() {
        let mut traffic = Traffic::new();
        let often = |random: &mut SmallRng| if random.random_bool(0.1) { 0.3 } else { random.random() };
        traffic.plain(2500, often);
        assert!(near(traffic.plain(5000, often), SHARES, 0.03));
    }

    #[test]
    fn too_little_traffic_is_named() {
        let mut chooser = TierChooser::new(TierConfig::default(), None);
        for minute in 0..5 {
            chooser.choose(START + Duration::from_secs(60 * minute), 0.5);
            chooser.served(Tier::Simple);
        }
        let status = chooser.status(START + Duration::from_secs(300));
        assert_eq!(status.achieved, None);
        assert_eq!(status.cannot, ["5 calls in 300 s are too few to hold shares by"]);
    }

    #[test]
    fn what_money_lowers_is_named_and_leaves_no_correction_behind() {
        let mut traffic = Traffic::new();
        traffic.plain(5000, even);
        for _ in 0..2000 {
            (0..2).for_each(|_| traffic.chooser.lowered());
            traffic.run(30, even, |_, tier| tier.min(Tier::High));
        }
        let cannot = traffic.cannot();
        assert!(cannot.contains("of the calls get a smaller tier") && cannot.contains("money decides"), "{cannot}");
        assert!(near(traffic.plain(2000, even), SHARES, 0.04));
    }

    #[test]
    fn quiet_shares_do_not_make_the_thresholds_hunt() {
        let mut traffic = Traffic::new();
        traffic.plain(100_000, even);
        let corrections = traffic.chooser.correction;
        assert!(corrections.iter().all(|correction| correction.abs() < 0.03), "{corrections:?}");
    }

    #[test]
    fn nonsense_in_the_configuration_falls_back_to_the_default_shares() {
        assert_eq!(normalised([f64::NAN, -1.0, 0.0, 0.0]), TierConfig::default().shares);
        assert_eq!(normalised([2.0, 1.0, 1.0, 0.0]), [0.5, 0.25, 0.25, 0.0]);
    }

    #[test]
    fn a_score_that_is_no_number_is_an_average_prompt() {
        let mut chooser = TierChooser::new(TierConfig::default(), None);
        assert_eq!(chooser.choose(START, f32::NAN), Placed { tier: Tier::Simple, quantile: 0.5 });
    }
}
