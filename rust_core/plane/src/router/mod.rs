//! The router: one door for many workers.
//!
//! Read a call downwards: [`service`] tells the calls that are forwarded ([`methods`]) from the router's own
//! ([`mesh`], health, reflection); [`call`] asks whose it is ([`tenants`]), admits, reads and thinks about it
//! ([`features`], [`policies`]); [`plan`] lists the [`models`] to ask, by a configured chain ([`routes`]), a slice ([`rollouts`]) or
//! their rank; [`hops`] goes from one to the next, past the [`cache`], the [`semantic`] one and the [`judge`]; [`forward`] makes a
//! [`delivery`] to one of the [`replicas`], with [`money`] held for it, over a [`link`], and weighs the [`outcome`]; a
//! whole [`reply`] or a [`stream`] goes back with a [`signature`]; [`events`] keep the record,
//! and [`payloads`] what was said, for those who want that kept; its [`spans`] tell where its time went.
//!
//! Beside it, [`registry`] and [`connection`] keep the [`instance`]s known and connected, [`explain`] says where a
//! call would go, [`operate`] changes what runs, [`feedback`] takes what callers
//! think of an answer, [`metrics`] count and [`history`] keeps what happened, and [`oip`] is a door for
//! tensors.  Routers of one store share [`money`], [`rollouts`], [`tokens`], the [`hotset`], [`rates`] and [`answers`].

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::HeaderMap;
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use waypost_decide::{Limit, RetryBudget, hedge::Hedge};
use waypost_store::{Place, Store};

use crate::{
    address::Address,
    error::Error,
    flight::Flights,
    headers,
    health::Health,
    levels::Levels,
    peer::{Door, Peer},
    proto::{self, v1::mesh_service_server::MeshServiceServer},
    server::{self, Entrance, Server},
    tls::Connector,
    trace::Tracer,
};

mod answers;
mod ask;
mod attempt;
mod audit;
pub mod auth;
mod cache;
mod call;
pub mod config;
mod connection;
mod delivery;
mod envelope;
mod events;
mod explain;
mod features;
mod feedback;
mod forward;
mod history;
mod hops;
mod hotset;
mod inbound;
mod instance;
mod judge;
mod life;
mod link;
mod mesh;
pub(crate) mod methods;
mod metrics;
mod models;
mod money;
mod names;
mod oip;
mod operate;
mod outcome;
mod payloads;
mod plan;
mod policies;
mod rates;
mod recent;
mod registry;
mod replicas;
mod reply;
mod request;
mod ring;
pub mod rollouts;
mod routes;
mod semantic;
mod service;
mod signature;
mod spans;
mod status;
mod stream;
mod style;
mod supervise;
mod tenants;
mod tokens;

use answers::Answers;
use attempt::Clock;
pub use audit::Audit;
use auth::{Auth, Caller};
use cache::Cache;
use config::RouterConfig;
pub use events::Events;
pub(crate) use events::code_text;
use features::Reader;
use feedback::Feedback;
use history::History;
use hotset::Hotset;
use judge::Judge;
use life::Bell;
use metrics::Metrics;
pub(crate) use metrics::task_name;
use money::Purse;
use names::Names;
pub use payloads::{Payload, Payloads};
use policies::Policies;
use registry::Registry;
use replicas::Chooser;
pub use ring::Ring;
use rollouts::{Rollout, Rollouts, Shadow};
use routes::Routes;
use semantic::Semantic;
use service::RouterService;
use supervise::Supervision;
use tenants::{Tenant, Tenants};
use tokens::Tokens;

/// Rollouts are read, and reservations nobody settled are swept, so often.
const REFRESH: Duration = Duration::from_secs(1);
/// Connections that have not closed by then are dropped.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);
/// Spans that no receiver has taken by then are lost.
const SPANS_PATIENCE: Duration = Duration::from_secs(2);
/// What it is called in traces.
const SERVICE: &str = "waypost-router";

/// What all calls share.
pub struct Plane {
    config: Arc<RouterConfig>,
    registry: Arc<Registry>,
    chooser: Chooser,
    limit: Limit,
    budget: RetryBudget,
    hedge: Option<Hedge>,
    tenants: Arc<Tenants>,
    auth: Auth,
    audit: Audit,
    reader: Reader,
    policies: Option<Policies>,
    routes: Routes,
    rollouts: Rollouts,
    cache: Cache,
    answers: Option<Arc<Answers>>,
    hotset: Hotset,
    semantic: Option<Semantic>,
    judge: Option<Judge>,
    purse: Arc<Purse>,
    feedback: Feedback,
    names: Names,
    flights: Flights,
    /// Conversations that would never end by themselves end by this.
    leaving: CancellationToken,
    events: Events,
    /// Rings when somebody begins to wait for an instance.
    bell: Bell,
    supervision: Supervision,
    metrics: Arc<Metrics>,
    history: History,
    levels: Levels,
    started: SystemTime,
    payloads: Payloads,
    tracer: Tracer,
    clock: Clock,
}

