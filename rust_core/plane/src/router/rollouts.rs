//! Models that are being replaced: which side of the slice a call is on, and what each side has shown.
//!
//! A rollout is a document in the store that all routers share, changed by compare-and-set, so that a flip is seen by
//! all within a poll and two who decide at once cannot both be right.  What the sides have shown is counted here and
//! published beside it; who judges reads the sum over the routers.
//!
//! "Slow" means slower than the stable side's p95 as it was at the beginning of the step; until that is known no call
//! of either side counts as slow.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tonic::Code;
use waypost_decide::{
    Limit, WindowedQuantile,
    sequential::{ArmCounts, Sums},
    slice,
};
use waypost_store::{PutError, Store};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    Plane, ask,
    call::Call,
    config::PayloadMode,
    models::{self, Wanted},
    reply::Reply,
    ring::Ring,
};
use crate::error::Error;

/// Copies under way at once; of more, none is made.
const SHADOWS: usize = 32;
/// Pairs that wait to be compared.
const SHADOW_RING: usize = 1024;
/// A copy may take so long.
const SHADOW_PATIENCE: Duration = Duration::from_secs(60);
/// Calls of the stable side that its p95 is taken from.
const REFERENCE_CALLS: u32 = 100;
const WINDOW: Duration = Duration::from_secs(3600);
const SLICES: usize = 12;
/// The shadow's slice is another one than the canary's.
const SHADOW_SALT: u64 = 0x5348_4144_4f57;

/// As it is stored.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)] // as in the contract
pub struct Rollout {
    pub name: String,
    pub stable: String,
    pub canary: String,
    pub steps: Vec<f64>,
    #[serde(default)]
    pub step: usize,
    #[serde(default)]
    pub shadow_share: f64,
    #[serde(default = "half_an_hour")]
    pub step_limit_s: f64,
    #[serde(default)]
    pub state: State,
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub revision: u64,
}

fn half_an_hour() -> f64 {
    1800.0
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // as in the contract
pub enum State {
    #[default]
    Running,
    Promoted,
    RolledBack,
    Inconclusive,
}

impl Rollout {
    fn share(&self) -> f64 {
        self.steps.get(self.step).copied().unwrap_or_default()
    }

    /// Share of the calls that the canary gets.
    pub fn share_now(&self) -> f64 {
        match self.state {
            State::Running => self.share(),
            State::Promoted => 1.0,
            State::RolledBack | State::Inconclusive => 0.0,
        }
    }

    /// What cannot be meant.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |field: &str, actual: String, expected: &str| {
            let field = format!("rollout.{field}").into();
            Err(Error::InvalidField { field, actual, expected: expected.into() })
        };
        let named = [("name", &self.name), ("stable", &self.stable), ("canary", &self.canary)];
        if let Some((field, _)) = named.iter().find(|(_, text)| text.is_empty() || text.contains(['@', '/'])) {
            return wrong(field, "empty, or with @ or /".into(), "the name of a model");
        }
        if self.stable == self.canary {
            return wrong("canary", self.canary.clone(), "another model than `stable`");
        }
        let ascending = self.steps.is_sorted() && self.steps.iter().all(|share| *share > 0.0 && *share <= 1.0);
        if self.steps.is_empty() || !ascending || self.step >= self.steps.len() {
            return wrong("steps", format!("{:?} at step {}", self.steps, self.step), "ascending shares, above 0 to 1");
        }
        if !(0.0..=1.0).contains(&self.shadow_share) {
            return wrong("shadow_share", self.shadow_share.to_string(), "0 to 1");
        }
        match self.step_limit_s.is_finite() && self.step_limit_s > 0.0 {
            true => Ok(()),
            false => wrong("step_limit", self.step_limit_s.to_string(), "more than 0 seconds"),
        }
    }
}

/// A side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Side {
    Stable,
    Canary,
}

impl Side {
    /// As it is logged.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Canary => "canary",
        }
    }
}

