//! The first choice: which model.
//!
//! A caller who names a model gets it or an error.  One who names none gets the best *known* model that can do the
//! work: required tags are a hard condition, then count the fit (optional tags, tier), then the quality.  Among equals
//! the score of S2.2 decides, except where answers of different models cannot stand side by side: vectors of two
//! models are two spaces, and an index filled from both is worthless.  There the name decides, and a model that is
//! down stays the choice, so that the caller hears of it.

use std::{cmp::Ordering, sync::Arc, time::Duration};

use waypost_decide::score::{self, Candidate, Weights};

use super::{
    envelope::Asked,
    instance::Served,
    methods::Method,
    registry::{Model, Replica, Snapshot},
};
use crate::{
    error::Error,
    proto::v1::{Task, Tier},
};

/// Bytes per token of English text, to estimate what a call will cost.
const BYTES_PER_TOKEN: f64 = 4.0;
/// When a caller should try again whom no instance could take.
pub const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// What has to be found.
#[derive(Debug)]
pub struct Wanted {
    /// The call.
    pub method: &'static Method,
    /// The caller's wishes.
    pub asked: Asked,
    /// Size of the request message.
    pub bytes: usize,
}

/// Why a model was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The caller named it.
    Named,
    /// It can do the work best.
    BestFit,
    /// A better one is not there now, and this one's answers are of the same kind.
    Fallback,
}

impl Reason {
    /// As it is logged.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::BestFit => "best_fit",
            Self::Fallback => "fallback",
        }
    }
}

impl Wanted {
    /// Whether a model of an instance can do it.
    pub fn is_met_by(&self, served: &Served) -> bool {
        served.does(self.method.task)
            && served.has_head(&self.asked.head)
            && served.carries(&self.asked.route.required_tags)
            && self.is_affordable(served)
    }

    /// US dollars it will come to, estimated from the size of the request.
    pub fn cost(&self, served: &Served) -> f64 {
        served.info.cost_per_1k_tokens_usd * self.bytes as f64 / BYTES_PER_TOKEN / 1000.0
    }

    fn is_affordable(&self, served: &Served) -> bool {
        let most = self.asked.route.max_cost_usd;
        most <= 0.0 || self.cost(served) <= most
    }

    /// How well a capable model suits, 0 and up: the share of the optional tags it carries, and how near its tier is.
    pub fn fit(&self, served: &Served) -> f64 {
        1.0 + self.tags_carried(served) + self.tier_nearness(served)
    }

    fn tags_carried(&self, served: &Served) -> f64 {
        let optional = &self.asked.route.optional_tags;
        let carried = optional.iter().filter(|tag| served.info.tags.contains(tag)).count();
        carried as f64 / optional.len().max(1) as f64
    }

    fn tier_nearness(&self, served: &Served) -> f64 {
        match self.asked.route.tier {
            tier if tier == Tier::Unspecified as i32 => 0.0,
            tier => 1.0 / (1.0 + f64::from(tier.abs_diff(served.info.tier))),
        }
    }

    /// Whether answers of different models can stand for each other.
    fn is_interchangeable(&self) -> bool {
        match self.method.task {
            Task::Rerank | Task::Generate => true,
            Task::Classify => !self.asked.head.is_empty(),
            _ => false,
        }
    }

    /// The replicas that meet it.
    pub fn met_by<'a>(&'a self, replicas: &'a [Replica]) -> impl Iterator<Item = &'a Replica> {
        replicas.iter().filter(|replica| self.is_met_by(&replica.served))
    }
}

/// The model for a call, or why there is none.
pub fn choose(
    snapshot: &Snapshot,
    wanted: &Wanted,
    weights: &Weights,
    now: Duration,
) -> Result<(Arc<Model>, Reason), Error> {
    if wanted.asked.model.is_empty() {
        return best(snapshot, wanted, weights, now).ok_or_else(|| why_none(snapshot, wanted));
    }
    let named = snapshot.model(&wanted.asked.model).ok_or_else(|| unknown(snapshot, wanted))?;
    match wanted.met_by(&named.replicas).next() {
        Some(_) => Ok((named.clone(), Reason::Named)),
        None => Err(why_not(snapshot, &named.name, &named.replicas, wanted)),
    }
}

/// A model in question.
struct Contender<'a> {
    model: &'a Arc<Model>,
    ready: bool,
    fit: f64,
    quality: f64,
}

impl<'a> Contender<'a> {
    fn of(model: &'a Arc<Model>, wanted: &Wanted) -> Option<Self> {
        wanted.met_by(&model.replicas).next()?;
        let fit = wanted.met_by(&model.replicas).map(|replica| wanted.fit(&replica.served)).fold(0.0, f64::max);
        let quality = wanted.met_by(&model.replicas).map(|r| r.served.info.quality).fold(0.0, f64::max);
        let ready = wanted.met_by(&model.replicas).any(|replica| replica.instance.is_ready());
        Some(Self { model, ready, fit, quality })
    }

