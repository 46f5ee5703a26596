//! Calls pass unchanged, both ways.

use std::time::Duration;

use serde_json::json;
use tonic::{Code, Request, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_types::{ErrorDetails, StatusExt};

use crate::fake::{self, Worker, embed, embedded, instance_of, metadata, model, within};

#[tokio::test]
async fn a_call_reaches_the_worker_and_the_answer_says_whose_it_is() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let response = client.embed(embed("m")).await.expect("is answered");
        assert_eq!(metadata(&response, "waypost-instance"), "a");
        assert_eq!(metadata(&response, "waypost-reason"), "named/only");
        assert_eq!(metadata(&response, "waypost-attempts"), "1");
        assert_eq!(instance_of(response), "a");
    })
    .await;
}

#[tokio::test]
async fn the_worker_sees_the_callers_metadata_the_remaining_time_and_the_chosen_model() {
    within(async {
        let worker = Worker::named("a").embedding(|request| async move {
            let metadata = request.metadata();
            let get = |name: &str| metadata.get(name).and_then(|v| v.to_str().ok()).unwrap_or("").to_string();
            assert_eq!(get("x-request-id"), "7");
            assert_eq!(get("waypost-model"), "m");
            assert!(get("grpc-timeout").ends_with('u'), "{}", get("grpc-timeout"));
            Ok(embedded("a"))
        });
        let worker = worker.start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let mut request = Request::new(embed(""));
        request.metadata_mut().insert("x-request-id", "7".parse().expect("is ascii"));
        request.metadata_mut().insert("waypost-model", "forged".parse().expect("is ascii"));
        request.set_timeout(Duration::from_secs(5));
        client.embed(request).await.expect("is answered");
    })
    .await;
}

#[tokio::test]
async fn a_named_model_leaves_no_room_for_a_forged_one() {
    within(async {
        let worker = Worker::named("a").embedding(|request| async move {
            assert!(request.metadata().get("waypost-model").is_none());
            Ok(embedded("a"))
        });
        let worker = worker.start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let mut request = Request::new(embed("m"));
        request.metadata_mut().insert("waypost-model", "forged".parse().expect("is ascii"));
        client.embed(request).await.expect("is answered");
    })
    .await;
}

#[tokio::test]
async fn a_workers_error_passes_with_its_details_and_counts_as_an_answer() {
    within(async {
        let details =
            ErrorDetails::with_error_info("ERROR_REASON_TEXT_TOO_LONG", "waypost", [("limit".into(), "256".into())]);
        let worker = Worker::named("a").refusing(Status::with_error_details(Code::InvalidArgument, "long", details));
        let worker = worker.start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let status = client.embed(embed("m")).await.expect_err("is refused");
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "long"));
        assert_eq!(fake::reason(&status), "ERROR_REASON_TEXT_TOO_LONG");
        assert_eq!(status.metadata().get("waypost-instance").map(|v| v.as_bytes()), Some(&b"a"[..]));
        let instance = fake::instance(&router, "a");
        assert_eq!((&instance["requests"], &instance["failures"]), (&json!(1), &json!(0)));
    })
    .await;
}

#[tokio::test]
async fn the_better_model_stays_the_choice_while_it_is_down() {
    within(async {
        let mut good = model("good");
        good.quality = 0.9;
        let (better, other) = (Worker::named("a").with(good).start(), Worker::named("b").with(model("plain")).start());
        let router = fake::router(&[&better, &other], json!({})).await;
        let mut client = fake::client(&router, &["models/good", "models/plain"]).await;
        let response = client.embed(embed("")).await.expect("is answered");
        assert_eq!(metadata(&response, "waypost-reason"), "best_fit/only");
        assert_eq!(instance_of(response), "a");
        better.kill();
        fake::until(&fake::channel(&router).await, "models/good", ServingStatus::NotServing).await;
        let status = client.embed(embed("")).await.expect_err("is not given to another vector space");
        assert_eq!(fake::reason(&status), "ERROR_REASON_NO_INSTANCE");
        assert_eq!(instance_of(client.embed(embed("plain")).await.expect("is answered")), "b");
    })
    .await;
}

#[tokio::test]
async fn several_connections_to_one_instance_serve_alike() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({"connections": 3})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        for _ in 0..10 {
            client.embed(embed("m")).await.expect("is answered");
        }
        assert_eq!(fake::instance(&router, "a")["requests"], 10);
    })
    .await;
}
