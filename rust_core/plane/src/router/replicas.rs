//! The second choice: which replica of the model.
//!
//! Only ready replicas count; of those the breaker and the exclusion by latency leave some out, never too many.  A
//! session goes to its own replica, found by rendezvous hashing (Thaler and Ravishankar 1996): every router comes to
//! the same one without talking to the others, and when a replica leaves only its own sessions move.  All else is
//! for the policy, which counts what is in flight at the moment of choosing, this call included.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use waypost_decide::{
    Health, Load, Picker, outlier,
    score::{self, Scored, Weights},
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{
    attempt::{Attempt, Clock, units},
    config::{Policy, RouterConfig},
    instance::Instance,
    link::Link,
    models::Wanted,
    registry::{Model, Replica},
};

/// Why a replica was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There was no other.
    Only,
    /// The session lives there.
    Session,
    /// The policy said so.
    Policy(Policy),
}

impl Reason {
    /// As it is logged.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Only => "only",
            Self::Session => "session",
            Self::Policy(policy) => policy.as_str(),
        }
    }
}

/// A replica that was considered.
#[derive(Debug)]
pub struct Candidate {
    /// Name of its instance.
    pub instance: Arc<str>,
    /// Its score.
    pub scored: Scored,
    /// Calls there before this one.
    pub in_flight: u32,
    /// Not left out by breaker or latency.
    pub admitted: bool,
}

/// A choice, with the call already counted in.
pub struct Picked {
    /// The call at its replica.
    pub attempt: Attempt,
    /// The way there; none where the connection has just ended.
    pub link: Option<Link>,
    /// Why there.
    pub reason: Reason,
    /// All that were considered.
    pub candidates: Vec<Candidate>,
}

/// Chooses replicas.
pub struct Chooser {
    picker: Mutex<Picker>,
    policy: Policy,
    weights: Weights,
    panic_share: f64,
    clock: Clock,
}

/// A ready replica, looked at.
struct View<'a> {
    replica: &'a Replica,
    load: Load,
    health: Health,
    candidate: score::Candidate,
}

impl Chooser {
    /// By the policy and weights of `config`.
    pub fn new(config: &RouterConfig, clock: Clock) -> Self {
        let seed = config.seed.map_or_else(rand::random, i64::cast_unsigned);
        Self {
            picker: Mutex::new(Picker::new(config.policy.into(), seed)),
            policy: config.policy,
            weights: config.weights.into(),
            panic_share: config.outlier.panic_share,
            clock,
        }
    }

    /// The weights of the score.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Chooses among the ready replicas of `model` that meet `wanted` and are not in `tried`.
    pub fn pick(&self, model: &Model, wanted: &Wanted, tried: &[Arc<Instance>]) -> Option<Picked> {
        let units = units(wanted.bytes);
        // Held until the call is counted in, so that no two calls see the same free place.
        let mut picker = self.picker.lock();
        let now = self.clock.now();
        let mut views = views(model, wanted, tried, units, now);
        let scores = self.score(&mut views);
        let health: Vec<Health> = views.iter().map(|view| view.health).collect();
        let admitted = outlier::admit(&health, now, self.panic_share);
        let (chosen, reason) = self.choose(&mut picker, &views, &admitted, &wanted.asked.route.session)?;
        let candidates = candidates(&views, &scores, &admitted);
        let attempt = Attempt::begin(views[chosen].replica.clone(), self.clock, now, units);
        let link = attempt.replica.instance.link();
        Some(Picked { attempt, link, reason, candidates })
    }

    fn score(&self, views: &mut [View]) -> Vec<Scored> {
        let candidates: Vec<_> = views.iter().map(|view| view.candidate).collect();
        let scores = score::score(&candidates, &self.weights);
        views.iter_mut().zip(&scores).for_each(|(view, scored)| view.load.score = scored.total);
        scores
    }

    fn choose(
        &self,
        picker: &mut Picker,
        views: &[View],
        admitted: &[usize],
        session: &str,
    ) -> Option<(usize, Reason)> {
        if let [only] = admitted {
            return Some((*only, Reason::Only));
        }
        if !session.is_empty() {
            let seed = xxh3_64(session.as_bytes());
            let home = |index: &&usize| xxh3_64_with_seed(views[**index].replica.served.instance.as_bytes(), seed);
            return admitted.iter().max_by_key(home).map(|index| (*index, Reason::Session));
        }
        let loads: Vec<Load> = admitted.iter().map(|index| views[*index].load).collect();
        picker.pick(&loads).map(|position| (admitted[position], Reason::Policy(self.policy)))
    }
}

fn views<'a>(model: &'a Model, wanted: &Wanted, tried: &[Arc<Instance>], units: u32, now: Duration) -> Vec<View<'a>> {
    let fresh = |replica: &&Replica| !tried.iter().any(|instance| Arc::ptr_eq(instance, &replica.instance));
    let eligible = model.replicas.iter().filter(|r| r.instance.is_ready() && wanted.is_met_by(&r.served));
    let mut views: Vec<View> = eligible.filter(fresh).map(|replica| View::of(replica, wanted, units, now)).collect();
    trust_newcomers(&mut views);
    views
}

/// A replica nothing is known of counts as quick as the quickest known: it is tried, and not swamped.
fn trust_newcomers(views: &mut [View]) {
    let known = views.iter().map(|view| view.load.latency).filter(|latency| !latency.is_zero());
    let Some(quickest) = known.min() else { return };
    for view in views.iter_mut().filter(|view| view.load.latency.is_zero()) {
        view.load.latency = quickest;
    }
}

impl<'a> View<'a> {
    fn of(replica: &'a Replica, wanted: &Wanted, units: u32, now: Duration) -> Self {
        let pace = replica.served.pace.lock().get(now);
        let mut stats = replica.instance.stats.lock();
        let success = stats.success(now);
        // The policy adds one call to what is in flight; this call is `units` of them.
        let in_flight = stats.units + units - 1;
        Self {
            replica,
            load: Load { latency: pace.max(stats.silence(now)), in_flight, success, score: 0.0 },
            health: stats.health(now, true),
            candidate: score::Candidate {
                p95: stats.p95(now),
                queue_depth: stats.in_flight,
                fit: wanted.fit(&replica.served),
                uptime: success,
                quality: replica.served.info.quality,
            },
        }
    }
}

fn candidates(views: &[View], scores: &[Scored], admitted: &[usize]) -> Vec<Candidate> {
    let all = views.iter().zip(scores).enumerate();
    all.map(|(index, (view, scored))| Candidate {
        instance: view.replica.served.instance.clone(),
        scored: *scored,
        in_flight: view.candidate.queue_depth,
        admitted: admitted.binary_search(&index).is_ok(),
    })
    .collect()
}
