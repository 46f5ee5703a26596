//! Is the canary worse?  A test that may be looked at as often as one likes.
//!
//! A rollout is judged every few seconds for hours; a test made for one look (t, chi-squared) would be wrong at some
//! look almost surely.  Here evidence is an e-process (Ramdas, Grünwald, Vovk and Shafer, "Game-Theoretic Statistics
//! and Safe Anytime-Valid Inference", 2023): the wealth of a gambler who bets against a hypothesis at fair odds.
//! Where the hypothesis is true, the wealth ever reaches 1/alpha with probability alpha at most, whenever one looks
//! and whenever one stops.
//!
//! Every metric is a badness in 0 to 1 per call: an error, an answer slower than the stable model's p95, one minus the
//! quality, one minus the feedback.  [`crate::wager`] holds the bets.
//!
//! Two hypotheses are bet against.  "The canary is no worse": where that is beyond belief in any metric, and what was
//! seen is worse by the margin at least, it is a regression (without the margin, a busy mesh would roll back for a
//! thousandth).  "The canary is worse by the margin": where that is beyond belief in all metrics, it is no worse.
//! Feedback can only accuse: it comes from few callers, and waiting for it would hold every rollout up.
//!
//! Everything is a function of counts and sums since the step began, so those of many routers are simply added, and
//! a judge that restarts has forgotten nothing.  Compare the arms of the same period only: an outage behind both
//! makes both worse, and then no difference is seen.
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::wager::{Sample, log_odds_above, log_odds_below};

/// Values in 0 to 1 of which the count, the sum and the sum of squares are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// How many.
    pub n: u64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub sumsq: f64,
}

/// What one side has shown since the step began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ArmCounts {
    /// Calls that ended.
    pub calls: u64,
    /// Calls that failed by the model's fault.
    pub errors: u64,
    /// Calls that took longer than the stable model's p95 as it was when the step began.
    pub slow: u64,
    /// Scores of the quality validator.
    pub quality: Sums,
    /// Scores callers sent.
    pub feedback: Sums,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The share of calls that fail.
    Errors,
    /// The share of calls that are slower than the stable model's p95.
    Slow,
    /// The mean score of the validator.
    Quality,
    /// The mean score of the callers.
    Feedback,
}

/// All of them.
pub const METRICS: [Metric; 4] = [Metric::Errors, Metric::Slow, Metric::Quality, Metric::Feedback];

/// From which difference on the canary is too bad, by metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Margins {
    /// 0.01: one call in a hundred more fails.
    pub errors: f64,
    /// 0.05: twice as many calls are slow.
    pub slow: f64,
    /// Of the mean score.
    pub quality: f64,
    /// Of the mean score.
    pub feedback: f64,
}

impl Default for Margins {
    fn default() -> Self {
        Self { errors: 0.01, slow: 0.05, quality: 0.05, feedback: 0.1 }
    }
}

/// How it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JudgeConfig {
    /// Most probability with which a canary that is no worse is called a regression, over all metrics and looks, and
    /// with which one that is worse by a margin is called no worse.  One step of a rollout with k steps gets a k-th.
    pub alpha: f64,
    /// From which difference on the canary is too bad.
    pub margins: Margins,
    /// Calls of the canary before it can be no worse; a regression is seen when it is seen.
    pub min_calls: u64,
}

impl Default for JudgeConfig {
    fn default() -> Self {
        Self { alpha: 0.05, margins: Margins::default(), min_calls: 100 }
    }
}

/// What speaks for a regression.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// Mean of the stable side: a share of its calls, or a score.
    pub stable: f64,
    /// Mean of the canary.
    pub canary: f64,
    /// What was counted of the stable side.
    pub stable_n: u64,
    /// What was counted of the canary.
    pub canary_n: u64,
    /// Natural logarithm of the odds against "the canary is no worse".
    pub log_odds: f64,
    /// What it had to reach.
    pub needed: f64,
}

/// The judgement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The canary is worse beyond chance, and by a margin at least.
    Regression {
        /// In what.
        metric: Metric,
        /// By how much, and how sure that is.
        evidence: Evidence,
    },
    /// The canary is not worse by a margin in anything that is measured.
    NoWorse,
    /// Neither can be said.
    Undecided {
        /// What is not settled.
        metric: Metric,
        /// Calls of the canary still needed if it goes on as it did; none where no number would do.
        needs_calls: Option<u64>,
    },
}

