use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use opentelemetry::{TraceId, trace::SpanKind};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};
use proptest::prelude::*;

use super::*;

fn headers(traceparent: &str) -> HeaderMap {
    let value = HeaderValue::try_from(traceparent).expect("is a header");
    HeaderMap::from_iter([(http::HeaderName::from_static(TRACEPARENT), value)])
}

fn parse(traceparent: &str) -> Option<TraceContext> {
    TraceContext::parse(&headers(traceparent))
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

#[test]
fn the_example_of_the_specification_is_read() {
    let context = parse(&format!("00-{TRACE}-{SPAN}-01")).expect("is valid");
    assert_eq!((context.trace_id_hex().as_str(), context.span_id_hex().as_str()), (TRACE, SPAN));
    assert!(context.sampled);
}

#[test]
fn what_the_specification_refuses_is_no_context() {
    let (no_trace, no_span) = ("0".repeat(32), "0".repeat(16));
    for wrong in [
        String::new(),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("00-{no_trace}-{SPAN}-01"),
        format!("00-{TRACE}-{no_span}-01"),
        format!("00-{TRACE}-{SPAN}-01-more"),
        format!("00-{TRACE}-{SPAN}-01-"),
        format!("00-{TRACE}-{SPAN}-0"),
        format!("00-{TRACE}-{SPAN}-0x"),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-{TRACE}_{SPAN}-01"),
        format!("0g-{TRACE}-{SPAN}-01"),
        format!("+0-{TRACE}-{SPAN}-01"),
        format!("cc-{TRACE}-{SPAN}-01.more"),
        format!("00-{}-{SPAN}-01", &TRACE[1..]),
    ] {
        assert_eq!(parse(&wrong), None, "{wrong}");
    }
}

#[test]
fn a_later_version_is_read_as_far_as_it_is_known() {
    for later in [format!("cc-{TRACE}-{SPAN}-09"), format!("01-{TRACE}-{SPAN}-01-more")] {
        assert!(parse(&later).is_some_and(|context| context.sampled), "{later}");
    }
}

#[test]
fn who_says_it_twice_has_said_nothing() {
    let mut twice = headers(&format!("00-{TRACE}-{SPAN}-01"));
    twice.append(TRACEPARENT, twice[TRACEPARENT].clone());
    assert_eq!(TraceContext::parse(&twice), None);
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(trace_id in 1_u128.., span_id in 1_u64.., sampled: bool) {
        let context = TraceContext { trace_id, span_id, sampled };
        let mut headers = HeaderMap::new();
        context.write(&mut headers);
        prop_assert_eq!(TraceContext::parse(&headers), Some(context));
        let child = context.child();
        prop_assert_eq!((child.trace_id, child.sampled), (trace_id, sampled));
        prop_assert_ne!(child.span_id, span_id);
    }

    #[test]
    fn no_header_is_too_strange(text: Vec<u8>) {
        if let Ok(value) = HeaderValue::from_bytes(&text) {
            let headers = HeaderMap::from_iter([(http::HeaderName::from_static(TRACEPARENT), value)]);
            prop_assert_eq!(TraceContext::parse(&headers), None);
        }
    }

    #[test]
    fn it_is_traced_what_opentelemetry_would_trace(trace_id in 1_u128.., share in 0.0..=1.0) {
        let context = TraceContext { trace_id, span_id: 1, sampled: true };
        let trace = TraceId::from_bytes(trace_id.to_be_bytes());
        let theirs = Sampler::TraceIdRatioBased(share).should_sample(None, trace, "", &SpanKind::Server, &[], &[]);
        prop_assert_eq!(context.is_sampled_at(share), theirs.decision == SamplingDecision::RecordAndSample);
    }

    #[test]
    fn moments_keep_their_distances_as_times(before in 0_u64..10_000, after in 0_u64..10_000) {
        let anchor = Anchor::now();
        let (before, after) = (Duration::from_micros(before), Duration::from_micros(after));
        let (first, last) = (anchor.instant - before, anchor.instant + after);
        prop_assert_eq!(anchor.at(last).duration_since(anchor.at(first)).expect("is later"), before + after);
    }
}

#[test]
fn without_a_receiver_nothing_is_traced() {
    let tracer = Tracer::start(None, "test", "a").expect("starts");
    let sampled = headers(&format!("00-{TRACE}-{SPAN}-01"));
    assert!(tracer.root(&sampled).is_none() && tracer.follow(&sampled).is_none());
}

fn traces(sample: f64, queue: usize) -> Traces {
    // Nobody listens there.
    Traces { endpoint: "http://127.0.0.1:1".into(), sample, queue }
}

#[tokio::test]
async fn the_callers_word_goes_before_the_ratio() {
    let (all, none) = (traces(1.0, 8), traces(0.0, 8));
    let start = |traces| Tracer::start(Some(traces), "test", "a").expect("starts");
    let (all, none) = (start(&all), start(&none));
    let (wanted, unwanted) = (headers(&format!("00-{TRACE}-{SPAN}-01")), headers(&format!("00-{TRACE}-{SPAN}-00")));
    assert!(all.root(&unwanted).is_none() && all.follow(&unwanted).is_none());
    let call = none.root(&wanted).expect("is wanted");
    assert_eq!(call.context.trace_id_hex(), TRACE);
    assert_eq!(call.parent.map(|id| format!("{id:016x}")).as_deref(), Some(SPAN));
    assert!(none.follow(&wanted).is_some());
    let silent = HeaderMap::new();
    assert!(all.root(&silent).is_some_and(|call| call.parent.is_none()));
    assert!(none.root(&silent).is_none() && all.follow(&silent).is_none());
}

#[tokio::test]
async fn what_finds_no_room_and_what_nobody_takes_is_counted() {
    let tracer = Tracer::start(Some(&traces(1.0, 3)), "test", "a").expect("starts");
    let call = tracer.root(&HeaderMap::new()).expect("is traced");
    let now = std::time::Instant::now();
    for _ in 0..5 {
        tracer.record(call.part("part", now, now));
    }
    assert_eq!(tracer.dropped(), 2);
    tracer.close(Duration::from_secs(60)).await;
    assert_eq!(tracer.dropped(), 5);
}

#[test]
fn an_endpoint_that_is_no_url_is_refused_at_the_start() {
    let traces = Traces { endpoint: "no url".into(), ..traces(1.0, 1) };
    assert!(Tracer::start(Some(&traces), "test", "a").is_err());
}
