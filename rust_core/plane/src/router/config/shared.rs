//! What routers of one store share.

use std::time::Duration;

use serde::Deserialize;

use super::parse::seconds;

/// Models that are worth running before anybody asks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hotset {
    /// A model that is called so often at one router is hot; 0: only those that are pinned.
    pub calls_per_hour: f64,
    /// It is no longer once that is so long ago.
    #[serde(rename = "forget_s", deserialize_with = "seconds")]
    pub forget: Duration,
    /// So many are hot for their calls, at most: those called most.
    pub size: usize,
    /// The store is read so often.
    #[serde(rename = "poll_s", deserialize_with = "seconds")]
    pub poll: Duration,
}

impl Default for Hotset {
    fn default() -> Self {
        Self { calls_per_hour: 0.0, forget: Duration::from_secs(3600), size: 8, poll: Duration::from_secs(2) }
    }
}

/// How routers share the rates of tenants.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// Each tells the others so often what it let pass.
    #[serde(rename = "sync_s", deserialize_with = "seconds")]
    pub sync: Duration,
}

impl Default for Rates {
    fn default() -> Self {
        Self { sync: Duration::from_millis(200) }
    }
}
