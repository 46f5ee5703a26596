//! At which traffic a regression shows, and which regression shows at a traffic.
//!
//! A rollout that nobody calls is never judged, and whoever starts one wants to know that before.  So the judge of
//! [`crate::sequential`] is asked what it would say of the counts that are to be expected, with a canary that is as
//! lucky as one in five.  In simulation four of five regressions are seen at that traffic (0.7 to 0.97).
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sequential::{JudgeConfig, Metric, first};
use crate::wager::{Sample, log_odds_above};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequential::Margins;

    const CONFIG: JudgeConfig = JudgeConfig {
        alpha: 0.05,
        margins: Margins { errors: 0.01, slow: 0.05, quality: 0.05, feedback: 0.1 },
        min_calls: 100,
    };
    const WATCH: Watch = Watch { share: 0.05, within: Duration::from_secs(300) };

    #[test]
    fn errors_from_one_to_five_percent_need_about_22_calls_a_second_and_quality_from_85_to_75_about_26() {
        let needed = |metric, from, to| traffic_needed(&Change { metric, from, to }, &WATCH, &CONFIG).unwrap_or(0.0);
        assert!((20.0..26.0).contains(&needed(Metric::Errors, 0.01, 0.05)));
        assert!((23.0..29.0).contains(&needed(Metric::Quality, 0.85, 0.75)));
    }

    #[test]
    fn more_traffic_shows_milder_changes() {
        let mildest = |calls_per_second| detectable(calls_per_second, &WATCH, Metric::Errors, 0.01, &CONFIG);
        let (thin, busy) = (mildest(5.0).unwrap().to, mildest(500.0).unwrap().to);
        assert!(busy < 0.025 && thin > 0.08, "{busy} and {thin}");
        assert_eq!(mildest(0.01), None);
    }

    #[test]
    fn what_is_milder_than_the_margin_is_never_seen() {
        let change = Change { metric: Metric::Errors, from: 0.01, to: 0.015 };
        assert_eq!(traffic_needed(&change, &WATCH, &CONFIG), None);
    }
}
