//! Calls pass unchanged, and what is wrong with one is said here.

use serde_json::json;
use tonic::{Code, Request};
use tonic_types::StatusExt;

use crate::fake::{self, Worker, embed, embedded, instance_of, within};

#[tokio::test]
async fn a_call_reaches_the_worker_and_the_answer_says_whose_it_is() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let response = client.embed(embed("m")).await.expect("is answered");
        let metadata = response.metadata();
        assert_eq!(metadata.get("waypost-instance").map(|v| v.as_bytes()), Some(&b"a"[..]));
        assert_eq!(metadata.get("waypost-reason").map(|v| v.as_bytes()), Some(&b"named/only"[..]));
        assert_eq!(metadata.get("waypost-attempts").map(|v| v.as_bytes()), Some(&b"1"[..]));
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
        request.set_timeout(std::time::Duration::from_secs(5));
        client.embed(request).await.expect("is answered");
    })
    .await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_by_its_prefix() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({"limits": {"max_receive_bytes": 1000}})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let mut request = embed("m");
        request.texts = vec!["x".repeat(100_000)];
        let status = client.embed(request).await.expect_err("is refused");
        assert_eq!(status.code(), Code::ResourceExhausted);
        let reason = status.get_details_error_info().map(|info| info.reason);
        assert_eq!(reason.as_deref(), Some("ERROR_REASON_MESSAGE_TOO_LARGE"));
    })
    .await;
}

#[tokio::test]
async fn an_unknown_model_is_named_with_those_there_are() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let status = client.embed(embed("bert-xl")).await.expect_err("is refused");
        assert_eq!(status.code(), Code::NotFound);
        assert!(status.message().contains("bert-xl") && status.message().contains("there is m"), "{status}");
    })
    .await;
}
