//! The gRPC listener shared by router and worker: HTTP/2 over TCP or a Unix socket, drained in order.
//!
//! hyper is driven directly instead of through tonic's transport because the latter answers deadlines itself, without
//! our error details, and before the handler can say in which stage the time ran out.

use std::{convert::Infallible, io, os::unix::fs::FileTypeExt, path::Path, time::Duration};

use http::{Request, Response};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, UnixListener, UnixStream},
    sync::watch,
    task::JoinHandle,
};
use tokio_util::either::Either;
use tonic::{body::Body, service::Routes};
use tower::Service;

use crate::{
    address::{Address, Stream},
    flight::Flights,
    health::Health,
    proto,
};

/// A client that pings more often than this is told to calm down.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Bytes of one call that may arrive unread.
pub(crate) const STREAM_WINDOW: u32 = 1 << 20;
/// The same for a whole connection: more than its streams can hold, or a few whose reader has stopped would stop all.
pub(crate) const CONNECTION_WINDOW: u32 = 1 << 30;
/// Calls one connection may have open; more wait in the client.
const MAX_STREAMS: u32 = 4096;

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    async fn bind(address: &Address) -> io::Result<(Self, Address)> {
        match address {
            Address::Tcp(text) => {
                let listener = TcpListener::bind(text).await?;
                let bound = Address::Tcp(listener.local_addr()?.to_string());
                Ok((Self::Tcp(listener), bound))
            }
            Address::Unix(path) => {
                remove_stale_socket(path).await?;
                Ok((Self::Unix(UnixListener::bind(path)?), address.clone()))
            }
        }
    }

    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Either::Left(stream))
            }
            Self::Unix(listener) => Ok(Either::Right(listener.accept().await?.0)),
        }
    }
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
    /// Where it listens, with the port the system gave.
    pub address: Address,
    /// Calls in flight.
    pub flights: Flights,
    health: Health,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Binds `address` and serves `app` on the current runtime.
    pub async fn start<A>(address: &Address, app: A, health: Health, flights: Flights) -> io::Result<Self>
    where
        A: Service<Request<hyper::body::Incoming>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        A::Future: Send + 'static,
    {
        let (listener, address) = Listener::bind(address).await?;
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, app, stopped));
        Ok(Self { address, flights, health, stop, accepting })
    }

    /// Health first, then the calls in flight, then the connections; what is left after `patience` is cut off.
    ///
    /// Callers that watch health leave by themselves in the first quarter of `patience`; the others are told by
    /// GOAWAY to finish what they have.  Returns whether everything ended by itself.
    pub async fn drain(self, patience: Duration) -> bool {
        self.health.stop_serving();
        let Self { address, flights, health, stop, mut accepting } = self;
        let ended = tokio::time::timeout(patience, async {
            // Whether all left in time or not, the next step is the same.
            let _ = tokio::time::timeout(patience / 4, flights.idle()).await;
            health.end_watches();
            stop.send_replace(true);
            (&mut accepting).await.is_ok()
        });
        let clean = ended.await.unwrap_or(false);
        accepting.abort();
        if let Address::Unix(path) = &address {
            // Already gone where a new server took the path.
            let _ = std::fs::remove_file(path);
        }
        clean
    }
}

async fn accept<A>(listener: Listener, app: A, mut stopped: watch::Receiver<bool>)
where
    A: Service<Request<hyper::body::Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    A::Future: Send + 'static,
{
    let connections = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        match stream {
            Ok(stream) => serve(stream, app.clone(), &connections),
            // Out of file descriptors: the connection waits in the kernel until some close.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    drop(listener);
    connections.shutdown().await;
}

fn serve<A>(stream: Stream, app: A, connections: &GracefulShutdown)
where
    A: Service<Request<hyper::body::Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    A::Future: Send + 'static,
{
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        // Many callers may leave at the same moment, and those of a router share one connection.
        .max_pending_accept_reset_streams(MAX_STREAMS as usize)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let connection = connections.watch(connection);
    // A connection that breaks concerns nobody but its client, whose calls are dropped with it.
    tokio::spawn(async move { connection.await.ok() });
}

/// Health and reflection, which every server has.
pub fn common_routes(health: &Health) -> Result<Routes, tonic_reflection::server::Error> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(Routes::new(health.service()).add_service(reflection().build_v1()?).add_service(reflection().build_v1alpha()?))
}
