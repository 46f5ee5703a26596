//! The counters agree with the calls that were made, and grow with nothing that callers make up.

use std::{collections::HashSet, time::Duration};

use serde_json::json;
use tokio::sync::mpsc;
use tonic::{Code, Request, Status, transport::Channel};
use waypost_plane::{
    metrics::{Reading, SERIES},
    proto::v1::{
        self, GetHistoryRequest, GetMetricsRequest, HistoryPoint, MetricFamily, RouteHints, Task,
        generate_service_client::GenerateServiceClient, mesh_service_client::MeshServiceClient,
    },
    router::Router,
};

use crate::fake::{self, USAGE, Worker, embed, model, within};

/// What the router told.
struct Told(Vec<MetricFamily>);

impl Told {
    async fn by(router: &Router) -> Self {
        Self::over(fake::channel(router).await, false).await
    }

    async fn over(channel: Channel, own_only: bool) -> Self {
        let told = MeshServiceClient::new(channel).get_metrics(GetMetricsRequest { own_only }).await;
        Self(told.expect("is told").into_inner().families)
    }

    /// Once so many calls are counted: a stream's end is seen by its reader a moment earlier.
    async fn after(router: &Router, calls: u64) -> Self {
        let channel = fake::channel(router).await;
        loop {
            let told = Self::over(channel.clone(), false).await;
            if told.sum("waypost_calls", &[]) == calls as f64 {
                return told;
            }
            tokio::task::yield_now().await;
        }
    }

    fn family(&self, name: &str) -> Option<&MetricFamily> {
        self.0.iter().find(|family| family.name == name)
    }

    /// Of the series with these label values; of a histogram, how many values it has.
    fn sum(&self, name: &str, wanted: &[(&str, &str)]) -> f64 {
        let Some(family) = self.family(name) else { return 0.0 };
        let at = |label: &str| family.labels.iter().position(|own| own == label).expect("has this label");
        let series = family.series.iter().filter(|s| wanted.iter().all(|(label, value)| s.values[at(label)] == *value));
        let values = series.map(|series| match series.buckets.is_empty() {
            true => series.value,
            false => series.buckets.iter().sum::<u64>() as f64,
        });
        values.sum()
    }
}

fn writer(name: &str) -> v1::ModelInfo {
    v1::ModelInfo { tasks: vec![Task::Generate.into()], tags: vec!["prose".into()], ..model(name) }
}

fn prompt(model: &str) -> v1::GenerateRequest {
    v1::GenerateRequest {
        model: model.into(),
        input: Some(v1::generate_request::Input::Raw("Tell me a story".into())),
        ..Default::default()
    }
}

/// Until its end.
async fn streamed(client: &mut GenerateServiceClient<Channel>, request: v1::GenerateRequest) {
    let request = v1::GenerateStreamRequest { request: Some(request) };
    let mut answers = client.generate_stream(request).await.expect("is answered").into_inner();
    while answers.message().await.expect("goes on").is_some() {}
}

