//! Stands before a server that tests share, so that each can have an outage of its own.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_postgres::config::{Config, Host};
use waypost_store::Place;

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Open,
    /// It arrives once it is open again.
    Stalled,
    /// Connections are closed, old and new ones.
    Cut,
}

/// Ends with its runtime.
pub struct Proxy {
    place: Place,
    flow: watch::Sender<Flow>,
}

impl Proxy {
    /// Before the server of this address.
    pub async fn start(url: &str) -> Self {
        let (flow, seen) = watch::channel(Flow::Open);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let own = listener.local_addr().expect("it has one");
        let server = address(url);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(join(client, server, seen.clone()));
            }
        });
        Self { place: Place::Postgres(url.replace(&server.to_string(), &own.to_string())), flow }
    }

    /// The server's, through this.
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// From now on.
    pub fn set(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }
}

fn address(url: &str) -> SocketAddr {
    let config: Config = url.parse().expect("it is an address");
    match (config.get_hosts(), config.get_ports()) {
        ([Host::Tcp(host)], [port]) => format!("{host}:{port}").parse().expect("its host is a number"),
        other => panic!("{other:?}"),
    }
}

async fn join(client: TcpStream, server: SocketAddr, mut flow: watch::Receiver<Flow>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (there, back) = (flow.clone(), flow.clone());
    tokio::select! {
        _ = flow.wait_for(|flow| *flow == Flow::Cut) => {}
        () = async { tokio::join!(pump(from_client, to_server, there), pump(from_server, to_client, back)); } => {}
    }
}

async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut flow: watch::Receiver<Flow>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let open = flow.wait_for(|flow| *flow != Flow::Stalled).await.is_ok();
        if !open || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
