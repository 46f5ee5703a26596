//! What a router is told at its start, as JSON from the Python side.
//!
//! Python checks the user's file and explains; here a value of the wrong kind is only refused, so that nothing below
//! has to ask whether a duration is negative.

use std::time::Duration;

use serde::Deserialize;
use waypost_decide::stats::StatsConfig;

use crate::{
    address::Address,
    telemetry::Telemetry,
    tls::{ClientTls, ServerTls},
};

mod answers;
mod doors;
mod money;
mod parse;
mod payloads;
mod prompts;
mod replicas;
mod routes;
mod shared;

pub use answers::{Brand, Cache, Quality, Relevance, SemanticCache};
pub use doors::{Auth, Local};
pub use money::{Budget, Soft, Tenant, TenantDefault};
pub use payloads::{PayloadMode, Payloads, TenantPayloads};
pub use prompts::{Guard, GuardMode, Policies, Share, Style, Tags, TenantGuard, TierName, Tiers};
pub use replicas::{Breaker, Hedge, Outlier, Policy, Retry, Weights};
pub use routes::{Condition, Hop, Rollout, Route};
pub use shared::{Hotset, Rates};

use parse::{address, addresses, minute, one, second, seconds, ten_seconds, two};

/// One router process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouterConfig {
    /// Where it listens.
    #[serde(deserialize_with = "address")]
    pub listen: Address,
    /// Its certificates; none: plain text.
    #[serde(default)]
    pub tls: Option<ServerTls>,
    /// Where else it listens.
    #[serde(default)]
    pub local: Option<Local>,
    /// What callers must bring.
    #[serde(default)]
    pub auth: Auth,
    /// How workers are called by TCP; none: in plain text.
    #[serde(default)]
    pub worker_tls: Option<ClientTls>,
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
    /// Second tries beside slow ones.
    #[serde(default)]
    pub hedge: Hedge,
    /// A fresh instance's share grows for so long; zero: at once.
    #[serde(default = "ten_seconds", rename = "slow_start_s", deserialize_with = "seconds")]
    pub slow_start: Duration,
    /// Those who call, where they are told apart.
    #[serde(default)]
    pub tenants: Vec<Tenant>,
    /// What holds for all others.
    #[serde(default)]
    pub tenant_default: TenantDefault,
    /// How much model a prompt gets.
    #[serde(default)]
    pub tiers: Tiers,
    /// Prompts that are stopped or marked.
    #[serde(default)]
    pub guard: Guard,
    /// Prompts that are decided by example.
    #[serde(default)]
    pub policies: Policies,
    /// Capabilities read in the prompt.
    #[serde(default)]
    pub tags: Tags,
    /// One voice for several models.
    #[serde(default)]
    pub style: Style,
    /// Answers that are kept.
    #[serde(default)]
    pub cache: Cache,
    /// What is kept of requests and replies for the record.
    #[serde(default)]
    pub payloads: Payloads,
    /// Answers that are judged.
    #[serde(default)]
    pub quality: Quality,
    /// Money.
    #[serde(default)]
    pub budget: Budget,
    /// Fallback chains.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Replacing models.
    #[serde(default)]
    pub rollout: Rollout,
    /// Models worth running before anybody asks.
    #[serde(default)]
    pub hotset: Hotset,
    /// How routers share what tenants may do.
    #[serde(default)]
    pub rates: Rates,
    /// What it tells of itself.
    #[serde(default)]
    pub telemetry: Telemetry,
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

impl RouterConfig {
    /// When an instance is left out, and how it comes in.
    pub fn stats(&self) -> StatsConfig {
        StatsConfig {
            breaker_failures: self.breaker.failures,
            open_for: self.breaker.open_for,
            p95_limit: self.outlier.p95_limit,
            exclude_for: self.outlier.exclude_for,
            slow_start: self.slow_start,
        }
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
    /// Calls at one instance's model; 0: three times the slots it tells, where it tells any.
    pub instance_in_flight: u32,
    /// Calls that wait for one instance to be started.
    pub max_waiting: u32,
    /// Decision events kept until somebody reads them; beyond it they are counted and lost.
    pub event_ring: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_receive_bytes: 32 << 20,
            max_in_flight: 4096,
            instance_in_flight: 0,
            max_waiting: 256,
            event_ring: 65_536,
        }
    }
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
        assert_eq!(config.policy.as_str(), "expected_completion");
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
