//! The gRPC listeners shared by router and worker: HTTP/2 over TCP, TLS or a Unix socket, drained in order.
//!
//! hyper is driven directly instead of through tonic's transport because the latter answers deadlines itself, without
//! our error details, and before the handler can say in which stage the time ran out.

use std::{
    convert::Infallible,
    io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream},
    sync::watch,
    task::JoinHandle,
};
use tonic::{body::Body, service::Routes};
use tower::Service;

use crate::{
    address::Address,
    flight::Flights,
    health::Health,
    peer::{Door, Peer},
    proto,
    tls::{Acceptor, ServerTls},
};

/// A client that pings more often than this is told to calm down.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Bytes of one call that may arrive unread.
pub(crate) const STREAM_WINDOW: u32 = 1 << 20;
/// The same for a whole connection: more than its streams can hold, or a few whose reader has stopped would stop all.
pub(crate) const CONNECTION_WINDOW: u32 = 1 << 30;
/// Calls one connection may have open; more wait in the client.
const MAX_STREAMS: u32 = 4096;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// A Unix socket is its owner's alone.
const OWNER_ONLY: u32 = 0o600;

/// Where to listen, for whom.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// The address.
    pub address: Address,
    /// Who comes through it.
    pub door: Door,
    /// Certificates; none: plain text.
    pub tls: Option<ServerTls>,
}

impl Entrance {
    /// The door for callers.
    pub fn front(address: Address, tls: Option<ServerTls>) -> Self {
        Self { address, door: Door::Front, tls }
    }
}

/// What answers the requests of a connection.
pub trait App:
    Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + 'static
{
}

impl<A> App for A where
    A: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
        + Clone
        + Send
        + 'static
{
}

enum Listener {
    Tcp(TcpListener),
    Tls(TcpListener, Arc<Acceptor>),
    Unix(UnixListener),
}

enum Accepted {
    Tcp(TcpStream),
    Tls(TcpStream, Arc<Acceptor>),
    Unix(UnixStream),
}

impl Listener {
    async fn bind(entrance: &Entrance) -> io::Result<(Self, Address)> {
        match &entrance.address {
            Address::Tcp(text) => {
                let tls = entrance.tls.clone().map(Acceptor::new).transpose()?;
                let listener = TcpListener::bind(text).await?;
                let bound = Address::Tcp(listener.local_addr()?.to_string());
                let listener = match tls {
                    Some(tls) => Self::Tls(listener, Arc::new(tls)),
                    None => Self::Tcp(listener),
                };
                Ok((listener, bound))
            }
            Address::Unix(path) => Ok((Self::Unix(bind_private(path).await?), entrance.address.clone())),
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Tcp(listener) => Accepted::Tcp(accept_tcp(listener).await?),
            Self::Tls(listener, tls) => Accepted::Tls(accept_tcp(listener).await?, tls.clone()),
            Self::Unix(listener) => Accepted::Unix(listener.accept().await?.0),
        })
    }
}

async fn accept_tcp(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Nobody else can connect, at no moment: it listens only once its mode is set.
async fn bind_private(path: &Path) -> io::Result<UnixListener> {
    remove_stale_socket(path).await?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(OWNER_ONLY))?;
    socket.listen(BACKLOG)
}

/// A socket file that nobody answers on was left by a crash; one that is answered belongs to a living server, and what
/// is no socket belongs to somebody else.
async fn remove_stale_socket(path: &Path) -> io::Result<()> {
    use io::ErrorKind::{AddrInUse, AlreadyExists, ConnectionRefused, NotFound};
    match UnixStream::connect(path).await {
        Ok(_) => Err(AddrInUse.into()),
        Err(error) if error.kind() == NotFound => Ok(()),
        Err(error) if error.kind() != ConnectionRefused => Err(error),
        Err(_) if is_socket(path)? => std::fs::remove_file(path),
        Err(_) => Err(io::Error::new(AlreadyExists, "there is a file that is no socket")),
    }
}

fn is_socket(path: &Path) -> io::Result<bool> {
    Ok(std::fs::metadata(path)?.file_type().is_socket())
}

