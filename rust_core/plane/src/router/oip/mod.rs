//! The Open Inference Protocol v2, as Triton speaks it: `inference.GRPCInferenceService`.
//!
//! Tensors in, tensors out: docs/oip.md says which stand for what.  [`infer`] understands a request by its inputs and
//! [`outputs`], as [`texts`], [`rerank`] or [`generate`] has it; [`inner`] makes the native call that answers it;
//! [`answered`] turns that into tensors, and [`signed`] writes the trailers.  [`stream`] does so for many at once.
//! Beside them, [`describe`] and [`statistics`] speak of the models.

use std::{borrow::Cow, sync::Arc};

use tonic::{Request, Response, Status, Streaming};

mod answered;
mod describe;
mod generate;
mod infer;
mod inner;
mod known;
mod outputs;
mod parameters;
mod rerank;
mod signed;
mod statistics;
mod stream;
mod tensor;
mod texts;

use infer::Infer;
use inner::Arrival;
use known::Known;
use signed::{Said, Signed};
use statistics::Statistics;

use super::{Plane, mesh};
use crate::{
    error::Error,
    proto::{
        inference::{
            self as oip,
            grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer},
            log_settings_response, trace_setting_response,
        },
        v1::{RouteHints, Truncation},
    },
};

/// The service.
#[derive(Clone)]
pub struct Oip {
    plane: Arc<Plane>,
    statistics: Arc<Statistics>,
}

/// What requests of all tasks have.
#[derive(Debug)]
struct Common {
    model: String,
    route: RouteHints,
    truncation: Truncation,
}

/// A field that cannot be meant.
fn invalid(field: impl Into<Cow<'static, str>>, actual: impl Into<String>, expected: impl Into<String>) -> Error {
    Error::InvalidField { field: field.into(), actual: actual.into(), expected: expected.into() }
}

/// In the contract, and not done here.
fn not_done<T>(method: &str) -> Result<T, Status> {
    Err(Error::NotImplemented { method: format!("GRPCInferenceService/{method}") }.into())
}

impl Oip {
    fn set_loaded<T>(
        &self,
        request: &Request<T>,
        method: &'static str,
        model: &str,
        loaded: bool,
    ) -> Result<(), Error> {
        self.plane.set_loaded(mesh::by(request, method)?, model, loaded).map(|_| ())
    }
}

/// Serves it by `plane`.
pub fn service(plane: Arc<Plane>) -> Signed<GrpcInferenceServiceServer<Oip>> {
    let limit = plane.config.limits.max_receive_bytes;
    let server = GrpcInferenceServiceServer::new(Oip { plane, statistics: Arc::default() });
    let service = server.max_decoding_message_size(limit).max_encoding_message_size(usize::MAX);
    Signed { service, limit }
}

