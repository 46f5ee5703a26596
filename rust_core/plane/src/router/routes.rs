//! The configured fallback chains.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use waypost_decide::route::{self, Chain, State, Step};

use super::config::{self, RouterConfig};
use crate::proto::v1::Task;

/// The chain of callers who name no model.
const DEFAULT: &str = "default";

/// One of them.
pub struct Route {
    /// What callers name as the model.
    pub name: String,
    models: Vec<String>,
    chain: Mutex<Chain>,
}

/// All of them.
#[derive(Default)]
pub struct Routes(HashMap<(String, Task), Arc<Route>>);

impl Routes {
    /// As configured.
    pub fn new(config: &RouterConfig) -> Self {
        let each = config.routes.iter();
        Self(each.filter_map(|route| Some(((route.name.clone(), route.task.into()), Route::new(route)?))).collect())
    }

    /// The chain under this name.
    pub fn named(&self, name: &str, task: Task) -> Option<Arc<Route>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&(name.to_string(), task)).cloned()
    }

    /// The chain of callers who name no model.
    pub fn default_of(&self, task: Task) -> Option<Arc<Route>> {
        self.named(DEFAULT, task)
    }

    /// Each of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.0.values()
    }
}

impl Route {
    /// None where it has no hops.
    fn new(config: &config::Route) -> Option<Arc<Self>> {
        let hops = config.hops.iter().enumerate().map(|(index, each)| hop(index, each)).collect();
        let models = config.hops.iter().map(|hop| hop.model.clone()).collect();
        Some(Arc::new(Self { name: config.name.clone(), models, chain: Mutex::new(Chain::new(hops)?) }))
    }

    /// Those of its hops, in their order.
    pub fn models(&self) -> &[String] {
        &self.models
    }

    /// Begins a call.
    pub fn begin(&self, state: &State) -> Step {
        self.chain.lock().begin(state)
    }

    /// Takes a call on from `hop`.
    pub fn proceed(&self, hop: usize, state: &State) -> Option<Step> {
        self.chain.lock().proceed(hop, state)
    }

    /// Where a call would begin; counts nothing.
    pub fn look(&self, state: &State) -> Step {
        self.chain.lock().first(state)
    }

    /// The same from `hop` on.
    pub fn look_on(&self, hop: usize, state: &State) -> Option<Step> {
        self.chain.lock().next(hop, state)
    }

    /// The model of a step.
    pub fn model(&self, step: Step) -> &str {
        &self.models[step.model]
    }

    /// The share of the recent calls that each model got.
    pub fn shares(&self) -> Vec<(&str, f64)> {
        self.models.iter().map(String::as_str).zip(self.chain.lock().shares()).collect()
    }
}

fn hop(model: usize, hop: &config::Hop) -> route::Hop {
    let condition = |condition: &config::Condition| match condition {
        config::Condition::Overloaded => route::Condition::Overloaded,
        config::Condition::Unsure => route::Condition::Unsure(hop.confidence),
        config::Condition::Complex => route::Condition::Complex(hop.complexity),
        config::Condition::CoverageLow => route::Condition::CoverageLow(hop.coverage),
        config::Condition::BudgetLow => route::Condition::BudgetLow,
        config::Condition::Error => route::Condition::Error,
        config::Condition::Poor => route::Condition::Poor,
    };
    route::Hop { model, conditions: hop.when.iter().map(condition).collect(), all: hop.all, max_share: hop.max_share }
}
