//! `MeshService` of the router: what the mesh has and how it fares, put together from what the instances said.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tonic::{Request, Response, Status};

use super::{Plane, instance::Instance};
use crate::proto::v1::{self, InstanceState, ModelInfo, mesh_service_server::MeshService};

/// The service.
#[derive(Clone)]
pub struct Mesh(pub Arc<Plane>);

#[tonic::async_trait]
impl MeshService for Mesh {
    async fn describe_instance(
        &self,
        _: Request<v1::DescribeInstanceRequest>,
    ) -> Result<Response<v1::DescribeInstanceResponse>, Status> {
        let Plane { config, limit, .. } = &*self.0;
        Ok(Response::new(v1::DescribeInstanceResponse {
            instance: config.instance.clone(),
            version: config.version.clone(),
            models: Vec::new(),
            queue_depth: limit.in_use() as u32,
            queue_limit: limit.max() as u32,
        }))
    }

    async fn list_models(&self, _: Request<v1::ListModelsRequest>) -> Result<Response<v1::ListModelsResponse>, Status> {
        Ok(Response::new(v1::ListModelsResponse { models: models(&self.0) }))
    }

    async fn list_instances(
        &self,
        _: Request<v1::ListInstancesRequest>,
    ) -> Result<Response<v1::ListInstancesResponse>, Status> {
        Ok(Response::new(v1::ListInstancesResponse { instances: instances(&self.0) }))
    }
}

/// Each version of each model once, with all that any instance has of it.
pub fn models(plane: &Plane) -> Vec<ModelInfo> {
    let mut merged: BTreeMap<(String, String), ModelInfo> = BTreeMap::new();
    for replica in plane.registry.snapshot().models.iter().flat_map(|model| &model.replicas) {
        let info = &replica.served.info;
        let key = (info.name.clone(), info.version.clone());
        merged.entry(key).and_modify(|known| merge(known, info)).or_insert_with(|| info.clone());
    }
    merged.into_values().collect()
}

fn merge(known: &mut ModelInfo, more: &ModelInfo) {
    add(&mut known.tasks, &more.tasks);
    add(&mut known.tags, &more.tags);
    let new = more.heads.iter().filter(|head| known.heads.iter().all(|other| other.name != head.name));
    let new: Vec<_> = new.cloned().collect();
    known.heads.extend(new);
}

fn add<T: Clone + PartialEq>(known: &mut Vec<T>, more: &[T]) {
    for item in more {
        if !known.contains(item) {
            known.push(item.clone());
        }
    }
}

/// Every instance of the list, in its order.
pub fn instances(plane: &Plane) -> Vec<v1::InstanceStatus> {
    let now = plane.clock.now();
    plane.registry.instances().iter().map(|instance| status(instance, now)).collect()
}

fn status(instance: &Instance, now: Duration) -> v1::InstanceStatus {
    let described = instance.described();
    let served = described.iter().flat_map(|described| &described.models);
    let mut models = Vec::new();
    let mut tags = Vec::new();
    for served in served {
        models.push(served.info.name.clone());
        add(&mut tags, &served.info.tags);
    }
    let mut stats = instance.stats.lock();
    let ejected = instance.is_ready() && stats.is_ejected(now);
    v1::InstanceStatus {
        instance: instance.name().to_string(),
        address: instance.address.to_string(),
        state: if ejected { InstanceState::Ejected } else { instance.state() }.into(),
        models,
        tags,
        in_flight: stats.in_flight,
        requests: stats.requests,
        failures: stats.failures,
        latency_ewma: stats.latency(now).and_then(|latency| latency.try_into().ok()),
        latency_p95: stats.p95(now).and_then(|latency| latency.try_into().ok()),
        success_rate: stats.success(now),
    }
}
