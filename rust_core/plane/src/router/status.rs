//! The router's state for people and dashboards.

use serde_json::{Value, json};

use waypost_decide::tier::TierStatus;

use super::{Plane, auth::Role, mesh, routes::Route, semantic::Semantic, signature::tier_name};
use crate::{
    address::Address,
    proto::v1::{self, InstanceStatus, ModelInfo, Task, Tier},
};

/// Everything at a glance.
pub fn of(plane: &Plane, address: &Address) -> Value {
    json!({
        "instance": plane.config.instance,
        "version": plane.config.version,
        "address": address.to_string(),
        "policy": plane.config.policy.as_str(),
        "in_flight": plane.limit.in_use(),
        "max_in_flight": plane.limit.max(),
        "retry_budget": plane.budget.balance(),
        "dropped_events": plane.events.dropped(),
        "cache": cache(&cache_status(plane)),
        "tiers": plane.reader.status(plane.clock.now()).map(tiers),
        "routes": plane.routes.all().map(|of| route(&route_status(of))).collect::<Vec<_>>(),
        "rollouts": plane.rollouts.all(plane.clock.now()),
        "instances": mesh::instances(plane).iter().map(instance).collect::<Vec<_>>(),
        "models": mesh::models(plane).iter().map(model).collect::<Vec<_>>(),
    })
}

/// The same for callers, without instances and models, which have calls of their own.
pub fn glance(plane: &Plane, role: Role) -> v1::GetStatusResponse {
    v1::GetStatusResponse {
        instance: plane.config.instance.clone(),
        version: plane.config.version.clone(),
        started: Some(plane.started.into()),
        policy: plane.config.policy.as_str().into(),
        in_flight: plane.limit.in_use() as u32,
        max_in_flight: plane.limit.max() as u32,
        retry_budget: plane.budget.balance() as f64,
        weights: Some(plane.chooser.weights().into()),
        log_level: plane.levels.now().into(),
        cache: Some(cache_status(plane)),
        tiers: plane.reader.status(plane.clock.now()).map(tier_statuses).unwrap_or_default(),
        routes: plane.routes.all().map(|route| route_status(route)).collect(),
        dropped_events: plane.events.dropped() + plane.audit.dropped() + plane.payloads.dropped(),
        role: v1::Role::from(role).into(),
    }
}

/// Of the answers that are kept, here and with other routers.
pub fn cache_status(plane: &Plane) -> v1::CacheStatus {
    let (hits, misses) = plane.cache.counts();
    // Who finds an answer with the others had missed it here.
    let shared_hits = plane.answers.as_ref().map_or(0, |answers| answers.hits());
    let (hits, misses) = (hits + shared_hits, misses.saturating_sub(shared_hits));
    let [near_hits, audited, false_hits] = plane.semantic.as_ref().map(Semantic::counts).unwrap_or_default();
    v1::CacheStatus { hits, near_hits, misses, bytes: plane.cache.bytes(), audited, false_hits, shared_hits }
}

/// Of those that prompts are placed in by targets, cheapest first.
fn tier_statuses(status: TierStatus) -> Vec<v1::TierStatus> {
    let tiers = [Tier::Simple, Tier::Medium, Tier::High, Tier::Premium];
    let achieved = status.achieved.unwrap_or_default();
    let all = tiers.into_iter().zip(status.targets).zip(achieved);
    all.map(|((tier, target), achieved)| v1::TierStatus { tier: tier.into(), target, achieved }).collect()
}

fn route_status(route: &Route) -> v1::RouteStatus {
    let shares = route.shares().into_iter();
    let shares = shares.map(|(model, share)| v1::RouteShare { model: model.to_string(), share });
    v1::RouteStatus { name: route.name.to_string(), shares: shares.collect() }
}

fn cache(status: &v1::CacheStatus) -> Value {
    json!({
        "hits": status.hits,
        "misses": status.misses,
        "bytes": status.bytes,
        "near_hits": status.near_hits,
        "audited": status.audited,
        "false_hits": status.false_hits,
        "shared_hits": status.shared_hits,
    })
}

fn tiers(status: TierStatus) -> Value {
    json!({
        "targets": status.targets,
        "achieved": status.achieved,
        "thresholds": status.thresholds,
        "cannot": status.cannot,
    })
}

fn route(status: &v1::RouteStatus) -> Value {
    let share = |each: &v1::RouteShare| json!({"model": each.model, "share": each.share});
    json!({"name": status.name, "shares": status.shares.iter().map(share).collect::<Vec<_>>()})
}

fn instance(status: &InstanceStatus) -> Value {
    json!({
        "instance": status.instance,
        "address": status.address,
        "state": short(status.state().as_str_name(), "INSTANCE_STATE_"),
        "models": status.models,
        "tags": status.tags,
        "in_flight": status.in_flight,
        "requests": status.requests,
        "failures": status.failures,
        "latency_ewma_ms": status.latency_ewma.map(milliseconds),
        "latency_p95_ms": status.latency_p95.map(milliseconds),
        "success_rate": status.success_rate,
    })
}

fn model(info: &ModelInfo) -> Value {
    let tasks = info.tasks.iter().filter_map(|task| Task::try_from(*task).ok());
    json!({
        "name": info.name,
        "version": info.version,
        "backend": info.backend,
        "tasks": tasks.map(|task| short(task.as_str_name(), "TASK_")).collect::<Vec<_>>(),
        "tags": info.tags,
        "tier": tier_name(info.tier()),
        "dimensions": info.dimensions,
        "max_tokens": info.max_tokens,
        "heads": info.heads.iter().map(|head| &head.name).collect::<Vec<_>>(),
        "cost_per_1k_tokens_usd": info.cost_per_1k_tokens_usd,
        "quality": info.quality,
    })
}

/// `INSTANCE_STATE_READY` without its prefix and in small letters.
fn short(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

fn milliseconds(duration: prost_types::Duration) -> f64 {
    duration.seconds as f64 * 1e3 + f64::from(duration.nanos) / 1e6
}
