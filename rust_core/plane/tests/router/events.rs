//! Every decision leaves one line.

use std::time::Duration;

use serde_json::{Value, json};
use tonic::{Request, Status};
use waypost_plane::router::Router;

use crate::fake::{self, Worker, embed, embedded, within};

/// The next events, fetched where waiting disturbs nobody.
async fn next(router: &Router, max: usize) -> Vec<Value> {
    let events = router.events();
    let lines = tokio::task::spawn_blocking(move || events.next(max, Duration::from_secs(10))).await;
    lines.expect("ends").iter().map(|line| serde_json::from_str(line).expect("is JSON")).collect()
}

#[tokio::test]
async fn an_event_tells_who_was_considered_why_and_how_it_came_out() {
    within(async {
        let (a, b) = (Worker::named("a").start(), Worker::named("b").start());
        let router = fake::router(&[&a, &b], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        fake::until_ready(&router, 2).await;
        let mut request = Request::new(embed(""));
        request.metadata_mut().insert("x-request-id", "r-1".parse().expect("is ascii"));
        request.metadata_mut().insert(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().expect("is ascii"),
        );
        let chosen = fake::instance_of(client.embed(request).await.expect("is answered"));
        let event = next(&router, 10).await.remove(0);
        assert!(event["timestamp"].as_str().is_some_and(|time| time.ends_with('Z') && time.contains('T')));
        assert!(event["latency_ms"].as_f64().is_some_and(|latency| latency > 0.0));
        let told = |key: &str| event[key].clone();
        assert_eq!(told("event"), "decision");
        assert_eq!(told("request_id"), "r-1");
        assert_eq!(told("trace_id"), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(told("span_id"), json!(null));
        assert_eq!(told("method"), "/waypost.v1.EmbedService/Embed");
        assert_eq!((told("model"), told("model_reason")), (json!("m"), json!("best_fit")));
        assert_eq!((told("policy"), told("reason")), (json!("expected_completion"), json!("expected_completion")));
        assert_eq!((told("chosen"), told("code")), (json!(chosen), json!("OK")));
        assert_eq!(event["attempts"][0]["instance"], chosen);
        let candidates = event["candidates"].as_array().expect("is a list");
        assert_eq!(candidates.len(), 2);
        for candidate in candidates {
            assert_eq!(candidate["admitted"], true);
            assert!(candidate["score"].as_f64().is_some_and(|score| score > 0.0));
            for term in ["latency", "queue", "fit", "health", "feedback"] {
                assert!(candidate["terms"][term].as_f64().is_some_and(|term| (0.0..=1.0).contains(&term)), "{term}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_second_attempt_and_a_refusal_are_told_too() {
    within(async {
        let (a, b) = (Worker::named("a").refusing(Status::unavailable("no")).start(), Worker::named("b").start());
        let router = fake::router(&[&a, &b], json!({"policy": "round_robin"})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        fake::until_ready(&router, 2).await;
        for _ in 0..2 {
            client.embed(embed("m")).await.expect("is answered");
        }
        client.embed(embed("none")).await.expect_err("is unknown");
        let events = next(&router, 10).await;
        let codes = |event: &Value| -> Vec<String> {
            let attempts = event["attempts"].as_array().expect("is a list");
            attempts.iter().map(|attempt| attempt["code"].as_str().expect("is text").to_string()).collect()
        };
        let retried = events.iter().find(|event| codes(event).len() == 2).expect("one was tried twice");
        assert_eq!(codes(retried), ["UNAVAILABLE", "OK"]);
        assert_eq!(retried["chosen"], "b");
        assert_eq!(events[2]["code"], "NOT_FOUND");
        assert!(events[2]["error"].as_str().is_some_and(|error| error.contains("none")));
    })
    .await;
}

#[tokio::test]
async fn a_call_whose_caller_left_is_told_as_cancelled() {
    within(async {
        let worker = Worker::named("a").embedding(|_| std::future::pending()).start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let call = tokio::spawn(async move { client.embed(embed("m")).await });
        fake::until_in_flight(&router, "a", 1).await;
        call.abort();
        let event = next(&router, 1).await.remove(0);
        assert_eq!((&event["code"], &event["chosen"]), (&json!("CANCELLED"), &json!("a")));
    })
    .await;
}

#[tokio::test]
async fn events_nobody_fetches_are_counted_and_hold_up_nothing() {
    within(async {
        let worker = Worker::named("a").embedding(|_| std::future::ready(Ok(embedded("a")))).start();
        let router = fake::router(&[&worker], json!({"limits": {"event_ring": 2}})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        for _ in 0..5 {
            client.embed(embed("m")).await.expect("is answered");
        }
        assert_eq!(next(&router, 10).await.len(), 2);
        assert_eq!(router.events().dropped(), 3);
        let events = router.events();
        let none = tokio::task::spawn_blocking(move || events.next(10, Duration::from_millis(1))).await;
        assert!(none.expect("ends").is_empty());
    })
    .await;
}