impl Plane {
    async fn new(config: RouterConfig, health: Health, flights: Flights) -> io::Result<Self> {
        let config = Arc::new(config);
        let clock = Clock::default();
        let name = router_name(&config);
        let store = open(&config, &name).await?;
        let tenants = Arc::new(Tenants::new(&config));
        let tokens = Tokens::open(store.clone(), tenants.clone()).await;
        let worker_tls = config.worker_tls.clone().map(Connector::new).transpose()?;
        Ok(Self {
            registry: Arc::new(Registry::new(config.clone(), worker_tls, health, clock)),
            chooser: Chooser::new(config.clone(), clock),
            limit: Limit::new(config.limits.max_in_flight),
            budget: RetryBudget::new(config.retry.budget_ratio, config.retry.min_tokens),
            hedge: config.hedge.enabled.then(|| Hedge::new((&config.hedge).into())),
            auth: Auth::new(&config, &tenants, tokens),
            audit: Audit::default(),
            tenants,
            reader: Reader::new(&config)?,
            policies: Policies::new(&config.policies),
            routes: Routes::new(&config),
            rollouts: Rollouts::new(store.clone(), name),
            cache: Cache::new(&config.cache),
            answers: Answers::new(&store, &config),
            hotset: Hotset::new(store.clone(), &config.hotset),
            semantic: Semantic::new(&config.cache.semantic, config.cache.ttl),
            judge: Judge::new(&config.quality).map_err(io::Error::other)?,
            purse: Arc::new(Purse::new(store, &config.budget)),
            feedback: Feedback::default(),
            names: Names::default(),
            events: Events::new(config.limits.event_ring),
            bell: Bell::default(),
            supervision: Supervision::default(),
            metrics: Arc::new(Metrics::new(config.telemetry.metrics)),
            history: History::default(),
            levels: Levels::new(config.telemetry.level()),
            started: SystemTime::now(),
            payloads: Payloads::new(&config.payloads),
            tracer: Tracer::start(config.telemetry.traces.as_ref(), SERVICE, &config.instance)?,
            flights,
            leaving: CancellationToken::new(),
            clock,
            config,
        })
    }

    /// Who calls `path`, where they may; a refusal is audited.
    fn admit(&self, peer: &Arc<Peer>, headers: &HeaderMap, path: &str) -> Result<Caller, Error> {
        let peer = told(peer, headers);
        let caller = self.auth.identify(&peer, headers, path);
        let caller = caller.inspect_err(|error| self.audit.refused(&peer, None, path, error))?;
        let may = caller.may(auth::takes(path));
        may.inspect_err(|error| self.audit.refused(&peer, Some(&caller), path, error))?;
        Ok(caller)
    }

    /// For whom a call is; that it is for somebody else's tenant is audited.
    fn tenant_of(&self, caller: &Caller, named: &str, path: &str) -> Result<Arc<Tenant>, Error> {
        let resolved = self.tenants.resolve(caller, named);
        resolved.inspect_err(|error| self.audit.refused(&caller.peer, Some(caller), path, error))
    }

    /// What is done beside the calls: see [`REFRESH`].
    async fn tend(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(REFRESH);
        loop {
            ticks.tick().await;
            // Side by side: a store that is away is waited for once.
            tokio::join!(self.rollouts.refresh(self.clock.now()), self.purse.tend(), self.auth.tokens.refresh());
        }
    }

    async fn keep_hotset(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(self.config.hotset.poll.max(Duration::from_millis(1)));
        loop {
            ticks.tick().await;
            self.hotset.poll(&self.registry.snapshot(), self.clock.now()).await;
        }
    }

    async fn share_rates(self: Arc<Self>) {
        if let Some(rates) = self.tenants.rates() {
            rates.share(self.purse.store(), self.clock).await;
        }
    }
}

async fn open(config: &RouterConfig, name: &str) -> io::Result<Store> {
    let place = Place::parse(&config.budget.store).map_err(io::Error::other)?;
    Store::open(&place, name).await.map_err(io::Error::other)
}

