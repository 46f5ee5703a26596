//! The first choice: which model.
//!
//! A caller who names a model gets it or an error.  One who names none gets the best *known* model that can do the
//! work: required tags are a hard condition, then count the fit (optional tags, those read in the prompt, tier), then
//! the quality; of what is written the score of S2.2, of which quality is a term.  Among equals that score decides,
//! except where answers of different models cannot stand side by side: vectors of two models are two spaces, and an
//! index filled from both is worthless.  There the name decides, and a model that is down stays the choice, so that
//! the caller hears of it.

use std::{borrow::Cow, cmp::Ordering, sync::Arc, time::Duration};

pub use waypost_decide::score::Weights;
use waypost_decide::{
    route::State,
    score::{self, Candidate, Scored},
};

use super::{
    envelope::Asked,
    features::Features,
    instance::Served,
    methods::Method,
    money::{Price, Tokens},
    plan::Hop,
    registry::{Model, Replica, Snapshot},
};
use crate::{
    error::Error,
    proto::v1::{ModelInfo, Task, Tier},
};

/// Backend whose answers are nobody's: see `services/template.py`.
const TEMPLATE: &str = "template";
/// Tag of models that take what no specialist is called for.
const GENERALIST: &str = "general";
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
    /// What was read in the prompt.
    pub features: Option<Features>,
}

/// Why a model was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The caller named it.
    Named,
    /// A policy did.
    Policy,
    /// It can do the work best.
    BestFit,
    /// A better one is not there now or failed, and this one's answers are of the same kind.
    Fallback,
    /// A better one has too much to do.
    Overloaded,
    /// The answer of a smaller one was poor.
    Escalated,
    /// There is no money for a dearer one.
    Cheaper,
}

impl Reason {
    /// As it is logged.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Policy => "policy",
            Self::BestFit => "best_fit",
            Self::Fallback => "fallback",
            Self::Overloaded => "overloaded",
            Self::Escalated => "poor",
            Self::Cheaper => "budget_low",
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

    /// US dollars it may come to at most.
    pub fn cost(&self, served: &Served) -> f64 {
        let price = self.price(&served.info);
        if price.is_free() { 0.0 } else { price.cost(Tokens::most(self, &served.info, 0)) }
    }

    /// What the call costs at a model.
    pub fn price(&self, info: &ModelInfo) -> Price {
        if self.method.works { Price::of(info) } else { Price::default() }
    }

    fn is_affordable(&self, served: &Served) -> bool {
        let most = self.asked.route.max_cost_usd;
        most <= 0.0 || self.cost(served) <= most
    }

