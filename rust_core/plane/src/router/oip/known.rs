//! The model that a caller means by a name, and what is known of it.

use std::sync::Arc;

use super::{invalid, tensor::quoted};
use crate::{
    error::Error,
    proto::v1::{HeadInfo, ModelInfo, Task},
    router::{
        Plane, models,
        registry::{Model, Snapshot},
    },
};

/// A model under the name it was asked for.
pub struct Known {
    /// The model itself; of a route or a rollout, the first that is there.
    pub model: Arc<Model>,
}

impl Known {
    /// Behind a model's name, a rollout's, or a route's, in the order in which calls look for them.
    pub fn find(plane: &Plane, name: &str) -> Option<Self> {
        let snapshot = plane.registry.snapshot();
        let model = rolled_out(plane, &snapshot, name).or_else(|| snapshot.model(name).cloned());
        model.or_else(|| routed(plane, &snapshot, name)).map(|model| Self { model })
    }

    /// The same, of the version that is asked for.
    ///
    /// # Errors
    ///
    /// There is none of that name or of that version.
    pub fn get(plane: &Plane, name: &str, version: &str) -> Result<Self, Error> {
        let found = Self::find(plane, name).ok_or_else(|| models::unknown(&plane.registry.snapshot(), name))?;
        found.check_version("version", version)?;
        Ok(found)
    }

    /// Refuses a version that is not everybody's, for the router may send the call anywhere.
    pub fn check_version(&self, field: &'static str, version: &str) -> Result<(), Error> {
        if version.is_empty() || self.model.version() == Some(version) {
            return Ok(());
        }
        let versions = self.versions();
        let expected = match versions.as_slice() {
            [only] => format!("empty or {only:?}, the only one there is"),
            several => format!("empty: instances have {} at the moment", several.join(", ")),
        };
        Err(invalid(field, quoted(version), expected))
    }

    /// Each once.
    pub fn versions(&self) -> Vec<String> {
        let mut versions: Vec<_> = self.infos().map(|info| info.version.clone()).collect();
        versions.sort();
        versions.dedup();
        versions
    }

    /// What each instance says.
    pub fn infos(&self) -> impl Iterator<Item = &ModelInfo> {
        self.model.replicas.iter().map(|replica| &replica.served.info)
    }

    /// What it does, in the order in which its instances say so.
    pub fn tasks(&self) -> Vec<Task> {
        let mut tasks = Vec::new();
        for task in self.infos().flat_map(ModelInfo::tasks) {
            if !tasks.contains(&task) {
                tasks.push(task);
            }
        }
        tasks
    }

    /// Its label sets, each once.
    pub fn heads(&self) -> Vec<&HeadInfo> {
        let mut heads: Vec<&HeadInfo> = Vec::new();
        for head in self.infos().flat_map(|info| &info.heads) {
            if heads.iter().all(|known| known.name != head.name) {
                heads.push(head);
            }
        }
        heads
    }
}

fn rolled_out(plane: &Plane, snapshot: &Snapshot, name: &str) -> Option<Arc<Model>> {
    let arms = plane.rollouts.resolve(name, 0)?;
    arms.iter().find_map(|arm| snapshot.model(&arm.model)).cloned()
}

fn routed(plane: &Plane, snapshot: &Snapshot, name: &str) -> Option<Arc<Model>> {
    let routes = plane.routes.all().filter(|route| route.name == name);
    routes.flat_map(|route| route.models()).find_map(|model| snapshot.model(model)).cloned()
}
