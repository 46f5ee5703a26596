//! The second choice: which replica of the model.
//!
//! [`waypost_decide::balance`] chooses; here it gets to see the replicas, and the call is counted in before anybody
//! else may choose.  Each model has a balancer of its own, so that models do not wait for each other's.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use waypost_decide::{
    Weights,
    balance::{Balancer, CALLS_PER_SLOT, Choice, Nowhere, Offer, Reason, View},
    score::Scored,
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{
    attempt::{Attempt, Clock, units},
    config::RouterConfig,
    instance::{Instance, Served},
    link::Link,
    models::Wanted,
    registry::{Model, Replica},
};
use crate::deadline::Deadline;

/// A replica that was considered.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Name of its instance.
    pub instance: Arc<str>,
    /// Its score.
    pub scored: Scored,
    /// Calls there before this one.
    pub in_flight: u32,
    /// Not left out by breaker, pause, latency or limit.
    pub admitted: bool,
    /// How likely it was to be chosen.
    pub propensity: f64,
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

/// Why none was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPick {
    /// None is ready.
    None,
    /// All have as many calls as they take.
    Full {
        /// Calls they take together.
        limit: u32,
    },
    /// The provider wants to be left alone.
    Paused {
        /// For so long.
        left: Duration,
    },
}

/// Chooses replicas.
pub struct Chooser {
    config: Arc<RouterConfig>,
    balancers: RwLock<HashMap<Arc<str>, Arc<Mutex<Balancer>>>>,
    weights: RwLock<Weights>,
    seed: u64,
    clock: Clock,
}

impl Chooser {
    /// By the policy and weights of `config`.
    pub fn new(config: Arc<RouterConfig>, clock: Clock) -> Self {
        let seed = config.seed.map_or_else(rand::random, i64::cast_unsigned);
        Self { weights: RwLock::new(config.weights.into()), balancers: RwLock::default(), config, seed, clock }
    }

    /// The weights of the score.
    pub fn weights(&self) -> Weights {
        *self.weights.read()
    }

    /// Other weights from now on.
    pub fn set_weights(&self, weights: Weights) {
        *self.weights.write() = weights;
        self.balancers.read().values().for_each(|balancer| balancer.lock().set_weights(weights));
    }

    /// Chooses among the ready replicas of `model` that meet `wanted` and are not in `tried`.
    pub fn pick(
        &self,
        model: &Model,
        wanted: &Wanted,
        tried: &[Arc<Instance>],
        deadline: Deadline,
    ) -> Result<Picked, NoPick> {
        let balancer = self.balancer(&model.name);
        // Held until the call is counted in, so that no two calls see the same free place.
        let mut balancer = balancer.lock();
        let now = self.clock.now();
        let (replicas, mut views) = self.views(model, wanted, tried, now);
        let session = !wanted.asked.route.session.is_empty();
        let choice = balancer.choose(&mut views, session, now);
        let choice = choice.map_err(|nowhere| self.no_pick(nowhere, &replicas, now))?;
        let replica = replicas[choice.index].clone();
        let attempt = Attempt::begin(replica, self.clock, now, self.clock.at(deadline), units(wanted.bytes));
        drop(balancer);
        let link = attempt.replica.instance.link();
        let candidates = candidates(&replicas, &views, &choice);
        Ok(Picked { attempt, link, reason: choice.reason, candidates })
    }

    /// What would be chosen now, by a copy, so that nothing is changed.
    pub fn look(&self, model: &Model, wanted: &Wanted) -> Vec<Candidate> {
        let mut balancer = self.balancer(&model.name).lock().clone();
        let now = self.clock.now();
        let (replicas, mut views) = self.views(model, wanted, &[], now);
        let session = !wanted.asked.route.session.is_empty();
        let choice = balancer.choose(&mut views, session, now);
        choice.map(|choice| candidates(&replicas, &views, &choice)).unwrap_or_default()
    }

    fn balancer(&self, model: &Arc<str>) -> Arc<Mutex<Balancer>> {
        if let Some(balancer) = self.balancers.read().get(model) {
            return balancer.clone();
        }
        let seed = xxh3_64_with_seed(model.as_bytes(), self.seed);
        let panic_share = self.config.outlier.panic_share;
        let fresh =
            || Arc::new(Mutex::new(Balancer::new(self.config.policy.into(), self.weights(), panic_share, seed)));
        self.balancers.write().entry(model.clone()).or_insert_with(fresh).clone()
    }

    fn views<'a>(
        &self,
        model: &'a Model,
        wanted: &Wanted,
        tried: &[Arc<Instance>],
        now: Duration,
    ) -> (Vec<&'a Replica>, Vec<View>) {
        let fresh = |replica: &&Replica| !tried.iter().any(|instance| Arc::ptr_eq(instance, &replica.instance));
        let eligible = model.replicas.iter().filter(|r| r.instance.is_ready() && wanted.is_met_by(&r.served));
        let session = match wanted.asked.route.session.as_str() {
            "" => None,
            session => Some(xxh3_64(session.as_bytes())),
        };
        eligible.filter(fresh).map(|replica| (replica, self.view(replica, wanted, session, now))).unzip()
    }

    fn view(&self, replica: &Replica, wanted: &Wanted, session: Option<u64>, now: Duration) -> View {
        let served = &replica.served;
        let offer = Offer {
            units: units(wanted.bytes),
            fit: wanted.fit(served),
            quality: served.info.quality,
            ready: true,
            weight: f64::from(served.info.slots.max(1)),
            home: session.map_or(0, |session| xxh3_64_with_seed(served.instance.as_bytes(), session)),
            limit: if self.has_room(served, now) { u32::MAX } else { 0 },
        };
        let serving = served.serving.lock();
        View::of(&mut replica.instance.stats.lock(), &serving, &offer, now)
    }

    fn has_room(&self, served: &Served, now: Duration) -> bool {
        let room = self.limit(served).is_none_or(|limit| served.in_flight.load(Ordering::Relaxed) < limit);
        room && served.pause(now).is_none()
    }

    /// Calls that a model takes at its instance; none: as many as come.
    fn limit(&self, served: &Served) -> Option<u32> {
        match (self.config.limits.instance_in_flight, served.info.slots) {
            (0, 0) => None,
            (0, slots) => Some(slots.saturating_mul(CALLS_PER_SLOT)),
            (limit, _) => Some(limit),
        }
    }

    fn no_pick(&self, nowhere: Nowhere, replicas: &[&Replica], now: Duration) -> NoPick {
        if nowhere == Nowhere::Nobody {
            return NoPick::None;
        }
        match replicas.iter().filter_map(|replica| replica.served.pause(now)).min() {
            Some(left) => NoPick::Paused { left },
            None => {
                let limits = replicas.iter().filter_map(|replica| self.limit(&replica.served));
                NoPick::Full { limit: limits.fold(0, u32::saturating_add) }
            }
        }
    }
}

fn candidates(replicas: &[&Replica], views: &[View], choice: &Choice) -> Vec<Candidate> {
    let all = replicas.iter().zip(views).enumerate();
    all.map(|(index, (replica, view))| Candidate {
        instance: replica.served.instance.clone(),
        scored: choice.scored[index],
        in_flight: view.candidate.queue_depth,
        admitted: choice.admitted.binary_search(&index).is_ok(),
        propensity: choice.propensities[index],
    })
    .collect()
}