#[tokio::test]
async fn every_call_is_counted_once_however_it_ends() {
    within(async {
        let (entered, mut waiting) = mpsc::unbounded_channel();
        let hanging = Worker::named("hanging").with(model("slow")).embedding(move |_| {
            entered.send(()).expect("the test listens");
            std::future::pending()
        });
        let workers = [
            Worker::named("good"),
            Worker::named("bad").with(model("bad")).refusing(Status::invalid_argument("no")),
            Worker::named("ill").with(model("twice")).refusing(Status::unavailable("no")),
            Worker::named("well").with(model("twice")),
            Worker::named("author").with(writer("g")),
            hanging,
        ]
        .map(Worker::start);
        let router = fake::router(&workers.each_ref(), json!({"policy": "round_robin"})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        fake::until_ready(&router, workers.len()).await;
        let mut writing = GenerateServiceClient::new(fake::channel(&router).await);

        for _ in 0..7 {
            client.embed(embed("m")).await.expect("is answered");
        }
        for _ in 0..3 {
            client.embed(embed("bad")).await.expect_err("is refused");
        }
        for made_up in 0..5 {
            client.embed(embed(&format!("model-{made_up}"))).await.expect_err("is unknown");
        }
        // Round robin: every second of them comes to the ill one first.
        for _ in 0..4 {
            client.embed(embed("twice")).await.expect("is answered by the other");
        }
        writing.generate(prompt("g")).await.expect("is answered");
        streamed(&mut writing, prompt("g")).await;
        let mut leaving = client.clone();
        let left = tokio::spawn(async move { leaving.embed(embed("slow")).await });
        waiting.recv().await;
        left.abort();

        let told = Told::after(&router, 22).await;
        let calls = |task, model, code| told.sum("waypost_calls", &[("task", task), ("model", model), ("code", code)]);
        assert_eq!(calls("embed", "m", "OK"), 7.0);
        assert_eq!(calls("embed", "bad", "INVALID_ARGUMENT"), 3.0);
        assert_eq!(calls("embed", "", "NOT_FOUND"), 5.0);
        assert_eq!(calls("embed", "twice", "OK"), 4.0);
        assert_eq!(calls("generate", "g", "OK"), 2.0);
        assert_eq!(calls("embed", "slow", "CANCELLED"), 1.0);
        assert_eq!(told.sum("waypost_call_seconds", &[]), 22.0);
        assert_eq!(told.sum("waypost_refusals", &[("reason", "model_not_found")]), 5.0);
        assert_eq!(told.sum("waypost_refusals", &[]), 5.0);

        let ill = told.sum("waypost_attempts", &[("instance", "ill"), ("code", "UNAVAILABLE")]);
        assert!(ill >= 1.0);
        assert_eq!(told.sum("waypost_retries", &[]), ill);
        assert_eq!(told.sum("waypost_attempts", &[]), 17.0 + ill);
        assert_eq!(told.sum("waypost_attempts", &[("instance", "hanging"), ("code", "CANCELLED")]), 1.0);
        assert_eq!(told.sum("waypost_stage_seconds", &[("stage", "forward")]), 17.0);
        assert_eq!(told.sum("waypost_overhead_seconds", &[]), 17.0);

        let rpc = |method, code| {
            told.sum(
                "grpc_server_handled",
                &[("grpc_service", "waypost.v1.EmbedService"), ("grpc_method", method), ("grpc_code", code)],
            )
        };
        assert_eq!((rpc("Embed", "OK"), rpc("Embed", "NOT_FOUND"), rpc("Embed", "CANCELLED")), (11.0, 5.0, 1.0));
        assert_eq!(told.sum("grpc_server_started", &[("grpc_method", "Embed")]), 20.0);
        assert_eq!(
            told.sum("grpc_server_handled", &[("grpc_type", "server_stream"), ("grpc_method", "GenerateStream")]),
            1.0
        );
    })
    .await;
}

#[tokio::test]
async fn tokens_of_free_models_are_counted_from_whole_answers_and_from_streams() {
    within(async {
        let author = Worker::named("author").with(writer("g")).start();
        let router = fake::router(&[&author], json!({})).await;
        let _ready = fake::client(&router, &["models/g"]).await;
        let mut writing = GenerateServiceClient::new(fake::channel(&router).await);
        let hints = RouteHints { required_tags: vec!["prose".into()], ..Default::default() };
        writing.generate(v1::GenerateRequest { route: Some(hints), ..prompt("") }).await.expect("is answered");
        streamed(&mut writing, prompt("g")).await;
        let told = Told::after(&router, 2).await;
        let tokens = |kind| told.sum("waypost_tokens", &[("model", "g"), ("kind", kind)]);
        let twice =
            [USAGE.prompt_tokens, USAGE.cached_tokens, USAGE.completion_tokens].map(|count| f64::from(2 * count));
        assert_eq!(["prompt", "cached", "completion"].map(tokens), twice);
        assert_eq!(told.sum("tsa_tokens_generated", &[("model", "g"), ("instance", "author")]), twice[2]);
        assert_eq!(told.sum("tsa_generation_latency_seconds", &[("model", "g")]), 2.0);
        let decided =
            |reason, what| told.sum("tsa_routing_decisions", &[("reason", reason), ("selected_capability", what)]);
        assert_eq!((decided("best_fit", "prose"), decided("named", "generate")), (1.0, 1.0));
    })
    .await;
}

#[tokio::test]
async fn nothing_that_callers_make_up_becomes_a_series() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let made_up = |n: u32| RouteHints {
            optional_tags: vec![format!("tag-{n}")],
            tenant: format!("tenant-{n}"),
            session: format!("session-{n}"),
            ..Default::default()
        };
        let channel = fake::channel(&router).await;
        for n in 0..100 {
            let route = Some(made_up(n));
            client.embed(v1::EmbedRequest { route: route.clone(), ..embed("m") }).await.expect("is answered");
            let unknown = v1::EmbedRequest { route, ..embed(&format!("model-{n}")) };
            client.embed(unknown).await.expect_err("is unknown");
            let path = format!("/made.Up/Path{n}").parse().expect("is a path");
            let mut raw = tonic::client::Grpc::new(channel.clone());
            raw.ready().await.expect("is there");
            let codec = tonic_prost::ProstCodec::<v1::EmbedRequest, v1::EmbedResponse>::default();
            raw.unary(Request::new(embed("m")), path, codec).await.expect_err("is unknown");
        }
        let told = Told::over(channel, true).await;
        let values = told.0.iter().flat_map(|family| family.series.iter().flat_map(|series| &series.values));
        let words = ["model-", "tag-", "tenant-", "session-", "Path"];
        assert_eq!(values.filter(|value| words.iter().any(|word| value.contains(word))).count(), 0);
        assert!(told.0.iter().all(|family| family.series.len() < 10), "{:?}", told.0);
        assert_eq!(told.sum("waypost_calls", &[("model", "")]), 100.0);
        assert_eq!(told.sum("grpc_server_started", &[("grpc_method", "unknown")]), 100.0);
    })
    .await;
}

