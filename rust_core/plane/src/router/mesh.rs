//! `MeshService` of the router: what the mesh has and how it fares, put together from what the instances said.

use std::{
    collections::BTreeMap,
    iter::repeat,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tonic::{Request, Response, Status, Streaming};
use waypost_decide::{breaker, sequential::Sums};
use waypost_store::{Money, Month, StoreError};

use super::{
    Plane,
    auth::Caller,
    explain,
    instance::Instance,
    metrics,
    money::LEDGER_PAUSE,
    operate::By,
    registry::Model,
    rollouts::{self, Published, Rollout, State},
    status,
    supervise::{self, Demands},
    tokens::Wish,
};
use crate::{
    error::Error,
    levels,
    proto::v1::{self, BreakerState, InstanceState, ModelInfo, RolloutState, mesh_service_server::MeshService},
};

const EXPLAIN: &str = "/waypost.v1.MeshService/Explain";
const GET_BUDGET: &str = "/waypost.v1.MeshService/GetBudget";
const SET_ROLLOUT: &str = "/waypost.v1.MeshService/SetRollout";
const LOAD_MODEL: &str = "/waypost.v1.MeshService/LoadModel";
const UNLOAD_MODEL: &str = "/waypost.v1.MeshService/UnloadModel";
const DRAIN_INSTANCE: &str = "/waypost.v1.MeshService/DrainInstance";
const PIN_MODEL: &str = "/waypost.v1.MeshService/PinModel";
const SET_WEIGHTS: &str = "/waypost.v1.MeshService/SetWeights";
const SET_LOG_LEVEL: &str = "/waypost.v1.MeshService/SetLogLevel";
const CREATE_TOKEN: &str = "/waypost.v1.MeshService/CreateToken";
const REVOKE_TOKEN: &str = "/waypost.v1.MeshService/RevokeToken";

/// Shares of the canary where a rollout names none.
const DEFAULT_STEPS: [f64; 3] = [0.1, 0.3, 0.8];
const DEFAULT_STEP_LIMIT_S: f64 = 1800.0;

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

    async fn explain(&self, request: Request<v1::ExplainRequest>) -> Result<Response<v1::ExplainResponse>, Status> {
        let named = request.get_ref().route.as_ref().map_or("", |route| &route.tenant);
        let tenant = self.0.tenant_of(caller(&request)?, named, EXPLAIN)?;
        Ok(Response::new(explain::explain(&self.0, &tenant, request.get_ref()).await?))
    }

    async fn get_budget(
        &self,
        request: Request<v1::GetBudgetRequest>,
    ) -> Result<Response<v1::GetBudgetResponse>, Status> {
        let tenant = &request.get_ref().tenant;
        let caller = caller(&request)?;
        self.allowed(caller, GET_BUDGET, caller.may_see(tenant))?;
        Ok(Response::new(budget(&self.0, tenant).await?))
    }

    async fn send_feedback(
        &self,
        request: Request<v1::SendFeedbackRequest>,
    ) -> Result<Response<v1::SendFeedbackResponse>, Status> {
        let tenant = caller(&request)?.tenant.clone();
        let v1::SendFeedbackRequest { request_id, score } = request.into_inner();
        if !(0.0..=1.0).contains(&score) {
            let (field, expected) = ("score".into(), "0 to 1".into());
            return Err(Error::InvalidField { field, actual: score.to_string(), expected }.into());
        }
        let model = self.0.feedback.take(&request_id, tenant.as_deref(), score, self.0.clock.now())?;
        Ok(Response::new(v1::SendFeedbackResponse { model }))
    }

    async fn list_rollouts(
        &self,
        _: Request<v1::ListRolloutsRequest>,
    ) -> Result<Response<v1::ListRolloutsResponse>, Status> {
        let rollouts = self.0.rollouts.all(self.0.clock.now()).into_iter().map(Into::into).collect();
        Ok(Response::new(v1::ListRolloutsResponse { rollouts }))
    }

    async fn set_rollout(
        &self,
        request: Request<v1::SetRolloutRequest>,
    ) -> Result<Response<v1::SetRolloutResponse>, Status> {
        let caller = caller(&request)?.clone();
        let missing = || Error::InvalidField {
            field: "rollout".into(),
            actual: "absent".into(),
            expected: "the rollout to be".into(),
        };
        let asked = request.into_inner().rollout.ok_or_else(missing)?;
        let detail = format!("rollout {:?} to {:?}", asked.name, asked.state());
        let set = async { self.0.rollouts.set(Rollout::try_from(asked)?, self.0.clock.now()).await };
        let set = self.changed(&caller, SET_ROLLOUT, &detail, set.await)?;
        Ok(Response::new(v1::SetRolloutResponse { rollout: Some(set.into()) }))
    }

    async fn load_model(
        &self,
        request: Request<v1::LoadModelRequest>,
    ) -> Result<Response<v1::LoadModelResponse>, Status> {
        let model = self.0.set_loaded(by(&request, LOAD_MODEL)?, &request.get_ref().model, true)?;
        Ok(Response::new(v1::LoadModelResponse { model }))
    }

    async fn unload_model(
        &self,
        request: Request<v1::UnloadModelRequest>,
    ) -> Result<Response<v1::UnloadModelResponse>, Status> {
        let model = self.0.set_loaded(by(&request, UNLOAD_MODEL)?, &request.get_ref().model, false)?;
        Ok(Response::new(v1::UnloadModelResponse { model }))
    }

    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let caller = caller(&request)?.clone();
        let wish = wish(request.into_inner())?;
        let detail = format!("for tenant {:?}, role {:?}", wish.tenant, wish.role.as_str());
        let made = self.0.auth.create(&caller, wish).await;
        let detail = match &made {
            Ok((token, _)) => format!("token {:?} {detail}", token.id()),
            Err(_) => format!("a token {detail}"),
        };
        let (token, secret) = self.changed(&caller, CREATE_TOKEN, &detail, made)?;
        Ok(Response::new(v1::CreateTokenResponse { token: Some(token.into()), secret }))
    }

    async fn list_tokens(&self, _: Request<v1::ListTokensRequest>) -> Result<Response<v1::ListTokensResponse>, Status> {
        let tokens = self.0.auth.tokens.list().await?.into_iter().map(Into::into).collect();
        Ok(Response::new(v1::ListTokensResponse { tokens }))
    }

    async fn revoke_token(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        let id = &request.get_ref().id;
        let revoked = self.0.auth.tokens.revoke(id).await;
        let token = self.changed(caller(&request)?, REVOKE_TOKEN, &format!("token {id:?}"), revoked)?;
        Ok(Response::new(v1::RevokeTokenResponse { token: Some(token.into()) }))
    }

    async fn get_metrics(
        &self,
        request: Request<v1::GetMetricsRequest>,
    ) -> Result<Response<v1::GetMetricsResponse>, Status> {
        let families = metrics::gather(&self.0, request.get_ref().own_only).await;
        Ok(Response::new(v1::GetMetricsResponse { families }))
    }

    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        Ok(Response::new(status::glance(&self.0, caller(&request)?.role)))
    }

    async fn get_history(
        &self,
        request: Request<v1::GetHistoryRequest>,
    ) -> Result<Response<v1::GetHistoryResponse>, Status> {
        let after = request.get_ref().after.and_then(|after| SystemTime::try_from(after).ok());
        Ok(Response::new(self.0.history.told(after)))
    }

    async fn list_decisions(
        &self,
        request: Request<v1::ListDecisionsRequest>,
    ) -> Result<Response<v1::ListDecisionsResponse>, Status> {
        Ok(Response::new(v1::ListDecisionsResponse { decisions: self.0.events.recent(request.get_ref()) }))
    }

    async fn drain_instance(
        &self,
        request: Request<v1::DrainInstanceRequest>,
    ) -> Result<Response<v1::DrainInstanceResponse>, Status> {
        let v1::DrainInstanceRequest { instance, drained } = request.get_ref();
        let instance = self.0.set_drained(by(&request, DRAIN_INSTANCE)?, instance, *drained)?;
        Ok(Response::new(v1::DrainInstanceResponse { instance: Some(instance) }))
    }

    async fn pin_model(&self, request: Request<v1::PinModelRequest>) -> Result<Response<v1::PinModelResponse>, Status> {
        let v1::PinModelRequest { model, pinned } = request.get_ref();
        let model = self.0.set_pinned(by(&request, PIN_MODEL)?, model, *pinned).await?;
        Ok(Response::new(v1::PinModelResponse { model }))
    }

    async fn set_weights(
        &self,
        request: Request<v1::SetWeightsRequest>,
    ) -> Result<Response<v1::SetWeightsResponse>, Status> {
        let weights = self.0.set_weights(by(&request, SET_WEIGHTS)?, request.get_ref().weights)?;
        Ok(Response::new(v1::SetWeightsResponse { weights: Some(weights) }))
    }

    type SuperviseStream = Demands;

    async fn supervise(&self, request: Request<Streaming<v1::SuperviseRequest>>) -> Result<Response<Demands>, Status> {
        Ok(Response::new(supervise::supervise(self.0.clone(), request.into_inner())))
    }

    async fn set_log_level(
        &self,
        request: Request<v1::SetLogLevelRequest>,
    ) -> Result<Response<v1::SetLogLevelResponse>, Status> {
        let v1::SetLogLevelRequest { level, instance } = request.get_ref();
        let (by, level) = (by(&request, SET_LOG_LEVEL)?, levels::asked(*level)?);
        Ok(Response::new(v1::SetLogLevelResponse { instances: self.0.set_log_level(by, level, instance).await? }))
    }
}

