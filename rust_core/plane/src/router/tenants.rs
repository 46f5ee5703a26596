//! For whom calls are made, and what each may have at once: [`super::auth`] knows who calls.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::HeaderValue;
use parking_lot::Mutex;

use super::{
    auth::Caller,
    config::{self, GuardMode, PayloadMode, RouterConfig},
    rates::Rates,
};
use crate::error::Error;

/// When to come back who has too many calls under way.
const CROWD_PAUSE: Duration = Duration::from_millis(100);

/// One of those who call.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its name; empty: nobody in particular.
    pub name: Arc<str>,
    /// Where it is known by its key: the name for the worker.
    pub header: Option<HeaderValue>,
    /// How its prompts are guarded.
    pub guard: GuardMode,
    /// What is kept of its requests and replies.
    pub payloads: PayloadMode,
    /// US dollars per month.
    pub monthly_usd: Option<f64>,
    /// Calls under way at once; 0: no limit.
    max_in_flight: usize,
}

/// All of them.
pub struct Tenants {
    by_name: HashMap<String, Arc<Tenant>>,
    others: Tenant,
    rates: Option<Rates>,
    crowds: Arc<Crowds>,
}

impl Tenants {
    /// As configured.
    pub fn new(config: &RouterConfig) -> Self {
        let known = config.tenants.iter().map(|each| (each.name.clone(), Arc::new(Tenant::listed(each, config))));
        Self {
            by_name: known.collect(),
            others: Tenant::other(config),
            rates: Rates::new(config),
            crowds: Arc::default(),
        }
    }

    /// The tenant of a call by `caller` that says it is for `named`.
    pub fn resolve(&self, caller: &Caller, named: &str) -> Result<Arc<Tenant>, Error> {
        match &caller.tenant {
            Some(tenant) if named.is_empty() || *tenant.name == *named => Ok(tenant.clone()),
            Some(_) => Err(Error::OtherTenant { named: named.into() }),
            None => Ok(self.named(named)),
        }
    }

    /// The limits of a tenant by name.
    pub fn named(&self, name: &str) -> Arc<Tenant> {
        self.by_name.get(name).cloned().unwrap_or_else(|| self.other(name))
    }

    /// The same of one that is known by its key or token, which its workers are told.
    pub fn known(&self, name: &str) -> Arc<Tenant> {
        let header = (!name.is_empty()).then(|| HeaderValue::from_str(name).ok()).flatten();
        Arc::new(Tenant { header, ..Tenant::clone(&self.named(name)) })
    }

    fn other(&self, name: &str) -> Arc<Tenant> {
        Arc::new(Tenant { name: name.into(), ..self.others.clone() })
    }

    /// One more call of `tenant`, which is under way until the place is dropped.
    pub fn admit(&self, tenant: &Tenant, now: Duration) -> Result<Option<Place>, Error> {
        let subject = || format!("tenant {:?}", &*tenant.name);
        let place = self.crowds.enter(tenant).map_err(|()| Error::TenantFull {
            subject: subject(),
            limit: tenant.max_in_flight,
            retry_after: CROWD_PAUSE,
        })?;
        let taken = self.rates.as_ref().map_or(Ok(()), |rates| rates.admit(&tenant.name, now));
        taken.map_err(|retry_after| Error::RateExceeded { subject: subject(), retry_after })?;
        Ok(place)
    }

    /// How fast they may call, where anybody has a limit.
    pub fn rates(&self) -> Option<&Rates> {
        self.rates.as_ref()
    }
}

/// Calls under way by tenant, of those that have a limit.
#[derive(Default)]
struct Crowds(Mutex<HashMap<Arc<str>, usize>>);

impl Crowds {
    fn enter(self: &Arc<Self>, tenant: &Tenant) -> Result<Option<Place>, ()> {
        if tenant.max_in_flight == 0 {
            return Ok(None);
        }
        let mut counts = self.0.lock();
        let count = counts.entry(tenant.name.clone()).or_default();
        if *count >= tenant.max_in_flight {
            return Err(());
        }
        *count += 1;
        Ok(Some(Place { crowds: self.clone(), name: tenant.name.clone() }))
    }
}

/// A call's place among those of its tenant.
pub struct Place {
    crowds: Arc<Crowds>,
    name: Arc<str>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowds.0.lock();
        if let Some(count) = counts.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.name);
            }
        }
    }
}

impl Tenant {
    fn listed(each: &config::Tenant, config: &RouterConfig) -> Self {
        Self {
            name: each.name.as_str().into(),
            header: None,
            guard: each.guard.or(config.guard.mode),
            payloads: each.payloads.or(config.payloads.mode),
            monthly_usd: each.monthly_usd,
            max_in_flight: each.max_in_flight,
        }
    }

    fn other(config: &RouterConfig) -> Self {
        Self {
            name: "".into(),
            header: None,
            guard: config.guard.mode,
            payloads: config.payloads.mode,
            monthly_usd: config.tenant_default.monthly_usd,
            max_in_flight: config.tenant_default.max_in_flight,
        }
    }
}
