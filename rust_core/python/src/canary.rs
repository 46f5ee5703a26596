//! The canary's judge, for the slow loop that moves rollouts.

use pyo3::{exceptions::PyValueError, prelude::*};
use serde::Deserialize;
use waypost_decide::sequential::{self, ArmCounts, JudgeConfig, Margins};

#[derive(Deserialize)]
struct Case {
    stable: ArmCounts,
    canary: ArmCounts,
    alpha: f64,
    min_calls: u64,
    #[serde(default)]
    margins: Margins,
}

/// The verdict on a canary, as JSON, by what both sides have shown.
#[pyfunction]
pub fn judge_canary(case_json: &str) -> PyResult<String> {
    let value_error = |error: serde_json::Error| PyValueError::new_err(error.to_string());
    let case: Case = serde_json::from_str(case_json).map_err(value_error)?;
    let config = JudgeConfig { alpha: case.alpha, margins: case.margins, min_calls: case.min_calls };
    serde_json::to_string(&sequential::judge(&case.stable, &case.canary, &config)).map_err(value_error)
}
