//! A traced call leaves a span for each of its stages, and runs are linked with those they were shared by.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use serde_json::json;
use tonic::Request;
use waypost_plane::proto::v1;

use crate::{
    desk::{Desk, desk, prompt, texts, within, write},
    receiver::{Receiver, attribute},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const DEPTH: &str = "waypost_worker_queue_depth";

async fn tracing() -> (Desk, Receiver) {
    let receiver = Receiver::start().await;
    let traces = json!({"endpoint": receiver.endpoint, "sample": 0.0, "queue": 1000});
    (desk(json!({"telemetry": {"metrics": true, "traces": traces}})).await, receiver)
}

/// A call in a trace.
fn traced<T>(message: T, trace: &str, flags: &str) -> Request<T> {
    let mut request = Request::new(message);
    let context = format!("00-{trace}-{CALLER}-{flags}");
    request.metadata_mut().insert("traceparent", context.parse().expect("is ascii"));
    request.metadata_mut().insert("x-request-id", "r-1".parse().expect("is ascii"));
    request
}

/// Ends the worker, which sends what it has.
async fn sent(desk: Desk, mut receiver: Receiver) -> Vec<Span> {
    desk.drain().await;
    receiver.spans()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

fn length(span: &Span) -> u64 {
    span.end_time_unix_nano - span.start_time_unix_nano
}

fn attributes(span: &Span, keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| attribute(span, key).unwrap_or_default()).collect()
}

/// Its parts, in the order of their beginnings; each within it and none before the last is over.
fn parts<'a>(whole: &Span, spans: &'a [Span]) -> Vec<&'a Span> {
    let parts: Vec<&Span> = spans.iter().filter(|span| span.parent_span_id == whole.span_id).collect();
    for part in &parts {
        assert_eq!(part.trace_id, whole.trace_id);
        assert!(part.start_time_unix_nano >= whole.start_time_unix_nano, "{}", part.name);
        assert!(part.end_time_unix_nano <= whole.end_time_unix_nano, "{}", part.name);
    }
    assert!(parts.windows(2).all(|pair| pair[0].end_time_unix_nano <= pair[1].start_time_unix_nano));
    parts
}

fn find<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name} is not in {:?}", names(spans)))
}

#[tokio::test]
async fn a_call_of_an_encoder_has_a_span_under_its_caller_s_and_one_for_each_stage() {
    within(async {
        let (desk, receiver) = tracing().await;
        desk.run();
        desk.embed().embed(traced(texts(&["a b", "c"]), TRACE, "01")).await.expect("is answered");
        let spans = sent(desk, receiver).await;
        let whole = find(&spans, "waypost.v1.EmbedService/Embed");
        assert_eq!((hex(&whole.trace_id), hex(&whole.parent_span_id)), (TRACE.into(), CALLER.into()));
        assert_eq!(whole.kind(), SpanKind::Server);
        let keys = ["rpc.service", "rpc.method", "rpc.grpc.status_code", "waypost.instance", "waypost.model"];
        assert_eq!(attributes(whole, &keys), ["waypost.v1.EmbedService", "Embed", "0", "w-0", "enc"]);
        assert_eq!(attribute(whole, "waypost.request_id").as_deref(), Some("r-1"));
        let stages = parts(whole, &spans);
        assert_eq!(stages.iter().map(|span| &*span.name).collect::<Vec<_>>(), ["tokenize", "queue", "inference"]);
        let batch = find(&spans, "batch");
        assert_eq!(attributes(batch, &["batch.texts", "batch.tokens", "batch.padding"]), ["2", "3", "1"]);
        assert!(batch.start_time_unix_nano >= stages[2].start_time_unix_nano);
        assert!(batch.end_time_unix_nano <= stages[2].end_time_unix_nano);
    })
    .await;
}