#[tokio::test]
async fn what_the_workers_tell_stands_beside_the_router_s_own() {
    within(async {
        let depth = |instance: &str, depth: f64| {
            Reading::gauge("waypost_worker_queue_depth", "", ["instance"]).with(&[instance], depth).done()
        };
        let told = move |name: &'static str, value: f64| move || std::future::ready(vec![depth(name, value)]);
        let workers = [
            Worker::named("a").telling(told("a", 1.0)),
            Worker::named("b").telling(told("b", 2.0)),
            Worker::named("mute"),
            Worker::named("slow").telling(std::future::pending),
        ]
        .map(Worker::start);
        let router = fake::router(&workers.each_ref(), json!({})).await;
        let _ready = fake::client(&router, &["models/m"]).await;
        fake::until_ready(&router, workers.len()).await;
        let begun = std::time::Instant::now();
        let told = Told::by(&router).await;
        assert!(begun.elapsed() < Duration::from_secs(5));
        let depths = |instance| told.sum("waypost_worker_queue_depth", &[("instance", instance)]);
        assert_eq!((depths("a"), depths("b")), (1.0, 2.0));
        assert_eq!(told.sum("waypost_instances_scraped", &[]), 2.0);
        let names: Vec<_> = told.0.iter().map(|family| family.name.as_str()).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
        assert_eq!(told.sum("waypost_instance_ready", &[]), 4.0);
        assert_eq!(told.sum("waypost_info", &[("instance", "router"), ("version", "test")]), 1.0);
        assert!(told.sum("waypost_memory_bytes", &[("instance", "router")]) > 1e6);
        let own = Told::over(fake::channel(&router).await, true).await;
        assert!(
            own.family("waypost_worker_queue_depth").is_none() && own.family("waypost_instances_scraped").is_none()
        );
        assert!(told.0.iter().all(|family| family.series.len() <= SERIES));
    })
    .await;
}

#[tokio::test]
async fn a_router_that_is_to_count_nothing_tells_nothing() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({"telemetry": {"metrics": false}})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        client.embed(embed("m")).await.expect("is answered");
        assert!(Told::by(&router).await.0.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_traced_call_is_the_example_of_its_bucket() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        for flag in ["00", "01"] {
            let mut request = Request::new(embed("m"));
            let parent = format!("00-{id}-00f067aa0ba902b7-{flag}").parse().expect("is ascii");
            request.metadata_mut().insert("traceparent", parent);
            client.embed(request).await.expect("is answered");
        }
        let told = Told::by(&router).await;
        let series = &told.family("waypost_call_seconds").expect("is told").series[0];
        let ids: Vec<_> = series.exemplars.iter().map(|example| example.trace_id.as_str()).collect();
        assert_eq!((ids, series.buckets.iter().sum::<u64>()), (vec![id], 2));
    })
    .await;
}

