//! The worker's shell: everything around a model's runs that Python need not do per request.
//!
//! A call of a model that reads texts goes down: a service ([`embed`], [`classify`], [`rerank`]) checks and admits it, [`model`] tokenises it off
//! the reactor, [`queue`] keeps it by urgency, and a session thread of [`engine`] hands it to the [`run::Runner`],
//! which is the one place where Python is entered.  A call of a model that writes goes through [`generate`],
//! one of a store of documents through [`retrieve`].

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::Request;
use hyper::body::Incoming;
use tonic::service::Routes;
use tower::ServiceExt;
use waypost_decide::admit::Limit;

use crate::{
    address::{Address, InvalidAddress},
    flight::Flights,
    gate::Gate,
    health::{self, Health, ServingStatus},
    levels::Levels,
    proto::v1::{
        Task, classify_service_server::ClassifyServiceServer, embed_service_server::EmbedServiceServer,
        generate_service_server::GenerateServiceServer, mesh_service_server::MeshServiceServer,
        rerank_service_server::RerankServiceServer, retrieve_service_server::RetrieveServiceServer,
    },
    server::{self, Entrance, Server},
};

mod cache;
mod call;
mod classify;
pub mod config;
mod embed;
mod engine;
pub mod generate;
pub mod inbox;
mod limits;
mod measure;
mod mesh;
pub mod model;
mod queue;
pub mod refusal;
mod rerank;
pub mod retrieve;
pub mod run;
mod shell;
mod watch;

use config::WorkerConfig;
use generate::{Generator, job::Job};
use inbox::Inbox;
use measure::Measured;
use model::{LoadError, Model};
use retrieve::{Desk, Retriever};
use run::Runner;
use shell::Shell;
use watch::{Watch, door::Door};

/// Work below this many bytes of text is done where it is: handing it to another thread would take longer.
const INLINE_BYTES: usize = 4096;

/// What is left of the traces has so long to be sent.
const FLUSH: Duration = Duration::from_secs(2);

/// Why a worker did not start.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum StartError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: String, source: std::io::Error },
    #[error("telemetry.otlp: {0}")]
    Traces(std::io::Error),
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A running worker.
pub struct Worker {
    server: Server,
    levels: Levels,
    watch: Arc<Watch>,
}

impl Worker {
    /// Loads every model, then listens, then reports itself as serving.
    pub async fn start(
        config: WorkerConfig,
        mut runners: HashMap<String, Vec<Box<dyn Runner>>>,
        mut inboxes: HashMap<String, Arc<Inbox<Job>>>,
        mut desks: HashMap<String, Desk>,
    ) -> Result<Self, StartError> {
        let address: Address = config.listen.parse()?;
        let tls = config.tls.clone();
        let watch = Arc::new(Watch::start(&config.instance, &config.telemetry).map_err(StartError::Traces)?);
        let load = |model: &config::ModelConfig| {
            let sessions = runners.remove(&model.identity.name).unwrap_or_default();
            Model::load(model.clone(), sessions, config.vector_cache, watch.clone())
        };
        let models = config.models.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        let open = |each: &config::GeneratorConfig| {
            Arc::new(Generator::open(each.clone(), inboxes.remove(&each.identity.name).unwrap_or_default()))
        };
        let generators = config.generators.iter().map(open).collect();
        let keep = |each: &config::RetrieverConfig| {
            Retriever::open(each.clone(), desks.remove(&each.identity.name).unwrap_or_default(), &models)
        };
        let retrievers = config.retrievers.iter().map(keep).collect::<Result<_, _>>()?;
        let flights = Flights::default();
        let room = Limit::new(config.limits.queue_limit);
        let levels = Levels::new(config.telemetry.level());
        let shell = Arc::new(Shell {
            config,
            models,
            generators,
            retrievers,
            room,
            flights: flights.clone(),
            levels: levels.clone(),
            watch: watch.clone(),
        });
        let health = Health::default();
        let limit = shell.limits().max_receive_bytes;
        let measured = move |request: Request<Incoming>| request.map(|body| Measured::new(body, limit));
        let app = Door::new(routes(&shell, &health)?.map_request(measured).boxed_clone(), watch.clone());
        let listen = |source| StartError::Listen { address: address.to_string(), source };
        let entrance = Entrance::front(address.clone(), tls);
        let gate = move |peer| Gate::new(app.clone(), peer);
        let server = Server::start(&[entrance], gate, health.clone(), flights).await.map_err(listen)?;
        report_serving(&shell, &health);
        Ok(Self { server, levels, watch })
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.server.address
    }

    /// What its process is to write to its log.
    pub fn levels(&self) -> Levels {
        self.levels.clone()
    }

    /// Flips health, lets the calls in flight end, closes; whether all ended within `patience`.
    pub async fn drain(self, patience: Duration) -> bool {
        let clean = self.server.drain(patience).await;
        self.watch.close(FLUSH).await;
        clean
    }
}

fn routes(shell: &Arc<Shell>, health: &Health) -> Result<Routes, tonic_reflection::server::Error> {
    let embed = EmbedServiceServer::new(embed::Embedder(shell.clone()));
    let classify = ClassifyServiceServer::new(classify::Classifier(shell.clone()));
    let rerank = RerankServiceServer::new(rerank::Reranker(shell.clone()));
    let generate = GenerateServiceServer::new(generate::Writer(shell.clone()));
    let retrieve = RetrieveServiceServer::new(retrieve::Librarian(shell.clone()));
    // No limits here: `measure` has refused what is too large.
    Ok(server::common_routes(health, &[])?
        .add_service(embed.max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX))
        .add_service(classify.max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX))
        .add_service(rerank.max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX))
        .add_service(generate.max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX))
        .add_service(retrieve.max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX))
        .add_service(MeshServiceServer::new(mesh::Mesh(shell.clone()))))
}

fn report_serving(shell: &Shell, health: &Health) {
    let services = [
        (Task::Embed, "waypost.v1.EmbedService"),
        (Task::Classify, "waypost.v1.ClassifyService"),
        (Task::Rerank, "waypost.v1.RerankService"),
        (Task::Generate, "waypost.v1.GenerateService"),
        (Task::Retrieve, "waypost.v1.RetrieveService"),
    ];
    let models = shell.infos();
    for (task, name) in services {
        let has = models.iter().any(|model| model.tasks.contains(&(task as i32)));
        health.set(name, if has { ServingStatus::Serving } else { ServingStatus::NotServing });
    }
    for model in &models {
        health.set(&health::model_name(&model.name), ServingStatus::Serving);
    }
    health.set("waypost.v1.MeshService", ServingStatus::Serving);
    health.set("", ServingStatus::Serving);
}

/// Does CPU work on `bytes` of text without holding up the sockets.
async fn off_reactor<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes < INLINE_BYTES {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
