//! Fallback chains, and how models are replaced.

use std::time::Duration;

use serde::Deserialize;

use super::parse::seconds;
use crate::proto::v1::Task;

/// A fallback chain under a name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// What callers name as the model; "default" is for those who name none.
    pub name: String,
    /// The work it is for.
    #[serde(default)]
    pub task: TaskName,
    /// The first is where calls go; each of the others has a condition.
    pub hops: Vec<Hop>,
}

/// As in the contract's `Task`.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum TaskName {
    Embed,
    Classify,
    Rerank,
    #[default]
    Generate,
}

impl From<TaskName> for Task {
    fn from(name: TaskName) -> Self {
        match name {
            TaskName::Embed => Self::Embed,
            TaskName::Classify => Self::Classify,
            TaskName::Rerank => Self::Rerank,
            TaskName::Generate => Self::Generate,
        }
    }
}

/// One hop.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hop {
    /// The model.
    pub model: String,
    /// When calls go there.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// All of the conditions must hold, not just one.
    #[serde(default)]
    pub all: bool,
    /// For "complex": from this quantile of the recent prompts on.
    #[serde(default = "most_complex")]
    pub complexity: f64,
    /// For "unsure": below this confidence.
    #[serde(default = "fairly_sure")]
    pub confidence: f64,
    /// For "coverage_low": below this coverage.
    #[serde(default = "little_covered")]
    pub coverage: f64,
    /// At most this share of the route's calls.
    #[serde(default)]
    pub max_share: Option<f64>,
}

/// See the module of the same name in `waypost_decide`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Condition {
    Overloaded,
    Unsure,
    Complex,
    CoverageLow,
    BudgetLow,
    Error,
    Poor,
}

/// How models are replaced.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rollout {
    /// Canaries are judged so often.
    #[serde(rename = "judge_s", deserialize_with = "seconds")]
    pub judge: Duration,
    /// Calls that a verdict needs at least.
    pub min_calls: u64,
    /// Probability of a verdict against a canary that is no worse.
    pub alpha: f64,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { judge: Duration::from_secs(5), min_calls: 100, alpha: 0.05 }
    }
}

fn most_complex() -> f64 {
    0.85
}

fn fairly_sure() -> f64 {
    0.6
}

fn little_covered() -> f64 {
    0.2
}
