//! A load generator for unary calls, cheap enough to measure with on the machine that serves.
//!
//! A Python client costs more CPU per call than router and worker together, so on a small machine it would measure
//! itself.  Each client is closed-loop: it sends, waits, and sends again.  With a `rate`, sending times are fixed
//! beforehand and latency counts from the time a call was due, so a stall is not hidden by the clients' waiting
//! ("coordinated omission").

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::{
    address::{Address, Stream},
    pace::{Pace, Schedule},
};

const WINDOW: u32 = 4 << 20;

/// What to send, and for how long.
pub struct Plan {
    /// The server.
    pub address: Address,
    /// Such as `/waypost.v1.EmbedService/Embed`.
    pub path: String,
    /// Encoded request messages, sent in turn.
    pub payloads: Vec<Vec<u8>>,
    /// Clients at once.
    pub clients: usize,
    /// Connections they share.
    pub connections: usize,
    /// When to stop sending.
    pub duration: Duration,
    /// Calls per second over all clients; as fast as answers come where there is none.
    pub rate: Option<f64>,
    /// Deadline of each call.
    pub timeout: Duration,
    /// A tenant's key, where the server wants one.
    pub key: Option<String>,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Report {
    /// Seconds per call, in the order of the answers.
    pub latencies: Vec<f64>,
    /// Calls per gRPC status code; -1 counts calls that ended without one.
    pub codes: BTreeMap<i32, u64>,
    /// Time from the first call to the last answer.
    pub elapsed: Duration,
    /// Which payload each call sent, beside `latencies`.
    pub payloads: Vec<usize>,
}

/// Code of a call that ended without a status: the connection broke.
const NO_STATUS: i32 = -1;

/// Sends the plan's calls.
pub async fn run(plan: Plan) -> io::Result<Report> {
    let plan = Arc::new(plan);
    let frames: Arc<Vec<Bytes>> = Arc::new(plan.payloads.iter().map(|payload| frame(payload)).collect());
    let mut connections = Vec::new();
    for _ in 0..plan.connections.max(1) {
        connections.push(connect(&plan.address).await?);
    }
    let (next, started) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let pace = plan.rate.map(|rate| pace(&plan, rate, started)).transpose()?;
    let mut clients = tokio::task::JoinSet::new();
    for index in 0..plan.clients.max(1) {
        let sender = connections[index % connections.len()].clone();
        let (plan, frames, next, pace) = (plan.clone(), frames.clone(), next.clone(), pace.clone());
        clients.spawn(Client { plan, frames, next, started, pace, sender }.work());
    }
    let mut report = Report::default();
    while let Some(part) = clients.join_next().await {
        report.merge(part.map_err(io::Error::other)?);
    }
    report.elapsed = started.elapsed();
    Ok(report)
}

fn pace(plan: &Plan, rate: f64, started: Instant) -> io::Result<Arc<Pace>> {
    let calls = (rate * plan.duration.as_secs_f64()) as usize;
    Ok(Arc::new(Pace::start(Schedule { started, rate, calls }, plan.clients.max(1))?))
}

impl Report {
    fn merge(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.payloads.extend(other.payloads);
        for (code, count) in other.codes {
            *self.codes.entry(code).or_default() += count;
        }
    }
}

fn frame(payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len() + 5);
    frame.put_u8(0);
    frame.put_u32(payload.len() as u32);
    frame.put_slice(payload);
    frame.freeze()
}

async fn connect(address: &Address) -> io::Result<SendRequest<Full<Bytes>>> {
    let stream: TokioIo<Stream> = TokioIo::new(address.connect().await?);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
    let (sender, connection) = builder.handshake(stream).await.map_err(io::Error::other)?;
    // When it breaks, its calls say so.
    tokio::spawn(async move { connection.await.ok() });
    Ok(sender)
}

struct Client {
    plan: Arc<Plan>,
    frames: Arc<Vec<Bytes>>,
    next: Arc<AtomicUsize>,
    started: Instant,
    pace: Option<Arc<Pace>>,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    async fn work(mut self) -> Report {
        let mut report = Report::default();
        while let Some(begin) = self.begin().await {
            let payload = self.next.fetch_add(1, Ordering::Relaxed) % self.frames.len();
            let code = self.call(payload).await;
            report.latencies.push(begin.elapsed().as_secs_f64());
            report.payloads.push(payload);
            *report.codes.entry(code).or_default() += 1;
        }
        report
    }

    /// When the next call counts as begun; `None` when it is time to stop.
    async fn begin(&self) -> Option<Instant> {
        match &self.pace {
            Some(pace) => pace.turn().await,
            None => Some(Instant::now()).filter(|now| *now < self.started + self.plan.duration),
        }
    }

    async fn call(&mut self, payload: usize) -> i32 {
        let Ok(request) = self.request(payload) else { return NO_STATUS };
        let answer = tokio::time::timeout(self.plan.timeout, async {
            self.sender.ready().await.ok()?;
            let response = self.sender.send_request(request).await.ok()?;
            let in_headers = status(response.headers());
            let body = response.into_body().collect().await.ok()?;
            body.trailers().and_then(status).or(in_headers)
        });
        answer.await.unwrap_or(Some(tonic::Code::DeadlineExceeded as i32)).unwrap_or(NO_STATUS)
    }

    fn request(&self, payload: usize) -> http::Result<Request<Full<Bytes>>> {
        let mut request = Request::post(format!("http://waypost{}", self.plan.path))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", format!("{}m", self.plan.timeout.as_millis()));
        if let Some(key) = &self.plan.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        request.body(Full::new(self.frames[payload].clone()))
    }
}

fn status(headers: &HeaderMap) -> Option<i32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}
