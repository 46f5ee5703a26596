//! Who calls and what that may cost.

use serde::Deserialize;

use super::{
    payloads::TenantPayloads,
    prompts::{TenantGuard, TierName},
};
use crate::router::auth::Role;

/// One of those who call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Its name, as in `RouteHints.tenant`.
    pub name: String,
    /// Its key; where any tenant has one, every call must bring one.
    #[serde(default)]
    pub key: Option<String>,
    /// Calls per second in the long run; 0: no limit.
    #[serde(default)]
    pub calls_per_second: f64,
    /// Calls at once after a pause; 0: as many as come in a second.
    #[serde(default)]
    pub burst: f64,
    /// US dollars per month.
    #[serde(default)]
    pub monthly_usd: Option<f64>,
    /// Calls under way at once; 0: no limit.
    #[serde(default)]
    pub max_in_flight: usize,
    /// What it may do.
    #[serde(default)]
    pub role: Role,
    /// How its prompts are guarded.
    #[serde(default)]
    pub guard: TenantGuard,
    /// What is kept of its requests and replies.
    #[serde(default)]
    pub payloads: TenantPayloads,
}

/// What holds for a tenant that is not listed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)] // as in `Tenant`
pub struct TenantDefault {
    pub calls_per_second: f64,
    pub burst: f64,
    pub monthly_usd: Option<f64>,
    pub max_in_flight: usize,
}

/// The month's money.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Where the ledger is: "sqlite:/path", "redis://…", "postgresql://…", "memory:".
    pub store: String,
    /// US dollars per month over all tenants; none: no limit.
    pub monthly_usd: Option<f64>,
    /// Beyond a share of the month's money no higher tier is chosen by itself; ascending.
    pub soft: Vec<Soft>,
}

impl Default for Budget {
    fn default() -> Self {
        let soft = vec![Soft { at: 0.5, most: TierName::High }, Soft { at: 0.8, most: TierName::Simple }];
        Self { store: "memory:".into(), monthly_usd: Some(200.0), soft }
    }
}

/// One threshold.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Soft {
    /// Share of the month's money.
    pub at: f64,
    /// The highest tier from there on.
    pub most: TierName,
}