#[tonic::async_trait]
impl GrpcInferenceService for Oip {
    async fn server_live(
        &self,
        _: Request<oip::ServerLiveRequest>,
    ) -> Result<Response<oip::ServerLiveResponse>, Status> {
        Ok(Response::new(oip::ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<oip::ServerReadyRequest>,
    ) -> Result<Response<oip::ServerReadyResponse>, Status> {
        Ok(Response::new(oip::ServerReadyResponse { ready: describe::is_server_ready(&self.plane) }))
    }

    async fn model_ready(
        &self,
        request: Request<oip::ModelReadyRequest>,
    ) -> Result<Response<oip::ModelReadyResponse>, Status> {
        let oip::ModelReadyRequest { name, version } = request.get_ref();
        Ok(Response::new(oip::ModelReadyResponse { ready: describe::is_ready(&self.plane, name, version) }))
    }

    async fn server_metadata(
        &self,
        _: Request<oip::ServerMetadataRequest>,
    ) -> Result<Response<oip::ServerMetadataResponse>, Status> {
        Ok(Response::new(describe::server(&self.plane)))
    }

    async fn model_metadata(
        &self,
        request: Request<oip::ModelMetadataRequest>,
    ) -> Result<Response<oip::ModelMetadataResponse>, Status> {
        let oip::ModelMetadataRequest { name, version } = request.into_inner();
        let known = Known::get(&self.plane, &name, &version)?;
        Ok(Response::new(describe::metadata(name, &known)))
    }

    async fn model_infer(
        &self,
        request: Request<oip::ModelInferRequest>,
    ) -> Result<Response<oip::ModelInferResponse>, Status> {
        let arrival = Arrival::new(&self.plane, &request);
        let infer = Infer::read(self, &arrival, request.into_inner())?;
        let answered = infer.answer().await?;
        let said = Said(answered.said.clone());
        let mut response = Response::new(answered.into_response(infer.id));
        response.extensions_mut().insert(said);
        Ok(response)
    }

    type ModelStreamInferStream = stream::Responses;

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<oip::ModelInferRequest>>,
    ) -> Result<Response<Self::ModelStreamInferStream>, Status> {
        let arrival = Arrival::new(&self.plane, &request);
        Ok(Response::new(stream::answers(self.clone(), arrival, request.into_inner())))
    }

    async fn model_config(
        &self,
        request: Request<oip::ModelConfigRequest>,
    ) -> Result<Response<oip::ModelConfigResponse>, Status> {
        let oip::ModelConfigRequest { name, version } = request.into_inner();
        let known = Known::get(&self.plane, &name, &version)?;
        Ok(Response::new(oip::ModelConfigResponse { config: Some(describe::config(name, &known)) }))
    }

    async fn model_statistics(
        &self,
        request: Request<oip::ModelStatisticsRequest>,
    ) -> Result<Response<oip::ModelStatisticsResponse>, Status> {
        let oip::ModelStatisticsRequest { name, version } = request.get_ref();
        let names: Vec<_> = match name.as_str() {
            "" => mesh::models(&self.plane).into_iter().map(|info| (info.name, info.version)).collect(),
            name => {
                let known = Known::get(&self.plane, name, version)?;
                known.versions().into_iter().map(|version| (known.model.name.to_string(), version)).collect()
            }
        };
        let model_stats = names.iter().map(|(name, version)| self.statistics.of(name, version)).collect();
        Ok(Response::new(oip::ModelStatisticsResponse { model_stats }))
    }

    async fn repository_index(
        &self,
        request: Request<oip::RepositoryIndexRequest>,
    ) -> Result<Response<oip::RepositoryIndexResponse>, Status> {
        let models = describe::index(&self.plane, request.get_ref().ready);
        Ok(Response::new(oip::RepositoryIndexResponse { models }))
    }

    async fn repository_model_load(
        &self,
        request: Request<oip::RepositoryModelLoadRequest>,
    ) -> Result<Response<oip::RepositoryModelLoadResponse>, Status> {
        let parameters = request.get_ref().parameters.keys().map(String::as_str);
        if let Some(unknown) = parameters.min() {
            let field = format!("parameters.{unknown}");
            return Err(invalid(field, "there", "absent: a model's files and settings are its worker's").into());
        }
        self.set_loaded(
            &request,
            "/inference.GRPCInferenceService/RepositoryModelLoad",
            &request.get_ref().model_name,
            true,
        )?;
        Ok(Response::new(oip::RepositoryModelLoadResponse {}))
    }

    async fn repository_model_unload(
        &self,
        request: Request<oip::RepositoryModelUnloadRequest>,
    ) -> Result<Response<oip::RepositoryModelUnloadResponse>, Status> {
        self.set_loaded(
            &request,
            "/inference.GRPCInferenceService/RepositoryModelUnload",
            &request.get_ref().model_name,
            false,
        )?;
        Ok(Response::new(oip::RepositoryModelUnloadResponse {}))
    }

    async fn system_shared_memory_status(
        &self,
        _: Request<oip::SystemSharedMemoryStatusRequest>,
    ) -> Result<Response<oip::SystemSharedMemoryStatusResponse>, Status> {
        Ok(Response::new(oip::SystemSharedMemoryStatusResponse::default()))
    }

    async fn system_shared_memory_register(
        &self,
        _: Request<oip::SystemSharedMemoryRegisterRequest>,
    ) -> Result<Response<oip::SystemSharedMemoryRegisterResponse>, Status> {
        not_done("SystemSharedMemoryRegister")
    }

    async fn system_shared_memory_unregister(
        &self,
        _: Request<oip::SystemSharedMemoryUnregisterRequest>,
    ) -> Result<Response<oip::SystemSharedMemoryUnregisterResponse>, Status> {
        not_done("SystemSharedMemoryUnregister")
    }

    async fn cuda_shared_memory_status(
        &self,
        _: Request<oip::CudaSharedMemoryStatusRequest>,
    ) -> Result<Response<oip::CudaSharedMemoryStatusResponse>, Status> {
        Ok(Response::new(oip::CudaSharedMemoryStatusResponse::default()))
    }

    async fn cuda_shared_memory_register(
        &self,
        _: Request<oip::CudaSharedMemoryRegisterRequest>,
    ) -> Result<Response<oip::CudaSharedMemoryRegisterResponse>, Status> {
        not_done("CudaSharedMemoryRegister")
    }

    async fn cuda_shared_memory_unregister(
        &self,
        _: Request<oip::CudaSharedMemoryUnregisterRequest>,
    ) -> Result<Response<oip::CudaSharedMemoryUnregisterResponse>, Status> {
        not_done("CudaSharedMemoryUnregister")
    }

    async fn trace_setting(
        &self,
        request: Request<oip::TraceSettingRequest>,
    ) -> Result<Response<oip::TraceSettingResponse>, Status> {
        if !request.get_ref().settings.is_empty() {
            return not_done("TraceSetting with settings");
        }
        let off = trace_setting_response::SettingValue { value: vec!["OFF".into()] };
        Ok(Response::new(oip::TraceSettingResponse { settings: [("trace_level".to_string(), off)].into() }))
    }

    async fn log_settings(
        &self,
        request: Request<oip::LogSettingsRequest>,
    ) -> Result<Response<oip::LogSettingsResponse>, Status> {
        if !request.get_ref().settings.is_empty() {
            return not_done("LogSettings with settings");
        }
        let quiet = log_settings_response::setting_value::ParameterChoice::Uint32Param(0);
        let quiet = log_settings_response::SettingValue { parameter_choice: Some(quiet) };
        Ok(Response::new(oip::LogSettingsResponse { settings: [("log_verbose_level".to_string(), quiet)].into() }))
    }
}
