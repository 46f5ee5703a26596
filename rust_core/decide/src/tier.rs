//! How much model a prompt deserves, relative to the prompts around it.
//!
//! A head's score says which of two prompts is harder, not how many of either there will be: a threshold fixed on
//! training data sends 90 % of somebody's traffic to the dearest model.  So thresholds are quantiles of the scores
//! seen lately, beginning with those of the training data: where simple prompts are to be 60 %, a prompt is simple
//! that is among the easier 60 %.
//!
//! What is served differs from what is chosen, for callers ask for tiers, models fail and fall back, and money runs
//! low.  A slow integral controller compares the shares that were served with the target and moves the thresholds
//! against the difference.  It acts when the difference is more than chance, keeps its corrections within bounds (so
//! it does not wind up while nothing can be done) and rests while the budget holds tiers down.  [`TierStatus`] says
//! in words when the shares cannot be held.
//!
//! Prompts with the same score stay together, in the tier of their middle: the same prompt is not simple now and
//! premium a second later.  Where this alone breaks the shares, the status says so.
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

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

/// Windows outside are moved inside: smaller ones are noise, in larger ones inserting a score takes microseconds.
const WINDOWS: std::ops::RangeInclusive<usize> = 100..=16_384;

/// Served calls without which shares are not judged.
const FEWEST: u64 = 100;

/// Part of a difference that one correction takes back.
const GAIN: f64 = 0.5;

/// Differences within are left alone.
const DEAD_BAND: f64 = 0.01;

/// A threshold is corrected by at most so much, in quantiles.
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
    scores: Scores,
    ceiling: Tier,
    correction: [f64; CUTS],
    lately: Counts,
    memory: f64,
    achieved: Option<[f64; 4]>,
    missing: [u64; 4],
    hinted: [f64; 4],
}

// Calls since the shares were last judged.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    placed: [u64; 4],
    hinted: [u64; 4],
    served: [u64; 4],
}

impl TierChooser {
    /// `initial_quantiles` are the training scores' (ascending, evenly spaced); without them scores count as spread
    /// evenly over 0 to 1 until traffic tells.
    pub fn new(config: TierConfig, initial_quantiles: Option<&[f32]>) -> Self {
        let window = config.window.clamp(*WINDOWS.start(), *WINDOWS.end());
        Self {
            targets: normalised(config.shares),
            adjust: config.adjust,
            next_adjust: None,
            judged_at: None,
            scores: Scores::new(window, initial_quantiles),
            ceiling: Tier::Premium,
            correction: [0.0; CUTS],
            lately: Counts::default(),
            memory: window as f64,
            achieved: None,
            missing: [0; 4],
            hinted: [0.0; 4],
        }
    }

    /// Places a prompt and remembers its score.
    pub fn choose(&mut self, now: Duration, score: f32) -> Placed {
        self.advance(now);
        let placed = self.place(score);
        if score.is_finite() {
            self.scores.push(score);
        }
        self.lately.placed[slot(placed.tier)] += 1;
        placed
    }

    /// Where a prompt would be placed; remembers nothing.
    pub fn place(&self, score: f32) -> Placed {
        let quantile = self.scores.quantile(score);
        let above = self.cuts().iter().filter(|cut| quantile >= **cut).count();
        Placed { tier: CHOSEN[above].min(self.ceiling), quantile }
    }

    /// A call was answered in `tier`, whatever was chosen for it.
    pub fn served(&mut self, tier: Tier) {
        self.lately.served[slot(tier)] += 1;
    }

    /// A caller asked for `tier`; its prompt was, or was not, placed before.
    pub fn hinted(&mut self, tier: Tier) {
        self.lately.hinted[slot(tier)] += 1;
    }

    /// Places nothing above `most` from now on; [`Tier::Premium`] lifts it.
    pub fn ceiling(&mut self, most: Tier) {
        self.ceiling = most;
    }

    /// How the targets are kept at `now`.
    pub fn status(&mut self, now: Duration) -> TierStatus {
        self.advance(now);
        let thresholds = self.cuts().map(|cut| self.scores.at(cut));
        TierStatus { targets: self.targets, achieved: self.achieved, thresholds, cannot: self.cannot(now) }
    }

