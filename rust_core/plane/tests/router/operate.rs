//! What operators change while the router runs, and the glance they have at it.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use tonic::{Code, transport::Channel};
use tonic_health::pb::health_check_response::ServingStatus;
use waypost_plane::{
    proto::v1::{self, BreakerState, InstanceState, LogLevel, mesh_service_client::MeshServiceClient},
    router::Router,
};

use crate::fake::{self, Worker, embed, within};

async fn mesh(router: &Router) -> MeshServiceClient<Channel> {
    MeshServiceClient::new(fake::channel(router).await)
}

async fn drain(mesh: &mut MeshServiceClient<Channel>, name: &str, drained: bool) -> v1::InstanceStatus {
    let request = v1::DrainInstanceRequest { instance: name.into(), drained };
    let response = mesh.drain_instance(request).await.expect("is done").into_inner();
    response.instance.expect("is told")
}

/// The lines of the audit, fetched where waiting disturbs nobody.
async fn audits(router: &Router) -> Vec<Value> {
    let audit = router.audit();
    let lines = tokio::task::spawn_blocking(move || audit.next(100, Duration::from_secs(1))).await;
    lines.expect("ends").iter().map(|line| serde_json::from_str(line).expect("is JSON")).collect()
}

#[tokio::test]
async fn a_drained_instance_gets_no_calls_until_it_is_back() {
    within(async {
        let (a, b) = (Worker::named("a").start(), Worker::named("b").start());
        let router = fake::router(&[&a, &b], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        fake::until_ready(&router, 2).await;
        let mut mesh = mesh(&router).await;
        let told = drain(&mut mesh, "a", true).await;
        assert_eq!((told.state(), told.drained, told.breaker()), (InstanceState::Draining, true, BreakerState::Closed));
        for _ in 0..20 {
            assert_eq!(fake::instance_of(client.embed(embed("")).await.expect("is answered")), "b");
        }
        assert_eq!(drain(&mut mesh, "b", true).await.state(), InstanceState::Draining);
        fake::until(&fake::channel(&router).await, "models/m", ServingStatus::NotServing).await;
        assert_eq!(client.embed(embed("")).await.expect_err("nobody is left").code(), Code::Unavailable);
        assert_eq!(drain(&mut mesh, "a", false).await.state(), InstanceState::Ready);
        assert_eq!(fake::instance_of(client.embed(embed("")).await.expect("is answered")), "a");
        let lines = audits(&router).await;
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line["outcome"] == "OK" && line["method"].to_string().contains("Drain")));
    })
    .await;
}

#[tokio::test]
async fn an_instance_nobody_knows_is_not_found() {
    within(async {
        let a = Worker::named("a").start();
        let router = fake::router(&[&a], json!({})).await;
        fake::client(&router, &["models/m"]).await;
        let request = v1::DrainInstanceRequest { instance: "z".into(), drained: true };
        let refused = mesh(&router).await.drain_instance(request).await.expect_err("is refused");
        assert_eq!(refused.code(), Code::NotFound);
        assert!(refused.message().contains("there is a"), "{}", refused.message());
    })
    .await;
}

#[tokio::test]
async fn a_pinned_model_cannot_be_unloaded_until_it_is_let_go() {
    within(async {
        let a = Worker::named("a").start();
        let router = fake::router(&[&a], json!({})).await;
        fake::client(&router, &["models/m"]).await;
        let mut mesh = mesh(&router).await;
        let pin = |pinned| v1::PinModelRequest { model: "m".into(), pinned };
        let unload = || v1::UnloadModelRequest { model: "m".into() };
        let pinned = mesh.pin_model(pin(true)).await.expect("is done").into_inner().model;
        assert!(pinned.is_some_and(|model| model.pinned && !model.unloaded));
        let refused = mesh.unload_model(unload()).await.expect_err("is refused");
        assert_eq!((refused.code(), refused.message().contains("pinned")), (Code::FailedPrecondition, true));
        mesh.pin_model(pin(false)).await.expect("is done");
        let unloaded = mesh.unload_model(unload()).await.expect("is done").into_inner().model;
        assert!(unloaded.is_some_and(|model| model.unloaded && !model.pinned));
        let unknown = v1::PinModelRequest { model: "z".into(), pinned: true };
        assert_eq!(mesh.pin_model(unknown).await.expect_err("is refused").code(), Code::NotFound);
    })
    .await;
}

/// A ledger of its own for a test.
fn store(name: &str) -> Value {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.db", std::process::id()));
    json!({"budget": {"store": format!("sqlite:{}", path.display())}, "hotset": {"poll_s": 0.01}})
}

async fn until_pinned(router: &Router) {
    let mut mesh = mesh(router).await;
    loop {
        let models = mesh.list_models(v1::ListModelsRequest {}).await.expect("is told").into_inner().models;
        if models.iter().any(|model| model.pinned && model.hot) {
            return;
        }
    }
}

