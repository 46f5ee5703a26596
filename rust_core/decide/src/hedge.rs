//! When a second copy of a call is sent although the first is still under way.
//!
//! A copy sent after the p95 of the latency reaches another instance for about one call in twenty and cuts the tail
//! to little more than that delay ("The Tail at Scale", Dean and Barroso 2013).  Under overload every call is late,
//! and hedging all of them would double the load: a budget, the scheme of [`crate::retry`], keeps the copies to a
//! share of the calls.  Whoever hedges cancels the loser, and hedges only calls without side effects.
use std::time::Duration;

use crate::quantile::WindowedQuantile;
use crate::retry::RetryBudget;

/// Fewer samples than this describe no tail.
const FEWEST_SAMPLES: u32 = 20;

/// Copies that a quiet router may send ahead of its ratio.
const RESERVE: f64 = 2.0;

/// How a route hedges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HedgeConfig {
    /// Of the latency, after which a call counts as late: 0.95 for p95.
    pub quantile: f64,
    /// A copy is sent no sooner than this, however fast the model is.
    pub min_delay: Duration,
    /// Copies per call, at most.
    pub budget_ratio: f64,
}

/// Delay and budget of hedged calls.
#[derive(Debug)]
pub struct Hedge {
    config: HedgeConfig,
    budget: RetryBudget,
}

impl Hedge {
    /// A budget of its own for what shares it: a model, or a route.
    pub fn new(config: HedgeConfig) -> Self {
        Self { config, budget: RetryBudget::new(config.budget_ratio, RESERVE) }
    }

    /// How long a call that was sent at `now` may take before a copy is due, by the latencies of its model; none where
    /// too few are known.
    pub fn delay(&self, latencies: &mut WindowedQuantile, now: Duration) -> Option<Duration> {
        if latencies.count(now) < FEWEST_SAMPLES {
            return None;
        }
        latencies.quantile(now, self.config.quantile).map(|late| late.max(self.config.min_delay))
    }

    /// A call was sent that could be hedged.
    pub fn sent(&self) {
        self.budget.deposit();
    }

    /// Asks to send a copy; true takes it from the budget.
    pub fn may_hedge(&self) -> bool {
        self.budget.withdraw()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const CONFIG: HedgeConfig =
        HedgeConfig { quantile: 0.95, min_delay: Duration::from_millis(10), budget_ratio: 0.05 };

    fn latencies(count: u64, each: impl Fn(u64) -> u64) -> WindowedQuantile {
        let mut window = WindowedQuantile::new(Duration::from_secs(30), 6);
        (0..count).for_each(|index| window.observe(NOW, Duration::from_millis(each(index))));
        window
    }

    #[test]
    fn a_call_is_late_beyond_the_quantile() {
        let delay = Hedge::new(CONFIG).delay(&mut latencies(100, |index| if index < 96 { 40 } else { 900 }), NOW);
        assert!(delay.is_some_and(|delay| (38..42).contains(&(delay.as_millis() as u64))), "{delay:?}");
    }

    #[test]
    fn a_fast_model_is_not_hedged_at_once() {
        assert_eq!(Hedge::new(CONFIG).delay(&mut latencies(100, |_| 1), NOW), Some(CONFIG.min_delay));
    }

    #[test]
    fn without_samples_nobody_knows_what_late_is() {
        assert_eq!(Hedge::new(CONFIG).delay(&mut latencies(19, |_| 40), NOW), None);
        assert_eq!(Hedge::new(CONFIG).delay(&mut latencies(100, |_| 40), NOW + Duration::from_secs(60)), None);
    }

    #[test]
    fn copies_stay_within_their_share_of_the_calls() {
        let hedge = Hedge::new(CONFIG);
        let copies = (0..1000)
            .filter(|_| {
                hedge.sent();
                hedge.may_hedge()
            })
            .count();
        assert!((50..=52).contains(&copies), "{copies}");
    }
}
