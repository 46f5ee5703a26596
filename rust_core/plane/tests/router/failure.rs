//! Instances that break, refuse or hang, and what their callers notice.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::sync::mpsc;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_types::{ErrorDetails, StatusExt};
use waypost_plane::{
    error::Error,
    proto::v1::{EmbedResponse, RouteHints},
};

use crate::fake::{self, Running, Worker, embed, embedded, instance_of, metadata, reason, within};

/// A worker that takes calls and never answers; it tells of each.
fn silent(name: &str) -> (Worker, mpsc::UnboundedReceiver<()>) {
    let (entered, waiting) = mpsc::unbounded_channel();
    let worker = Worker::named(name).embedding(move |_| {
        entered.send(()).expect("the test listens");
        std::future::pending()
    });
    (worker, waiting)
}

/// A session whose home is the instance of this name.
async fn session_of(
    client: &mut crate::fake::Client,
    home: &str,
) -> impl Fn() -> waypost_plane::proto::v1::EmbedRequest + use<> {
    for session in 0.. {
        let request = waypost_plane::proto::v1::EmbedRequest {
            route: Some(RouteHints { session: session.to_string(), ..Default::default() }),
            ..embed("m")
        };
        let response = client.embed(request.clone()).await.expect("is answered");
        if instance_of(response) == home {
            return move || request.clone();
        }
    }
    unreachable!("sessions spread over all instances")
}