#[tokio::test]
async fn a_pin_is_seen_by_all_routers_of_a_store_and_outlives_them() {
    within(async {
        let (a, config) = (Worker::named("a").start(), store("pins"));
        let (one, two) = (fake::router(&[&a], config.clone()).await, fake::router(&[&a], config.clone()).await);
        for router in [&one, &two] {
            fake::client(router, &["models/m"]).await;
        }
        let pin = v1::PinModelRequest { model: "m".into(), pinned: true };
        mesh(&one).await.pin_model(pin).await.expect("is done");
        until_pinned(&two).await;
        drop((one, two));
        until_pinned(&fake::router(&[&a], config).await).await;
    })
    .await;
}

#[tokio::test]
async fn weights_count_from_the_next_call_on() {
    within(async {
        let (a, b) = (Worker::named("a").start(), Worker::named("b").start());
        let router = fake::router(&[&a, &b], json!({"policy": "score"})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        fake::until_ready(&router, 2).await;
        client.embed(embed("")).await.expect("is answered");
        let mut mesh = mesh(&router).await;
        let only_queue = v1::ScoreWeights { queue: 0.5, ..Default::default() };
        let set = mesh.set_weights(v1::SetWeightsRequest { weights: Some(only_queue) }).await;
        assert_eq!(set.expect("is done").into_inner().weights, Some(only_queue));
        client.embed(embed("")).await.expect("is answered");
        let events = router.events();
        let lines = tokio::task::spawn_blocking(move || events.next(2, Duration::from_secs(10))).await.expect("ends");
        let last: Value = serde_json::from_str(lines.last().expect("is there")).expect("is JSON");
        assert_eq!(last["candidates"][0]["score"], 0.5);
        for wrong in [Some(v1::ScoreWeights::default()), Some(v1::ScoreWeights { fit: -1.0, ..only_queue }), None] {
            let refused = mesh.set_weights(v1::SetWeightsRequest { weights: wrong }).await.expect_err("is refused");
            assert_eq!(refused.code(), Code::InvalidArgument);
        }
        let status = mesh.get_status(v1::GetStatusRequest {}).await.expect("is told").into_inner();
        assert_eq!((status.weights, status.policy.as_str()), (Some(only_queue), "score"));
    })
    .await;
}

#[tokio::test]
async fn a_log_level_goes_to_the_router_and_to_every_instance_that_takes_it() {
    within(async {
        let (a, b) = (Worker::named("a").start(), Worker::named("b").start());
        let router = fake::router(&[&a, &b], json!({})).await;
        fake::client(&router, &["models/m"]).await;
        fake::until_ready(&router, 2).await;
        let mut mesh = mesh(&router).await;
        let set = |instance: &str| v1::SetLogLevelRequest { level: LogLevel::Debug.into(), instance: instance.into() };
        let told = mesh.set_log_level(set("a")).await.expect("is done").into_inner().instances;
        assert_eq!(told, ["a"]);
        assert_eq!(router.levels().now(), LogLevel::Info);
        let told = mesh.set_log_level(set("")).await.expect("is done").into_inner().instances;
        assert_eq!(told, ["router", "a", "b"]);
        let levels = router.levels();
        let next = tokio::task::spawn_blocking(move || levels.next(Duration::from_secs(10))).await;
        assert_eq!(next.expect("ends"), Some("debug"));
        let status = mesh.get_status(v1::GetStatusRequest {}).await.expect("is told").into_inner();
        assert_eq!(status.log_level(), LogLevel::Debug);
        assert_eq!(mesh.set_log_level(set("z")).await.expect_err("is refused").code(), Code::NotFound);
        let none = v1::SetLogLevelRequest::default();
        assert_eq!(mesh.set_log_level(none).await.expect_err("is refused").code(), Code::InvalidArgument);
    })
    .await;
}

#[tokio::test]
async fn the_latest_decisions_can_be_looked_at() {
    within(async {
        let a = Worker::named("a").start();
        let router = fake::router(&[&a], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        for name in ["r-1", "r-2", "r-3"] {
            let mut request = tonic::Request::new(embed(""));
            request.metadata_mut().insert("x-request-id", name.parse().expect("is ascii"));
            client.embed(request).await.expect("is answered");
        }
        let events = router.events();
        let mut lines = 0;
        while lines < 3 {
            let events = events.clone();
            let more = tokio::task::spawn_blocking(move || events.next(9, Duration::from_secs(10))).await;
            lines += more.expect("ends").len();
        }
        let mut mesh = mesh(&router).await;
        let mut ask = async |limit, after, request_id: &str| {
            let request = v1::ListDecisionsRequest { limit, after, request_id: request_id.into() };
            let found = mesh.list_decisions(request).await.expect("is told").into_inner().decisions;
            found.iter().map(|decision| decision.number).collect::<Vec<_>>()
        };
        assert_eq!(ask(0, 0, "").await, [1, 2, 3]);
        assert_eq!(ask(2, 0, "").await, [2, 3]);
        assert_eq!(ask(0, 2, "").await, [3]);
        assert_eq!(ask(0, 0, "r-2").await, [2]);
        assert_eq!(ask(0, 0, "r").await, [0; 0]);
    })
    .await;
}
