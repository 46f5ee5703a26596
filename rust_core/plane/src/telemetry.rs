//! What a process tells of itself, as JSON from the Python side that checked it.

use serde::Deserialize;

use crate::{levels, proto::v1::LogLevel};

/// Of one process; without it, metrics alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Whether anything is counted beyond what decisions need.
    pub metrics: bool,
    /// Where spans go; none: there are none.
    pub traces: Option<Traces>,
    /// What is written to the log at first: "debug", "info", "warning" or "error".
    pub log_level: String,
}

impl Telemetry {
    /// What is written to the log at first.
    pub fn level(&self) -> LogLevel {
        levels::named(&self.log_level).unwrap_or(LogLevel::Info)
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { metrics: true, traces: None, log_level: "info".into() }
    }
}

/// Where spans go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// An OTLP receiver over gRPC, such as `http://127.0.0.1:4317`.
    pub endpoint: String,
    /// Share of the calls traced that bring no trace of their own, 0 to 1.
    pub sample: f64,
    /// Spans that wait to be sent; beyond it they are counted and lost.
    pub queue: usize,
}
