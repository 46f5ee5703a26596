//! How a replica is chosen, and when one is left alone.

use std::time::Duration;

use serde::Deserialize;
use waypost_decide::{hedge, pick, score};

use super::parse::{second, seconds, some_seconds};

/// One of [`waypost_decide::pick`], by its name there.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Policy(pick::Policy);

impl Policy {
    /// As it is written in a configuration.
    pub fn as_str(self) -> &'static str {
        self.0.name()
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self(pick::Policy::ExpectedCompletion)
    }
}

impl TryFrom<String> for Policy {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        pick::Policy::named(&name).map(Self).ok_or_else(|| format!("no policy {name:?}"))
    }
}

impl From<Policy> for pick::Policy {
    fn from(policy: Policy) -> Self {
        policy.0
    }
}

/// How much each term of the score counts.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct Weights {
    pub latency: f64,
    pub queue: f64,
    pub fit: f64,
    pub health: f64,
    pub feedback: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { latency: 1.0, queue: 1.0, fit: 1.0, health: 1.0, feedback: 1.0 }
    }
}

impl From<Weights> for score::Weights {
    fn from(weights: Weights) -> Self {
        let Weights { latency, queue, fit, health, feedback } = weights;
        Self { latency, queue, fit, health, feedback }
    }
}

/// Second attempts elsewhere.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts of one call, the first included.
    pub max_attempts: u32,
    /// Retries per call, in the long run.
    pub budget_ratio: f64,
    /// Retries that are free.
    pub min_tokens: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { max_attempts: 2, budget_ratio: 0.2, min_tokens: 100.0 }
    }
}

/// Circuit breaker of each instance.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open.
    #[serde(rename = "open_s", deserialize_with = "seconds")]
    pub open_for: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 5, open_for: second() }
    }
}

/// Exclusion by latency.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outlier {
    /// An instance whose p95 is over this is left out; none: never.
    #[serde(rename = "p95_limit_s", deserialize_with = "some_seconds")]
    pub p95_limit: Option<Duration>,
    /// For how long.
    #[serde(rename = "exclude_s", deserialize_with = "seconds")]
    pub exclude_for: Duration,
    /// Below this share of healthy instances all are used.
    pub panic_share: f64,
}

impl Default for Outlier {
    fn default() -> Self {
        Self { p95_limit: None, exclude_for: Duration::from_secs(5), panic_share: 0.5 }
    }
}

/// A second try beside a slow first one, of calls without side effects.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hedge {
    /// Off by default: it is extra work exactly when the mesh is slow.
    pub enabled: bool,
    /// It starts when the first has taken longer than so many of the instance's recent calls,
    pub quantile: f64,
    /// and at least this long.
    #[serde(rename = "min_delay_s", deserialize_with = "seconds")]
    pub min_delay: Duration,
    /// Second tries per call, in the long run.
    pub budget_ratio: f64,
}

impl Default for Hedge {
    fn default() -> Self {
        Self { enabled: false, quantile: 0.95, min_delay: Duration::from_millis(10), budget_ratio: 0.05 }
    }
}

impl From<&Hedge> for hedge::HedgeConfig {
    fn from(config: &Hedge) -> Self {
        Self { quantile: config.quantile, min_delay: config.min_delay, budget_ratio: config.budget_ratio }
    }
}
