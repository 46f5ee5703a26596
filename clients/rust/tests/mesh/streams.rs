//! Answers come piece by piece, and can be stopped.

use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::time::{Instant, timeout};
use waypost_client::v1::mesh_service_client::MeshServiceClient;
use waypost_client::v1::{FinishReason, GenerateRequest, ListInstancesRequest};
use waypost_client::{Client, Code};

use crate::env;

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn pieces_come_one_by_one_and_the_last_says_how_it_ended() {
    let stream = env::client().await.generate_stream(ask("one two three")).await.unwrap();
    let pieces: Vec<_> = stream.try_collect().await.unwrap();
    assert!(pieces.len() > 3, "{} pieces", pieces.len());
    let end = pieces.last().and_then(|piece| piece.r#final.clone()).unwrap();
    assert_eq!(end.finish_reason(), FinishReason::Stop);
}

#[tokio::test]
async fn dropping_a_stream_frees_the_model() {
    let client = env::client().await;
    let mut stream = client.generate_stream(ask("forever")).await.unwrap();
    for _ in 0..2 {
        stream.next().await.unwrap().expect("it never ends");
    }
    assert!(in_flight(&client).await > 0);
    drop(stream);
    timeout(PATIENCE, async { while in_flight(&client).await > 0 {} }).await.expect("the model is free");
}

#[tokio::test]
async fn dropping_a_call_frees_the_model() {
    let client = env::client().await;
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.generate(ask("forever")).await }
    });
    timeout(PATIENCE, async { while in_flight(&client).await == 0 {} }).await.expect("the model works");
    call.abort();
    timeout(PATIENCE, async { while in_flight(&client).await > 0 {} }).await.expect("the model is free");
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline() {
    let hurried = env::client().await.with_timeout(Duration::from_millis(200));
    let begun = Instant::now();
    let mut stream = hurried.generate_stream(ask("forever")).await.unwrap();
    let error = loop {
        match stream.next().await {
            Ok(piece) => assert!(piece.is_some(), "it ended"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code, Code::DeadlineExceeded);
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(stream.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let hurried = env::client().await.with_timeout(Duration::from_millis(200));
    let begun = Instant::now();
    assert_eq!(hurried.generate(ask("forever")).await.unwrap_err().code, Code::DeadlineExceeded);
    assert!(begun.elapsed() < Duration::from_secs(1));
}

fn ask(prompt: &str) -> GenerateRequest {
    GenerateRequest { model: "drip".into(), ..GenerateRequest::chat(prompt) }
}

async fn in_flight(client: &Client) -> u32 {
    let answer = MeshServiceClient::new(client.channel()).list_instances(ListInstancesRequest {}).await.unwrap();
    let instances = answer.into_inner().instances.into_iter();
    instances.filter(|instance| instance.models.contains(&"drip".to_string())).map(|drip| drip.in_flight).sum()
}
