//! Instances that are started when they are wanted: calls wait for them, their supervisor hears of it.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Request, Streaming, transport::Channel};
use tonic_health::pb::health_check_response::ServingStatus;
use waypost_plane::{
    address::Address,
    proto::v1::{self, InstanceState, LifeState, mesh_service_client::MeshServiceClient},
    router::Router,
};

use crate::fake::{self, Client, Running, Worker, embed, reason, within};

/// Whoever starts and ends the one instance of a router.
struct Supervisor {
    address: Address,
    says: mpsc::UnboundedSender<v1::SuperviseRequest>,
    hears: Streaming<v1::SuperviseResponse>,
}

impl Supervisor {
    /// Says how the instance lives.
    fn say(&self, state: LifeState) {
        self.tell(state, "");
    }

    fn tell(&self, state: LifeState, error: &str) {
        self.says.send(request(&self.address, state, error)).expect("the router listens");
    }

    /// Starts it and says so.
    fn wake(&self) -> Running {
        let running = Worker::named("a").start_at(&self.address);
        self.say(LifeState::Awake);
        running
    }

    /// Returns when so many wait.
    async fn until_waiting(&mut self, count: u32) -> v1::InstanceDemand {
        loop {
            let heard = self.hears.message().await.expect("goes on").expect("goes on");
            if let Some(demand) = heard.instances.into_iter().find(|each| each.waiting == count) {
                return demand;
            }
        }
    }
}

fn request(address: &Address, state: LifeState, error: &str) -> v1::SuperviseRequest {
    let described =
        v1::DescribeInstanceResponse { instance: "a".into(), models: vec![fake::model("m")], ..Default::default() };
    let start = prost_types::Duration::try_from(Duration::from_secs(3)).ok();
    let life = v1::InstanceLife {
        address: address.to_string(),
        state: state.into(),
        described: Some(described),
        start,
        error: error.into(),
        ..Default::default()
    };
    v1::SuperviseRequest { instances: vec![life] }
}

/// A router whose one instance is asleep.
async fn asleep(name: &str, more: Value) -> (Router, Client, Supervisor) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.sock", std::process::id()));
    let address: Address = format!("unix:{}", path.display()).parse().expect("is an address");
    let router = fake::router(&[], more).await;
    router.set_instances(vec![address.clone()]);
    let supervisor = supervise(fake::channel(&router).await, address).await;
    let client = fake::client(&router, &["models/m"]).await;
    (router, client, supervisor)
}

async fn supervise(channel: Channel, address: Address) -> Supervisor {
    let (says, said) = mpsc::unbounded_channel();
    says.send(request(&address, LifeState::Asleep, "")).expect("is kept");
    let mut mesh = MeshServiceClient::new(channel);
    let hears = mesh.supervise(UnboundedReceiverStream::new(said)).await.expect("begins").into_inner();
    Supervisor { address, says, hears }
}

type Called = tokio::task::JoinHandle<Result<tonic::Response<v1::EmbedResponse>, tonic::Status>>;

fn call(client: &Client) -> Called {
    let mut client = client.clone();
    tokio::spawn(async move { client.embed(embed("m")).await })
}

async fn state(router: &Router) -> InstanceState {
    let mut mesh = MeshServiceClient::new(fake::channel(router).await);
    let told = mesh.list_instances(v1::ListInstancesRequest {}).await.expect("is told").into_inner();
    told.instances[0].state()
}

#[tokio::test]
async fn calls_wait_for_what_is_asleep_and_go_on_when_it_is_there() {
    within(async {
        let (router, client, mut supervisor) = asleep("wait", json!({})).await;
        assert_eq!(state(&router).await, InstanceState::Asleep);
        let (one, other) = (call(&client), call(&client));
        let demand = supervisor.until_waiting(2).await;
        assert_eq!((demand.in_flight, demand.pinned), (0, false));
        supervisor.say(LifeState::Waking);
        let _running = supervisor.wake();
        for call in [one, other] {
            let answer = call.await.expect("ends").expect("is answered");
            let waited =
                answer.metadata().get("waypost-waited").map(|value| value.to_str().unwrap_or_default().to_string());
            assert!(waited.and_then(|text| text.parse::<f64>().ok()).is_some_and(|seconds| seconds > 0.0));
            assert_eq!(fake::instance_of(answer), "a");
        }
        let demand = supervisor.until_waiting(0).await;
        assert!(demand.calls == 2 && demand.last_call.is_some(), "{demand:?}");
        assert_eq!(state(&router).await, InstanceState::Ready);
    })
    .await;
}