impl Mesh {
    fn changed<T>(&self, by: &Caller, method: &str, detail: &str, result: Result<T, Error>) -> Result<T, Status> {
        self.0.audit.changed(by, method, detail, &result);
        Ok(result?)
    }

    fn allowed(&self, by: &Caller, method: &str, whether: Result<(), Error>) -> Result<(), Error> {
        whether.inspect_err(|error| self.0.audit.refused(&by.peer, Some(by), method, error))
    }
}

/// Who asks for a change, and how.
pub fn by<'a, T>(request: &'a Request<T>, method: &'static str) -> Result<By<'a>, Error> {
    Ok(By { caller: caller(request)?, method })
}

/// Who calls: the door has said so.
pub fn caller<T>(request: &Request<T>) -> Result<&Caller, Error> {
    request.extensions().get().ok_or(Error::Unauthenticated { why: "nobody knows who calls" })
}

fn wish(asked: v1::CreateTokenRequest) -> Result<Wish, Error> {
    let role = asked.role().into();
    let lifetime = asked.lifetime.map(Duration::try_from).transpose();
    let lifetime = lifetime.map_err(|error| Error::InvalidField {
        field: "lifetime".into(),
        actual: error.to_string(),
        expected: "more than 0 seconds".into(),
    })?;
    Ok(Wish { tenant: asked.tenant, role, note: asked.note, lifetime })
}

