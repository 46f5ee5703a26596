//! Which answer is which, for those who later say how good it was; what they say is one JSON line each, for whoever
//! keeps the record.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use quick_cache::sync::Cache;
use serde_json::json;

use super::{registry::Replica, ring::Ring, rollouts::Arm, tenants::Tenant};
use crate::error::Error;

/// Answers that are remembered; of more, those nobody asked for.
const REMEMBERED: usize = 65_536;

/// Lines that wait to be written; beyond it they are counted and lost.
const SIZE: usize = 65_536;

/// The answers of late, and what is thought of them.
pub struct Feedback {
    answers: Cache<String, Answered>,
    lines: Ring<String>,
}

#[derive(Clone)]
struct Answered {
    replica: Replica,
    arm: Option<Arc<Arm>>,
    /// For whom it was.
    tenant: Arc<str>,
}

impl Default for Feedback {
    fn default() -> Self {
        Self { answers: Cache::new(REMEMBERED), lines: Ring::new(SIZE) }
    }
}

impl Feedback {
    /// An answer was given.
    pub fn remember(&self, id: &str, replica: Replica, arm: Option<Arc<Arm>>, tenant: Arc<str>) {
        self.answers.insert(id.into(), Answered { replica, arm, tenant });
    }

    /// Somebody says how good it was, 0 to 1; returns the model that is judged by it.
    /// A tenant judges its own answers alone.
    pub fn take(&self, id: &str, tenant: Option<&Tenant>, score: f64, now: Duration) -> Result<String, Error> {
        let own = |answered: &Answered| tenant.is_none_or(|tenant| tenant.name == answered.tenant);
        let found = self.answers.remove_if(id, own).map(|(_, answered)| answered);
        let hint = ": it was judged already, is too old, or another router gave it".to_string();
        let answered = found.ok_or_else(|| Error::NotKnown { what: "request_id", name: id.into(), hint })?;
        answered.replica.served.serving.lock().opine(now, score);
        if let Some(arm) = &answered.arm {
            arm.fed_back(score);
        }
        let model = &answered.replica.served.info.name;
        self.lines.put(line(id, &answered.tenant, model, score));
        Ok(model.clone())
    }

    /// What was said, as JSON lines.
    pub fn lines(&self) -> Ring<String> {
        self.lines.clone()
    }
}

fn line(id: &str, tenant: &str, model: &str, score: f64) -> String {
    let timestamp = prost_types::Timestamp::from(SystemTime::now()).to_string();
    let tenant = Some(tenant).filter(|name| !name.is_empty());
    json!({"event": "feedback", "timestamp": timestamp, "request_id": id, "tenant": tenant, "model": model,
        "score": score})
    .to_string()
}
