//! Callers who leave, deadlines that pass, servers that shut down: nothing is left behind.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tonic::{Code, Request};
use tonic_types::StatusExt;

use crate::fake::{self, Worker, embed, embedded, reason, within};

/// Sends word when it is dropped.
struct Dropped(mpsc::UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        // The test may be over already.
        let _ = self.0.send(());
    }
}

/// Never answers, and tells when a call is given up.
fn patient(name: &str) -> (Worker, mpsc::UnboundedReceiver<()>) {
    let (sender, given_up) = mpsc::unbounded_channel();
    let worker = Worker::named(name).embedding(move |_| {
        let dropped = Dropped(sender.clone());
        async move {
            let _dropped = dropped;
            std::future::pending().await
        }
    });
    (worker, given_up)
}

#[tokio::test]
async fn a_caller_who_leaves_stops_the_work_and_judges_nobody() {
    within(async {
        let (worker, mut given_up) = patient("a");
        let worker = worker.start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let call = tokio::spawn(async move { client.embed(embed("m")).await });
        fake::until_in_flight(&router, "a", 1).await;
        call.abort();
        given_up.recv().await.expect("the worker notices");
        fake::until_in_flight(&router, "a", 0).await;
        let instance = fake::instance(&router, "a");
        assert_eq!((&instance["requests"], &instance["failures"]), (&json!(0), &json!(0)));
        assert_eq!(router.status()["in_flight"], 0);
    })
    .await;
}

#[tokio::test]
async fn a_deadline_that_passes_stops_the_work_and_says_where_it_was() {
    within(async {
        let (worker, mut given_up) = patient("a");
        let worker = worker.start();
        let router = fake::router(&[&worker], json!({"default_timeout_s": 0.05})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let status = client.embed(embed("m")).await.expect_err("is late");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "ERROR_REASON_DEADLINE"));
        let stage = status.get_details_error_info().map(|info| info.metadata["stage"].clone());
        assert_eq!(stage.as_deref(), Some("instance"));
        given_up.recv().await.expect("the worker notices");
        fake::until_in_flight(&router, "a", 0).await;
        assert_eq!(fake::instance(&router, "a")["failures"], 0, "a short deadline is no fault of the worker");
        assert_eq!(router.status()["in_flight"], 0);
    })
    .await;
}

#[tokio::test]
async fn a_storm_of_tiny_deadlines_disturbs_nobody() {
    within(async {
        let gate = Arc::new(Semaphore::new(0));
        let opened = gate.clone();
        let worker = Worker::named("a").embedding(move |request: Request<waypost_plane::proto::v1::EmbedRequest>| {
            let gate = gate.clone();
            async move {
                if request.get_ref().texts[0] == "text" {
                    std::future::pending::<()>().await;
                }
                gate.acquire().await.expect("stays open").forget();
                Ok(embedded("a"))
            }
        });
        let worker = worker.start();
        let router = fake::router(&[&worker], json!({})).await;
        let client = fake::client(&router, &["models/m"]).await;
        let mut steady = client.clone();
        let steady = tokio::spawn(async move {
            let request = waypost_plane::proto::v1::EmbedRequest { texts: vec!["steady".into()], ..embed("m") };
            steady.embed(request).await
        });
        fake::until_in_flight(&router, "a", 1).await;
        let mut storm = JoinSet::new();
        for _ in 0..3000 {
            let mut client = client.clone();
            let mut request = Request::new(embed("m"));
            request.set_timeout(Duration::from_millis(1));
            storm.spawn(async move { client.embed(request).await });
        }
        while let Some(ended) = storm.join_next().await {
            let code = ended.expect("ends").expect_err("is late").code();
            assert!(matches!(code, Code::DeadlineExceeded | Code::Cancelled), "{code:?}");
        }
        opened.add_permits(1);
        steady.await.expect("ends").expect("is answered");
        fake::until_in_flight(&router, "a", 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_router_that_drains_lets_its_calls_end() {
    within(async {
        let gate = Arc::new(Semaphore::new(0));
        let opened = gate.clone();
        let worker = Worker::named("a").embedding(move |_| {
            let gate = gate.clone();
            async move {
                gate.acquire().await.expect("stays open").forget();
                Ok(embedded("a"))
            }
        });
        let worker = worker.start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let channel = fake::channel(&router).await;
        let call = tokio::spawn(async move { client.embed(embed("m")).await });
        fake::until_in_flight(&router, "a", 1).await;
        let draining = tokio::spawn(router.drain(Duration::from_secs(10)));
        fake::until(&channel, "", tonic_health::pb::health_check_response::ServingStatus::NotServing).await;
        drop(channel);
        opened.add_permits(1);
        call.await.expect("ends").expect("is answered");
        assert!(draining.await.expect("ends"), "all ended by itself");
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_drains_under_load_fails_no_call() {
    within(async {
        let (leaving, staying) = (Worker::named("a").start(), Worker::named("b").start());
        let router = fake::router(&[&leaving, &staying], json!({})).await;
        let client = fake::client(&router, &["models/m"]).await;
        fake::until_ready(&router, 2).await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let mut load = JoinSet::new();
        for _ in 0..8 {
            let (mut client, stopped) = (client.clone(), stopped.clone());
            load.spawn(async move {
                let mut count = 0;
                while !*stopped.borrow() {
                    client.embed(embed("m")).await.expect("no call fails");
                    count += 1;
                }
                count
            });
        }
        while fake::instance(&router, "a")["requests"].as_u64() < Some(100) {
            tokio::task::yield_now().await;
        }
        assert!(leaving.drain().await, "the worker left by itself");
        stop.send_replace(true);
        while let Some(count) = load.join_next().await {
            assert!(count.expect("no call failed") > 0);
        }
    })
    .await;
}
