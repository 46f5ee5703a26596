//! Which answer is which, for those who later say how good it was.

use std::{sync::Arc, time::Duration};

use quick_cache::sync::Cache;

use super::{registry::Replica, rollouts::Arm, tenants::Tenant};
use crate::error::Error;

/// Answers that are remembered; of more, those nobody asked for.
const REMEMBERED: usize = 65_536;

/// The answers of late.
pub struct Feedback(Cache<String, Answered>);

#[derive(Clone)]
struct Answered {
    replica: Replica,
    arm: Option<Arc<Arm>>,
    /// For whom it was.
    tenant: Arc<str>,
}

impl Default for Feedback {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl Feedback {
    /// An answer was given.
    pub fn remember(&self, id: &str, replica: Replica, arm: Option<Arc<Arm>>, tenant: Arc<str>) {
        self.0.insert(id.into(), Answered { replica, arm, tenant });
    }

    /// Somebody says how good it was, 0 to 1; returns the model that is judged by it.
    /// A tenant judges its own answers alone.
    pub fn take(&self, id: &str, tenant: Option<&Tenant>, score: f64, now: Duration) -> Result<String, Error> {
        let own = |answered: &Answered| tenant.is_none_or(|tenant| tenant.name == answered.tenant);
        let found = self.0.remove_if(id, own).map(|(_, answered)| answered);
        let hint = ": it was judged already, is too old, or another router gave it".to_string();
        let answered = found.ok_or_else(|| Error::NotKnown { what: "request_id", name: id.into(), hint })?;
        answered.replica.served.serving.lock().opine(now, score);
        if let Some(arm) = answered.arm {
            arm.fed_back(score);
        }
        Ok(answered.replica.served.info.name.clone())
    }
}
