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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_util::either::Either;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{
    config::RouterConfig,
    instance::Instance,
    link::{self, Control, Link},
    registry::Registry,
};
use crate::{
    address::Address,
    health::ServingStatus,
    proto::v1::{DescribeInstanceRequest, InstanceState},
    server,
};

/// A connection not made by then is given up.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Calls given up whose late answers are still recognised.
const RESETS: usize = 4096;

/// Why a connection ended.
type Ended = Box<dyn std::error::Error + Send + Sync>;

/// Keeps one connection of an instance; the first of them also learns.
pub struct Keeper {
    lane: usize,
    instance: Arc<Instance>,
    registry: Arc<Registry>,
    config: Arc<RouterConfig>,
    stop: CancellationToken,
}

impl Keeper {
    /// The keeper of connection number `lane`.
    pub fn new(
        lane: usize,
        instance: Arc<Instance>,
        registry: Arc<Registry>,
        config: Arc<RouterConfig>,
        stop: CancellationToken,
    ) -> Self {
        Self { lane, instance, registry, config, stop }
    }

    /// Connects, and connects again, until it is stopped.
    pub async fn keep(self) {
        let mut pause = Pause::default();
        while !self.stop.is_cancelled() {
            // Why it ended does not matter: the next try will tell whether it is mended.
            let _ = self.connected(&mut pause).await;
            self.lost();
            tokio::select! {
                () = self.instance.worth_a_try(pause.next()) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// One connection from its beginning to its end.
    async fn connected(&self, pause: &mut Pause) -> Result<(), Ended> {
        let (link, mut connection) = timeout(CONNECT_PATIENCE, self.connect()).await??;
        tokio::select! {
            ended = &mut connection => return ended?,
            watched = self.serve(link, pause) => return watched,
            () = self.stop.cancelled() => {}
        }
        self.change(InstanceState::Draining);
        self.instance.set_link(self.lane, None);
        // Nobody can open calls any more, so it ends with the last of those that are open.
        connection.await?
    }

    async fn connect(&self) -> Result<(Link, AbortOnDropHandle<Result<(), Ended>>), Ended> {
        match self.instance.address.connect().await? {
            Either::Left(stream) => match (self.registry.worker_tls(), &self.instance.address) {
                (Some(tls), Address::Tcp(host)) => self.open(tls.connect(host, stream).await?).await,
                _ => self.open(stream).await,
            },
            Either::Right(stream) => self.open(stream).await,
        }
    }

    async fn open<S>(&self, stream: S) -> Result<(Link, AbortOnDropHandle<Result<(), Ended>>), Ended>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, mut connection) = h2::client::Builder::new()
            .enable_push(false)
            // Callers who leave in numbers must not look like an attack, to us or to the worker's library.
            .max_concurrent_reset_streams(RESETS)
            .max_local_error_reset_streams(None)
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

    async fn serve(&self, link: Link, pause: &mut Pause) -> Result<(), Ended> {
        if self.lane == 0 {
            return self.watch(link, pause).await;
        }
        self.instance.set_link(self.lane, Some(link));
        std::future::pending().await
    }

    /// Asks what the worker serves, then follows its health.
    async fn watch(&self, link: Link, pause: &mut Pause) -> Result<(), Ended> {
        let mut mesh = link::control(link.clone());
        let described = timeout(CONNECT_PATIENCE, mesh.describe_instance(DescribeInstanceRequest {})).await??;
        self.registry.described(&self.instance, described.into_inner());
        self.instance.set_link(self.lane, Some(link.clone()));
        let mut health = HealthClient::with_origin(Control(link), link::origin());
        let mut states = health.watch(HealthCheckRequest { service: String::new() }).await?.into_inner();
        while let Some(state) = states.message().await? {
            self.follow(state.status());
            pause.reset();
        }
        // The worker ends its watches when it drains; its connection lives until the last call has left.
        self.change(InstanceState::Draining);
        std::future::pending().await
    }

    fn follow(&self, status: ServingStatus) {
        match status {
            ServingStatus::Serving => self.change(InstanceState::Ready),
            _ => self.change(InstanceState::Draining),
        }
    }

    fn lost(&self) {
        self.instance.set_link(self.lane, None);
        match self.instance.described() {
            Some(_) => self.change(InstanceState::Down),
            None => self.change(InstanceState::Starting),
        }
    }

    /// What the first connection learns counts for all.
    fn change(&self, state: InstanceState) {
        if self.lane == 0 {
            self.registry.changed(&self.instance, state);
        }
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