    /// What `model` is chosen for: the first capability that was asked for or read in the prompt, and that it has.
    pub fn capability(&self, model: &Model) -> Option<Cow<'static, str>> {
        let replica = model.replicas.first()?;
        let has = |tag: &str| replica.served.info.tags.iter().any(|own| own == tag);
        let asked = self.asked.route.required_tags.iter().find(|tag| has(tag)).map(|tag| tag.clone().into());
        let read = || self.features.iter().flat_map(|features| &features.tags).find(|tag| has(tag));
        asked.or_else(|| read().cloned())
    }

    /// How well a capable model suits, 0 and up: the share of the optional tags it carries, and how near its tier is.
    pub fn fit(&self, served: &Served) -> f64 {
        1.0 + self.tags_carried(served) + self.tier_nearness(served)
    }

    fn tags_carried(&self, served: &Served) -> f64 {
        let carries = |tag: &str| served.info.tags.iter().any(|own| own == tag);
        let found = self.features.iter().flat_map(|features| features.tags.iter().map(|tag| &**tag));
        let (mut all, mut carried) = (0_u32, 0_u32);
        for tag in self.asked.route.optional_tags.iter().map(String::as_str).chain(found) {
            all += 1;
            carried += u32::from(carries(tag));
        }
        match (all, &self.features) {
            (0, None) => 0.0,
            // A prompt that calls for no specialist is the generalist's.
            (0, Some(_)) => f64::from(u8::from(carries(GENERALIST))),
            _ => f64::from(carried) / f64::from(all),
        }
    }

    /// How much model the call gets: by the caller's word, or by what was read in the prompt.
    pub fn tier(&self) -> Tier {
        self.features.as_ref().map_or(self.asked.route.tier(), |features| features.tier)
    }

    fn tier_nearness(&self, served: &Served) -> f64 {
        match self.tier() {
            Tier::Unspecified => 0.0,
            tier => 1.0 / (1.0 + f64::from((tier as i32).abs_diff(served.info.tier))),
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

    /// Whether any instance takes it now.
    pub fn is_ready_at(&self, model: &Model) -> bool {
        self.met_by(&model.replicas).any(|replica| replica.instance.is_ready())
    }

    /// The replicas that meet it.
    pub fn met_by<'a>(&'a self, replicas: &'a [Replica]) -> impl Iterator<Item = &'a Replica> {
        replicas.iter().filter(|replica| self.is_met_by(&replica.served))
    }
}

/// The model that a call names.
pub fn named(snapshot: &Snapshot, wanted: &Wanted, name: &str) -> Result<Arc<Model>, Error> {
    let named = snapshot.model(name).ok_or_else(|| unknown(snapshot, name))?;
    match wanted.met_by(&named.replicas).next() {
        Some(_) => Ok(named.clone()),
        None => Err(why_not(snapshot, &named.name, &named.replicas, wanted)),
    }
}

/// All models that can do the work, best first.
pub fn rank(snapshot: &Snapshot, wanted: &Wanted, weights: &Weights, now: Duration) -> Result<Ranked, Error> {
    let mut all = contenders(snapshot, wanted, weights, now);
    if all.is_empty() {
        return Err(why_none(snapshot, wanted));
    }
    if !wanted.is_interchangeable() {
        all.truncate(1);
    }
    Ok(Ranked { left: all, current: None })
}

/// A model in question.
#[derive(Clone, Debug)]
pub struct Contender {
    /// The model.
    pub model: Arc<Model>,
    /// Some instance takes calls.
    pub ready: bool,
    /// How it scores among those in question.
    pub scored: Scored,
    /// How much model it is.
    pub tier: Tier,
    /// US dollars the call may cost there.
    pub cost: f64,
    /// It is what is said when nothing else can be.
    last: bool,
    fit: f64,
    quality: f64,
}

impl Contender {
    fn of(model: &Arc<Model>, wanted: &Wanted) -> Option<Self> {
        let info = &wanted.met_by(&model.replicas).next()?.served.info;
        let most = |value: fn(&Wanted, &Served) -> f64| {
            wanted.met_by(&model.replicas).map(|replica| value(wanted, &replica.served)).fold(0.0, f64::max)
        };
        Some(Self {
            ready: wanted.is_ready_at(model),
            scored: Scored::default(),
            tier: info.tier(),
            cost: most(Wanted::cost),
            last: info.backend == TEMPLATE,
            fit: most(Wanted::fit),
            quality: most(|_, served| served.info.quality),
            model: model.clone(),
        })
    }

    /// Where a tier was chosen, fit and score decide, in which quality is a term; else the better model does.
    fn rank(&self, other: &Self, wanted: &Wanted) -> Ordering {
        let by_quality = match wanted.method.task {
            Task::Generate => Ordering::Equal,
            _ => self.quality.total_cmp(&other.quality),
        };
        let by_fit = other.last.cmp(&self.last).then(self.fit.total_cmp(&other.fit)).then(by_quality);
        if !wanted.is_interchangeable() {
            return by_fit;
        }
        by_fit.then(self.scored.total.total_cmp(&other.scored.total))
    }

    /// The model as its quickest, emptiest and soundest replica has it.
    fn candidate(&self, wanted: &Wanted, now: Duration) -> Candidate {
        let mut best = Candidate { p95: None, queue_depth: u32::MAX, fit: self.fit, uptime: 0.0, quality: 0.0 };
        for replica in wanted.met_by(&self.model.replicas).filter(|replica| replica.instance.is_ready()) {
            let mut stats = replica.instance.stats.lock();
            best.p95 = best.p95.into_iter().chain(stats.p95(now)).min();
            best.queue_depth = best.queue_depth.min(stats.in_flight);
            best.uptime = best.uptime.max(stats.success(now));
            drop(stats);
            best.quality = best.quality.max(replica.served.quality(now));
        }
        best
    }
}

/// Every model that can do the work, best first; in the order of their names where they are equal.
pub fn contenders(snapshot: &Snapshot, wanted: &Wanted, weights: &Weights, now: Duration) -> Vec<Contender> {
    let mut all: Vec<_> = snapshot.models.iter().filter_map(|model| Contender::of(model, wanted)).collect();
    if wanted.is_interchangeable() {
        let candidates: Vec<_> = all.iter().map(|contender| contender.candidate(wanted, now)).collect();
        let scores = score::score(&candidates, weights);
        all.iter_mut().zip(scores).for_each(|(contender, scored)| contender.scored = scored);
    }
    all.sort_by(|a, b| b.rank(a, wanted));
    all
}

/// The models of a call that names none, until they are tried.
#[derive(Debug)]
pub struct Ranked {
    left: Vec<Contender>,
    current: Option<Contender>,
}

impl Ranked {
    /// The next to try: the best that is ready; after a poor answer the nearest tier above; without money a cheaper.
    pub fn next(&mut self, state: &State) -> Option<Hop> {
        let (index, reason) = match &self.current {
            None => (self.first()?, self.first_reason()),
            Some(current) => self.after(current, state)?,
        };
        let next = self.left.remove(index);
        let hop = Hop { model: next.model.clone(), reason: reason.as_str().into(), arm: None };
        self.current = Some(next);
        Some(hop)
    }

    /// Where none is ready the best stays the choice, so that the caller hears of it.
    fn first(&self) -> Option<usize> {
        let ready = self.left.iter().position(|contender| contender.ready);
        ready.or((!self.left.is_empty()).then_some(0))
    }

    fn first_reason(&self) -> Reason {
        match self.left.first() {
            Some(best) if !best.ready && self.left.iter().any(|contender| contender.ready) => Reason::Fallback,
            _ => Reason::BestFit,
        }
    }

    fn after(&self, current: &Contender, state: &State) -> Option<(usize, Reason)> {
        let ready = || self.left.iter().enumerate().filter(|(_, contender)| contender.ready);
        if state.poor {
            let above = ready().filter(|(_, contender)| contender.tier as i32 > current.tier as i32 && !contender.last);
            return above.min_by_key(|(_, contender)| contender.tier as i32).map(|(at, _)| (at, Reason::Escalated));
        }
        let affordable = |contender: &Contender| !state.budget_low || contender.cost < current.cost;
        let mut others = ready().filter(|(_, contender)| affordable(contender));
        let reason = if state.overloaded { Reason::Overloaded } else { Reason::Fallback };
        others.next().map(|(at, _)| (at, if state.budget_low { Reason::Cheaper } else { reason }))
    }
}

/// Why there is no model of this name.
pub fn unknown(snapshot: &Snapshot, name: &str) -> Error {
    let model = name.to_string();
    if snapshot.unloaded(name).is_some() {
        return Error::ModelUnloaded { model };
    }
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
pub fn why_not(snapshot: &Snapshot, model: &str, replicas: &[Replica], wanted: &Wanted) -> Error {
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
