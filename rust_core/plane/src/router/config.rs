//! What a router is told at its start, as JSON from the Python side.
//!
//! Python checks the user's file and explains; here a value of the wrong kind is only refused, so that nothing below
//! has to ask whether a duration is negative.

use std::{str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};
use waypost_decide::{pick, score};

use crate::address::Address;

/// One router process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouterConfig {
    /// Where it listens.
    #[serde(deserialize_with = "address")]
    pub listen: Address,
    /// Its own name.
    pub instance: String,
    /// Version of Waypost.
    pub version: String,
    /// The workers it starts with.
    #[serde(default, deserialize_with = "addresses")]
    pub instances: Vec<Address>,
    /// How replicas are chosen.
    #[serde(default)]
    pub policy: Policy,
    /// Makes the choices repeatable.
    #[serde(default)]
    pub seed: Option<i64>,
    /// Weights of the score.
    #[serde(default)]
    pub weights: Weights,
    /// What it accepts.
    #[serde(default)]
    pub limits: Limits,
    /// Second attempts.
    #[serde(default)]
    pub retry: Retry,
    /// Leaving a failing instance alone.
    #[serde(default)]
    pub breaker: Breaker,
    /// Leaving a slow instance out.
    #[serde(default)]
    pub outlier: Outlier,
    /// Deadline of calls that bring none.
    #[serde(default = "minute", rename = "default_timeout_s", deserialize_with = "seconds")]
    pub default_timeout: Duration,
    /// Pings to each instance are this far apart, and answered within as long, or the connection is given up.
    #[serde(default = "second", rename = "probe_interval_s", deserialize_with = "seconds")]
    pub probe_interval: Duration,
    /// Connections per instance; more than one helps only where one core cannot keep up with a connection.
    #[serde(default = "one")]
    pub connections: usize,
    /// Threads that serve sockets.
    #[serde(default = "two")]
    pub io_threads: usize,
}

/// As in [`waypost_decide::pick`], where each is explained.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Policy {
    #[default]
    ExpectedCompletion,
    PowerOfTwo,
    Score,
    RoundRobin,
}

impl Policy {
    /// As it is written in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExpectedCompletion => "expected_completion",
            Self::PowerOfTwo => "power_of_two",
            Self::Score => "score",
            Self::RoundRobin => "round_robin",
        }
    }
}

impl From<Policy> for pick::Policy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::ExpectedCompletion => Self::ExpectedCompletion,
            Policy::PowerOfTwo => Self::PowerOfTwo,
            Policy::Score => Self::Score,
            Policy::RoundRobin => Self::RoundRobin,
        }
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

/// Limits of one router; beyond each comes an error at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of one request message.
    pub max_receive_bytes: usize,
    /// Calls inside, over all clients.
    pub max_in_flight: usize,
    /// Decision events kept until somebody reads them; beyond it they are counted and lost.
    pub event_ring: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_receive_bytes: 32 << 20, max_in_flight: 4096, event_ring: 65_536 }
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

fn one() -> usize {
    1
}

fn two() -> usize {
    2
}

fn second() -> Duration {
    Duration::from_secs(1)
}

fn minute() -> Duration {
    Duration::from_secs(60)
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Address, D::Error> {
    Address::from_str(&String::deserialize(from)?).map_err(D::Error::custom)
}

fn addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Address>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|text| Address::from_str(text).map_err(D::Error::custom)).collect()
}

fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
}

fn some_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let seconds = Option::<f64>::deserialize(from)?;
    seconds.map(Duration::try_from_secs_f64).transpose().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<RouterConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let config = read(r#"{"listen": "127.0.0.1:0", "instance": "router", "version": "1"}"#).expect("is complete");
        assert_eq!(config.policy, Policy::ExpectedCompletion);
        assert_eq!(config.default_timeout, Duration::from_secs(60));
        assert_eq!(config.outlier.p95_limit, None);
        assert!(config.instances.is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in [
            r#"{"listen": "nowhere", "instance": "r", "version": "1"}"#,
            r#"{"listen": "a:1", "instance": "r", "version": "1", "instances": ["b"]}"#,
            r#"{"listen": "a:1", "instance": "r", "version": "1", "probe_interval_s": -1}"#,
            r#"{"listen": "a:1", "instance": "r", "version": "1", "policy": "random"}"#,
            r#"{"listen": "a:1", "instance": "r", "version": "1", "polciy": "score"}"#,
            r#"{"listen": "a:1", "instance": "r", "version": "1", "outlier": {"p95_limit_s": -2}}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong} was taken");
        }
    }
}