/// One side of a rollout, and what it has shown at this router since the step began.
#[derive(Debug)]
pub struct Arm {
    /// Which.
    pub side: Side,
    /// The model behind it.
    pub model: String,
    /// Where copies of its calls go, and how many of them.
    shadow: Option<(String, f64)>,
    shown: Mutex<Shown>,
    /// Nanoseconds; 0: not known yet.
    reference: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Shown {
    counts: ArmCounts,
    latencies: WindowedQuantile,
}

impl Arm {
    fn new(side: Side, model: &str, shadow: Option<(String, f64)>, reference: &Arc<AtomicU64>) -> Arc<Self> {
        let shown = Shown { counts: ArmCounts::default(), latencies: WindowedQuantile::new(WINDOW, SLICES) };
        Arc::new(Self { side, model: model.into(), shadow, shown: Mutex::new(shown), reference: reference.clone() })
    }

    /// A call has ended.
    pub fn ended(&self, latency: Duration, failed: bool, now: Duration) {
        let mut shown = self.shown.lock();
        shown.latencies.observe(now, latency);
        shown.counts.calls += 1;
        shown.counts.errors += u64::from(failed);
        match self.reference.load(Relaxed) {
            0 => self.set_reference(&mut shown, now),
            reference => shown.counts.slow += u64::from(latency > Duration::from_nanos(reference)),
        }
    }

    fn set_reference(&self, shown: &mut Shown, now: Duration) {
        if self.side == Side::Stable && shown.latencies.count(now) >= REFERENCE_CALLS {
            let p95 = shown.latencies.quantile(now, 0.95).unwrap_or(Duration::MAX);
            self.reference.store(u64::try_from(p95.as_nanos()).unwrap_or(u64::MAX).max(1), Relaxed);
        }
    }

    /// The validator says how good an answer was.
    pub fn judged(&self, quality: f64) {
        add(&mut self.shown.lock().counts.quality, quality);
    }

    /// A caller does.
    pub fn fed_back(&self, score: f64) {
        add(&mut self.shown.lock().counts.feedback, score);
    }

    fn published(&self, now: Duration) -> Published {
        let mut shown = self.shown.lock();
        let at = |shown: &mut Shown, q| shown.latencies.quantile(now, q).unwrap_or_default().as_secs_f64() * 1e3;
        let (p50, p95) = (at(&mut shown, 0.5), at(&mut shown, 0.95));
        Published { counts: shown.counts, latency_p50_ms: p50, latency_p95_ms: p95 }
    }
}

fn add(sums: &mut Sums, value: f64) {
    sums.n += 1;
    sums.sum += value;
    sums.sumsq += value * value;
}

/// What a router says of a side.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Published {
    /// Counts.
    #[serde(flatten)]
    pub counts: ArmCounts,
    /// Median, of the router with the most calls.
    pub latency_p50_ms: f64,
    /// The same at 95 %.
    pub latency_p95_ms: f64,
}

impl Published {
    fn plus(self, other: Self) -> Self {
        let sums = |a: Sums, b: Sums| Sums { n: a.n + b.n, sum: a.sum + b.sum, sumsq: a.sumsq + b.sumsq };
        let larger = if self.counts.calls >= other.counts.calls { self } else { other };
        Self {
            counts: ArmCounts {
                calls: self.counts.calls + other.counts.calls,
                errors: self.counts.errors + other.counts.errors,
                slow: self.counts.slow + other.counts.slow,
                quality: sums(self.counts.quality, other.counts.quality),
                feedback: sums(self.counts.feedback, other.counts.feedback),
            },
            ..larger
        }
    }
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Report {
    /// Of the rollout it is about.
    revision: u64,
    since_s: f64,
    stable: Published,
    canary: Published,
}

/// A rollout with its sides.
#[derive(Debug)]
struct Entry {
    rollout: Rollout,
    stable: Arc<Arm>,
    canary: Arc<Arm>,
    since: Duration,
    salt: u64,
    /// What the other routers say.
    others: Mutex<Vec<Report>>,
    /// Of this router's own report.
    report_revision: AtomicU64,
}

impl Entry {
    fn new(rollout: Rollout, now: Duration) -> Arc<Self> {
        let reference = Arc::new(AtomicU64::new(0));
        let running = rollout.state == State::Running && rollout.shadow_share > 0.0;
        let shadow = running.then(|| (rollout.canary.clone(), rollout.shadow_share));
        Arc::new(Self {
            stable: Arm::new(Side::Stable, &rollout.stable, shadow, &reference),
            canary: Arm::new(Side::Canary, &rollout.canary, None, &reference),
            since: now,
            // The step is no part of it: who is on the canary's side stays there when its share grows.
            salt: xxh3_64(rollout.name.as_bytes()),
            others: Mutex::default(),
            report_revision: AtomicU64::new(0),
            rollout,
        })
    }