/// Judges the canary by what both sides have shown since the step began.
pub fn judge(stable: &ArmCounts, canary: &ArmCounts, config: &JudgeConfig) -> Verdict {
    let arms = Arms { stable: *stable, canary: *canary };
    arms.settled(config).unwrap_or_else(|metric| arms.undecided(metric, config))
}

#[derive(Clone, Copy)]
struct Arms {
    stable: ArmCounts,
    canary: ArmCounts,
}

impl Arms {
    // The verdict, or the metric that is furthest from one.
    fn settled(&self, config: &JudgeConfig) -> Result<Verdict, Metric> {
        if let Some((metric, evidence)) = self.regression(config) {
            return Ok(Verdict::Regression { metric, evidence });
        }
        let needed = (1.0 / config.alpha).ln();
        let required = METRICS.into_iter().filter(|metric| self.required(*metric));
        let odds = required.map(|metric| (metric, self.against_harm(metric, config)));
        match odds.filter(|(_, odds)| *odds < needed).min_by(|a, b| a.1.total_cmp(&b.1)) {
            Some((metric, _)) => Err(metric),
            None if self.canary.calls < config.min_calls => Err(Metric::Errors),
            None => Ok(Verdict::NoWorse),
        }
    }

    // The regression that is surest.
    fn regression(&self, config: &JudgeConfig) -> Option<(Metric, Evidence)> {
        let suspects = METRICS.into_iter().filter_map(|metric| Some((metric, self.evidence(metric, config)?)));
        let proven = suspects.filter(|(_, evidence)| evidence.log_odds >= evidence.needed);
        proven.max_by(|a, b| a.1.log_odds.total_cmp(&b.1.log_odds))
    }

    // Against "no worse"; none where what was seen is not worse by the margin.
    fn evidence(&self, metric: Metric, config: &JudgeConfig) -> Option<Evidence> {
        let (stable, canary) = (self.stable.badness(metric), self.canary.badness(metric));
        let seen = stable.n() > 0.0 && canary.n() > 0.0;
        if !seen || canary.mean() - stable.mean() < config.margins.of(metric) {
            return None;
        }
        Some(Evidence {
            stable: metric.shown(stable.mean()),
            canary: metric.shown(canary.mean()),
            stable_n: stable.n() as u64,
            canary_n: canary.n() as u64,
            log_odds: log_odds_above(&canary, &stable, 0.0),
            needed: config.accusation(),
        })
    }

    fn against_harm(&self, metric: Metric, config: &JudgeConfig) -> f64 {
        let (stable, canary) = (self.stable.badness(metric), self.canary.badness(metric));
        log_odds_below(&canary, &stable, config.margins.of(metric))
    }

    fn required(&self, metric: Metric) -> bool {
        match metric {
            Metric::Errors | Metric::Slow => true,
            Metric::Quality => self.stable.quality.n + self.canary.quality.n > 0,
            Metric::Feedback => false,
        }
    }

    // Looks ahead: with so many times the calls, and the same shares of them, would it be settled?
    fn undecided(&self, metric: Metric, config: &JudgeConfig) -> Verdict {
        const FURTHEST: u32 = 14;
        let settled = |times: f64| self.times(times).settled(config).is_ok();
        let far = (1..=FURTHEST).map(|power| f64::from(1 << power)).find(|times| settled(*times));
        let times = far.filter(|_| self.canary.calls > 0).map(|far| first(settled, far / 2.0, far));
        let needs_calls = times.map(|times| ((times - 1.0) * self.canary.calls as f64).ceil() as u64);
        Verdict::Undecided { metric, needs_calls }
    }

    fn times(&self, times: f64) -> Self {
        Self { stable: self.stable.times(times), canary: self.canary.times(times) }
    }
}

// The smallest value between `no` and `yes` for which `holds`, to a hundredth.
fn first(holds: impl Fn(f64) -> bool, no: f64, yes: f64) -> f64 {
    let (mut no, mut yes) = (no, yes);
    while yes - no > 0.01 * yes {
        let middle = f64::midpoint(no, yes);
        if holds(middle) { yes = middle } else { no = middle }
    }
    yes
}