#[tokio::test]
async fn only_so_many_wait() {
    within(async {
        let (_router, mut client, mut supervisor) = asleep("full", json!({"limits": {"max_waiting": 1}})).await;
        let waiting = call(&client);
        supervisor.until_waiting(1).await;
        let full = client.embed(embed("m")).await.expect_err("is refused");
        assert_eq!((full.code(), reason(&full).as_str()), (Code::ResourceExhausted, "ERROR_REASON_QUEUE_FULL"));
        let _running = supervisor.wake();
        assert!(waiting.await.expect("ends").is_ok());
    })
    .await;
}

#[tokio::test]
async fn without_a_supervisor_nobody_is_waited_for() {
    within(async {
        let (router, mut client, mut supervisor) = asleep("alone", json!({})).await;
        let waiting = call(&client);
        supervisor.until_waiting(1).await;
        drop(supervisor);
        assert_eq!(waiting.await.expect("ends").expect_err("fails").code(), Code::Unavailable);
        assert_eq!(client.embed(embed("m")).await.expect_err("fails at once").code(), Code::Unavailable);
        fake::until(&fake::channel(&router).await, "models/m", ServingStatus::NotServing).await;
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    within(async {
        let (_router, client, mut supervisor) = asleep("failed", json!({})).await;
        let waiting = call(&client);
        supervisor.until_waiting(1).await;
        supervisor.tell(LifeState::Failed, "its file is broken");
        let failed = waiting.await.expect("ends").expect_err("fails");
        assert_eq!((failed.code(), reason(&failed).as_str()), (Code::Unavailable, "ERROR_REASON_LOAD_FAILED"));
        assert!(failed.message().contains("its file is broken"), "{failed}");
    })
    .await;
}

#[tokio::test]
async fn what_is_leaving_gets_no_new_calls_and_may_stay() {
    within(async {
        let (router, client, mut supervisor) = asleep("leaving", json!({})).await;
        let first = call(&client);
        supervisor.until_waiting(1).await;
        let _running = supervisor.wake();
        assert!(first.await.expect("ends").is_ok());
        supervisor.say(LifeState::Leaving);
        fake::until(&fake::channel(&router).await, "models/m", ServingStatus::Serving).await;
        while state(&router).await != InstanceState::Draining {
            tokio::task::yield_now().await;
        }
        let second = call(&client);
        supervisor.until_waiting(1).await;
        supervisor.say(LifeState::Awake);
        assert!(second.await.expect("ends").is_ok());
    })
    .await;
}

#[tokio::test]
async fn who_waits_waits_until_the_deadline() {
    within(async {
        let (_router, mut client, mut supervisor) = asleep("deadline", json!({})).await;
        let mut request = Request::new(embed("m"));
        request.set_timeout(Duration::from_millis(100));
        let late = client.embed(request).await.expect_err("nobody came");
        // Whichever of the two clocks is the first.
        assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled), "{late}");
        supervisor.until_waiting(0).await;
    })
    .await;
}

#[tokio::test]
async fn the_last_who_supervises_counts() {
    within(async {
        let (router, client, mut first) = asleep("last", json!({})).await;
        let mut second = supervise(fake::channel(&router).await, first.address.clone()).await;
        assert_eq!(second.until_waiting(0).await.waiting, 0);
        while first.hears.message().await.is_ok_and(|heard| heard.is_some()) {}
        let waiting = call(&client);
        second.until_waiting(1).await;
        let _running = second.wake();
        assert!(waiting.await.expect("ends").is_ok());
    })
    .await;
}
