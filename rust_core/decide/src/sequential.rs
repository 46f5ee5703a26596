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
//! makes both worse, and then no difference is seen.  Calls count as independent: where a few sessions make most of
//! them, and fail together, the odds are overstated.
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
pub(crate) fn first(holds: impl Fn(f64) -> bool, no: f64, yes: f64) -> f64 {
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
    pub(crate) fn shown(self, badness: f64) -> f64 {
        match self {
            Self::Errors | Self::Slow => badness,
            Self::Quality | Self::Feedback => 1.0 - badness,
        }
    }
}

impl Margins {
    pub(crate) fn of(&self, metric: Metric) -> f64 {
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
    pub(crate) fn accusation(&self) -> f64 {
        (METRICS.len() as f64 / self.alpha).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::traffic::{Change, Watch, traffic_needed};
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    const CONFIG: JudgeConfig = JudgeConfig {
        alpha: 0.05,
        margins: Margins { errors: 0.01, slow: 0.05, quality: 0.05, feedback: 0.1 },
        min_calls: 100,
    };
    const LOOK_S: f64 = 15.0;
    const WATCH: Watch = Watch { share: 0.05, within: Duration::from_secs(300) };

    // How one side behaves: shares of errors and slow calls, mean and half width of the quality (a width of 1 is all
    // or nothing), and who sends feedback.
    #[derive(Clone, Copy)]
    struct Side {
        errors: f64,
        slow: f64,
        quality: f64,
        width: f64,
        feedback: f64,
    }

    const GOOD: Side = Side { errors: 0.01, slow: 0.05, quality: 0.85, width: 0.15, feedback: 0.8 };

    impl Side {
        fn call(&self, random: &mut SmallRng, counts: &mut ArmCounts) {
            counts.calls += 1;
            counts.errors += u64::from(random.random_bool(self.errors));
            counts.slow += u64::from(random.random_bool(self.slow));
            counts.quality.add(self.judged(random));
            if random.random_bool(0.02) {
                counts.feedback.add(f64::from(u8::from(random.random_bool(self.feedback))));
            }
        }

        fn judged(&self, random: &mut SmallRng) -> f64 {
            match self.width {
                1.0 => f64::from(u8::from(random.random_bool(self.quality))),
                width => self.quality + random.random_range(-width..width),
            }
        }
    }

    impl Sums {
        fn add(&mut self, value: f64) {
            self.n += 1;
            self.sum += value;
            self.sumsq += value * value;
        }
    }

    #[derive(Clone, Copy)]
    struct Trial {
        stable: Side,
        canary: Side,
        share: f64,
        calls_per_second: f64,
        seconds: f64,
    }

    impl Trial {
        // Looks every fifteen seconds until there is a verdict.
        fn verdict(&self, seed: u64) -> Option<Verdict> {
            let mut random = SmallRng::seed_from_u64(seed);
            let mut arms = Arms { stable: ArmCounts::default(), canary: ArmCounts::default() };
            (0..(self.seconds / LOOK_S) as usize).find_map(|_| {
                (0..(self.calls_per_second * LOOK_S) as usize).for_each(|_| self.call(&mut random, &mut arms));
                arms.settled(&CONFIG).ok()
            })
        }

        fn call(&self, random: &mut SmallRng, arms: &mut Arms) {
            match random.random_bool(self.share) {
                true => self.canary.call(random, &mut arms.canary),
                false => self.stable.call(random, &mut arms.stable),
            }
        }

        fn share_of(&self, runs: u64, wanted: impl Fn(Option<Verdict>) -> bool) -> f64 {
            (0..runs).filter(|seed| wanted(self.verdict(*seed))).count() as f64 / runs as f64
        }
    }

    const FIVE_MINUTES: Trial =
        Trial { stable: GOOD, canary: GOOD, share: 0.05, calls_per_second: 26.0, seconds: 300.0 };

    fn regressed(verdict: Option<Verdict>) -> bool {
        matches!(verdict, Some(Verdict::Regression { .. }))
    }

    fn regressed_in(metric: Metric) -> impl Fn(Option<Verdict>) -> bool {
        move |verdict| matches!(verdict, Some(Verdict::Regression { metric: seen, .. }) if seen == metric)
    }

    fn no_worse(verdict: Option<Verdict>) -> bool {
        verdict == Some(Verdict::NoWorse)
    }

    fn arm(calls: u64, errors: u64) -> ArmCounts {
        ArmCounts { calls, errors, slow: calls / 20, ..ArmCounts::default() }
    }

    // ---- calibration, simulated ----

    #[test]
    fn a_canary_that_is_the_same_is_rolled_back_less_often_than_alpha_says() {
        let flaky = Side { errors: 0.3, width: 1.0, ..GOOD };
        let thin = Trial { share: 0.01, ..FIVE_MINUTES };
        let most = Trial { stable: flaky, canary: flaky, share: 0.8, ..FIVE_MINUTES };
        for trial in [FIVE_MINUTES, thin, most, Trial { share: 0.1, seconds: 900.0, ..FIVE_MINUTES }] {
            let wrong = trial.share_of(100, regressed);
            assert!(wrong <= CONFIG.alpha, "{wrong} at a share of {}", trial.share);
        }
    }

    #[test]
    fn a_canary_that_is_worse_by_a_margin_is_called_no_worse_less_often_than_alpha_says() {
        for canary in [
            Side { errors: GOOD.errors + CONFIG.margins.errors, ..GOOD },
            Side { slow: GOOD.slow + CONFIG.margins.slow, ..GOOD },
            Side { quality: GOOD.quality - CONFIG.margins.quality, ..GOOD },
        ] {
            let wrong = Trial { canary, share: 0.5, seconds: 600.0, ..FIVE_MINUTES }.share_of(60, no_worse);
            assert!(wrong <= CONFIG.alpha, "{wrong}");
        }
    }

    #[test]
    fn errors_from_one_to_five_percent_show_within_five_minutes_at_26_calls_a_second() {
        let trial = Trial { canary: Side { errors: 0.05, ..GOOD }, ..FIVE_MINUTES };
        let seen = trial.share_of(100, regressed_in(Metric::Errors));
        assert!(seen >= 0.8, "{seen}");
    }

    #[test]
    fn graded_quality_from_85_to_75_shows_within_five_minutes_at_17_calls_a_second() {
        let canary = Side { quality: 0.75, ..GOOD };
        let seen =
            Trial { canary, calls_per_second: 17.0, ..FIVE_MINUTES }.share_of(100, regressed_in(Metric::Quality));
        assert!(seen >= 0.95, "{seen}");
    }

    #[test]
    fn a_canary_that_is_the_same_is_found_no_worse_within_the_hour_at_every_step() {
        for share in [0.05, 0.1, 0.5, 0.8] {
            let found = Trial { share, seconds: 3600.0, ..FIVE_MINUTES }.share_of(10, no_worse);
            assert!(found >= 0.9, "{found} at a share of {share}");
        }
    }

    #[test]
    fn the_traffic_it_asks_for_is_the_traffic_that_shows_it() {
        let all_or_nothing = Side { width: 1.0, ..GOOD };
        for (stable, canary, metric, from, to) in [
            (GOOD, Side { errors: 0.05, ..GOOD }, Metric::Errors, 0.01, 0.05),
            (GOOD, Side { slow: 0.15, ..GOOD }, Metric::Slow, 0.05, 0.15),
            (all_or_nothing, Side { quality: 0.75, ..all_or_nothing }, Metric::Quality, 0.85, 0.75),
        ] {
            let calls_per_second = traffic_needed(&Change { metric, from, to }, &WATCH, &CONFIG).unwrap();
            let seen = Trial { stable, canary, calls_per_second, ..FIVE_MINUTES }.share_of(100, regressed);
            assert!((0.7..0.97).contains(&seen), "{seen} at {calls_per_second} calls a second for {metric:?}");
        }
    }

    // ---- single verdicts ----

    #[test]
    fn a_canary_that_fails_every_call_is_seen_in_five() {
        let verdict = judge(&arm(500, 5), &arm(5, 5), &CONFIG);
        assert!(regressed_in(Metric::Errors)(Some(verdict)), "{verdict:?}");
    }

    #[test]
    fn an_outage_behind_both_is_no_regression() {
        assert!(!regressed(Some(judge(&arm(10_000, 4000), &arm(1000, 400), &CONFIG))));
    }

    #[test]
    fn a_difference_that_is_certain_but_small_is_no_regression() {
        assert_eq!(judge(&arm(9_000_000, 90_000), &arm(1_000_000, 12_000), &CONFIG), Verdict::NoWorse);
    }

    #[test]
    fn the_evidence_is_told_as_people_know_the_metric() {
        let judged = |mean: f64| Sums { n: 1000, sum: 1000.0 * mean, sumsq: 1000.0 * (mean * mean + 0.01) };
        let side = |mean| ArmCounts { quality: judged(mean), ..arm(1000, 10) };
        let Verdict::Regression { metric, evidence } = judge(&side(0.85), &side(0.75), &CONFIG) else {
            panic!("not seen");
        };
        assert_eq!((metric, evidence.stable_n, evidence.canary_n), (Metric::Quality, 1000, 1000));
        assert!((evidence.stable - 0.85).abs() < 1e-9 && (evidence.canary - 0.75).abs() < 1e-9);
        assert!(evidence.log_odds > evidence.needed);
    }

    #[test]
    fn without_calls_nobody_knows_how_many_are_needed() {
        let nothing = ArmCounts::default();
        assert_eq!(
            judge(&nothing, &nothing, &CONFIG),
            Verdict::Undecided { metric: Metric::Errors, needs_calls: None }
        );
    }

    #[test]
    fn with_the_calls_it_asks_for_it_is_decided() {
        let (stable, canary) = (arm(1800, 18), arm(200, 2));
        let Verdict::Undecided { needs_calls: Some(calls), .. } = judge(&stable, &canary, &CONFIG) else {
            panic!("decided too early");
        };
        let times = (200 + calls) as f64 / 200.0;
        assert_eq!(judge(&stable.times(times), &canary.times(times), &CONFIG), Verdict::NoWorse);
    }

    #[test]
    fn too_few_calls_of_the_canary_are_never_no_worse() {
        let config = JudgeConfig { min_calls: 100_000, ..CONFIG };
        let verdict = judge(&arm(500_000, 5000), &arm(50_000, 500), &config);
        assert!(matches!(verdict, Verdict::Undecided { .. }), "{verdict:?}");
    }

    #[test]
    fn quality_that_is_measured_has_to_be_settled_and_feedback_has_not() {
        let few = Sums { n: 10, sum: 8.5, sumsq: 7.5 };
        let (stable, canary) = (arm(90_000, 900), arm(10_000, 100));
        let judged = ArmCounts { quality: few, ..canary };
        let liked = ArmCounts { feedback: few, ..canary };
        let verdict = judge(&stable, &judged, &CONFIG);
        assert!(matches!(verdict, Verdict::Undecided { metric: Metric::Quality, .. }), "{verdict:?}");
        assert_eq!(judge(&stable, &liked, &CONFIG), Verdict::NoWorse);
    }
}
