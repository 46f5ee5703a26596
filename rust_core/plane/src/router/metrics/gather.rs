//! The router's own families with those of its instances.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::timeout;

use super::figures;
use crate::{
    metrics::{Reading, merge},
    proto::v1::{GetMetricsRequest, MetricFamily, mesh_service_client::MeshServiceClient},
    router::{Plane, instance::Instance, link::Control},
};

/// A worker, or a ledger, that does not answer by then is left out: Prometheus itself waits for ten seconds.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes of a worker's answer.
const MOST_BYTES: usize = 16 << 20;

/// Everything; `own_only`: without what the instances tell.
pub async fn gather(plane: &Plane, own_only: bool) -> Vec<MetricFamily> {
    if !plane.metrics.is_enabled() {
        return Vec::new();
    }
    let instances = if own_only { Vec::new() } else { plane.registry.instances() };
    let ready = instances.iter().filter(|instance| instance.is_ready());
    let (figures, told) = tokio::join!(figures::read(plane, PATIENCE), join_all(ready.map(ask)));
    let told: Vec<_> = told.into_iter().flatten().collect();
    let scraped = Reading::gauge("waypost_instances_scraped", "Instances that told their metrics in time", []);
    let scraped = (!own_only).then(|| scraped.with(&[], told.len() as f64).done());
    let own = plane.metrics.meter.families().into_iter().chain(figures).chain(scraped);
    merge(own.chain(told.into_iter().flatten()))
}

/// None where it does not answer.
async fn ask(instance: &Arc<Instance>) -> Option<Vec<MetricFamily>> {
    let origin = http::Uri::from_static("http://localhost");
    let mut mesh =
        MeshServiceClient::with_origin(Control(instance.link()?), origin).max_decoding_message_size(MOST_BYTES);
    let told = timeout(PATIENCE, mesh.get_metrics(GetMetricsRequest { own_only: true })).await.ok()?;
    Some(told.ok()?.into_inner().families)
}
