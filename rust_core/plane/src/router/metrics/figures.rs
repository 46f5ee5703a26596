//! Figures that are known without being counted here, read when somebody asks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use tokio::time::timeout;
use waypost_decide::tier::TierStatus;
use waypost_store::{Caps, Money, Month, Standing};

use crate::{
    metrics::Reading,
    proto::v1::{BreakerState, InstanceState, InstanceStatus, MetricFamily},
    router::{
        Plane, mesh,
        rollouts::{Published, State, Status},
        status,
    },
};

/// In the order of [`TierStatus`].
const TIERS: [&str; 4] = ["simple", "medium", "high", "premium"];
const STATES: [(&str, State); 4] = [
    ("running", State::Running),
    ("promoted", State::Promoted),
    ("rolled_back", State::RolledBack),
    ("inconclusive", State::Inconclusive),
];

/// All of them; those the ledger does not tell within `patience` are left out.
pub async fn read(plane: &Plane, patience: Duration) -> Vec<MetricFamily> {
    let statuses = mesh::instances(plane);
    let rollouts = plane.rollouts.all(plane.clock.now());
    let mut families = instances(&statuses);
    families.extend(router(plane));
    families.extend(cache(plane));
    families.extend(shared(plane));
    families.extend(plane.reader.status(plane.clock.now()).into_iter().flat_map(|status| tiers(&status)));
    families.extend(canaries(&rollouts));
    families.extend(timeout(patience, budgets(plane)).await.into_iter().flatten());
    families.extend(plane.metrics.process.families(&plane.config.instance, Instant::now()));
    families.into_iter().filter(|family| !family.series.is_empty()).collect()
}

fn instances(statuses: &[InstanceStatus]) -> Vec<MetricFamily> {
    let seconds = |duration: &Option<prost_types::Duration>| {
        duration.as_ref().map(|duration| duration.seconds as f64 + f64::from(duration.nanos) * 1e-9)
    };
    let is = |status: &InstanceStatus, state| Some(f64::from(u8::from(status.state() == state)));
    let gauge = |name, help, value: &dyn Fn(&InstanceStatus) -> Option<f64>| {
        each(Reading::gauge(name, help, ["instance"]), statuses, value)
    };
    let counter = |name, help, value: &dyn Fn(&InstanceStatus) -> Option<f64>| {
        each(Reading::counter(name, help, ["instance"]), statuses, value)
    };
    vec![
        gauge("tsa_instance_queue_depth", "Calls under way at the instance", &|s| Some(s.in_flight.into())),
        gauge("waypost_instance_ready", "Whether it takes calls", &|s| is(s, InstanceState::Ready)),
        gauge("waypost_instance_ejected", "Whether it is left out for failing or being slow", &|s| {
            is(s, InstanceState::Ejected)
        }),
        gauge("waypost_instance_breaker_state", "0 closed, 1 half open, 2 open", &|s| breaker(s.breaker())),
        counter("waypost_instance_ejections", "Times it was left out", &|s| Some(s.ejections as f64)),
        gauge("waypost_instance_latency_seconds", "Peak-sensitive moving average", &|s| seconds(&s.latency_ewma)),
        gauge("waypost_instance_latency_p95_seconds", "95 % of its latest calls took less", &|s| {
            seconds(&s.latency_p95)
        }),
        gauge("waypost_instance_success_ratio", "Share of its latest calls that went well", &|s| Some(s.success_rate)),
        counter("waypost_instance_requests", "Calls that ended there", &|s| Some(s.requests as f64)),
        counter("waypost_instance_failures", "Those that failed by its fault", &|s| Some(s.failures as f64)),
    ]
}

fn each(
    mut reading: Reading,
    statuses: &[InstanceStatus],
    value: &dyn Fn(&InstanceStatus) -> Option<f64>,
) -> MetricFamily {
    for status in statuses {
        if let Some(value) = value(status) {
            reading.put(&[&status.instance], value);
        }
    }
    reading.done()
}

fn breaker(state: BreakerState) -> Option<f64> {
    match state {
        BreakerState::Unspecified => None,
        BreakerState::Closed => Some(0.0),
        BreakerState::HalfOpen => Some(1.0),
        BreakerState::Open => Some(2.0),
    }
}

fn router(plane: &Plane) -> Vec<MetricFamily> {
    let gauge = |name, help, value| Reading::gauge(name, help, []).with(&[], value).done();
    let (config, name) = (&plane.config, plane.config.instance.as_str());
    let since = plane.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    vec![
        gauge("waypost_in_flight", "Calls under way", plane.limit.in_use() as f64),
        gauge("waypost_in_flight_limit", "Most calls under way", plane.limit.max() as f64),
        gauge("waypost_retry_budget", "Retries that may be made now", plane.budget.balance() as f64),
        dropped(plane),
        Reading::gauge("waypost_info", "What runs", ["instance", "version"]).with(&[name, &config.version], 1.0).done(),
        Reading::gauge("waypost_start_time_seconds", "When it began, since 1970", ["instance"])
            .with(&[name], since)
            .done(),
    ]
}

fn dropped(plane: &Plane) -> MetricFamily {
    let rings = [
        ("decisions", plane.events.dropped()),
        ("audits", plane.audit.dropped()),
        ("payloads", plane.payloads.dropped()),
        ("feedback", plane.feedback.lines().dropped()),
        ("spans", plane.tracer.dropped()),
    ];
    let mut reading = Reading::counter("waypost_events_dropped", "Events that nobody took down in time", ["ring"]);
    rings.into_iter().for_each(|(ring, count)| reading.put(&[ring], count as f64));
    reading.done()
}