/// A bound server; [`Server::drain`] ends it.
pub struct Server {
    /// Where its first entrance is, with the port the system gave.
    pub address: Address,
    /// Calls in flight.
    pub flights: Flights,
    health: Health,
    stop: watch::Sender<bool>,
    accepting: Vec<JoinHandle<()>>,
    sockets: Vec<Address>,
}

impl Server {
    /// Opens every entrance and serves on the current runtime; `app` makes what answers a connection.
    pub async fn start<A: App>(
        entrances: &[Entrance],
        app: impl Fn(Peer) -> A + Clone + Send + 'static,
        health: Health,
        flights: Flights,
    ) -> io::Result<Self> {
        let mut bound = Vec::new();
        for entrance in entrances {
            bound.push((Listener::bind(entrance).await?, entrance.door));
        }
        let sockets: Vec<_> = bound.iter().map(|((_, address), _)| address.clone()).collect();
        let address = sockets.first().cloned().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let (stop, stopped) = watch::channel(false);
        let accepting = bound
            .into_iter()
            .map(|((listener, _), door)| tokio::spawn(accept(listener, door, app.clone(), stopped.clone())));
        Ok(Self { address, flights, health, stop, accepting: accepting.collect(), sockets })
    }

    /// Health first, then the calls in flight, then the connections; what is left after `patience` is cut off.
    ///
    /// Callers that watch health leave by themselves in the first quarter of `patience`; the others are told by
    /// GOAWAY to finish what they have.  Returns whether everything ended by itself.
    pub async fn drain(self, patience: Duration) -> bool {
        self.health.stop_serving();
        let Self { flights, health, stop, mut accepting, sockets, .. } = self;
        let ended = tokio::time::timeout(patience, async {
            // Whether all left in time or not, the next step is the same.
            let _ = tokio::time::timeout(patience / 4, flights.idle()).await;
            health.end_watches();
            stop.send_replace(true);
            join_all(accepting.iter_mut()).await.iter().all(Result::is_ok)
        });
        let clean = ended.await.unwrap_or(false);
        accepting.iter().for_each(JoinHandle::abort);
        for address in &sockets {
            if let Address::Unix(path) = address {
                // Already gone where a new server took the path.
                let _ = std::fs::remove_file(path);
            }
        }
        clean
    }
}

async fn accept<A: App>(
    listener: Listener,
    door: Door,
    app: impl Fn(Peer) -> A + Clone + Send + 'static,
    mut stopped: watch::Receiver<bool>,
) {
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok(accepted) => {
                tokio::spawn(meet(accepted, door, app.clone(), connections.watcher()));
            }
            // Out of file descriptors: the connection waits in the kernel until some close.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// A connection from its handshake on.  One that breaks concerns nobody but its client, whose calls end with it.
async fn meet<A: App>(accepted: Accepted, door: Door, app: impl Fn(Peer) -> A, watcher: Watcher) {
    let name = |stream: &TcpStream| stream.peer_addr().map(|address| address.to_string()).unwrap_or_default();
    match accepted {
        Accepted::Tcp(stream) => {
            let peer = Peer { name: name(&stream), door, admission: Ok(()) };
            serve(stream, app(peer), watcher).await;
        }
        Accepted::Tls(stream, tls) => {
            let name = name(&stream);
            let Ok((stream, admission)) = tls.accept(stream).await else { return };
            serve(stream, app(Peer { name, door, admission }), watcher).await;
        }
        Accepted::Unix(stream) => serve(stream, app(Peer { door, ..Peer::default() }), watcher).await,
    }
}

async fn serve<A: App>(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, app: A, watcher: Watcher) {
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        // Many callers may leave at the same moment, and those of a router share one connection.
        .max_pending_accept_reset_streams(MAX_STREAMS as usize)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    watcher.watch(connection).await.ok();
}

/// Health and reflection, which every server has; `more` describes what it has beside the contract.
pub fn common_routes(health: &Health, more: &[&'static [u8]]) -> Result<Routes, tonic_reflection::server::Error> {
    let reflection = || {
        let common = [proto::DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET];
        let sets = common.iter().chain(more);
        sets.fold(tonic_reflection::server::Builder::configure(), |builder, set| {
            builder.register_encoded_file_descriptor_set(set)
        })
    };
    Ok(Routes::new(health.service()).add_service(reflection().build_v1()?).add_service(reflection().build_v1alpha()?))
}