#[tokio::test]
async fn a_call_on_a_killed_worker_is_answered_by_another() {
    within(async {
        let (worker, mut entered) = silent("a");
        let dying = worker.start();
        let router = fake::router(&[&dying], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let call = tokio::spawn(async move { client.embed(embed("m")).await });
        entered.recv().await;
        let other = Worker::named("b").start();
        router.set_instances(vec![dying.address.clone(), other.address.clone()]);
        fake::until_ready(&router, 2).await;
        dying.kill();
        let response = call.await.expect("ends").expect("is answered");
        assert_eq!(metadata(&response, "waypost-attempts"), "2");
        assert_eq!(metadata(&response, "waypost-reason"), "named/retry");
        assert_eq!(instance_of(response), "b");
    })
    .await;
}

#[tokio::test]
async fn the_only_worker_killed_means_unavailable_with_a_time_to_come_back_and_service_when_it_is_back() {
    within(async {
        let directory = std::env::temp_dir().join(format!("waypost-router-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("is writable");
        let address = format!("unix:{}", directory.join("a.sock").display()).parse().expect("is an address");
        let (worker, mut entered) = silent("a");
        let dying = worker.start_at(&address);
        let router = fake::router(&[&dying], json!({})).await;
        let client = fake::client(&router, &["models/m"]).await;
        let channel = fake::channel(&router).await;
        let mut caller = client.clone();
        let call = tokio::spawn(async move { caller.embed(embed("m")).await });
        entered.recv().await;
        dying.kill();
        let lost = call.await.expect("ends").expect_err("is lost");
        assert_eq!((lost.code(), reason(&lost).as_str()), (Code::Unavailable, "ERROR_REASON_INSTANCE_LOST"));
        fake::until(&channel, "models/m", ServingStatus::NotServing).await;
        let down = client.clone().embed(embed("m")).await.expect_err("is down");
        assert_eq!((down.code(), reason(&down).as_str()), (Code::Unavailable, "ERROR_REASON_NO_INSTANCE"));
        assert!([lost, down].iter().all(|status| status.get_details_retry_info().is_some()));
        let _back = Worker::named("a").start_at(&address);
        let listening = std::time::Instant::now();
        fake::until(&channel, "models/m", ServingStatus::Serving).await;
        assert!(listening.elapsed() < Duration::from_secs(1), "{:?}", listening.elapsed());
        client.clone().embed(embed("m")).await.expect("is answered");
        std::fs::remove_dir_all(&directory).expect("is ours");
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_hangs_is_noticed_by_its_pings_and_its_calls_go_elsewhere() {
    within(async {
        let stuck = Arc::new((Mutex::new(true), Condvar::new()));
        let held = stuck.clone();
        let worker = Worker::named("a").embedding(move |_| {
            let held = held.clone();
            async move {
                // Blocks the only thread of this worker, as a stopped process would.
                let guard = held.0.lock().expect("is sound");
                drop(held.1.wait_while(guard, |stuck| *stuck));
                Ok(embedded("a"))
            }
        });
        let hanging = worker.start();
        let router = fake::router(&[&hanging], json!({"probe_interval_s": 0.05})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let call = tokio::spawn(async move { client.embed(embed("m")).await });
        fake::until_in_flight(&router, "a", 1).await;
        let other = Worker::named("b").start();
        router.set_instances(vec![hanging.address.clone(), other.address.clone()]);
        assert_eq!(instance_of(call.await.expect("ends").expect("is answered")), "b");
        assert_eq!(fake::instance(&router, "a")["state"], "down");
        *stuck.0.lock().expect("is sound") = false;
        stuck.1.notify_all();
    })
    .await;
}

/// Two workers, of which the first refuses what its own sessions send.
async fn beside(
    status: Status,
    more: serde_json::Value,
) -> (waypost_plane::router::Router, [Running; 2], Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let worker = Worker::named("a").embedding(move |request: Request<_>| {
        let armed = request.metadata().get("x-armed").is_some();
        count.fetch_add(usize::from(armed), Ordering::SeqCst);
        let answer: Result<Response<EmbedResponse>, Status> =
            if armed { Err(status.clone()) } else { Ok(embedded("a")) };
        std::future::ready(answer)
    });
    let workers = [worker.start(), Worker::named("b").start()];
    let router = fake::router(&[&workers[0], &workers[1]], more).await;
    fake::until_ready(&router, 2).await;
    (router, workers, asked)
}

fn armed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-armed", "1".parse().expect("is ascii"));
    request
}

#[tokio::test]
async fn what_is_unavailable_or_full_on_one_is_tried_on_the_other() {
    within(async {
        let full = Status::from(Error::QueueFull { limit: 1, retry_after: Duration::from_millis(1) });
        let leaving = Status::from(Error::Draining { instance: "a".into() });
        for status in [Status::unavailable("later"), full, leaving] {
            let (router, _workers, asked) = beside(status, json!({})).await;
            let mut client = fake::client(&router, &["models/m"]).await;
            let request = session_of(&mut client, "a").await;
            let response = client.embed(armed(request())).await.expect("is answered elsewhere");
            assert_eq!(metadata(&response, "waypost-attempts"), "2");
            assert_eq!(instance_of(response), "b");
            assert_eq!(asked.load(Ordering::SeqCst), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn what_would_end_the_same_elsewhere_is_not_tried_again() {
    within(async {
        let info =
            ErrorDetails::with_error_info("ERROR_REASON_QUOTA_EXCEEDED", "waypost", [("subject".into(), "t".into())]);
        let quota = Status::with_error_details(Code::ResourceExhausted, "spent", info);
        let mut never = Status::unavailable("do not");
        never.metadata_mut().insert("grpc-retry-pushback-ms", "-1".parse().expect("is ascii"));
        let failed = Status::from(Error::ModelFailed { model: "m".into(), why: "NaN".into() });
        for status in [quota, never, failed, Status::invalid_argument("no")] {
            let code = status.code();
            let (router, _workers, asked) = beside(status, json!({})).await;
            let mut client = fake::client(&router, &["models/m"]).await;
            let request = session_of(&mut client, "a").await;
            let status = client.embed(armed(request())).await.expect_err("is passed on");
            assert_eq!(status.code(), code);
            assert_eq!(asked.load(Ordering::SeqCst), 1, "{code:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_says_when_is_asked_again_then() {
    within(async {
        let asked = Arc::new(AtomicUsize::new(0));
        let worker = Worker::named("a").embedding(move |_| {
            let mut later = Status::unavailable("in a moment");
            later.metadata_mut().insert("grpc-retry-pushback-ms", "5".parse().expect("is ascii"));
            let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
            std::future::ready(if first { Err(later) } else { Ok(embedded("a")) })
        });
        let worker = worker.start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let response = client.embed(embed("m")).await.expect("is answered");
        assert_eq!(metadata(&response, "waypost-attempts"), "2");
    })
    .await;
}

#[tokio::test]
async fn the_retry_budget_is_one_for_all_instances() {
    within(async {
        let workers: Vec<_> = ["a", "b", "c"]
            .iter()
            .map(|name| Worker::named(name).refusing(Status::unavailable("no")).start())
            .collect();
        let more = json!({"retry": {"max_attempts": 2, "budget_ratio": 0.0, "min_tokens": 1.0}});
        let router = fake::router(&workers.iter().collect::<Vec<_>>(), more).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        fake::until_ready(&router, 3).await;
        let mut attempts = Vec::new();
        for _ in 0..6 {
            let status = client.embed(embed("m")).await.expect_err("all refuse");
            let said = status.metadata().get("waypost-attempts").expect("says how often");
            attempts.push(said.to_str().expect("is ascii").to_string());
        }
        assert_eq!(attempts, ["2", "1", "1", "1", "1", "1"]);
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_keeps_failing_is_ejected() {
    within(async {
        let worker = Worker::named("a").refusing(Status::internal("broken")).start();
        let router = fake::router(&[&worker], json!({"breaker": {"failures": 3, "open_s": 60.0}})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        for _ in 0..3 {
            assert_eq!(fake::instance(&router, "a")["state"], "ready");
            client.embed(embed("m")).await.expect_err("is broken");
        }
        assert_eq!(fake::instance(&router, "a")["state"], "ejected");
        client.embed(embed("m")).await.expect_err("the last one is asked although it is ejected");
        assert_eq!(fake::instance(&router, "a")["requests"], 4);
    })
    .await;
}
