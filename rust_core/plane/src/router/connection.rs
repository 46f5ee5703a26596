//! Keeps one instance connected and learns from it.
//!
//! ```text
//! Starting ──connected, described, SERVING──▶ Ready ──NOT_SERVING──▶ Draining
//!     ▲                                        │                       │
//!     └── described once: Down ◀──── the connection ends ◀─────────────┘
//! ```
//!
//! A worker that was killed closes its socket, which is noticed at once; one that hangs stops answering pings.  A
//! supervised worker is back on its socket within its load time, so the first tries come quickly.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use rand::Rng;
use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{
    config::RouterConfig,
    instance::Instance,
    link::{Control, Link},
    registry::Registry,
};
use crate::{
    health::ServingStatus,
    proto::v1::{DescribeInstanceRequest, InstanceState, mesh_service_client::MeshServiceClient},
    server,
};

/// A connection not made by then is given up.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Why a connection ended.
type Ended = Box<dyn std::error::Error + Send + Sync>;

/// Connects, and connects again, until `stop`.
pub async fn keep(instance: Arc<Instance>, registry: Arc<Registry>, config: Arc<RouterConfig>, stop: CancellationToken) {
    let mut pause = Pause::default();
    let keeper = Keeper { instance, registry, config, stop };
    while !keeper.stop.is_cancelled() {
        // Why it ended does not matter: the next try will tell whether it is mended.
        let _ = keeper.connected(&mut pause).await;
        keeper.lost();
        tokio::select! {
            () = sleep(pause.next()) => {}
            () = keeper.stop.cancelled() => {}
        }
    }
}

struct Keeper {
    instance: Arc<Instance>,
    registry: Arc<Registry>,
    config: Arc<RouterConfig>,
    stop: CancellationToken,
}

impl Keeper {
    /// One connection from its beginning to its end.
    async fn connected(&self, pause: &mut Pause) -> Result<(), Ended> {
        let (link, mut connection) = timeout(CONNECT_PATIENCE, self.connect()).await??;
        tokio::select! {
            ended = &mut connection => return ended?,
            watched = self.watch(link, pause) => return watched,
            () = self.stop.cancelled() => {}
        }
        self.registry.changed(&self.instance, InstanceState::Draining);
        self.instance.set_link(None);
        // Nobody can open calls any more, so it ends with the last of those that are open.
        connection.await?
    }

    async fn connect(&self) -> Result<(Link, AbortOnDropHandle<Result<(), Ended>>), Ended> {
        let stream = self.instance.address.connect().await?;
        let (sender, mut connection) = h2::client::Builder::new()
            .enable_push(false)
            .initial_window_size(server::STREAM_WINDOW)
            .initial_connection_window_size(server::CONNECTION_WINDOW)
            .handshake::<_, Bytes>(stream)
            .await?;
        let ping = connection.ping_pong();
        let interval = self.config.probe_interval;
        let driven = tokio::spawn(async move {
            tokio::select! {
                ended = connection => ended.map_err(Ended::from),
                hung = probe(ping, interval) => Err(hung),
            }
        });
        Ok((Link::new(sender, &self.instance.address), AbortOnDropHandle::new(driven)))
    }

    /// Asks what the worker serves, then follows its health.
    async fn watch(&self, link: Link, pause: &mut Pause) -> Result<(), Ended> {
        let origin = http::Uri::from_static("http://localhost");
        let mut mesh = MeshServiceClient::with_origin(Control(link.clone()), origin.clone());
        let described = timeout(CONNECT_PATIENCE, mesh.describe_instance(DescribeInstanceRequest {})).await??;
        self.registry.described(&self.instance, described.into_inner());
        self.instance.set_link(Some(link.clone()));
        let mut health = HealthClient::with_origin(Control(link), origin);
        let mut states = health.watch(HealthCheckRequest { service: String::new() }).await?.into_inner();
        while let Some(state) = states.message().await? {
            self.follow(state.status());
            pause.reset();
        }
        // The worker ends its watches when it drains; its connection lives until the last call has left.
        self.registry.changed(&self.instance, InstanceState::Draining);
        std::future::pending().await
    }

    fn follow(&self, status: ServingStatus) {
        let state = if status == ServingStatus::Serving { InstanceState::Ready } else { InstanceState::Draining };
        self.registry.changed(&self.instance, state);
    }

    fn lost(&self) {
        self.instance.set_link(None);
        let known = self.instance.described().is_some();
        self.registry.changed(&self.instance, if known { InstanceState::Down } else { InstanceState::Starting });
    }
}

/// Returns when a ping is not answered by the time the next one is due.
async fn probe(ping: Option<h2::PingPong>, interval: Duration) -> Ended {
    let Some(mut ping) = ping else { return std::future::pending().await };
    loop {
        sleep(interval).await;
        match timeout(interval, ping.ping(h2::Ping::opaque())).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error.into(),
            Err(_) => return io::Error::from(io::ErrorKind::TimedOut).into(),
        }
    }
}

/// Exponential backoff with jitter, so that routers do not come back in step.
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

impl Pause {
    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST_PAUSE);
        pause.mul_f64(rand::rng().random_range(0.5..1.0))
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}