/// What was spent this month and what is left.
async fn budget(plane: &Plane, tenant: &str) -> Result<v1::GetBudgetResponse, Error> {
    let month = Month::of(SystemTime::now());
    let named = Some(tenant).filter(|name| !name.is_empty());
    let away = |why: StoreError| Error::LedgerUnreachable { why: why.to_string(), retry_after: LEDGER_PAUSE };
    let mut caps = plane.purse.caps(&plane.tenants.named(tenant));
    if named.is_some() {
        caps.mesh = None;
    }
    let store = plane.purse.store();
    let standing = store.standing(named, month, caps).await.map_err(away)?;
    let models = store.spend_by_model(named, month).await.map_err(away)?;
    Ok(v1::GetBudgetResponse {
        month: month.to_string(),
        cap_usd: caps.tenant.filter(|_| named.is_some()).or(caps.mesh).map(Money::to_usd),
        spent_usd: standing.spent.to_usd(),
        reserved_usd: standing.reserved.to_usd(),
        remaining_usd: standing.remaining.map(Money::to_usd),
        models: models
            .into_iter()
            .map(|each| v1::ModelSpend { model: each.model, calls: each.calls, spent_usd: each.spent.to_usd() })
            .collect(),
    })
}

impl From<rollouts::Status> for v1::RolloutStatus {
    fn from(status: rollouts::Status) -> Self {
        Self {
            rollout: Some(status.rollout.into()),
            stable: Some(status.stable.into()),
            canary: Some(status.canary.into()),
        }
    }
}

