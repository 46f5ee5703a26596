//! `grpc.health.v1`: one name for the whole server (""), one per service, one per model (`models/NAME`).
//!
//! Written here rather than taken from tonic-health because Watch of a name that is not known yet must stay open and
//! report SERVICE_UNKNOWN (tonic-health refuses it), and because the watches must end when the server drains.

use std::{collections::HashMap, pin::Pin, sync::Arc};

use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};
pub use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_server::{self, HealthServer},
};

/// Names that may be watched at once, known or not; beyond it a Watch is refused.
const NAME_LIMIT: usize = 4096;

/// Shared table of serving states.
#[derive(Clone, Default)]
pub struct Health {
    names: Arc<Mutex<HashMap<String, watch::Sender<ServingStatus>>>>,
}

/// The health name of a model.
pub fn model_name(model: &str) -> String {
    format!("models/{model}")
}

impl Health {
    /// Sets the state of one name; watchers hear of changes only.
    pub fn set(&self, name: &str, status: ServingStatus) {
        let mut names = self.names.lock();
        let sender = names.entry(name.to_string()).or_insert_with(|| watch::Sender::new(status));
        sender.send_if_modified(|current| std::mem::replace(current, status) != status);
    }

    /// Every known name stops serving: the first step of a drain.
    pub fn stop_serving(&self) {
        for sender in self.names.lock().values() {
            sender.send_if_modified(|status| {
                std::mem::replace(status, ServingStatus::NotServing) == ServingStatus::Serving
            });
        }
    }

    /// Ends every Watch, so that connections can close.
    pub fn end_watches(&self) {
        self.names.lock().clear();
    }

    /// The gRPC service.
    pub fn service(&self) -> HealthServer<Self> {
        HealthServer::new(self.clone())
    }

    /// Whether a name serves now.
    pub fn is_serving(&self, name: &str) -> bool {
        self.status(name) == Some(ServingStatus::Serving)
    }

    fn status(&self, name: &str) -> Option<ServingStatus> {
        self.names.lock().get(name).map(|sender| *sender.borrow())
    }

    fn watch(&self, name: &str) -> Result<watch::Receiver<ServingStatus>, Status> {
        let mut names = self.names.lock();
        names.retain(|_, sender| !(sender.receiver_count() == 0 && *sender.borrow() == ServingStatus::ServiceUnknown));
        if names.len() >= NAME_LIMIT && !names.contains_key(name) {
            return Err(Status::resource_exhausted("too many names are watched: watch those of ListModels"));
        }
        let sender = names.entry(name.to_string()).or_insert_with(|| watch::Sender::new(ServingStatus::ServiceUnknown));
        Ok(sender.subscribe())
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let name = &request.get_ref().service;
        match self.status(name) {
            Some(ServingStatus::ServiceUnknown) | None => Err(Status::not_found(format!("unknown service {name:?}"))),
            Some(status) => Ok(Response::new(response(status))),
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let changes = WatchStream::new(self.watch(&request.get_ref().service)?);
        Ok(Response::new(Box::pin(changes.map(|status| Ok(response(status))))))
    }
}
