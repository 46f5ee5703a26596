//! What is refused at the door, and how it is said.

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use prost::Message;
use serde_json::json;
use tokio::sync::mpsc;
use tonic::{Code, Status, body::Body, transport::Channel};
use tonic_types::StatusExt;
use tower::{Service, ServiceExt};
use waypost_plane::proto::v1;

use crate::fake::{self, Worker, embed, embedded, reason, within};

/// Sends raw bytes as the body of an Embed call.
async fn send(channel: &Channel, body: Vec<u8>) -> Status {
    let request = http::Request::post("/waypost.v1.EmbedService/Embed")
        .header("content-type", "application/grpc")
        .body(Body::new(Full::new(Bytes::from(body)).map_err(|never| match never {})))
        .expect("is a request");
    let response = channel.clone().ready().await.expect("is connected").call(request).await.expect("is answered");
    let (head, body) = response.into_parts();
    let collected = body.collect().await.expect("is whole");
    let meta = collected.trailers().cloned().unwrap_or(head.headers);
    Status::from_header_map(&meta).expect("has a status")
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    frame.put_u8(flag);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.to_vec()
}

#[tokio::test]
async fn bytes_that_are_no_request_are_refused_and_disturb_nobody() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let channel = fake::channel(&router).await;
        let good = framed(0, &embed("m").encode_to_vec());
        let cases: [(&str, Vec<u8>, Code); 7] = [
            ("nothing at all", vec![], Code::InvalidArgument),
            ("half a prefix", vec![0, 0], Code::InvalidArgument),
            ("half a message", good[..good.len() - 1].to_vec(), Code::InvalidArgument),
            ("two messages", [good.clone(), good.clone()].concat(), Code::InvalidArgument),
            ("broken protobuf", framed(0, b"\x0a\xff"), Code::InvalidArgument),
            ("a model that is not UTF-8", framed(0, b"\x0a\x02\xff\xfe"), Code::InvalidArgument),
            ("a compressed message", framed(1, b"x"), Code::Unimplemented),
        ];
        for (what, body, code) in cases {
            assert_eq!(send(&channel, body).await.code(), code, "{what}");
        }
        assert_eq!(send(&channel, good).await.code(), Code::Ok);
        client.embed(embed("m")).await.expect("is answered");
    })
    .await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_by_its_prefix() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({"limits": {"max_receive_bytes": 1000}})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let request = v1::EmbedRequest { texts: vec!["x".repeat(100_000)], ..embed("m") };
        let status = client.embed(request).await.expect_err("is refused");
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(reason(&status), "ERROR_REASON_MESSAGE_TOO_LARGE");
    })
    .await;
}

#[tokio::test]
async fn a_large_request_arrives_as_it_was_sent() {
    within(async {
        let worker = Worker::named("a").embedding(|request| async move {
            assert_eq!(request.get_ref().texts, ["y".repeat(5_000_000)]);
            Ok(embedded("a"))
        });
        let worker = worker.start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await.max_encoding_message_size(usize::MAX);
        let request = v1::EmbedRequest { texts: vec!["y".repeat(5_000_000)], ..embed("m") };
        let status = client.embed(request).await.expect_err("is more than tonic takes by itself");
        assert!(status.message().contains("decoded message length too large"), "{status}");
    })
    .await;
}

#[tokio::test]
async fn beyond_the_calls_it_takes_the_next_is_refused_at_once_with_a_time_to_come_back() {
    within(async {
        let (entered, mut waiting) = mpsc::unbounded_channel();
        let worker = Worker::named("a").embedding(move |_| {
            entered.send(()).expect("the test listens");
            std::future::pending()
        });
        let worker = worker.start();
        let router = fake::router(&[&worker], json!({"limits": {"max_in_flight": 1}})).await;
        let client = fake::client(&router, &["models/m"]).await;
        let mut first = client.clone();
        let first = tokio::spawn(async move { first.embed(embed("m")).await });
        waiting.recv().await;
        let status = client.clone().embed(embed("m")).await.expect_err("is refused");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "ERROR_REASON_QUEUE_FULL"));
        assert!(status.get_details_retry_info().and_then(|info| info.retry_delay).is_some());
        first.abort();
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

#[tokio::test]
async fn what_no_worker_does_is_said() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({})).await;
        fake::client(&router, &["models/m"]).await;
        let channel = fake::channel(&router).await;
        let mut retrieve = v1::retrieve_service_client::RetrieveServiceClient::new(channel.clone());
        let status = retrieve.query_documents(v1::QueryDocumentsRequest::default()).await.expect_err("is refused");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ERROR_REASON_NOT_CAPABLE"));
        let mut rerank = v1::rerank_service_client::RerankServiceClient::new(channel);
        let status = rerank.rerank(v1::RerankRequest::default()).await.expect_err("is refused");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ERROR_REASON_NOT_CAPABLE"));
    })
    .await;
}

#[tokio::test]
async fn before_any_worker_was_heard_a_call_is_told_to_come_back() {
    within(async {
        let router = fake::router(&[], json!({"instances": ["127.0.0.1:9"]})).await;
        let mut client = fake::client(&router, &[]).await;
        for model in ["", "m"] {
            let status = client.embed(embed(model)).await.expect_err("is refused");
            assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "ERROR_REASON_NO_INSTANCE"));
            assert!(status.get_details_retry_info().and_then(|info| info.retry_delay).is_some());
        }
    })
    .await;
}
