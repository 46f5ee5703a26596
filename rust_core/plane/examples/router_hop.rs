//! What a call costs on its way through the router: CPU per call, and latency beside the direct way.
//!
//! ```text
//! cargo run --release -p waypost-plane --example router_hop [seconds]
//! ```
//!
//! The worker answers every Embed at once with a 384-float vector (1.5 kB), so that nothing but the hop is measured.
//! Worker and router are processes of their own over Unix sockets; CPU is theirs alone, from `/proc/PID/stat`.

use std::{
    error::Error,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use prost::Message;
use serde_json::json;
use tonic::{Request, Response, Status, Streaming};
use waypost_plane::{
    address::Address,
    flight::Flights,
    health::{Health, ServingStatus},
    load,
    proto::v1::{
        self, Task, embed_service_server as embed, embed_service_server::EmbedServiceServer,
        mesh_service_server as mesh, mesh_service_server::MeshServiceServer,
    },
    router::Router,
    server::{Server, common_routes},
};

type Anything = Result<(), Box<dyn Error>>;

const EMBED: &str = "/waypost.v1.EmbedService/Embed";
/// What the kernel counts CPU time in.
const TICK: Duration = Duration::from_millis(10);

fn main() -> Anything {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["worker"] => runtime.block_on(worker()),
        ["router", ref workers @ ..] => runtime.block_on(router(workers)),
        [seconds] => runtime.block_on(measure(seconds.parse()?)),
        _ => runtime.block_on(measure(5.0)),
    }
}

async fn measure(seconds: f64) -> Anything {
    let (worker, direct) = child(&["worker"])?;
    let (router, through) = child(&["router", &direct])?;
    for clients in [1, 8, 32] {
        for (name, address, process) in [("direct", &direct, &worker), ("router", &through, &router)] {
            report(name, address, process, clients, seconds).await?;
        }
    }
    for mut process in [router, worker] {
        process.kill()?;
        process.wait()?;
    }
    Ok(())
}

async fn report(name: &str, address: &str, process: &Child, clients: usize, seconds: f64) -> Anything {
    run(address, clients, 0.3).await?;
    let before = cpu(process)?;
    let mut report = run(address, clients, seconds).await?;
    let spent = cpu(process)? - before;
    let calls = report.latencies.len();
    report.latencies.sort_by(f64::total_cmp);
    let quantile = |q: f64| report.latencies[((calls - 1) as f64 * q) as usize] * 1e6;
    println!(
        "{name:7} {clients:3} clients: {:7.0} calls/s, p50 {:6.0} us, p99 {:6.0} us, {:5.1} us CPU a call, codes {:?}",
        calls as f64 / report.elapsed.as_secs_f64(),
        quantile(0.5),
        quantile(0.99),
        spent.as_secs_f64() * 1e6 / calls as f64,
        report.codes,
    );
    Ok(())
}

async fn run(address: &str, clients: usize, seconds: f64) -> Result<load::Report, Box<dyn Error>> {
    let request = v1::EmbedRequest {
        model: "m".into(),
        texts: vec!["a sentence of about eight words, as usual".into()],
        ..Default::default()
    };
    let plan = load::Plan {
        address: address.parse()?,
        path: EMBED.into(),
        payloads: vec![request.encode_to_vec()],
        clients,
        connections: clients.min(4),
        duration: Duration::from_secs_f64(seconds),
        rate: None,
        timeout: Duration::from_secs(5),
    };
    Ok(load::run(plan).await?)
}

/// This program in another role, and the address it prints.
fn child(arguments: &[&str]) -> Result<(Child, String), Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?).args(arguments).stdout(Stdio::piped()).spawn()?;
    let mut address = String::new();
    BufReader::new(child.stdout.take().ok_or("has no output")?).read_line(&mut address)?;
    Ok((child, address.trim().into()))
}

/// CPU time of a process so far.
fn cpu(process: &Child) -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id()))?;
    let fields: Vec<&str> = stat.rsplit_once(')').ok_or("has no name")?.1.split_whitespace().collect();
    let ticks: u32 = fields[11].parse::<u32>()? + fields[12].parse::<u32>()?;
    Ok(TICK * ticks)
}

fn socket(name: &str) -> Result<Address, Box<dyn Error>> {
    let file = format!("waypost-hop-{name}-{}.sock", std::process::id());
    Ok(Address::Unix(std::env::temp_dir().join(file)))
}

async fn worker() -> Anything {
    let health = Health::default();
    health.set("", ServingStatus::Serving);
    let routes = common_routes(&health)?
        .add_service(EmbedServiceServer::new(Worker))
        .add_service(MeshServiceServer::new(Worker));
    let app = tower::ServiceExt::<http::Request<hyper::body::Incoming>>::boxed_clone(routes);
    let server = Server::start(&socket("worker")?, app, health, Flights::default()).await?;
    println!("{}", server.address);
    std::future::pending().await
}

async fn router(workers: &[&str]) -> Anything {
    let config = json!({
        "listen": socket("router")?.to_string(), "instance": "router", "version": "bench", "instances": workers,
    });
    let router = Router::start(serde_json::from_value(config)?).await?;
    let events = router.events();
    std::thread::spawn(move || {
        loop {
            events.next(usize::MAX, Duration::from_secs(1));
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    while router.status()["instances"][0]["state"] != "ready" {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("{}", router.address());
    std::future::pending().await
}

struct Worker;

#[tonic::async_trait]
impl embed::EmbedService for Worker {
    async fn embed(&self, _: Request<v1::EmbedRequest>) -> Result<Response<v1::EmbedResponse>, Status> {
        static VECTOR: [u8; 4 * 384] = [7; 4 * 384];
        let vectors = Bytes::from_static(&VECTOR);
        Ok(Response::new(v1::EmbedResponse { dimensions: 384, vectors, ..Default::default() }))
    }

    type EmbedStreamStream = futures::stream::Empty<Result<v1::EmbedStreamResponse, Status>>;

    async fn embed_stream(
        &self,
        _: Request<Streaming<v1::EmbedStreamRequest>>,
    ) -> Result<Response<Self::EmbedStreamStream>, Status> {
        Ok(Response::new(futures::stream::empty()))
    }

    async fn count_tokens(
        &self,
        _: Request<v1::CountTokensRequest>,
    ) -> Result<Response<v1::CountTokensResponse>, Status> {
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl mesh::MeshService for Worker {
    async fn describe_instance(
        &self,
        _: Request<v1::DescribeInstanceRequest>,
    ) -> Result<Response<v1::DescribeInstanceResponse>, Status> {
        let model = v1::ModelInfo { name: "m".into(), tasks: vec![Task::Embed.into()], ..Default::default() };
        Ok(Response::new(v1::DescribeInstanceResponse {
            instance: "worker".into(),
            models: vec![model],
            ..Default::default()
        }))
    }

    async fn list_models(&self, _: Request<v1::ListModelsRequest>) -> Result<Response<v1::ListModelsResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn list_instances(
        &self,
        _: Request<v1::ListInstancesRequest>,
    ) -> Result<Response<v1::ListInstancesResponse>, Status> {
        Ok(Response::new(Default::default()))
    }
}
