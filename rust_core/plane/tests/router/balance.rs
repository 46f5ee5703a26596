//! Which replica gets the call.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::json;
use tokio::{sync::Semaphore, task::JoinSet};
use waypost_plane::proto::v1;

use crate::fake::{self, Worker, embed, embedded, instance_of, metadata, within};

/// Answers when the gate opens, and counts who waits.
fn gated(name: &'static str, gate: &Arc<Semaphore>, waiting: &Arc<AtomicUsize>) -> Worker {
    let (gate, waiting) = (gate.clone(), waiting.clone());
    Worker::named(name).embedding(move |_| {
        let gate = gate.clone();
        waiting.fetch_add(1, Ordering::SeqCst);
        async move {
            gate.acquire().await.expect("stays open").forget();
            Ok(embedded(name))
        }
    })
}

#[tokio::test]
async fn calls_in_flight_are_counted_when_chosen_so_a_burst_spreads_evenly() {
    within(async {
        let gate = Arc::new(Semaphore::new(0));
        let counts: Vec<_> = (0..3).map(|_| Arc::new(AtomicUsize::new(0))).collect();
        let workers: Vec<_> =
            ["a", "b", "c"].iter().zip(&counts).map(|(name, count)| gated(name, &gate, count).start()).collect();
        let router = fake::router(&workers.iter().collect::<Vec<_>>(), json!({})).await;
        let client = fake::client(&router, &["models/m"]).await;
        fake::until_ready(&router, 3).await;
        let mut calls = JoinSet::new();
        for _ in 0..30 {
            let mut client = client.clone();
            calls.spawn(async move { client.embed(embed("m")).await });
        }
        for name in ["a", "b", "c"] {
            fake::until_in_flight(&router, name, 10).await;
        }
        gate.add_permits(30);
        while let Some(answered) = calls.join_next().await {
            answered.expect("ends").expect("is answered");
        }
        assert!(counts.iter().all(|count| count.load(Ordering::SeqCst) == 10));
        for name in ["a", "b", "c"] {
            assert_eq!(fake::instance(&router, name)["in_flight"], 0);
        }
    })
    .await;
}

#[tokio::test]
async fn health_that_flips_leaves_the_calls_in_flight_counted() {
    within(async {
        use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};
        let gate = Arc::new(Semaphore::new(0));
        let worker = gated("a", &gate, &Arc::default()).start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let channel = fake::channel(&router).await;
        let call = tokio::spawn(async move { client.embed(embed("m")).await });
        fake::until_in_flight(&router, "a", 1).await;
        worker.health.set("", NotServing);
        fake::until(&channel, "models/m", NotServing).await;
        worker.health.set("", Serving);
        fake::until(&channel, "models/m", Serving).await;
        assert_eq!(fake::instance(&router, "a")["in_flight"], 1);
        gate.add_permits(1);
        call.await.expect("ends").expect("is answered");
        assert_eq!(fake::instance(&router, "a")["in_flight"], 0);
    })
    .await;
}

#[tokio::test]
async fn a_session_stays_with_its_instance_and_sessions_spread() {
    within(async {
        let workers: Vec<_> = ["a", "b", "c"].iter().map(|name| Worker::named(name).start()).collect();
        let router = fake::router(&workers.iter().collect::<Vec<_>>(), json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        fake::until_ready(&router, 3).await;
        let mut homes = std::collections::HashSet::new();
        for session in 0..20 {
            let route = Some(v1::RouteHints { session: session.to_string(), ..Default::default() });
            let request = v1::EmbedRequest { route, ..embed("m") };
            let first = client.embed(request.clone()).await.expect("is answered");
            assert_eq!(metadata(&first, "waypost-reason"), "named/session");
            let home = instance_of(first);
            for _ in 0..3 {
                let again = client.embed(request.clone()).await.expect("is answered");
                assert_eq!(instance_of(again), home);
            }
            homes.insert(home);
        }
        assert_eq!(homes.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn every_policy_serves() {
    within(async {
        let workers: Vec<_> = ["a", "b"].iter().map(|name| Worker::named(name).start()).collect();
        for policy in ["expected_completion", "power_of_two", "score", "round_robin"] {
            let router = fake::router(&workers.iter().collect::<Vec<_>>(), json!({"policy": policy})).await;
            let mut client = fake::client(&router, &["models/m"]).await;
            fake::until_ready(&router, 2).await;
            let response = client.embed(embed("m")).await.expect("is answered");
            assert_eq!(metadata(&response, "waypost-reason"), format!("named/{policy}"));
        }
    })
    .await;
}
