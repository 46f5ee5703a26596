//! Streams pass frame by frame, at the reader's pace, and are never tried twice.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Response};
use tonic_health::pb::health_check_response::ServingStatus;
use waypost_plane::proto::v1::{EmbedRequest, EmbedResponse, EmbedStreamRequest};

use crate::fake::{self, Worker, embed, embedded, reason, within};

type Sender = mpsc::UnboundedSender<EmbedStreamRequest>;

fn requests() -> (Sender, UnboundedReceiverStream<EmbedStreamRequest>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, receiver.into())
}

fn request() -> EmbedStreamRequest {
    EmbedStreamRequest { request: Some(embed("m")) }
}

#[tokio::test]
async fn answers_come_while_the_client_still_sends() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let (sender, stream) = requests();
        sender.send(request()).expect("is open");
        let mut answers = client.embed_stream(stream).await.expect("is answered").into_inner();
        for _ in 0..5 {
            let answer = answers.message().await.expect("goes on").expect("is there");
            assert_eq!(answer.response.and_then(|r| r.served).map(|s| s.instance).as_deref(), Some("a"));
            sender.send(request()).expect("is open");
        }
        drop(sender);
        while answers.message().await.expect("goes on").is_some() {}
        let trailers = answers.trailers().await.expect("ends well").expect("has trailers");
        assert_eq!(trailers.get("waypost-instance").map(|v| v.as_bytes()), Some(&b"a"[..]));
        let instance = fake::instance(&router, "a");
        assert_eq!((&instance["requests"], &instance["in_flight"]), (&json!(1), &json!(0)));
    })
    .await;
}

#[tokio::test]
async fn after_the_first_answer_a_lost_worker_ends_the_stream_and_nothing_is_tried_again() {
    within(async {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let dying = Worker::named("a").start();
        let router = fake::router(&[&dying], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let (sender, stream) = requests();
        sender.send(request()).expect("is open");
        let mut answers = client.embed_stream(stream).await.expect("is answered").into_inner();
        answers.message().await.expect("goes on").expect("is there");
        let other = Worker::named("b").embedding(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok(embedded("b")))
        });
        let other = other.start();
        router.set_instances(vec![dying.address.clone(), other.address.clone()]);
        fake::until_ready(&router, 2).await;
        dying.kill();
        let status = answers.message().await.expect_err("is lost");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "ERROR_REASON_INSTANCE_LOST"));
        assert_eq!(asked.load(Ordering::SeqCst), 0);
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_given_up_leaves_the_counters_at_zero() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let (sender, stream) = requests();
        sender.send(request()).expect("is open");
        let mut answers = client.embed_stream(stream).await.expect("is answered").into_inner();
        answers.message().await.expect("goes on").expect("is there");
        fake::until_in_flight(&router, "a", 1).await;
        // A client whose sending side is open has not left yet.
        drop((answers, sender));
        fake::until_in_flight(&router, "a", 0).await;
        assert_eq!(fake::instance(&router, "a")["failures"], 0);
        assert_eq!(router.status()["in_flight"], 0);
    })
    .await;
}

#[tokio::test]
async fn a_stream_beyond_its_deadline_ends_with_it() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({"default_timeout_s": 0.1})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let (sender, stream) = requests();
        sender.send(request()).expect("is open");
        let mut answers = client.embed_stream(stream).await.expect("is answered").into_inner();
        answers.message().await.expect("goes on").expect("is there");
        let status = answers.message().await.expect_err("is over");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "ERROR_REASON_DEADLINE"));
        fake::until_in_flight(&router, "a", 0).await;
        drop(sender);
    })
    .await;
}

/// Answers with a megabyte, and counts.
fn bulky(made: &Arc<AtomicUsize>) -> Worker {
    let made = made.clone();
    Worker::named("a").embedding(move |request: tonic::Request<EmbedRequest>| {
        let small = request.get_ref().texts[0] == "small";
        made.fetch_add(1, Ordering::SeqCst);
        let vectors = Bytes::from(vec![0; if small { 4 } else { 1 << 20 }]);
        std::future::ready(Ok(Response::new(EmbedResponse { vectors, ..Default::default() })))
    })
}

#[tokio::test]
async fn readers_who_stop_stop_the_worker_and_nobody_else() {
    within(async {
        let made = Arc::new(AtomicUsize::new(0));
        let worker = bulky(&made).start();
        let router = fake::router(&[&worker], json!({})).await;
        let client = fake::client(&router, &["models/m"]).await;
        let mut stalled = Vec::new();
        for _ in 0..8 {
            let (sender, stream) = requests();
            (0..100).for_each(|_| sender.send(request()).expect("is open"));
            let channel = fake::channel(&router).await;
            let mut own = waypost_plane::proto::v1::embed_service_client::EmbedServiceClient::new(channel);
            stalled.push((sender, own.embed_stream(stream).await.expect("is answered")));
        }
        let small = EmbedRequest { texts: vec!["small".into()], ..embed("m") };
        for _ in 0..200 {
            client.clone().embed(small.clone()).await.expect("is answered beside the stalled ones");
        }
        let held = made.load(Ordering::SeqCst) - 200;
        assert!(held < 8 * 20, "{held} of 800 answers were made that nobody reads");
        drop(stalled);
        fake::until_in_flight(&router, "a", 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_of_a_model_that_is_down_is_refused_like_a_call() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let channel = fake::channel(&router).await;
        worker.kill();
        fake::until(&channel, "models/m", ServingStatus::NotServing).await;
        let (sender, stream) = requests();
        sender.send(request()).expect("is open");
        let status = client.embed_stream(stream).await.expect_err("is refused");
        assert_eq!(reason(&status), "ERROR_REASON_NO_INSTANCE");
    })
    .await;
}
