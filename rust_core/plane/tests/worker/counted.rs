//! What a worker counts is what happened, however its calls end.

use std::time::Instant;

use serde_json::json;
use tonic::{Code, Request, client::Grpc};
use tonic_prost::ProstCodec;
use waypost_plane::proto::v1::{self, MetricType};

use crate::desk::{Desk, code, desk, prompt, texts, within, write};

async fn counting() -> Desk {
    desk(json!({})).await
}

const CALLS: &str = "waypost_worker_calls";
const DEPTH: &str = "waypost_worker_queue_depth";

#[tokio::test]
async fn a_call_counts_once_with_its_model_stages_and_tokens() {
    within(async {
        let desk = counting().await;
        desk.run();
        desk.embed().embed(texts(&["a b c", "d"])).await.expect("is answered");
        desk.until(CALLS, &["embed", "enc", "OK"], 1).await;
        for stage in ["queue", "tokenize", "inference"] {
            assert_eq!(desk.figure(&format!("waypost_worker_{stage}_seconds"), &["enc"]).await, 1, "{stage}");
        }
        assert_eq!(desk.figure("waypost_worker_tokens", &["enc", "prompt"]).await, 4);
        assert_eq!(desk.figure("waypost_worker_tokens", &["enc", "completion"]).await, 0);
        assert_eq!(desk.figure("waypost_worker_queue_limit", &[]).await, 8 + 6);
        desk.until(DEPTH, &[], 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_run_counts_its_texts_and_what_was_padded() {
    within(async {
        let desk = counting().await;
        let (mut first, mut second, mut third) = (desk.embed(), desk.embed(), desk.embed());
        let first = tokio::spawn(async move { first.embed(texts(&["e"])).await });
        desk.until_begun(1).await;
        let second = tokio::spawn(async move { second.embed(texts(&["a b c", "d"])).await });
        desk.until(DEPTH, &[], 3).await;
        let third = tokio::spawn(async move { third.embed(texts(&["b b b b b"])).await });
        desk.until(DEPTH, &[], 4).await;
        (0..2).for_each(|_| desk.run());
        for call in [first, second, third] {
            call.await.expect("ends").expect("is answered");
        }
        let runs = desk.figure("waypost_worker_runs", &["enc"]).await;
        let batches = desk.series("waypost_worker_batch_texts", &["enc"]).await.expect("is told");
        assert_eq!((runs, batches.value, batches.buckets[..3].to_vec()), (2, 4.0, vec![1, 0, 1]));
        assert_eq!(desk.figure("waypost_worker_batch_tokens", &["enc", "real"]).await, 1 + 3 + 1 + 5);
        assert_eq!(desk.figure("waypost_worker_batch_tokens", &["enc", "padding"]).await, 2 + 4);
    })
    .await;
}

#[tokio::test]
async fn a_text_seen_before_is_a_hit_and_its_tokens_were_known() {
    within(async {
        let desk = counting().await;
        (0..2).for_each(|_| desk.run());
        desk.embed().embed(texts(&["a b", "c"])).await.expect("is answered");
        desk.embed().embed(texts(&["a b", "d"])).await.expect("is answered");
        desk.until(CALLS, &["embed", "enc", "OK"], 2).await;
        let lookups = "waypost_worker_vector_cache_requests";
        assert_eq!(desk.figure(lookups, &["enc", "hit"]).await, 1);
        assert_eq!(desk.figure(lookups, &["enc", "miss"]).await, 3);
        assert_eq!(desk.figure("waypost_worker_tokens", &["enc", "prompt"]).await, 6);
        assert_eq!(desk.figure("waypost_worker_tokens", &["enc", "cached"]).await, 2);
    })
    .await;
}

#[tokio::test]
async fn every_way_to_end_has_its_code() {
    within(async {
        let desk = counting().await;
        let none = v1::EmbedRequest { model: "none".into(), ..texts(&["a"]) };
        assert_eq!(code(desk.embed().embed(none).await), Code::NotFound);
        assert_eq!(code(desk.embed().embed(texts(&[])).await), Code::InvalidArgument);
        let asked = v1::ClassifyRequest { texts: vec!["a".into()], ..Default::default() };
        assert_eq!(code(desk.classify().classify(asked).await), Code::FailedPrecondition);
        assert_eq!(code(desk.embed().embed(texts(&["a"; 9])).await), Code::ResourceExhausted);
        desk.fail();
        assert_eq!(code(desk.embed().embed(texts(&["a"])).await), Code::Internal);
        for (task, model, code, calls) in [
            ("embed", "", "NOT_FOUND", 1),
            ("embed", "enc", "INVALID_ARGUMENT", 1),
            ("classify", "", "FAILED_PRECONDITION", 1),
            ("embed", "enc", "RESOURCE_EXHAUSTED", 1),
            ("embed", "enc", "INTERNAL", 1),
            ("embed", "enc", "OK", 0),
        ] {
            desk.until(CALLS, &[task, model, code], calls).await;
        }
        assert_eq!(desk.figure("waypost_worker_runs", &["enc"]).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_call_whose_time_is_over_counts_with_the_stage_it_ended_in() {
    within(async {
        let desk = desk(json!({"default_timeout_s": 0.02})).await;
        assert_eq!(code(desk.embed().embed(texts(&["a"])).await), Code::DeadlineExceeded);
        desk.until(CALLS, &["embed", "enc", "DEADLINE_EXCEEDED"], 1).await;
        assert_eq!(desk.figure("waypost_worker_queue_seconds", &["enc"]).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_call_that_is_given_up_counts_and_its_texts_are_not_run() {
    within(async {
        let desk = counting().await;
        let (mut busy, mut given_up) = (desk.embed(), desk.embed());
        let busy = tokio::spawn(async move { busy.embed(texts(&["a"])).await });
        desk.until_begun(1).await;
        let given_up = tokio::spawn(async move { given_up.embed(texts(&["c"])).await });
        desk.until(DEPTH, &[], 2).await;
        given_up.abort();
        desk.until(CALLS, &["embed", "enc", "CANCELLED"], 1).await;
        desk.run();
        busy.await.expect("ends").expect("is answered");
        desk.until(CALLS, &["embed", "enc", "OK"], 1).await;
        assert_eq!(desk.figure("waypost_worker_queue_seconds", &["enc"]).await, 2);
        assert_eq!(desk.figure("waypost_worker_inference_seconds", &["enc"]).await, 1);
        desk.until(DEPTH, &[], 0).await;
        assert_eq!(desk.figure("waypost_worker_runs", &["enc"]).await, 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_message_or_too_large_counts_without_a_model() {
    within(async {
        let desk = counting().await;
        let mut grpc = Grpc::new(desk.channel.clone());
        grpc.ready().await.expect("is ready");
        let (wrong, path) = (v1::TextUsage { tokens: 3, truncated: true }, "/waypost.v1.EmbedService/Embed");
        let codec = ProstCodec::<v1::TextUsage, v1::EmbedResponse>::default();
        let answer = grpc.unary(Request::new(wrong), path.parse().expect("is a path"), codec).await;
        assert_eq!(code(answer), Code::InvalidArgument);
        assert_eq!(code(desk.embed().embed(texts(&[&"a".repeat(200_000)])).await), Code::ResourceExhausted);
        desk.until(CALLS, &["embed", "", "INVALID_ARGUMENT"], 1).await;
        desk.until(CALLS, &["embed", "", "RESOURCE_EXHAUSTED"], 1).await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_one_call_of_as_many_messages() {
    within(async {
        let desk = counting().await;
        (0..3).for_each(|_| desk.run());
        let message = |text| v1::EmbedStreamRequest { request: Some(texts(&[text])) };
        let messages = tokio_stream::iter(["a", "b", "c"].map(message));
        let mut answers = desk.embed().embed_stream(messages).await.expect("is answered").into_inner();
        let mut count = 0;
        while answers.message().await.expect("goes on").is_some() {
            count += 1;
        }
        assert_eq!(count, 3);
        desk.until(CALLS, &["embed", "enc", "OK"], 1).await;
        assert_eq!(desk.figure("waypost_worker_tokenize_seconds", &["enc"]).await, 3);
        assert_eq!(desk.figure("waypost_worker_tokens", &["enc", "prompt"]).await, 3);
    })
    .await;
}

#[tokio::test]
async fn an_answer_counts_its_tokens_and_its_pace() {
    within(async {
        let desk = counting().await;
        let mut client = desk.generate();
        let asking = tokio::spawn(async move { client.generate(prompt()).await });
        let job = desk.job().await;
        write(&job);
        let reply = asking.await.expect("ends").expect("is answered").into_inner();
        assert!(reply.timings.expect("are told").tokenize.is_some());
        desk.until(CALLS, &["generate", "writer", "OK"], 1).await;
        for (kind, tokens) in [("prompt", 5), ("cached", 3), ("completion", 2)] {
            assert_eq!(desk.figure("waypost_worker_tokens", &["writer", kind]).await, tokens, "{kind}");
        }
        for time in ["queue", "tokenize", "inference", "first_token", "token", "stream"] {
            assert_eq!(desk.figure(&format!("waypost_worker_{time}_seconds"), &["writer"]).await, 1, "{time}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_slot_is_busy_until_its_backend_lets_go_and_what_was_written_by_then_counts() {
    within(async {
        let desk = counting().await;
        let mut client = desk.generate();
        let asked = v1::GenerateStreamRequest { request: Some(prompt()) };
        let asking = tokio::spawn(async move { client.generate_stream(asked).await });
        let job = desk.job().await;
        assert_eq!(desk.figure("waypost_worker_slots_busy", &["writer"]).await, 0);
        job.begin(Instant::now());
        job.push("a", vec![], 3, Instant::now());
        let answer = asking.await.expect("ends").expect("is answered");
        assert_eq!(desk.figure("waypost_worker_slots_busy", &["writer"]).await, 1);
        drop(answer);
        desk.until(CALLS, &["generate", "writer", "CANCELLED"], 1).await;
        assert_eq!(desk.figure("waypost_worker_tokens", &["writer", "completion"]).await, 3);
        assert_eq!(desk.figure("waypost_worker_slots_busy", &["writer"]).await, 1);
        drop(job);
        desk.until("waypost_worker_slots_busy", &["writer"], 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_worker_tells_what_it_takes_and_every_family_names_the_instance_first() {
    within(async {
        let desk = counting().await;
        desk.embed().embed(v1::EmbedRequest { model: "hash".into(), ..texts(&["a"]) }).await.expect("is answered");
        desk.until(CALLS, &["embed", "hash", "OK"], 1).await;
        let families = desk.families().await;
        assert!(families.iter().all(|family| family.labels[0] == "instance" && !family.series.is_empty()));
        assert!(families.iter().all(|family| family.r#type() != MetricType::Unspecified && !family.help.is_empty()));
        assert!(desk.figure("waypost_memory_bytes", &[]).await > 1 << 20);
    })
    .await;
}

#[tokio::test]
async fn who_is_to_count_nothing_counts_nothing() {
    within(async {
        let desk = desk(json!({"telemetry": {"metrics": false}})).await;
        desk.run();
        desk.embed().embed(texts(&["a"])).await.expect("is answered");
        assert!(desk.families().await.is_empty());
    })
    .await;
}
