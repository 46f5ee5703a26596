//! What the trailers tell the client about its answer: where it comes from, why, and what it cost.

use std::{borrow::Cow, fmt::Write, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue};

use super::{policies::Policy, registry::Replica};
use crate::{headers, proto::v1::Tier};

/// Gathered while the call is under way.
#[derive(Debug, Default)]
pub struct Signature {
    /// Name for feedback.
    pub answer_id: Option<HeaderValue>,
    /// Where it was tried last.
    pub replica: Option<Replica>,
    /// Why that model.
    pub model_reason: Cow<'static, str>,
    /// Why that replica.
    pub replica_reason: &'static str,
    /// Deliveries, over all hops.
    pub attempts: usize,
    /// Models that were asked.
    pub hops: Vec<Arc<str>>,
    /// How much model the prompt was given.
    pub tier: Option<Tier>,
    /// US dollars, of models with a price.
    pub cost: Option<f64>,
    /// US dollars left.
    pub remaining: Option<f64>,
    /// "hit", "near" (kept for a prompt that means the same), "miss"; none where the answer may not be kept.
    pub cache: Option<&'static str>,
    /// What the guard remarked.
    pub guard: Option<(String, f32)>,
    /// The document whose policy was applied.
    pub policy: Option<Arc<Policy>>,
    /// Until an instance that was asleep was there.
    pub waited: Option<Duration>,
    /// How good the answer was found.
    pub quality: Option<f64>,
}

impl Signature {
    /// Adds more money.
    pub fn spend(&mut self, usd: f64, remaining: Option<f64>) {
        self.cost = Some(self.cost.unwrap_or_default() + usd);
        self.remaining = remaining.or(self.remaining);
    }

    /// Writes it where trailers go.
    pub fn write(&self, meta: &mut HeaderMap) {
        if let Some(replica) = &self.replica {
            self.write_origin(replica, meta);
        }
        self.write_thoughts(meta);
        self.write_money(meta);
    }

    fn write_origin(&self, replica: &Replica, meta: &mut HeaderMap) {
        meta.insert(headers::INSTANCE, replica.served.instance_header.clone());
        meta.insert(headers::SERVED_MODEL, replica.served.model_header.clone());
        meta.insert(headers::ATTEMPTS, HeaderValue::from(self.attempts));
        let replica_reason = if self.attempts > self.hops.len() { "retry" } else { self.replica_reason };
        put(meta, headers::REASON, &format!("{}/{replica_reason}", self.model_reason));
        if self.hops.len() > 1 {
            put(meta, headers::HOPS, &self.hops.join(" "));
        }
    }

    fn write_thoughts(&self, meta: &mut HeaderMap) {
        if let Some(id) = &self.answer_id {
            meta.insert(headers::ANSWER_ID, id.clone());
        }
        if let Some(tier) = self.tier {
            meta.insert(headers::TIER, HeaderValue::from_static(tier_name(tier)));
        }
        if let Some(cache) = self.cache {
            meta.insert(headers::CACHE, HeaderValue::from_static(cache));
        }
        if let Some((label, score)) = &self.guard {
            put(meta, headers::GUARD, &format!("{label} {score:.2}"));
        }
        if let Some(policy) = &self.policy {
            put(meta, headers::POLICY, &policy.id);
        }
        if let Some(waited) = self.waited {
            put(meta, headers::WAITED, &format!("{:.3}", waited.as_secs_f64()));
        }
        if let Some(quality) = self.quality {
            put(meta, headers::QUALITY, &format!("{quality:.3}"));
        }
    }

    fn write_money(&self, meta: &mut HeaderMap) {
        let amounts = [(headers::COST, self.cost), (headers::REMAINING, self.remaining)];
        let mut text = String::new();
        for (name, amount) in amounts.into_iter().filter_map(|(name, amount)| Some((name, amount?))) {
            text.clear();
            // Writing to a string cannot fail.
            let _ = write!(text, "{amount:.9}");
            put(meta, name, &text);
        }
    }
}

/// As configurations and trailers have it.
pub fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Unspecified => "unspecified",
        Tier::Simple => "simple",
        Tier::Medium => "medium",
        Tier::High => "high",
        Tier::Creative => "creative",
        Tier::Premium => "premium",
    }
}

/// A text that cannot stand in a header is left out.
fn put(meta: &mut HeaderMap, name: &'static str, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        meta.insert(name, value);
    }
}
