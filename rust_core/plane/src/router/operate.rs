//! What operators change while the router runs: instances drained, models pinned and unloaded, weights, log levels.
//!
//! Each change holds until the router ends, and is audited with whoever made it; pins hold for all routers of the store,
//! until they are taken back.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use waypost_decide::Weights;

use super::{Plane, auth::Caller, instance::Instance, mesh, registry::Model};
use crate::{
    error::Error,
    proto::v1::{InstanceStatus, LogLevel, ModelInfo, ScoreWeights, SetLogLevelRequest},
};

/// A worker that has not taken in a new level by then has none.
const PATIENCE: Duration = Duration::from_secs(1);

/// By whom, and by which call.
#[derive(Clone, Copy)]
pub struct By<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// Path of the call.
    pub method: &'static str,
}

impl Plane {
    /// Takes a model out of service, or back into it.
    pub fn set_loaded(&self, by: By<'_>, name: &str, loaded: bool) -> Result<Option<ModelInfo>, Error> {
        let pinned = !loaded && self.hotset.now().pinned.contains(name);
        let refused = Err(Error::ModelPinned { model: name.into() });
        let result = if pinned { refused } else { self.registry.set_loaded(name, loaded) };
        self.audit.changed(by.caller, by.method, &format!("model {name:?}"), &result);
        result.map(|model| mesh::model(self, &model))
    }

    /// Keeps a model in service, or no longer.
    pub async fn set_pinned(&self, by: By<'_>, name: &str, pinned: bool) -> Result<Option<ModelInfo>, Error> {
        let result = self.pin(name, pinned).await;
        let change = if pinned { "pinned" } else { "unpinned" };
        self.audit.changed(by.caller, by.method, &format!("model {name:?} {change}"), &result);
        result.map(|model| model.and_then(|model| mesh::model(self, &model)))
    }

    /// One that is nowhere any more can still be let go.
    async fn pin(&self, name: &str, pinned: bool) -> Result<Option<Arc<Model>>, Error> {
        let known = self.registry.known(name);
        if pinned || !self.hotset.now().pinned.contains(name) {
            known.as_ref().map_err(Clone::clone)?;
        }
        self.hotset.set_pinned(name, pinned).await?;
        Ok(known.ok())
    }

    /// Takes an instance out of the choice, or back into it.
    pub fn set_drained(&self, by: By<'_>, name: &str, drained: bool) -> Result<InstanceStatus, Error> {
        let result = self.registry.set_drained(name, drained);
        let change = if drained { "drained" } else { "back" };
        self.audit.changed(by.caller, by.method, &format!("instance {name:?} {change}"), &result);
        result.map(|instance| mesh::status(&instance, self.clock.now()))
    }

    /// Changes how the terms of the score count.
    pub fn set_weights(&self, by: By<'_>, asked: Option<ScoreWeights>) -> Result<ScoreWeights, Error> {
        let result = asked.ok_or_else(|| wrong("weights", "absent")).and_then(checked);
        let detail = result.as_ref().map_or_else(|_| "weights".into(), |weights| format!("{weights:?}"));
        self.audit.changed(by.caller, by.method, &detail, &result);
        result.inspect(|weights| self.chooser.set_weights(*weights)).map(Into::into)
    }

    /// Changes what the router and its instances write, or one of them; returns those that have it now.
    pub async fn set_log_level(&self, by: By<'_>, level: LogLevel, only: &str) -> Result<Vec<String>, Error> {
        let result = self.tell(level, only).await;
        let of = if only.is_empty() { "all" } else { only };
        self.audit.changed(by.caller, by.method, &format!("{} of {of:?}", level.as_str_name()), &result);
        result
    }

    async fn tell(&self, level: LogLevel, only: &str) -> Result<Vec<String>, Error> {
        let own = only.is_empty() || only == self.config.instance;
        let meant = match only {
            "" => self.registry.instances(),
            _ if own => Vec::new(),
            name => vec![self.registry.instance(name)?],
        };
        let told = join_all(meant.into_iter().map(|instance| told(instance, level))).await;
        if own {
            self.levels.set(level);
        }
        let own = own.then(|| self.config.instance.clone());
        Ok(own.into_iter().chain(told.into_iter().flatten()).collect())
    }
}

/// The instance's name, if it has taken the level in.
async fn told(instance: Arc<Instance>, level: LogLevel) -> Option<String> {
    let request = SetLogLevelRequest { level: level.into(), instance: String::new() };
    let mut mesh = instance.control()?;
    let asked = tokio::time::timeout(PATIENCE, mesh.set_log_level(request)).await;
    asked.ok()?.ok()?;
    Some(instance.name().to_string())
}

fn checked(asked: ScoreWeights) -> Result<Weights, Error> {
    let ScoreWeights { latency, queue, fit, health, feedback } = asked;
    let all = [latency, queue, fit, health, feedback];
    if all.iter().any(|weight| !weight.is_finite() || *weight < 0.0) || all.iter().all(|weight| *weight == 0.0) {
        return Err(wrong("weights", &format!("{all:?}")));
    }
    Ok(Weights { latency, queue, fit, health, feedback })
}

fn wrong(field: &'static str, actual: &str) -> Error {
    let expected = "numbers from 0, one of them above".into();
    Error::InvalidField { field: field.into(), actual: actual.into(), expected }
}

impl From<Weights> for ScoreWeights {
    fn from(weights: Weights) -> Self {
        let Weights { latency, queue, fit, health, feedback } = weights;
        Self { latency, queue, fit, health, feedback }
    }
}
