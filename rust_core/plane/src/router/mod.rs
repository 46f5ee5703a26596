//! The router: one door for many workers.
//!
//! Read a call downwards: [`service`] tells the calls that are forwarded ([`methods`]) from the router's own
//! ([`mesh`], health, reflection); [`call`] admits and reads it; [`models`] and [`replicas`] choose; [`forward`] sends
//! the original bytes over a [`link`] and judges the [`outcome`]; a whole [`reply`] or a [`stream`] goes back;
//! [`events`] keep the record.  Beside it, [`registry`] and [`connection`] keep the [`instance`]s known and connected,
//! and [`stats`] what is known of them.

use std::{io, sync::Arc, time::Duration};

use waypost_decide::{Limit, RetryBudget};

use crate::{
    address::Address,
    flight::Flights,
    health::Health,
    proto::v1::mesh_service_server::MeshServiceServer,
    server::{self, Server},
};

mod attempt;
mod call;
pub mod config;
mod connection;
mod envelope;
mod events;
mod forward;
mod instance;
mod link;
mod mesh;
mod methods;
mod models;
mod outcome;
mod registry;
mod replicas;
mod reply;
mod request;
mod service;
mod stats;
mod status;
mod stream;

use attempt::Clock;
use config::RouterConfig;
pub use events::Events;
use registry::Registry;
use replicas::Chooser;
use service::RouterService;

/// Connections that have not closed by then are dropped.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// What all calls share.
pub struct Plane {
    config: Arc<RouterConfig>,
    registry: Arc<Registry>,
    chooser: Chooser,
    limit: Limit,
    budget: RetryBudget,
    flights: Flights,
    events: Events,
    clock: Clock,
}

impl Plane {
    fn new(config: RouterConfig, health: Health, flights: Flights) -> Self {
        let config = Arc::new(config);
        let clock = Clock::default();
        Self {
            registry: Arc::new(Registry::new(config.clone(), health)),
            chooser: Chooser::new(&config, clock),
            limit: Limit::new(config.limits.max_in_flight),
            budget: RetryBudget::new(config.retry.budget_ratio, config.retry.min_tokens),
            events: Events::new(config.limits.event_ring),
            flights,
            clock,
            config,
        }
    }
}

/// A running router.
pub struct Router {
    plane: Arc<Plane>,
    server: Server,
}

impl Router {
    /// Listens, and connects to its instances meanwhile: health says what is there already.
    pub async fn start(config: RouterConfig) -> io::Result<Self> {
        let health = Health::default();
        let flights = Flights::default();
        let plane = Arc::new(Plane::new(config, health.clone(), flights.clone()));
        let routes = server::common_routes(&health).map_err(io::Error::other)?;
        let routes = routes.add_service(MeshServiceServer::new(mesh::Mesh(plane.clone())));
        let service = RouterService::new(plane.clone(), routes);
        let server = Server::start(&plane.config.listen, service, health, flights).await?;
        plane.registry.set_instances(plane.config.instances.clone());
        Ok(Self { plane, server })
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.server.address
    }

    /// Makes the instances these; those that stay keep their connections, those that go finish what they have.
    pub fn set_instances(&self, addresses: Vec<Address>) {
        self.plane.registry.set_instances(addresses);
    }

    /// The record of its decisions.
    pub fn events(&self) -> Events {
        self.plane.events.clone()
    }

    /// How it fares, as JSON.
    pub fn status(&self) -> serde_json::Value {
        status::of(&self.plane, &self.server.address)
    }

    /// Health first, then the calls in flight, then the connections; whether all ended within `patience`.
    pub async fn drain(self, patience: Duration) -> bool {
        self.plane.registry.close();
        let clean = self.server.drain(patience).await;
        // What is left after an unclean end is dropped with the runtime.
        let _ = tokio::time::timeout(CLOSE_PATIENCE, self.plane.registry.stop()).await;
        clean
    }
}
