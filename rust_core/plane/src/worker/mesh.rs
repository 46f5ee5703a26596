//! `MeshService` of a worker: what it serves and how full it is.

use std::time::Instant;

use futures::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};
use waypost_decide::admit::Limit;

use super::shell::{SharedShell, Shell};
use crate::{
    error::Error,
    levels,
    metrics::Reading,
    proto::v1::{self, mesh_service_server::MeshService},
};

/// The service of one worker.
#[derive(Clone)]
pub struct Mesh(pub SharedShell);

#[tonic::async_trait]
impl MeshService for Mesh {
    async fn describe_instance(
        &self,
        _request: Request<v1::DescribeInstanceRequest>,
    ) -> Result<Response<v1::DescribeInstanceResponse>, Status> {
        let shell = &self.0;
        Ok(Response::new(v1::DescribeInstanceResponse {
            instance: shell.config.instance.clone(),
            version: shell.config.version.clone(),
            models: shell.infos(),
            queue_depth: depth(shell) as u32,
            queue_limit: limit(shell) as u32,
        }))
    }

    async fn list_models(
        &self,
        _request: Request<v1::ListModelsRequest>,
    ) -> Result<Response<v1::ListModelsResponse>, Status> {
        Ok(Response::new(v1::ListModelsResponse { models: self.0.infos() }))
    }

    async fn list_instances(
        &self,
        _request: Request<v1::ListInstancesRequest>,
    ) -> Result<Response<v1::ListInstancesResponse>, Status> {
        let shell = &self.0;
        let myself = v1::InstanceStatus {
            instance: shell.config.instance.clone(),
            address: shell.config.listen.clone(),
            state: v1::InstanceState::Ready as i32,
            models: shell.infos().into_iter().map(|model| model.name).collect(),
            in_flight: shell.flights.open() as u32,
            ..Default::default()
        };
        Ok(Response::new(v1::ListInstancesResponse { instances: vec![myself] }))
    }

    async fn explain(&self, _: Request<v1::ExplainRequest>) -> Result<Response<v1::ExplainResponse>, Status> {
        Err(of_the_router("Explain"))
    }

    async fn get_budget(&self, _: Request<v1::GetBudgetRequest>) -> Result<Response<v1::GetBudgetResponse>, Status> {
        Err(of_the_router("GetBudget"))
    }

    async fn send_feedback(
        &self,
        _: Request<v1::SendFeedbackRequest>,
    ) -> Result<Response<v1::SendFeedbackResponse>, Status> {
        Err(of_the_router("SendFeedback"))
    }

    async fn list_rollouts(
        &self,
        _: Request<v1::ListRolloutsRequest>,
    ) -> Result<Response<v1::ListRolloutsResponse>, Status> {
        Err(of_the_router("ListRollouts"))
    }

    async fn set_rollout(&self, _: Request<v1::SetRolloutRequest>) -> Result<Response<v1::SetRolloutResponse>, Status> {
        Err(of_the_router("SetRollout"))
    }

    async fn load_model(&self, _: Request<v1::LoadModelRequest>) -> Result<Response<v1::LoadModelResponse>, Status> {
        Err(of_the_router("LoadModel"))
    }

    async fn unload_model(
        &self,
        _: Request<v1::UnloadModelRequest>,
    ) -> Result<Response<v1::UnloadModelResponse>, Status> {
        Err(of_the_router("UnloadModel"))
    }

    async fn create_token(
        &self,
        _: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        Err(of_the_router("CreateToken"))
    }

    async fn list_tokens(&self, _: Request<v1::ListTokensRequest>) -> Result<Response<v1::ListTokensResponse>, Status> {
        Err(of_the_router("ListTokens"))
    }

    async fn revoke_token(
        &self,
        _: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        Err(of_the_router("RevokeToken"))
    }

    async fn get_metrics(&self, _: Request<v1::GetMetricsRequest>) -> Result<Response<v1::GetMetricsResponse>, Status> {
        Ok(Response::new(v1::GetMetricsResponse { families: metrics(&self.0, Instant::now()) }))
    }

    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Result<Response<v1::GetStatusResponse>, Status> {
        Err(of_the_router("GetStatus"))
    }

    async fn get_history(&self, _: Request<v1::GetHistoryRequest>) -> Result<Response<v1::GetHistoryResponse>, Status> {
        Err(of_the_router("GetHistory"))
    }

    async fn list_decisions(
        &self,
        _: Request<v1::ListDecisionsRequest>,
    ) -> Result<Response<v1::ListDecisionsResponse>, Status> {
        Err(of_the_router("ListDecisions"))
    }

    async fn drain_instance(
        &self,
        _: Request<v1::DrainInstanceRequest>,
    ) -> Result<Response<v1::DrainInstanceResponse>, Status> {
        Err(of_the_router("DrainInstance"))
    }

    async fn pin_model(&self, _: Request<v1::PinModelRequest>) -> Result<Response<v1::PinModelResponse>, Status> {
        Err(of_the_router("PinModel"))
    }

    async fn set_weights(&self, _: Request<v1::SetWeightsRequest>) -> Result<Response<v1::SetWeightsResponse>, Status> {
        Err(of_the_router("SetWeights"))
    }

    type SuperviseStream = BoxStream<'static, Result<v1::SuperviseResponse, Status>>;

    async fn supervise(
        &self,
        _: Request<Streaming<v1::SuperviseRequest>>,
    ) -> Result<Response<Self::SuperviseStream>, Status> {
        Err(of_the_router("Supervise"))
    }

    async fn set_log_level(
        &self,
        request: Request<v1::SetLogLevelRequest>,
    ) -> Result<Response<v1::SetLogLevelResponse>, Status> {
        self.0.levels.set(levels::asked(request.get_ref().level)?);
        Ok(Response::new(v1::SetLogLevelResponse { instances: vec![self.0.config.instance.clone()] }))
    }
}

/// What was counted, and what is there now.
fn metrics(shell: &Shell, now: Instant) -> Vec<v1::MetricFamily> {
    let (watch, instance) = (&shell.watch, &*shell.config.instance);
    if !watch.counts() {
        return Vec::new();
    }
    let gauge = |name, help, value: usize| Reading::gauge(name, help, ["instance"]).with(&[instance], value as f64);
    let depth = gauge("waypost_worker_queue_depth", "Texts and requests inside a worker", depth(shell));
    let limit = gauge("waypost_worker_queue_limit", "Texts and requests that may be inside a worker", limit(shell));
    let help = "Requests that a model is writing for";
    let mut slots = Reading::gauge("waypost_worker_slots_busy", help, ["instance", "model"]);
    for each in &shell.generators {
        slots.put(&[instance, each.name()], each.slots().busy() as f64);
    }
    let now_there = [depth, limit, slots].into_iter().map(Reading::done).filter(|family| !family.series.is_empty());
    watch.families(now).into_iter().chain(now_there).collect()
}

fn depth(shell: &Shell) -> usize {
    shell.rooms().map(Limit::in_use).sum()
}

fn limit(shell: &Shell) -> usize {
    shell.rooms().map(Limit::max).sum()
}

fn of_the_router(call: &str) -> Status {
    Error::NotImplemented { method: format!("MeshService/{call} of a worker: ask the router") }.into()
}