    /// The sides to ask, in their order.
    fn sides(&self, key: u64) -> Vec<Arc<Arm>> {
        let canary = match self.rollout.state {
            State::Promoted => true,
            State::Running => slice::arm(key, self.rollout.share(), self.salt) == slice::Arm::Canary,
            State::RolledBack | State::Inconclusive => false,
        };
        match canary {
            true => vec![self.canary.clone(), self.stable.clone()],
            false => vec![self.stable.clone()],
        }
    }

    fn report(&self, now: Duration) -> Report {
        Report {
            revision: self.rollout.revision,
            since_s: now.saturating_sub(self.since).as_secs_f64(),
            stable: self.stable.published(now),
            canary: self.canary.published(now),
        }
    }

    fn total(&self, now: Duration) -> Report {
        let own = self.report(now);
        let others = self.others.lock();
        let same = others.iter().filter(|report| report.revision == own.revision);
        same.fold(self.report(now), |sum, report| Report {
            revision: own.revision,
            since_s: sum.since_s.max(report.since_s),
            stable: sum.stable.plus(report.stable),
            canary: sum.canary.plus(report.canary),
        })
    }
}

/// Two answers to the same call.
#[derive(Debug)]
pub struct Shadow {
    /// The call.
    pub method: &'static str,
    /// Its name.
    pub request_id: String,
    /// What may be kept of it.
    pub mode: PayloadMode,
    /// The rollout's stable model, whose answer was returned,
    pub stable_model: String,
    /// and its reply.
    pub stable: Bytes,
    /// The other model,
    pub canary_model: String,
    /// and its reply.
    pub canary: Bytes,
}

/// All rollouts.
pub struct Rollouts {
    store: Store,
    router: String,
    table: RwLock<HashMap<String, Arc<Entry>>>,
    shadows: Ring<Shadow>,
    shadowing: Limit,
}

impl Rollouts {
    /// As `store` has them, once it is read; `router` tells the reports of routers apart.
    pub fn new(store: Store, router: String) -> Self {
        let (shadows, shadowing) = (Ring::new(SHADOW_RING), Limit::new(SHADOWS));
        Self { store, router, table: RwLock::default(), shadows, shadowing }
    }

    /// The sides that a call for `named` goes to, in their order; none where nothing of that name is rolled out.
    pub fn resolve(&self, named: &str, key: u64) -> Option<Vec<Arc<Arm>>> {
        let table = self.table.read();
        if table.is_empty() {
            return None;
        }
        if let Some(entry) = table.get(named) {
            return Some(entry.sides(key));
        }
        let (name, side) = named.rsplit_once('@')?;
        let entry = table.get(name)?;
        match side {
            "stable" => Some(vec![entry.stable.clone()]),
            "canary" => Some(vec![entry.canary.clone()]),
            _ => None,
        }
    }

    /// Sends the canary a copy of some of the stable side's calls; both replies go to whoever compares them.
    pub fn shadow(&self, plane: &Arc<Plane>, call: &Call, arm: &Arm, wanted: &Wanted, message: &Bytes, reply: &Reply) {
        let Some((model, share)) = &arm.shadow else { return };
        if wanted.asked.route.no_store {
            return;
        }
        let id = call.request_id();
        let mode = call.tenant.as_ref().map_or(PayloadMode::Off, |tenant| tenant.payloads);
        let (Some(stable), Code::Ok) = (reply.message(), reply.code()) else { return };
        if slice::arm(xxh3_64(id.as_bytes()), *share, SHADOW_SALT) != slice::Arm::Canary {
            return;
        }
        let Some(permit) = self.shadowing.try_acquire(1) else { return };
        let wanted = Wanted { method: wanted.method, asked: wanted.asked.clone(), bytes: wanted.bytes, features: None };
        let (plane, message, model) = (plane.clone(), message.clone(), model.clone());
        let stable_model = arm.model.clone();
        // Beside the call, which has its answer already.
        tokio::spawn(async move {
            let _permit = permit;
            let Ok(found) = models::named(&plane.registry.snapshot(), &wanted, &model) else { return };
            let reply = ask::send(&plane, wanted.method, &wanted, &found, message, SHADOW_PATIENCE).await;
            let Some(canary) = reply.and_then(|reply| reply.message()) else { return };
            let method = wanted.method.path;
            let pair = Shadow { method, request_id: id, mode, stable_model, stable, canary_model: model, canary };
            plane.rollouts.shadows.put(pair);
        });
    }

