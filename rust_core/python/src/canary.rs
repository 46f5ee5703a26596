//! The canary's judge, for the slow loop that moves rollouts.

use std::time::Duration;

use pyo3::{exceptions::PyValueError, prelude::*};
use serde::{Deserialize, de::DeserializeOwned};
use waypost_decide::{
    sequential::{self, ArmCounts, JudgeConfig, Margins},
    traffic::{self, Change, Watch},
};

#[derive(Deserialize)]
struct Case {
    stable: ArmCounts,
    canary: ArmCounts,
    alpha: f64,
    min_calls: u64,
    #[serde(default)]
    margins: Margins,
}

#[derive(Deserialize)]
struct Question {
    share: f64,
    within_s: f64,
    alpha: f64,
    #[serde(default)]
    margins: Margins,
    changes: Vec<Change>,
}

/// The verdict on a canary, as JSON, by what both sides have shown.
#[pyfunction]
pub fn judge_canary(case_json: &str) -> PyResult<String> {
    let case: Case = read(case_json)?;
    let config = JudgeConfig { alpha: case.alpha, margins: case.margins, min_calls: case.min_calls };
    serde_json::to_string(&sequential::judge(&case.stable, &case.canary, &config)).map_err(value_error)
}

/// Calls a second at which each of some changes is seen in time, as JSON; null: at no traffic.
#[pyfunction]
pub fn canary_traffic(py: Python<'_>, question_json: &str) -> PyResult<String> {
    let question: Question = read(question_json)?;
    let within = Duration::try_from_secs_f64(question.within_s).map_err(value_error)?;
    let watch = Watch { share: question.share, within };
    let config = JudgeConfig { alpha: question.alpha, margins: question.margins, ..JudgeConfig::default() };
    let needed = |change: &Change| traffic::traffic_needed(change, &watch, &config);
    let all: Vec<_> = py.detach(|| question.changes.iter().map(needed).collect());
    serde_json::to_string(&all).map_err(value_error)
}

fn read<T: DeserializeOwned>(json: &str) -> PyResult<T> {
    serde_json::from_str(json).map_err(value_error)
}

fn value_error(error: impl ToString) -> PyErr {
    PyValueError::new_err(error.to_string())
}
