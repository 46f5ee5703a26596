//! A traced call leaves a span for each of its stages, and its workers know theirs.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use serde_json::json;
use tokio::sync::mpsc;
use tonic::{Code, Request, Status};
use waypost_plane::{
    proto::v1::{EmbedRequest, EmbedStreamRequest},
    router::Router,
};

use crate::{
    fake::{self, Running, Worker, embed, embedded, within},
    receiver::{Receiver, attribute},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// What a worker was told of its calls.
type Told = Arc<Mutex<Vec<http::HeaderMap>>>;

/// A worker that keeps the metadata of its calls.
fn listening(name: &str) -> (Worker, Told) {
    let told = Told::default();
    let (kept, name) = (told.clone(), name.to_string());
    let worker = Worker::named(&name).embedding(move |request: Request<_>| {
        kept.lock().expect("is sound").push(request.metadata().clone().into_headers());
        std::future::ready(Ok(embedded(&name)))
    });
    (worker, told)
}

async fn router(receiver: &Receiver, workers: &[&Running], sample: f64, more: serde_json::Value) -> Router {
    let traces = json!({"endpoint": receiver.endpoint, "sample": sample, "queue": 1000});
    let mut config = json!({"telemetry": {"metrics": true, "traces": traces}});
    let more = more.as_object().cloned().unwrap_or_default();
    config.as_object_mut().expect("is an object").extend(more);
    let router = fake::router(workers, config).await;
    fake::until_ready(&router, workers.len()).await;
    router
}

/// A call in a trace.
fn traced<T>(message: T, flags: &str) -> Request<T> {
    let mut request = Request::new(message);
    let context = format!("00-{TRACE}-{CALLER}-{flags}");
    request.metadata_mut().insert("traceparent", context.parse().expect("is ascii"));
    request.metadata_mut().insert("tracestate", "theirs=1".parse().expect("is ascii"));
    request
}

/// Ends the router, which sends what it has.
async fn sent(router: Router, mut receiver: Receiver) -> Vec<Span> {
    assert!(router.drain(Duration::from_secs(10)).await);
    receiver.spans()
}

fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header(headers: &http::HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_string()
}

fn length(span: &Span) -> f64 {
    (span.end_time_unix_nano - span.start_time_unix_nano) as f64 * 1e-9
}

/// The call's own span, and those of its stages, which must be within it and follow each other.
fn parted(mut spans: Vec<Span>) -> (Span, Vec<Span>) {
    let whole = spans.remove(0);
    assert_eq!(whole.kind(), SpanKind::Server);
    for part in &spans {
        assert_eq!((&part.trace_id, &part.parent_span_id), (&whole.trace_id, &whole.span_id), "{}", part.name);
        assert!(part.start_time_unix_nano >= whole.start_time_unix_nano, "{}", part.name);
        assert!(part.end_time_unix_nano <= whole.end_time_unix_nano, "{}", part.name);
    }
    (whole, spans)
}

fn assert_sequence(parts: &[Span]) {
    for pair in parts.windows(2) {
        assert!(pair[0].end_time_unix_nano <= pair[1].start_time_unix_nano, "{} {}", pair[0].name, pair[1].name);
    }
}

#[tokio::test]
async fn a_call_has_a_span_and_one_for_each_stage_and_its_worker_is_told_of_the_last() {
    within(async {
        let receiver = Receiver::start().await;
        let (worker, told) = listening("a");
        let worker = worker.start();
        let router = router(&receiver, &[&worker], 0.0, json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let mut request = traced(embed("m"), "01");
        request.metadata_mut().insert("x-request-id", "r-1".parse().expect("is ascii"));
        client.embed(request).await.expect("is answered");
        drop(client);
        let (whole, parts) = parted(sent(router, receiver).await);
        assert_eq!(whole.name, "waypost.v1.EmbedService/Embed");
        assert_eq!((hex(&whole.trace_id), hex(&whole.parent_span_id)), (TRACE.into(), CALLER.into()));
        for (key, value) in [
            ("rpc.system", "grpc"),
            ("rpc.service", "waypost.v1.EmbedService"),
            ("rpc.method", "Embed"),
            ("rpc.grpc.status_code", "0"),
            ("gen_ai.operation.name", "embeddings"),
            ("gen_ai.request.model", "m"),
            ("gen_ai.response.model", "m"),
            ("waypost.request_id", "r-1"),
            ("waypost.reason", "named"),
        ] {
            assert_eq!(attribute(&whole, key).as_deref(), Some(value), "{key}");
        }
        assert_eq!(names(&parts), ["admission", "choice", "forward"]);
        assert_sequence(&parts);
        let forward = &parts[2];
        assert_eq!(forward.kind(), SpanKind::Client);
        assert_eq!(attribute(forward, "waypost.instance").as_deref(), Some("a"));
        let told = told.lock().expect("is sound").pop().expect("was called");
        assert_eq!(header(&told, "traceparent"), format!("00-{TRACE}-{}-01", hex(&forward.span_id)));
        assert_eq!(header(&told, "tracestate"), "theirs=1");
        assert_eq!(header(&told, "x-request-id"), "r-1");
    })
    .await;
}

#[tokio::test]
async fn the_stages_of_a_call_come_to_the_whole_of_it() {
    within(async {
        let receiver = Receiver::start().await;
        let worker = Worker::named("a").embedding(|_| async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(embedded("a"))
        });
        let worker = worker.start();
        let router = router(&receiver, &[&worker], 1.0, json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let begun = Instant::now();
        client.embed(embed("m")).await.expect("is answered");
        let took = begun.elapsed().as_secs_f64();
        drop(client);
        let (whole, parts) = parted(sent(router, receiver).await);
        let sum: f64 = parts.iter().map(length).sum();
        assert!(sum <= length(&whole) && length(&whole) <= took, "{sum} {} {took}", length(&whole));
        assert!(sum > 0.95 * took, "{sum} of {took}");
    })
    .await;
}

#[tokio::test]
async fn what_the_caller_does_not_keep_is_not_traced_and_passes_as_it_is() {
    within(async {
        let receiver = Receiver::start().await;
        let (worker, told) = listening("a");
        let worker = worker.start();
        let router = router(&receiver, &[&worker], 1.0, json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        client.embed(traced(embed("m"), "00")).await.expect("is answered");
        drop(client);
        assert!(sent(router, receiver).await.is_empty());
        let told = told.lock().expect("is sound").pop().expect("was called");
        assert_eq!(header(&told, "traceparent"), format!("00-{TRACE}-{CALLER}-00"));
        assert_eq!(header(&told, "tracestate"), "theirs=1");
        assert_eq!(header(&told, "x-request-id").len(), 16);
    })
    .await;
}

#[tokio::test]
async fn a_trace_begins_here_where_the_caller_s_word_is_none() {
    within(async {
        let receiver = Receiver::start().await;
        let (worker, told) = listening("a");
        let worker = worker.start();
        let router = router(&receiver, &[&worker], 1.0, json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        client.embed(traced(embed("m"), "no flags")).await.expect("is answered");
        drop(client);
        let (whole, parts) = parted(sent(router, receiver).await);
        assert!(whole.parent_span_id.is_empty());
        assert_ne!(hex(&whole.trace_id), TRACE);
        let told = told.lock().expect("is sound").pop().expect("was called");
        let (trace, span) = (hex(&whole.trace_id), hex(&parts[2].span_id));
        assert_eq!(header(&told, "traceparent"), format!("00-{trace}-{span}-01"));
        assert_eq!(header(&told, "tracestate"), "");
    })
    .await;
}

#[tokio::test]
async fn every_attempt_has_a_span_and_one_that_failed_says_so() {
    within(async {
        let receiver = Receiver::start().await;
        let (a, b) = (Worker::named("a").refusing(Status::unavailable("no")).start(), Worker::named("b").start());
        let router = router(&receiver, &[&a, &b], 0.0, json!({"policy": "round_robin"})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        for flags in ["01", "01"] {
            client.embed(traced(embed("m"), flags)).await.expect("is answered");
        }
        drop(client);
        let spans = sent(router, receiver).await;
        let failed = spans.iter().find(|span| attribute(span, "error.type").is_some()).expect("one was tried twice");
        let parts: Vec<_> = spans.iter().filter(|span| span.parent_span_id == failed.parent_span_id).cloned().collect();
        assert_eq!(names(&parts), ["admission", "choice", "forward", "choice", "forward"]);
        assert_sequence(&parts);
        let told = |span: &Span, key| attribute(span, key).unwrap_or_default();
        assert_eq!(told(&parts[2], "waypost.instance") + &told(&parts[4], "waypost.instance"), "ab");
        assert_eq!(told(&parts[2], "error.type"), "UNAVAILABLE");
        let codes = [&parts[2], &parts[4]].map(|span| span.status.as_ref().map_or(StatusCode::Unset, |s| s.code()));
        assert_eq!(codes, [StatusCode::Error, StatusCode::Unset]);
    })
    .await;
}

#[tokio::test]
async fn of_two_that_race_the_loser_is_cancelled() {
    within(async {
        let receiver = Receiver::start().await;
        let held = Arc::new(AtomicBool::new(false));
        let racing = |name: &'static str| {
            let held = held.clone();
            Worker::named(name).embedding(move |request: Request<EmbedRequest>| {
                let is_slow = request.metadata().contains_key("traceparent") && !held.swap(true, Ordering::SeqCst);
                async move {
                    if is_slow {
                        std::future::pending::<()>().await;
                    }
                    Ok(embedded(name))
                }
            })
        };
        let (a, b) = (racing("a").start(), racing("b").start());
        let config = json!({"policy": "round_robin", "hedge": {"enabled": true, "min_delay_s": 0.005}});
        let router = router(&receiver, &[&a, &b], 0.0, config).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        for _ in 0..50 {
            client.embed(embed("m")).await.expect("is answered");
        }
        client.embed(traced(embed("m"), "01")).await.expect("is answered by the other");
        drop(client);
        let (_, parts) = parted(sent(router, receiver).await);
        assert_eq!(names(&parts), ["admission", "choice", "forward", "forward"]);
        let codes = [2, 3].map(|row: usize| attribute(&parts[row], "rpc.grpc.status_code").unwrap_or_default());
        assert_eq!(codes, [Code::Cancelled, Code::Ok].map(|code| (code as i32).to_string()));
        assert!(parts[3].start_time_unix_nano < parts[2].end_time_unix_nano);
    })
    .await;
}

#[tokio::test]
async fn calls_that_end_early_are_traced_as_far_as_they_came() {
    within(async {
        let receiver = Receiver::start().await;
        let worker = Worker::named("a").embedding(|_| std::future::pending()).start();
        let router = router(&receiver, &[&worker], 0.0, json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        client.embed(traced(embed("none"), "01")).await.expect_err("is unknown");
        let mut late = traced(embed("m"), "01");
        late.set_timeout(Duration::from_millis(50));
        client.embed(late).await.expect_err("is late");
        fake::until_in_flight(&router, "a", 0).await;
        let mut leaving = client.clone();
        let call = tokio::spawn(async move { leaving.embed(traced(embed("m"), "01")).await });
        fake::until_in_flight(&router, "a", 1).await;
        call.abort();
        fake::until_in_flight(&router, "a", 0).await;
        drop(client);
        let spans = sent(router, receiver).await;
        let (wholes, parts): (Vec<_>, Vec<_>) = spans.into_iter().partition(|span| hex(&span.parent_span_id) == CALLER);
        let told: Vec<_> = wholes
            .iter()
            .map(|whole| {
                let parts = parts.iter().filter(|part| part.parent_span_id == whole.span_id);
                let last = parts.max_by_key(|part| part.end_time_unix_nano).expect("has parts");
                let is_error = whole.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error);
                (attribute(whole, "error.type").unwrap_or_default(), last.name.as_str(), is_error)
            })
            .collect();
        let expected =
            [("NOT_FOUND", "choice", false), ("DEADLINE_EXCEEDED", "forward", true), ("CANCELLED", "forward", false)];
        assert_eq!(told, expected.map(|(code, last, is_error)| (code.to_string(), last, is_error)));
    })
    .await;
}

#[tokio::test]
async fn a_stream_s_attempt_lasts_until_its_end() {
    within(async {
        let receiver = Receiver::start().await;
        let worker = Worker::named("a").start();
        let router = router(&receiver, &[&worker], 0.0, json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let (sender, stream) = mpsc::unbounded_channel();
        let send = || sender.send(EmbedStreamRequest { request: Some(embed("m")) }).expect("is open");
        send();
        let stream = tokio_stream::wrappers::UnboundedReceiverStream::new(stream);
        let mut answers = client.embed_stream(traced(stream, "01")).await.expect("is answered").into_inner();
        answers.message().await.expect("goes on").expect("is there");
        let amid = std::time::SystemTime::now();
        send();
        drop(sender);
        while answers.message().await.expect("goes on").is_some() {}
        drop((answers, client));
        let (whole, parts) = parted(sent(router, receiver).await);
        assert_eq!(names(&parts), ["admission", "choice", "forward"]);
        let amid = amid.duration_since(std::time::UNIX_EPOCH).expect("is later").as_nanos() as u64;
        assert!(parts[2].start_time_unix_nano < amid && amid < parts[2].end_time_unix_nano);
        assert_eq!(attribute(&whole, "rpc.grpc.status_code").as_deref(), Some("0"));
    })
    .await;
}

#[tokio::test]
async fn spans_come_while_the_router_runs_and_say_whose_they_are() {
    within(async {
        let mut receiver = Receiver::start().await;
        let worker = Worker::named("a").start();
        let router = router(&receiver, &[&worker], 1.0, json!({})).await;
        fake::client(&router, &["models/m"]).await.embed(embed("m")).await.expect("is answered");
        let resource = receiver.batch().await.resource.expect("is told").attributes;
        let told = |key: &str| resource.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.clone());
        for (key, value) in [("service.name", "waypost-router"), ("service.instance.id", "router")] {
            assert_eq!(
                told(key).and_then(|v| v.value).map(|v| format!("{v:?}")),
                Some(format!("StringValue({value:?})"))
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_is_away_or_hangs_harms_neither_calls_nor_the_end() {
    within(async {
        let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let hanging = format!("http://{}", hanging.local_addr().expect("is bound"));
        for endpoint in ["http://127.0.0.1:1".to_string(), hanging] {
            let worker = Worker::named("a").start();
            let traces = json!({"endpoint": endpoint, "sample": 1.0, "queue": 2});
            let router = fake::router(&[&worker], json!({"telemetry": {"metrics": true, "traces": traces}})).await;
            let mut client = fake::client(&router, &["models/m"]).await;
            for _ in 0..20 {
                client.embed(embed("m")).await.expect("is answered");
            }
            drop(client);
            let begun = Instant::now();
            assert!(router.drain(Duration::from_secs(10)).await);
            assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        }
    })
    .await;
}