    /// The pairs to be compared.
    pub fn shadows(&self) -> Ring<Shadow> {
        self.shadows.clone()
    }

    /// Reads what others have changed and tells what was seen here.
    pub async fn refresh(&self, now: Duration) {
        // A store that is away leaves everything as it is.
        let Ok(documents) = self.store.documents("rollout/").await else { return };
        let rollouts = documents.into_iter().filter_map(|(_, document)| {
            let rollout: Rollout = serde_json::from_str(&document.text).ok()?;
            Some(Rollout { revision: document.revision, ..rollout })
        });
        self.replace(rollouts.collect(), now);
        let entries: Vec<_> = self.table.read().values().cloned().collect();
        for entry in entries.iter().filter(|entry| entry.rollout.state == State::Running) {
            self.exchange(entry, now).await;
        }
    }

    fn replace(&self, rollouts: Vec<Rollout>, now: Duration) {
        let mut table = self.table.write();
        table.retain(|name, _| rollouts.iter().any(|rollout| rollout.name == *name));
        for rollout in rollouts {
            let known = table.get(&rollout.name).is_some_and(|entry| entry.rollout.revision >= rollout.revision);
            if !known {
                table.insert(rollout.name.clone(), Entry::new(rollout, now));
            }
        }
    }

    async fn exchange(&self, entry: &Entry, now: Duration) {
        let prefix = format!("arms/{}/", entry.rollout.name);
        let own = format!("{prefix}{}", self.router);
        let text = json!(entry.report(now)).to_string();
        match self.store.put_document(&own, entry.report_revision.load(Relaxed), &text).await {
            Ok(revision) | Err(PutError::Conflict { actual: revision }) => {
                entry.report_revision.store(revision, Relaxed);
            }
            Err(PutError::Store(_)) => return,
        }
        let Ok(documents) = self.store.documents(&prefix).await else { return };
        let others = documents.into_iter().filter(|(key, _)| *key != own);
        *entry.others.lock() = others.filter_map(|(_, document)| serde_json::from_str(&document.text).ok()).collect();
    }

    /// Changes a rollout, if it is still at the revision named.
    pub async fn set(&self, rollout: Rollout, now: Duration) -> Result<Rollout, Error> {
        rollout.check()?;
        let key = format!("rollout/{}", rollout.name);
        let expected = rollout.revision;
        let stored = json!(Rollout { revision: 0, ..rollout.clone() }).to_string();
        match self.store.put_document(&key, expected, &stored).await {
            Ok(revision) => {
                let rollout = Rollout { revision, ..rollout };
                self.table.write().insert(rollout.name.clone(), Entry::new(rollout.clone(), now));
                Ok(rollout)
            }
            Err(PutError::Conflict { actual }) => Err(Error::ChangedMeanwhile { name: rollout.name, revision: actual }),
            Err(PutError::Store(why)) => {
                Err(Error::StoreUnreachable { why: why.to_string(), retry_after: Duration::from_secs(1) })
            }
        }
    }

    /// Every rollout with what its sides have shown, over all routers, by name.
    pub fn all(&self, now: Duration) -> Vec<Status> {
        let mut all: Vec<_> = self.table.read().values().map(|entry| Status::of(entry, now)).collect();
        all.sort_by(|a, b| a.rollout.name.cmp(&b.rollout.name));
        all
    }
}

/// A rollout and how it fares.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Status {
    pub rollout: Rollout,
    pub since_s: f64,
    pub stable: Published,
    pub canary: Published,
}

impl Status {
    fn of(entry: &Entry, now: Duration) -> Self {
        let total = entry.total(now);
        Self { rollout: entry.rollout.clone(), since_s: total.since_s, stable: total.stable, canary: total.canary }
    }
}