    // Quantiles from which a prompt is medium, high and premium, ascending.
    fn cuts(&self) -> [f64; CUTS] {
        let mut lowest = 0.0f64;
        let targets = cumulative(&self.targets);
        std::array::from_fn(|index| {
            lowest = (targets[index] + self.correction[index]).clamp(lowest, 1.0);
            lowest
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

    // Of the cumulative shares, as soon as one is more than chance, or as many calls as the window holds say none is.
    fn differences(&self) -> Option<[f64; CUTS]> {
        let calls: u64 = self.lately.served.iter().sum();
        let (targets, served) = (cumulative(&self.targets), cumulative(&shares(&self.lately.served)));
        let differences: [f64; CUTS] = std::array::from_fn(|index| targets[index] - served[index]);
        let chance = (1.0 / (calls.max(1) as f64).sqrt()).max(DEAD_BAND);
        let telling = differences.iter().any(|difference| difference.abs() > chance);
        (calls >= FEWEST && (telling || calls as f64 >= self.memory)).then_some(differences)
    }

    fn correct(&mut self, differences: &[f64; CUTS]) {
        if self.ceiling < Tier::Premium {
            return;
        }
        for (correction, difference) in self.correction.iter_mut().zip(differences) {
            let change = if difference.abs() > DEAD_BAND { GAIN * difference } else { 0.0 };
            *correction = (*correction + change).clamp(-BOUND, BOUND);
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
        self.judged_at = Some(now);
    }
}

// ---- why it cannot ----

impl TierChooser {
    fn cannot(&self, now: Duration) -> Vec<String> {
        let off = CHOSEN.into_iter().filter_map(|tier| self.off(tier));
        let causes = [self.too_little(now), self.held_down(), self.tied()];
        causes.into_iter().flatten().chain(off).collect()
    }

    fn too_little(&self, now: Duration) -> Option<String> {
        let waited = now.saturating_sub(self.judged_at?);
        let calls: u64 = self.lately.served.iter().sum();
        let thin = calls < FEWEST && waited > self.adjust * PATIENCE;
        thin.then(|| format!("{calls} calls in {} s are too few to hold shares by", waited.as_secs()))
    }

    fn held_down(&self) -> Option<String> {
        let held = self.ceiling < Tier::Premium;
        held.then(|| format!("the budget allows nothing above {} by itself", self.ceiling))
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
        if too_much && asked > self.targets[slot(tier)] {
            return format!("callers ask for it in {} of them", percent(asked));
        }
        if !too_much && meant > 0 {
            return format!("{meant} calls were meant for it and none was served there, has it a model?");
        }
        let at_bound = self.correction.iter().any(|correction| correction.abs() >= BOUND);
        let why = if at_bound { "the thresholds cannot be moved further" } else { "thresholds are being corrected" };
        why.to_owned()
    }
}

// ---- scores ----

// The last scores, in the order they came and in the order of size.  Keeping a sorted list up to date moves some
// kilobytes, 0.2 us; quantiles are exact, and so is which prompts are tied, wherever the head puts its scores.
#[derive(Clone, Debug)]
struct Scores {
    window: usize,
    recent: VecDeque<f32>,
    sorted: Vec<f32>,
}

impl Scores {
    // The training quantiles count as that many prompts, and leave as traffic comes.
    fn new(window: usize, quantiles: Option<&[f32]>) -> Self {
        let even: Vec<f32> = (0..=100).map(|percent| percent as f32 / 100.0).collect();
        let given = quantiles.filter(|given| !given.is_empty() && given.iter().all(|score| score.is_finite()));
        let mut sorted = given.unwrap_or(&even).to_vec();
        sorted.sort_unstable_by(f32::total_cmp);
        Self { window: window.max(sorted.len()), recent: interleaved(&sorted), sorted }
    }

    fn push(&mut self, score: f32) {
        if self.recent.len() >= self.window {
            self.drop_oldest();
        }
        self.recent.push_back(score);
        self.sorted.insert(self.below(score), score);
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.recent.pop_front() {
            self.sorted.remove(self.below(oldest));
        }
    }

    fn below(&self, score: f32) -> usize {
        self.sorted.partition_point(|other| *other < score)
    }

    // The middle of those that tie; what is no number is as hard as the middle prompt.
    fn quantile(&self, score: f32) -> f64 {
        if !score.is_finite() {
            return 0.5;
        }
        let up_to = self.sorted.partition_point(|other| *other <= score);
        (self.below(score) + up_to) as f64 / (2 * self.sorted.len()) as f64
    }

    fn at(&self, quantile: f64) -> f32 {
        let index = (quantile * self.sorted.len() as f64) as usize;
        self.sorted[index.min(self.sorted.len() - 1)]
    }

    // The score that most prompts have, and their share.
    fn most_common(&self) -> (f32, f64) {
        let runs = self.sorted.chunk_by(|a, b| a == b);
        let longest = runs.max_by_key(|run| run.len()).unwrap_or(&[]);
        (longest.first().copied().unwrap_or(0.0), longest.len() as f64 / self.sorted.len() as f64)
    }
}

// Small and large in turns, so that while the seeds leave one by one those that remain are still spread alike.
fn interleaved(sorted: &[f32]) -> VecDeque<f32> {
    const STRIDE: usize = 7;
    (0..STRIDE).flat_map(|offset| sorted.iter().skip(offset).step_by(STRIDE)).copied().collect()
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

fn cumulative(shares: &[f64; 4]) -> [f64; CUTS] {
    let mut sum = 0.0;
    std::array::from_fn(|index| {
        sum += shares[index];
        sum
    })
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
