//! Who calls: by key where keys are given out, else by their word.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, header};
use parking_lot::Mutex;
use waypost_decide::rate::{Rate, RateLimiter};

use super::config::{self, GuardMode, RouterConfig};
use crate::error::Error;

/// Tenants whose rate is remembered; of more, those idle longest start afresh.
const REMEMBERED: usize = 65_536;

/// One of those who call.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its name; empty: nobody in particular.
    pub name: Arc<str>,
    /// Where it is known by its key: the name for the worker.
    pub header: Option<HeaderValue>,
    /// How its prompts are guarded.
    pub guard: GuardMode,
    /// US dollars per month.
    pub monthly_usd: Option<f64>,
}

/// All of them.
pub struct Tenants {
    by_name: HashMap<String, Arc<Tenant>>,
    /// The map's own hashing is keyed at random, so the time of a look-up tells nothing about the keys.
    by_key: HashMap<String, Arc<Tenant>>,
    others: Tenant,
    limiter: Option<Mutex<RateLimiter>>,
}

impl Tenants {
    /// As configured.
    pub fn new(config: &RouterConfig) -> Self {
        let known: Vec<_> = config.tenants.iter().map(|each| (each, Arc::new(Tenant::listed(each, config)))).collect();
        let keyed = known.iter().filter_map(|(each, tenant)| Some((each.key.clone()?, tenant.clone())));
        Self {
            by_key: keyed.collect(),
            by_name: known.iter().map(|(each, tenant)| (each.name.clone(), tenant.clone())).collect(),
            others: Tenant::other(config),
            limiter: limiter(config),
        }
    }

    /// Whether calls must bring a key.
    pub fn has_keys(&self) -> bool {
        !self.by_key.is_empty()
    }

    /// Who brings these headers.
    pub fn by_key(&self, headers: &HeaderMap) -> Result<Option<Arc<Tenant>>, Error> {
        if self.by_key.is_empty() {
            return Ok(None);
        }
        let brought = headers.get(header::AUTHORIZATION).ok_or(Error::Unauthenticated { why: "no key was sent" })?;
        let key = brought.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        let tenant = key.and_then(|key| self.by_key.get(key.trim()));
        tenant.cloned().map(Some).ok_or(Error::Unauthenticated { why: "the key is not known here" })
    }

    /// The tenant of a call that was made by `keyed` and says it is for `named`.
    pub fn resolve(&self, keyed: Option<Arc<Tenant>>, named: &str) -> Result<Arc<Tenant>, Error> {
        match keyed {
            Some(tenant) if named.is_empty() || *tenant.name == *named => Ok(tenant),
            Some(tenant) => Err(Error::InvalidField {
                field: "route.tenant".into(),
                actual: named.into(),
                expected: format!("empty or {:?}, whose key was sent", &*tenant.name),
            }),
            None => Ok(self.by_name.get(named).cloned().unwrap_or_else(|| self.other(named))),
        }
    }

    fn other(&self, name: &str) -> Arc<Tenant> {
        Arc::new(Tenant { name: name.into(), ..self.others.clone() })
    }

    /// The limits of a tenant by name.
    pub fn named(&self, name: &str) -> Arc<Tenant> {
        self.by_name.get(name).cloned().unwrap_or_else(|| self.other(name))
    }

    /// One more call of `tenant`.
    pub fn admit(&self, tenant: &Tenant, now: Duration) -> Result<(), Error> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        let taken = limiter.lock().try_take(&tenant.name, now);
        taken.map_err(|retry_after| Error::RateExceeded { subject: format!("tenant {:?}", &*tenant.name), retry_after })
    }
}

/// None where nobody has a limit.
fn limiter(config: &RouterConfig) -> Option<Mutex<RateLimiter>> {
    let listed: HashMap<_, _> =
        config.tenants.iter().map(|each| (each.name.clone(), rate(each.calls_per_second, each.burst))).collect();
    let others = rate(config.tenant_default.calls_per_second, config.tenant_default.burst);
    let limited = listed.values().chain([&others]).any(|rate| rate.calls_per_second > 0.0);
    limited.then(|| Mutex::new(RateLimiter::new(others, listed, REMEMBERED)))
}

impl Tenant {
    fn listed(each: &config::Tenant, config: &RouterConfig) -> Self {
        Self {
            name: each.name.as_str().into(),
            header: each.key.as_ref().and_then(|_| HeaderValue::from_str(&each.name).ok()),
            guard: each.guard.or(config.guard.mode),
            monthly_usd: each.monthly_usd,
        }
    }

    fn other(config: &RouterConfig) -> Self {
        Self { name: "".into(), header: None, guard: config.guard.mode, monthly_usd: config.tenant_default.monthly_usd }
    }
}

fn rate(calls_per_second: f64, burst: f64) -> Rate {
    Rate { calls_per_second, burst }
}