impl ArmCounts {
    fn badness(&self, metric: Metric) -> Sample {
        match metric {
            Metric::Errors => Sample::counted(self.calls as f64, self.errors as f64),
            Metric::Slow => Sample::counted(self.calls as f64, self.slow as f64),
            Metric::Quality => self.quality.badness(),
            Metric::Feedback => self.feedback.badness(),
        }
    }

    fn times(&self, times: f64) -> Self {
        let more = |count: u64| (count as f64 * times).round() as u64;
        Self {
            calls: more(self.calls),
            errors: more(self.errors),
            slow: more(self.slow),
            quality: self.quality.times(times),
            feedback: self.feedback.times(times),
        }
    }
}

impl Sums {
    fn badness(&self) -> Sample {
        Sample::graded(self.n as f64, self.sum, self.sumsq).flipped()
    }

    fn times(&self, times: f64) -> Self {
        let n = (self.n as f64 * times).round() as u64;
        Self { n, sum: self.sum * times, sumsq: self.sumsq * times }
    }
}

impl Metric {
    // A badness as people know it; its own inverse.
    fn shown(self, badness: f64) -> f64 {
        match self {
            Self::Errors | Self::Slow => badness,
            Self::Quality | Self::Feedback => 1.0 - badness,
        }
    }
}

impl Margins {
    fn of(&self, metric: Metric) -> f64 {
        match metric {
            Metric::Errors => self.errors,
            Metric::Slow => self.slow,
            Metric::Quality => self.quality,
            Metric::Feedback => self.feedback,
        }
    }
}

impl JudgeConfig {
    // Odds for an accusation: each metric may be wrong with its part of alpha.
    fn accusation(&self) -> f64 {
        (METRICS.len() as f64 / self.alpha).ln()
    }
}

// ---- which traffic shows what ----

/// A regression one wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// In what.
    pub metric: Metric,
    /// The stable side's mean: a share of its calls, or a score.
    pub from: f64,
    /// The canary's.
    pub to: f64,
}

/// Where and how soon it is to be seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watch {
    /// The canary's share of the calls.
    pub share: f64,
    /// Time until the verdict.
    pub within: Duration,
}

/// Calls a second over both sides at which `change` is seen in four of five rollouts; none where no traffic shows it.
///
/// Scores count as all or nothing, the worst case: where they vary less, less traffic shows the change.
pub fn traffic_needed(change: &Change, watch: &Watch, config: &JudgeConfig) -> Option<f64> {
    const MOST: f64 = 1e7;
    let shows = |calls_per_second: f64| change.shows(calls_per_second, watch, config);
    shows(MOST).then(|| first(shows, 0.0, MOST))
}

/// The mildest change from `from` that is seen at `calls_per_second` over both sides; none where not even the worst is.
pub fn detectable(
    calls_per_second: f64,
    watch: &Watch,
    metric: Metric,
    from: f64,
    config: &JudgeConfig,
) -> Option<Change> {
    let badness = metric.shown(from);
    let change = |worse: f64| Change { metric, from, to: metric.shown(badness + worse) };
    let shows = |worse: f64| change(worse).shows(calls_per_second, watch, config);
    let worst = 1.0 - badness;
    shows(worst).then(|| change(first(shows, 0.0, worst)))
}

impl Change {
    // With what was to be expected of the stable side, and of the canary less than in four of five cases.
    fn shows(&self, calls_per_second: f64, watch: &Watch, config: &JudgeConfig) -> bool {
        const FOUR_OF_FIVE: f64 = 0.84;
        let calls = calls_per_second * watch.within.as_secs_f64();
        let (of_canary, of_stable) = (watch.share * calls, (1.0 - watch.share) * calls);
        let (from, to) = (self.metric.shown(self.from), self.metric.shown(self.to));
        let unlucky = of_canary * to - FOUR_OF_FIVE * (of_canary * to * (1.0 - to)).sqrt();
        let canary = Sample::counted(of_canary, unlucky.max(0.0));
        let stable = Sample::counted(of_stable, of_stable * from);
        let worse = to - from >= config.margins.of(self.metric);
        worse && of_canary >= 1.0 && log_odds_above(&canary, &stable, 0.0) >= config.accusation()
    }
}