    fn rank(&self, other: &Self) -> Ordering {
        self.fit.total_cmp(&other.fit).then(self.quality.total_cmp(&other.quality))
    }
}

fn best(snapshot: &Snapshot, wanted: &Wanted, weights: &Weights, now: Duration) -> Option<(Arc<Model>, Reason)> {
    let all: Vec<_> = snapshot.models.iter().filter_map(|model| Contender::of(model, wanted)).collect();
    let known = top(&all, |_| true, wanted, weights, now)?;
    if known.ready || !wanted.is_interchangeable() {
        return Some((known.model.clone(), Reason::BestFit));
    }
    match top(&all, |contender| contender.ready, wanted, weights, now) {
        Some(ready) => Some((ready.model.clone(), Reason::Fallback)),
        None => Some((known.model.clone(), Reason::BestFit)),
    }
}

fn top<'a>(
    all: &'a [Contender<'a>],
    counts: impl Fn(&Contender) -> bool,
    wanted: &Wanted,
    weights: &Weights,
    now: Duration,
) -> Option<&'a Contender<'a>> {
    let leader = all.iter().filter(|c| counts(c)).max_by(|a, b| a.rank(b))?;
    let mut equals = all.iter().filter(|c| counts(c) && c.rank(leader).is_eq());
    if !wanted.is_interchangeable() {
        return equals.next();
    }
    let equals: Vec<_> = equals.collect();
    let candidates: Vec<_> = equals.iter().map(|contender| contender.candidate(wanted, now)).collect();
    let scores = score::score(&candidates, weights);
    let scored = equals.into_iter().zip(scores);
    scored.max_by(|(_, a), (_, b)| a.total.total_cmp(&b.total)).map(|(contender, _)| contender)
}

impl Contender<'_> {
    /// The model as its quickest, emptiest and soundest replica has it.
    fn candidate(&self, wanted: &Wanted, now: Duration) -> Candidate {
        let mut best =
            Candidate { p95: None, queue_depth: u32::MAX, fit: self.fit, uptime: 0.0, quality: self.quality };
        for replica in wanted.met_by(&self.model.replicas).filter(|replica| replica.instance.is_ready()) {
            let mut stats = replica.instance.stats.lock();
            best.p95 = best.p95.into_iter().chain(stats.p95(now)).min();
            best.queue_depth = best.queue_depth.min(stats.in_flight);
            best.uptime = best.uptime.max(stats.success(now));
        }
        best
    }
}

fn unknown(snapshot: &Snapshot, wanted: &Wanted) -> Error {
    let model = wanted.asked.model.clone();
    if !snapshot.complete {
        return Error::NoInstance { model, retry_after: RETRY_PAUSE };
    }
    Error::ModelNotFound { model, known: listed(snapshot.models.iter().map(|model| &*model.name)) }
}

fn why_none(snapshot: &Snapshot, wanted: &Wanted) -> Error {
    let replicas: Vec<Replica> = snapshot.models.iter().flat_map(|model| model.replicas.clone()).collect();
    why_not(snapshot, "", &replicas, wanted)
}

/// The first of the conditions that no replica meets.
fn why_not(snapshot: &Snapshot, model: &str, replicas: &[Replica], wanted: &Wanted) -> Error {
    let task = wanted.method.task;
    let able: Vec<&Served> = replicas.iter().map(|r| &*r.served).filter(|s| s.does(task)).collect();
    if able.is_empty() {
        return nobody_does(snapshot, model, wanted);
    }
    let name = if model.is_empty() { "*" } else { model };
    let headed: Vec<_> = able.iter().filter(|served| served.has_head(&wanted.asked.head)).collect();
    if headed.is_empty() {
        let known = listed(able.iter().flat_map(|served| served.info.heads.iter().map(|head| head.name.as_str())));
        return Error::HeadNotFound { model: name.into(), head: wanted.asked.head.clone(), known };
    }
    let required = &wanted.asked.route.required_tags;
    if !headed.iter().any(|served| served.carries(required)) {
        return Error::NotCapable { why: format!("no instance of model {name:?} carries {}", listed(required)) };
    }
    let most = wanted.asked.route.max_cost_usd;
    Error::NotCapable { why: format!("model {name:?} would cost more than max_cost_usd = {most}") }
}

fn nobody_does(snapshot: &Snapshot, model: &str, wanted: &Wanted) -> Error {
    let task = wanted.method.task;
    let elsewhere = snapshot.models.iter().any(|m| m.replicas.iter().any(|replica| replica.served.does(task)));
    if !elsewhere && task == Task::Retrieve {
        return Error::NotImplemented { method: wanted.method.path.into() };
    }
    if !elsewhere && !snapshot.complete {
        return Error::NoInstance { model: model.into(), retry_after: RETRY_PAUSE };
    }
    let why = match model {
        "" => format!("no model here does {}", task.as_str_name()),
        model => format!("model {model:?} does not do {}", task.as_str_name()),
    };
    Error::NotCapable { why }
}

fn listed(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| name.as_ref().to_string()).collect();
    names.sort();
    names.dedup();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