#[tokio::test]
async fn a_run_is_linked_with_every_traced_call_in_it_and_they_with_it() {
    within(async {
        let (desk, receiver) = tracing().await;
        let mut clients = [desk.embed(), desk.embed(), desk.embed()].into_iter();
        let mut begin = |text: &'static str, trace: String, flags: &'static str| {
            let mut client = clients.next().expect("are enough");
            tokio::spawn(async move { client.embed(traced(texts(&[text]), &trace, flags)).await })
        };
        let (ones, twos) = ("1".repeat(32), "2".repeat(32));
        let busy = begin("e", "3".repeat(32), "00");
        desk.until_begun(1).await;
        let calls = [begin("a b", ones.clone(), "01"), begin("c", twos.clone(), "01")];
        desk.until(DEPTH, &[], 3).await;
        (0..2).for_each(|_| desk.run());
        busy.await.expect("ends").expect("is answered");
        for call in calls {
            call.await.expect("ends").expect("is answered");
        }
        let spans = sent(desk, receiver).await;
        let batch = find(&spans, "batch");
        let inferences: Vec<&Span> = spans.iter().filter(|span| span.name == "inference").collect();
        let mut linked: Vec<_> = batch.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect();
        let mut known: Vec<_> = inferences.iter().map(|span| (hex(&span.trace_id), hex(&span.span_id))).collect();
        linked.sort();
        known.sort();
        assert_eq!(linked, known);
        assert_eq!(known.iter().map(|(trace, _)| trace).collect::<Vec<_>>(), [&ones, &twos]);
        for inference in inferences {
            let [link] = &inference.links[..] else { panic!("{:?}", inference.links) };
            assert_eq!((&link.trace_id, &link.span_id), (&batch.trace_id, &batch.span_id));
        }
        assert!(batch.parent_span_id.is_empty());
        assert_eq!(spans.iter().filter(|span| span.name == "batch").count(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_answer_has_a_span_for_each_stage_and_they_come_to_the_whole_of_it() {
    within(async {
        let (desk, receiver) = tracing().await;
        let mut client = desk.generate();
        let asking = tokio::spawn(async move { client.generate(traced(prompt(), TRACE, "01")).await });
        let job = desk.job().await;
        let told = job.terms.trace.expect("is traced");
        let later = || async {
            tokio::time::sleep(Duration::from_millis(40)).await;
            Instant::now()
        };
        job.read(later().await);
        job.begin(later().await);
        job.push("a", vec![], 1, later().await);
        later().await;
        write(&job);
        asking.await.expect("ends").expect("is answered");
        let spans = sent(desk, receiver).await;
        let whole = find(&spans, "waypost.v1.GenerateService/Generate");
        assert_eq!(hex(&whole.span_id), told.span_id_hex());
        let stages = parts(whole, &spans);
        let order: Vec<_> = stages.iter().map(|span| &*span.name).collect();
        assert_eq!(order, ["queue", "tokenize", "queue", "prefill", "decode"]);
        assert_eq!(attribute(stages[1], "waypost.tokens.prompt").as_deref(), Some("5"));
        assert_eq!(attribute(stages[3], "waypost.tokens.cached").as_deref(), Some("3"));
        assert_eq!(attribute(stages[4], "waypost.tokens.completion").as_deref(), Some("2"));
        let sum: u64 = stages.iter().map(|span| length(span)).sum();
        assert!(sum as f64 > 0.95 * length(whole) as f64, "{sum} of {}", length(whole));
    })
    .await;
}

#[tokio::test]
async fn a_call_that_is_given_up_ends_in_the_stage_it_was_in() {
    within(async {
        let (desk, receiver) = tracing().await;
        let mut client = desk.generate();
        let asking = tokio::spawn(async move { client.generate(traced(prompt(), TRACE, "01")).await });
        let job = desk.job().await;
        job.begin(Instant::now());
        asking.abort();
        desk.until("waypost_worker_calls", &["generate", "writer", "CANCELLED"], 1).await;
        drop(job);
        let spans = sent(desk, receiver).await;
        let whole = find(&spans, "waypost.v1.GenerateService/Generate");
        assert_eq!(attributes(whole, &["rpc.grpc.status_code", "error.type"]), ["1", "CANCELLED"]);
        assert_eq!(whole.status.as_ref().map(|status| status.code()), Some(StatusCode::Error));
        let order: Vec<_> = parts(whole, &spans).iter().map(|span| &*span.name).collect();
        assert_eq!(order, ["queue", "prefill"]);
    })
    .await;
}

#[tokio::test]
async fn each_message_of_a_stream_has_a_span_with_its_stages() {
    within(async {
        let (desk, receiver) = tracing().await;
        (0..2).for_each(|_| desk.run());
        let message = |text| v1::EmbedStreamRequest { request: Some(texts(&[text])) };
        let messages = tokio_stream::iter(["a", "b"].map(message));
        let mut answers =
            desk.embed().embed_stream(traced(messages, TRACE, "01")).await.expect("is answered").into_inner();
        while answers.message().await.expect("goes on").is_some() {}
        drop(answers);
        let spans = sent(desk, receiver).await;
        let whole = find(&spans, "waypost.v1.EmbedService/EmbedStream");
        let messages: Vec<&Span> = spans.iter().filter(|span| span.name == "message").collect();
        assert_eq!(messages.len(), 2);
        for message in messages {
            assert_eq!((&message.parent_span_id, message.kind()), (&whole.span_id, SpanKind::Internal));
            assert_eq!(parts(message, &spans).len(), 3);
        }
    })
    .await;
}

#[tokio::test]
async fn spans_name_the_worker_they_are_of() {
    within(async {
        let (desk, mut receiver) = tracing().await;
        desk.run();
        desk.embed().embed(traced(texts(&["a"]), TRACE, "01")).await.expect("is answered");
        desk.drain().await;
        let resource = receiver.batch().await.resource.expect("is told");
        let said: Vec<_> = resource.attributes.iter().map(|pair| format!("{pair:?}")).collect();
        for (key, value) in [("service.name", "waypost-worker"), ("service.instance.id", "w-0")] {
            assert!(said.iter().any(|each| each.contains(key) && each.contains(value)), "{key} {said:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_not_kept_leaves_no_span() {
    within(async {
        let (desk, receiver) = tracing().await;
        (0..2).for_each(|_| desk.run());
        desk.embed().embed(traced(texts(&["a"]), TRACE, "00")).await.expect("is answered");
        desk.embed().embed(texts(&["b"])).await.expect("is answered");
        assert!(sent(desk, receiver).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_traced_call_is_an_example_of_its_bucket() {
    within(async {
        let (desk, _receiver) = tracing().await;
        desk.run();
        desk.embed().embed(traced(texts(&["a"]), TRACE, "01")).await.expect("is answered");
        desk.until("waypost_worker_queue_seconds", &["enc"], 1).await;
        let series = desk.series("waypost_worker_queue_seconds", &["enc"]).await.expect("is told");
        assert_eq!(series.exemplars.iter().map(|each| &*each.trace_id).collect::<Vec<_>>(), [TRACE]);
    })
    .await;
}
