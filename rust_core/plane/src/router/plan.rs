//! Which models a call goes to, one after the other, and why.
//!
//! | the caller names | hops |
//! |---|---|
//! | a model | that model |
//! | `name@stable`, `name@canary` | the model behind it |
//! | a name that is being rolled out | the side its slice says; from the canary back to the stable one |
//! | a route | its hops, by their conditions |
//! | nothing, and a policy does | as if the caller had |
//! | nothing | the route "default" where there is one, else all models that do the work, best first |
//!
//! A hop that troubles leads to the next whose condition holds; what is named has no next.  Deterministic templates
//! come last, whatever their score: they answer when nothing else does.

use std::{borrow::Cow, sync::Arc, time::Duration};

use waypost_decide::route::State;

use super::{
    models::{self, Ranked, Reason, Wanted},
    registry::{Model, Snapshot},
    rollouts::{Arm, Rollouts},
    routes::{Route, Routes},
};
use crate::error::Error;

/// A model to be asked.
#[derive(Clone, Debug)]
pub struct Hop {
    /// The model.
    pub model: Arc<Model>,
    /// Why it is asked.
    pub reason: Cow<'static, str>,
    /// The side of a rollout that the call shows something about.
    pub arm: Option<Arc<Arm>>,
}

/// What is left to try.
pub enum Plan {
    /// These, in this order, on any trouble that another model may be free of.
    Listed(std::vec::IntoIter<Hop>),
    /// A configured chain.
    Chained(Chained),
    /// All that do the work.
    Ranked(Ranked),
}

/// A configured chain at work.
pub struct Chained {
    route: Arc<Route>,
    snapshot: Arc<Snapshot>,
    at: Option<usize>,
}

/// All that a plan is made from.
pub struct Sources<'a> {
    /// Models there are.
    pub snapshot: &'a Arc<Snapshot>,
    /// Aliases and slices.
    pub rollouts: &'a Rollouts,
    /// Configured chains.
    pub routes: &'a Routes,
    /// The time.
    pub now: Duration,
}

impl Plan {
    /// For a call; `key` keeps a session on one side of a slice.
    pub fn new(from: &Sources, wanted: &Wanted, weights: &models::Weights, key: u64) -> Result<Self, Error> {
        let named = wanted.asked.model.as_str();
        if !named.is_empty() {
            return Self::named(from, wanted, named, key, Reason::Named);
        }
        if let Some(plan) = Self::by_policy(from, wanted, key) {
            return Ok(plan);
        }
        match from.routes.default_of(wanted.method.task) {
            Some(route) => Ok(Self::chained(from, route)),
            None => models::rank(from.snapshot, wanted, weights, from.now).map(Self::Ranked),
        }
    }

    /// None where its policy names none, or one that is not there or cannot do this.
    fn by_policy(from: &Sources, wanted: &Wanted, key: u64) -> Option<Self> {
        let named = wanted.features.as_ref()?.policy.as_ref()?.model.as_deref()?;
        Self::named(from, wanted, named, key, Reason::Policy).ok()
    }

    fn named(from: &Sources, wanted: &Wanted, named: &str, key: u64, why: Reason) -> Result<Self, Error> {
        if let Some(sides) = from.rollouts.resolve(named, key) {
            return Self::sided(from, wanted, sides);
        }
        if from.snapshot.model(named).is_none()
            && let Some(route) = from.routes.named(named, wanted.method.task)
        {
            return Ok(Self::chained(from, route));
        }
        let model = models::named(from.snapshot, wanted, named)?;
        Ok(Self::only(Hop { model, reason: why.as_str().into(), arm: None }))
    }

    fn only(hop: Hop) -> Self {
        Self::Listed(vec![hop].into_iter())
    }

    /// A side that is not there is no reason to fail while the other is.
    fn sided(from: &Sources, wanted: &Wanted, sides: Vec<Arc<Arm>>) -> Result<Self, Error> {
        let found = sides.into_iter().map(|arm| {
            let model = models::named(from.snapshot, wanted, &arm.model)?;
            Ok(Hop { model, reason: arm.side.as_str().into(), arm: Some(arm) })
        });
        let (there, mut missing): (Vec<_>, Vec<_>) = found.partition(Result::is_ok);
        match (there.is_empty(), missing.pop()) {
            (true, Some(Err(error))) => Err(error),
            _ => Ok(Self::Listed(there.into_iter().flatten().collect::<Vec<_>>().into_iter())),
        }
    }

    fn chained(from: &Sources, route: Arc<Route>) -> Self {
        Self::Chained(Chained { route, snapshot: from.snapshot.clone(), at: None })
    }

    /// Name of the configured chain, where it is one.
    pub fn route(&self) -> &str {
        match self {
            Self::Chained(chained) => &chained.route.name,
            _ => "",
        }
    }

    /// The next model to ask, in `state`; none: there is no other.
    pub fn next(&mut self, wanted: &Wanted, state: &mut State) -> Option<Hop> {
        match self {
            Self::Listed(hops) => hops.next(),
            Self::Chained(chained) => chained.next(wanted, state),
            Self::Ranked(ranked) => ranked.next(state),
        }
    }
}

impl Chained {
    /// The chain.
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// A model that is not there, or cannot do this, is passed over as one that fails.
    fn next(&mut self, wanted: &Wanted, state: &mut State) -> Option<Hop> {
        loop {
            let step = match self.at {
                None => self.route.begin(state),
                Some(at) => self.route.proceed(at, state)?,
            };
            self.at = Some(step.hop);
            match models::named(&self.snapshot, wanted, self.route.model(step)) {
                Ok(model) if wanted.is_ready_at(&model) => {
                    return Some(Hop { model, reason: step.reason.to_string().into(), arm: None });
                }
                _ => state.error = true,
            }
        }
    }
}