/// Where a call comes from: of its own callers the gateway tells.
fn told(peer: &Arc<Peer>, headers: &HeaderMap) -> Arc<Peer> {
    let told = (peer.door == Door::Gateway).then(|| headers.get(headers::PEER)?.to_str().ok()).flatten();
    told.map_or_else(|| peer.clone(), |name| Arc::new(Peer { name: name.into(), ..Peer::clone(peer) }))
}

fn entrances(config: &RouterConfig) -> Vec<Entrance> {
    let local = config.local.clone().unwrap_or_default();
    let socket = |address: Option<Address>, door| address.map(|address| Entrance { address, door, tls: None });
    let front = Entrance::front(config.listen.clone(), config.tls.clone());
    let sockets = [socket(local.gateway, Door::Gateway), socket(local.operator, Door::Operator)];
    [front].into_iter().chain(sockets.into_iter().flatten()).collect()
}

/// Routers of one mesh share a store, where each life of each must have a name of its own.
fn router_name(config: &RouterConfig) -> String {
    format!("{}-{:08x}", config.instance, rand::random::<u32>())
}

/// A running router.
pub struct Router {
    plane: Arc<Plane>,
    server: Server,
    runtime: Handle,
    _tending: [AbortOnDropHandle<()>; 4],
}

impl Router {
    /// Listens, and connects to its instances meanwhile: health says what is there already.
    pub async fn start(config: RouterConfig) -> io::Result<Self> {
        let health = Health::default();
        let flights = Flights::default();
        let plane = Arc::new(Plane::new(config, health.clone(), flights.clone()).await?);
        let routes = server::common_routes(&health, &[proto::OIP_DESCRIPTORS]).map_err(io::Error::other)?;
        let routes = routes.add_service(MeshServiceServer::new(mesh::Mesh(plane.clone())));
        let routes = Arc::new(routes.add_service(oip::service(plane.clone())).prepare());
        let doors = plane.clone();
        let app = move |peer| RouterService::new(doors.clone(), routes.clone(), peer);
        let server = Server::start(&entrances(&plane.config), app, health, flights).await?;
        plane.registry.set_instances(plane.config.instances.clone());
        let tending = [
            tokio::spawn(plane.clone().tend()),
            tokio::spawn(plane.clone().keep_history()),
            tokio::spawn(plane.clone().keep_hotset()),
            tokio::spawn(plane.clone().share_rates()),
        ];
        let tending = tending.map(AbortOnDropHandle::new);
        Ok(Self { plane, server, runtime: Handle::current(), _tending: tending })
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

    /// What its process is to write to its log.
    pub fn levels(&self) -> Levels {
        self.plane.levels.clone()
    }

    /// The record of changes and refusals.
    pub fn audit(&self) -> Audit {
        self.plane.audit.clone()
    }

    /// What callers think of answers, as JSON lines.
    pub fn feedback(&self) -> Ring<String> {
        self.plane.feedback.lines()
    }

    /// What was asked and answered, for those who want it kept.
    pub fn payloads(&self) -> Payloads {
        self.plane.payloads.clone()
    }

    /// Pairs of answers, of a stable model and of the one that may replace it.
    pub fn shadows(&self) -> Ring<Shadow> {
        self.plane.rollouts.shadows()
    }

    /// Every rollout with what its sides have shown.
    pub fn rollouts(&self) -> Vec<rollouts::Status> {
        self.plane.rollouts.all(self.plane.clock.now())
    }

    /// Changes a rollout, if it is still at its revision.  Blocks: not for the reactor's threads.
    ///
    /// # Errors
    ///
    /// It cannot be meant, or somebody else changed it meanwhile.
    pub fn set_rollout(&self, rollout: Rollout) -> Result<Rollout, Error> {
        self.runtime.block_on(self.plane.rollouts.set(rollout, self.plane.clock.now()))
    }

    /// How it fares, as JSON.
    pub fn status(&self) -> serde_json::Value {
        status::of(&self.plane, &self.server.address)
    }

    /// Health first, then the calls in flight, then the connections; whether all ended within `patience`.
    pub async fn drain(self, patience: Duration) -> bool {
        self.plane.leaving.cancel();
        self.plane.registry.close();
        let clean = self.server.drain(patience).await;
        // What is left after an unclean end is dropped with the runtime.
        let _ = tokio::time::timeout(CLOSE_PATIENCE, self.plane.registry.stop()).await;
        self.plane.tracer.close(SPANS_PATIENCE).await;
        clean
    }
}