#[tokio::test]
async fn the_history_adds_up_to_the_counters() {
    within(async {
        let worker = Worker::named("a").start();
        let router = fake::router(&[&worker], json!({})).await;
        let mut client = fake::client(&router, &["models/m"]).await;
        for _ in 0..5 {
            client.embed(embed("m")).await.expect("is answered");
        }
        let error = client.embed(embed("none")).await.expect_err("is unknown");
        assert_eq!(error.code(), Code::NotFound);
        let mut mesh = MeshServiceClient::new(fake::channel(&router).await);
        let points = loop {
            let told = mesh.get_history(GetHistoryRequest::default()).await.expect("is told").into_inner();
            if told.points.iter().map(|point| point.calls).sum::<u32>() == 6 {
                break told.points;
            }
            tokio::task::yield_now().await;
        };
        let sum = |of: fn(&HistoryPoint) -> u32| points.iter().map(of).sum::<u32>();
        assert_eq!((sum(|p| p.errors), sum(|p| p.latencies.iter().sum())), (1, 6));
        assert_eq!(sum(|p| p.instances.iter().filter(|at| at.instance == "a").map(|at| at.calls).sum()), 5);
        let last = points.last().and_then(|point| point.time);
        let later = mesh.get_history(GetHistoryRequest { after: last }).await.expect("is told").into_inner();
        assert!(later.points.iter().all(|point| point.calls == 0));
    })
    .await;
}

/// Names, labels and whether it is a counter, as the manual has them of the router.
fn manual() -> Vec<(String, Vec<String>, bool)> {
    let manual = include_str!("../../../../docs/monitoring.md");
    let section = manual.split("### ").find(|section| section.starts_with("Of the router")).expect("is there");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let row = |(name, rest): (&str, &str)| {
        let labels = rest.trim_start().trim_start_matches('|').split('|').next().expect("has labels").trim();
        let labels = labels.split(", ").filter(|label| !label.is_empty()).map(String::from).collect();
        (name.trim_end_matches("_total").to_string(), labels, name.ends_with("_total"))
    };
    rows.map(row).collect()
}

/// Takes more calls or more time than a test has, or a judge.
const LATER: [&str; 3] = ["waypost_tier_share", "waypost_canary_quality", "waypost_instance_latency_p95_seconds"];

#[tokio::test]
async fn everything_in_the_manual_is_told_with_its_labels_and_nothing_else() {
    within(async {
        let dear = v1::ModelInfo { cost_per_1k_tokens_usd: 1.0, ..writer("g") };
        let workers = [
            Worker::named("a"),
            Worker::named("ill").with(model("ill")).refusing(Status::unavailable("no")),
            Worker::named("author").with(dear),
        ]
        .map(Worker::start);
        let tenants = json!([{"name": "acme", "monthly_usd": 5.0, "calls_per_second": 1000.0}]);
        let config = json!({"tenants": tenants, "policies": {"model": "nobody"}});
        let router = fake::router(&workers.each_ref(), config).await;
        let mut client = fake::client(&router, &["models/m", "models/g"]).await;
        fake::until_ready(&router, workers.len()).await;
        let channel = fake::channel(&router).await;
        let rollout = v1::Rollout {
            name: "new".into(),
            stable: "m".into(),
            canary: "ill".into(),
            steps: vec![1.0],
            ..Default::default()
        };
        let rollout = v1::SetRolloutRequest { rollout: Some(rollout) };
        let mut mesh = MeshServiceClient::new(channel.clone());
        mesh.set_rollout(rollout).await.expect("begins");
        mesh.pin_model(v1::PinModelRequest { model: "m".into(), pinned: true }).await.expect("is pinned, so hot");
        client.embed(embed("new")).await.expect("is answered by the stable side");
        client.embed(embed("none")).await.expect_err("is unknown");
        streamed(&mut GenerateServiceClient::new(channel), prompt("g")).await;
        let told = Told::after(&router, 3).await;
        let manual = manual();
        for (name, labels, is_counter) in &manual {
            match told.family(name) {
                Some(family) => {
                    assert_eq!(family.labels, *labels, "{name}");
                    assert_eq!(family.r#type() == v1::MetricType::Counter, *is_counter, "{name}");
                }
                None => assert!(LATER.contains(&name.as_str()), "{name} is not told"),
            }
        }
        let unlisted = told.0.iter().filter(|family| manual.iter().all(|(name, ..)| *name != family.name));
        assert_eq!(unlisted.map(|family| &family.name).collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(told.sum("waypost_fallbacks", &[("reason", "stable")]), 1.0);
        assert_eq!(told.sum("waypost_canary_share", &[("rollout", "new")]), 1.0);
        let tokens = f64::from(USAGE.prompt_tokens + USAGE.completion_tokens);
        assert!((told.sum("waypost_cost_usd", &[("model", "g")]) - tokens / 1000.0).abs() < 1e-9);
        assert_eq!(told.sum("waypost_budget_cap_usd", &[("tenant", "acme")]), 5.0);
    })
    .await;
}