impl From<Published> for v1::RolloutArm {
    fn from(arm: Published) -> Self {
        let mean = |sums: Sums| (sums.n > 0).then(|| sums.sum / sums.n as f64);
        let duration = |millis: f64| Duration::try_from_secs_f64(millis / 1e3).ok().and_then(|d| d.try_into().ok());
        Self {
            calls: arm.counts.calls,
            errors: arm.counts.errors,
            latency_p50: duration(arm.latency_p50_ms),
            latency_p95: duration(arm.latency_p95_ms),
            quality: mean(arm.counts.quality),
            feedback: mean(arm.counts.feedback),
        }
    }
}

impl From<Rollout> for v1::Rollout {
    fn from(rollout: Rollout) -> Self {
        let state = match rollout.state {
            State::Running => RolloutState::Running,
            State::Promoted => RolloutState::Promoted,
            State::RolledBack => RolloutState::RolledBack,
            State::Inconclusive => RolloutState::Inconclusive,
        };
        Self {
            name: rollout.name,
            stable: rollout.stable,
            canary: rollout.canary,
            steps: rollout.steps,
            step: rollout.step as u32,
            shadow_share: rollout.shadow_share,
            step_limit: Duration::try_from_secs_f64(rollout.step_limit_s).ok().and_then(|d| d.try_into().ok()),
            state: state.into(),
            reason: rollout.reason,
            revision: rollout.revision,
        }
    }
}

impl TryFrom<v1::Rollout> for Rollout {
    type Error = Error;

    /// What is absent has its default; the rest is for [`Rollout::check`].
    fn try_from(asked: v1::Rollout) -> Result<Self, Error> {
        let state = match asked.state() {
            RolloutState::Unspecified | RolloutState::Running => State::Running,
            RolloutState::Promoted => State::Promoted,
            RolloutState::RolledBack => State::RolledBack,
            RolloutState::Inconclusive => State::Inconclusive,
        };
        let limit = asked.step_limit.map(Duration::try_from).transpose();
        let limit = limit.map_err(|error| Error::InvalidField {
            field: "rollout.step_limit".into(),
            actual: error.to_string(),
            expected: "more than 0 seconds".into(),
        })?;
        let steps = if asked.steps.is_empty() { DEFAULT_STEPS.to_vec() } else { asked.steps };
        Ok(Self {
            name: asked.name,
            stable: asked.stable,
            canary: asked.canary,
            steps,
            step: asked.step as usize,
            shadow_share: asked.shadow_share,
            step_limit_s: limit.map_or(DEFAULT_STEP_LIMIT_S, |limit| limit.as_secs_f64()),
            state,
            reason: asked.reason,
            revision: asked.revision,
        })
    }
}

/// The model of this name.
pub fn model(plane: &Plane, of: &Model) -> Option<ModelInfo> {
    models(plane).into_iter().find(|info| *info.name == *of.name)
}

/// Each version of each model once, with all that any instance has of it.
pub fn models(plane: &Plane) -> Vec<ModelInfo> {
    let mut merged: BTreeMap<(String, String), ModelInfo> = BTreeMap::new();
    let (snapshot, hot) = (plane.registry.snapshot(), plane.hotset.now());
    let (models, unloaded) = (snapshot.models.iter().zip(repeat(false)), snapshot.unloaded.iter().zip(repeat(true)));
    for (replica, unloaded) in models.chain(unloaded).flat_map(|(model, un)| model.replicas.iter().zip(repeat(un))) {
        let name = &replica.served.info.name;
        let (pinned, hot) = (hot.pinned.contains(name), hot.all.contains(name));
        let info = ModelInfo { unloaded, pinned, hot, ..replica.served.info.clone() };
        let key = (info.name.clone(), info.version.clone());
        merged.entry(key).and_modify(|known| merge(known, &info)).or_insert(info);
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

/// How one fares.
pub fn status(instance: &Instance, now: Duration) -> v1::InstanceStatus {
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
        breaker: match stats.breaker(now) {
            breaker::State::Closed { .. } => BreakerState::Closed,
            breaker::State::HalfOpen { .. } => BreakerState::HalfOpen,
            breaker::State::Open { .. } => BreakerState::Open,
        }
        .into(),
        ejections: stats.ejections,
        drained: instance.is_drained(),
    }
}