/// Read where the caches count, so that they agree with what the router's status says.
fn cache(plane: &Plane) -> Vec<MetricFamily> {
    let status = status::cache_status(plane);
    let mut requests = Reading::counter(
        "waypost_cache_requests",
        "Answers looked for among those kept; near: of a prompt that means the same",
        ["result"],
    );
    [("hit", status.hits), ("near", status.near_hits), ("miss", status.misses)]
        .into_iter()
        .for_each(|(result, count)| requests.put(&[result], count as f64));
    let bytes = Reading::gauge("waypost_cache_bytes", "Size of the answers kept", []);
    let shared = Reading::counter("waypost_cache_shared_hits", "Those of the hits that another router asked for", []);
    vec![
        requests.done(),
        bytes.with(&[], status.bytes as f64).done(),
        shared.with(&[], status.shared_hits as f64).done(),
    ]
}

/// What the routers of a store have in common.
fn shared(plane: &Plane) -> Vec<MetricFamily> {
    let mut hot = Reading::gauge("waypost_model_hot", "1 for each model in the hotset", ["model"]);
    plane.hotset.now().all.iter().for_each(|name| hot.put(&[name], 1.0));
    let up = Reading::gauge("waypost_store_up", "Whether the store of the ledger answered lately", []);
    let routers = Reading::gauge("waypost_routers", "Routers that share the rates of tenants, as last heard", []);
    let heard = plane.tenants.rates().map(|rates| routers.with(&[], rates.routers() as f64).done());
    let up = up.with(&[], f64::from(u8::from(plane.purse.is_up()))).done();
    [hot.done(), up].into_iter().chain(heard).collect()
}

impl Plane {
    /// Answers looked for among those kept: hits, near hits and misses.
    pub fn looked_up(&self) -> [u64; 3] {
        let status = status::cache_status(self);
        [status.hits, status.near_hits, status.misses]
    }
}

fn tiers(status: &TierStatus) -> Vec<MetricFamily> {
    let shares = |name, help, shares: [f64; 4]| {
        let mut reading = Reading::gauge(name, help, ["tier"]);
        TIERS.iter().zip(shares).for_each(|(tier, share)| reading.put(&[tier], share));
        reading.done()
    };
    let target =
        shares("waypost_tier_target_share", "Share of the prompts that a tier is meant to get", status.targets);
    let achieved = status.achieved.map(|achieved| {
        shares("waypost_tier_share", "Share of the latest prompts that a model of the tier answered", achieved)
    });
    [Some(target), achieved].into_iter().flatten().collect()
}

fn canaries(rollouts: &[Status]) -> Vec<MetricFamily> {
    let mut state = Reading::gauge("waypost_canary_state", "1 for the state it is in", ["rollout", "state"]);
    let mut share = Reading::gauge("waypost_canary_share", "Share of the calls that the canary gets", ["rollout"]);
    let arm = |name, help| Reading::gauge(name, help, ["rollout", "arm"]);
    let mut calls = arm("waypost_canary_calls", "Calls of this side since the step began");
    let mut errors = arm("waypost_canary_error_ratio", "Share of them that failed");
    let mut quality = arm("waypost_canary_quality", "How good their answers were found, 0 to 1");
    for Status { rollout, stable, canary, .. } in rollouts {
        for (name, each) in STATES {
            state.put(&[&rollout.name, name], f64::from(u8::from(rollout.state == each)));
        }
        share.put(&[&rollout.name], rollout.share_now());
        for (side, Published { counts, .. }) in [("stable", stable), ("canary", canary)] {
            let at: [&str; 2] = [&rollout.name, side];
            calls.put(&at, counts.calls as f64);
            if counts.calls > 0 {
                errors.put(&at, counts.errors as f64 / counts.calls as f64);
            }
            if counts.quality.n > 0 {
                quality.put(&at, counts.quality.sum / counts.quality.n as f64);
            }
        }
    }
    [state, share, calls, errors, quality].map(Reading::done).into()
}

/// Of all tenants together, and of those that are configured: others could be made up without end.
async fn budgets(plane: &Plane) -> Vec<MetricFamily> {
    let named = plane.config.tenants.iter().map(|tenant| tenant.name.as_str());
    let standings = join_all(std::iter::once("").chain(named).map(|tenant| standing(plane, tenant))).await;
    let gauge = |name, help| Reading::gauge(name, help, ["tenant"]);
    let mut spent = gauge("waypost_budget_spent_usd", "Spent this month; without a tenant: all together");
    let mut reserved = gauge("waypost_budget_reserved_usd", "Held for calls under way");
    let mut cap = gauge("waypost_budget_cap_usd", "Most that may be spent this month");
    for (tenant, standing, limit) in standings.into_iter().flatten() {
        spent.put(&[tenant], standing.spent.to_usd());
        reserved.put(&[tenant], standing.reserved.to_usd());
        if let Some(limit) = limit {
            cap.put(&[tenant], limit.to_usd());
        }
    }
    [spent, reserved, cap].map(Reading::done).into()
}

/// None where the ledger does not answer.
async fn standing<'a>(plane: &Plane, tenant: &'a str) -> Option<(&'a str, Standing, Option<Money>)> {
    let caps = plane.purse.caps(&plane.tenants.named(tenant));
    let (named, limit) = if tenant.is_empty() { (None, caps.mesh) } else { (Some(tenant), caps.tenant) };
    let caps = if tenant.is_empty() { Caps { tenant: None, ..caps } } else { Caps { mesh: None, ..caps } };
    let standing = plane.purse.store().standing(named, Month::of(SystemTime::now()), caps).await;
    standing.ok().map(|standing| (tenant, standing, limit))
}
