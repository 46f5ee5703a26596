//! Prompts that are decided by example.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use prost_types::{Struct, Value, value::Kind};
use serde_json::{Value as Json, json};
use tonic::{Code, Response, Status, transport::Channel};
use tonic_health::pb::health_check_response::ServingStatus;
use waypost_plane::{
    proto::v1::{
        self, GenerateRequest, GenerateResponse, Task, generate_request::Input,
        generate_service_client::GenerateServiceClient, mesh_service_client::MeshServiceClient,
    },
    router::Router,
};

use crate::fake::{self, Running, Worker, metadata, within};

/// A document so near, which says this.
fn document(id: &str, cosine: f64, said: &[(&str, &str)]) -> v1::ScoredDocument {
    let value = |text: &str| Value { kind: Some(Kind::StringValue(text.into())) };
    let fields = said.iter().map(|(name, text)| (name.to_string(), value(text))).collect();
    let document = v1::Document { id: id.into(), metadata: Some(Struct { fields }), ..Default::default() };
    v1::ScoredDocument { document: Some(document), cosine: Some(cosine), ..Default::default() }
}

fn serving(name: &str, task: Task, quality: f64) -> v1::ModelInfo {
    v1::ModelInfo { name: name.into(), tasks: vec![task.into()], quality, ..Default::default() }
}

/// Keeps documents, and finds always these.
fn library(found: Vec<v1::ScoredDocument>) -> Running {
    fake_library(move |_| std::future::ready(Ok(found.clone())))
}

fn fake_library<F>(answer: impl Fn(v1::QueryDocumentsRequest) -> F + Send + Sync + 'static) -> Running
where
    F: Future<Output = Result<Vec<v1::ScoredDocument>, Status>> + Send + 'static,
{
    Worker::named("library").with(serving("documents", Task::Retrieve, 0.5)).finding(answer).start()
}

/// A good model and a poor one before a library.
struct Mesh {
    router: Router,
    channel: Channel,
    writer: GenerateServiceClient<Channel>,
    _workers: Vec<Running>,
}

impl Mesh {
    async fn new(library: Running, more: Json) -> Self {
        let writer = |name: &str, quality| Worker::named(name).with(serving(name, Task::Generate, quality)).start();
        let workers = vec![library, writer("good", 0.9), writer("poor", 0.1)];
        let mut policies = json!({"model": "documents", "threshold": 0.8});
        policies.as_object_mut().expect("is an object").extend(more.as_object().cloned().unwrap_or_default());
        let router = fake::router(&workers.iter().collect::<Vec<_>>(), json!({"policies": policies})).await;
        let channel = fake::channel(&router).await;
        for name in ["models/documents", "models/good", "models/poor"] {
            fake::until(&channel, name, ServingStatus::Serving).await;
        }
        Self { router, writer: GenerateServiceClient::new(channel.clone()), channel, _workers: workers }
    }

    async fn ask(&mut self, request: GenerateRequest) -> Result<Response<GenerateResponse>, Status> {
        self.writer.generate(request).await
    }

    async fn explain(&self, text: &str) -> v1::ExplainResponse {
        let request = v1::ExplainRequest { text: text.into(), ..Default::default() };
        let mut mesh = MeshServiceClient::new(self.channel.clone());
        mesh.explain(request).await.expect("is told").into_inner()
    }

    /// The decisions so far.
    async fn decisions(&self, count: usize) -> Vec<Json> {
        let events = self.router.events();
        let lines = tokio::task::spawn_blocking(move || {
            let mut lines = Vec::new();
            while lines.len() < count {
                lines.extend(events.next(100, Duration::from_secs(5)));
            }
            lines
        });
        lines.await.expect("ends").iter().map(|line| serde_json::from_str(line).expect("is JSON")).collect()
    }

    async fn counted(&self, result: &str) -> f64 {
        let request = v1::GetMetricsRequest { own_only: true };
        let told = MeshServiceClient::new(self.channel.clone()).get_metrics(request).await.expect("are told");
        let families = told.into_inner().families;
        let family = families.into_iter().find(|family| family.name.starts_with("waypost_policies"));
        let series = family.into_iter().flat_map(|family| family.series);
        let labelled = |each: &v1::MetricSeries| each.values.iter().any(|label| label == result);
        series.filter(labelled).map(|each| each.value).sum()
    }
}

fn prompt(text: &str) -> GenerateRequest {
    GenerateRequest { input: Some(Input::Raw(text.into())), ..Default::default() }
}

fn served(response: &Response<GenerateResponse>) -> String {
    metadata(response, "waypost-served-model")
}

#[tokio::test]
async fn a_policy_names_the_model_of_callers_who_name_none() {
    within(async {
        let mut mesh = Mesh::new(library(vec![document("cheap", 0.9, &[("route_model", "poor")])]), json!({})).await;
        let answer = mesh.ask(prompt("a question")).await.expect("is answered");
        assert_eq!((served(&answer), metadata(&answer, "waypost-policy")), ("poor".into(), "cheap".into()));
        assert_eq!(metadata(&answer, "waypost-reason"), "policy/only");
        let named = GenerateRequest { model: "good".into(), ..prompt("a question") };
        assert_eq!(served(&mesh.ask(named).await.expect("is answered")), "good");
        let told = mesh.decisions(2).await;
        assert_eq!(told[0]["features"]["policy"], json!({"id": "cheap", "cosine": 0.9}));
        assert_eq!(told[0]["hops"], json!([{"model": "poor", "reason": "policy"}]));
        assert_eq!(mesh.counted("applied").await, 2.0);
    })
    .await;
}

#[tokio::test]
async fn what_is_asked_for_is_the_end_of_the_prompt_s_meaning_in_the_tenant_s_namespace() {
    within(async {
        let seen: Arc<Mutex<Vec<v1::QueryDocumentsRequest>>> = Arc::default();
        let heard = seen.clone();
        let library = fake_library(move |request| {
            heard.lock().expect("is free").push(request);
            std::future::ready(Ok(Vec::new()))
        });
        let mut mesh = Mesh::new(library, json!({"namespace": "rules", "tenant": "house"})).await;
        let message = |role: &str, content: &str| v1::ChatMessage {
            role: role.into(),
            content: content.into(),
            ..Default::default()
        };
        let messages = vec![message("system", "be brief"), message("user", "the question")];
        let route = Some(v1::RouteHints { no_store: true, ..Default::default() });
        let chat = GenerateRequest { input: Some(Input::Chat(v1::Prompt { messages })), route, ..Default::default() };
        let answer = mesh.ask(chat).await.expect("is answered");
        assert_eq!((served(&answer), metadata(&answer, "waypost-policy")), ("good".into(), String::new()));
        let sent = seen.lock().expect("is free").pop().expect("was asked");
        let hints = sent.route.unwrap_or_default();
        assert_eq!((sent.namespace.as_str(), sent.queries[0].text.as_str()), ("rules", "the question"));
        assert_eq!((hints.tenant.as_str(), hints.no_store, sent.mode), ("house", true, v1::QueryMode::Dense.into()));
        assert_eq!(mesh.counted("none").await, 1.0);
    })
    .await;
}

#[tokio::test]
async fn a_policy_that_names_no_model_of_this_mesh_steers_nothing() {
    within(async {
        let mut mesh = Mesh::new(library(vec![document("old", 0.9, &[("route_model", "gone")])]), json!({})).await;
        assert_eq!(served(&mesh.ask(prompt("a question")).await.expect("is answered")), "good");
    })
    .await;
}

#[tokio::test]
async fn a_policy_has_the_answer_also_of_a_stream_but_not_of_what_has_a_form() {
    within(async {
        let mut mesh =
            Mesh::new(library(vec![document("hours", 0.95, &[("answer", "Nine to five.")])]), json!({})).await;
        let answer = mesh.ask(prompt("when are you open?")).await.expect("is answered");
        assert_eq!((metadata(&answer, "waypost-policy"), served(&answer)), ("hours".into(), String::new()));
        let answer = answer.into_inner();
        assert_eq!((answer.text.as_str(), answer.from_template), ("Nine to five.", true));
        assert_eq!(answer.served.map(|served| (served.model, served.version)), Some(("policy".into(), "hours".into())));
        let request = v1::GenerateStreamRequest { request: Some(prompt("when are you open?")) };
        let mut stream = mesh.writer.generate_stream(request).await.expect("begins").into_inner();
        let (mut text, mut end) = (String::new(), None);
        while let Some(piece) = stream.message().await.expect("goes on") {
            text += &piece.text;
            end = piece.r#final.or(end);
        }
        assert_eq!(
            (text.as_str(), end.map(|end| end.finish_reason())),
            ("Nine to five.", Some(v1::FinishReason::Stop))
        );
        let formed = GenerateRequest { json_schema: "{}".into(), ..prompt("when are you open?") };
        assert_eq!(served(&mesh.ask(formed).await.expect("is answered")), "good");
        let told = mesh.decisions(3).await;
        assert_eq!((&told[0]["model"], &told[0]["model_reason"]), (&json!(null), &json!("policy")));
        assert_eq!((&told[1]["code"], &told[1]["hops"]), (&json!("OK"), &json!([])));
    })
    .await;
}

#[tokio::test]
async fn a_policy_blocks_or_remarks_with_its_reason() {
    within(async {
        let said = [("guard", "block"), ("reason", "no medical advice")];
        let mut mesh = Mesh::new(library(vec![document("medicine", 0.87, &said)]), json!({})).await;
        let status = mesh.ask(prompt("how many pills?")).await.expect_err("is blocked");
        assert_eq!((status.code(), fake::reason(&status)), (Code::PermissionDenied, "ERROR_REASON_BLOCKED".into()));
        assert!(status.message().contains("medicine") && status.message().contains("no medical advice"));
        assert_eq!(status.metadata().get("waypost-policy").expect("is told"), "medicine");
        let said = [("guard", "annotate"), ("reason", "medicine")];
        let mut mesh = Mesh::new(library(vec![document("pills", 0.87, &said)]), json!({})).await;
        let answer = mesh.ask(prompt("how many pills?")).await.expect("is answered");
        assert_eq!(metadata(&answer, "waypost-guard"), "medicine 0.87");
    })
    .await;
}

#[tokio::test]
async fn a_look_up_that_fails_or_is_late_costs_no_answer() {
    within(async {
        let broken = fake_library(|_| std::future::ready(Err(Status::internal("on fire"))));
        let mut mesh = Mesh::new(broken, json!({})).await;
        assert_eq!(served(&mesh.ask(prompt("a question")).await.expect("is answered")), "good");
        assert_eq!(mesh.counted("failed").await, 1.0);
        let mut mesh = Mesh::new(fake_library(|_| std::future::pending()), json!({"timeout_s": 0.05})).await;
        assert_eq!(served(&mesh.ask(prompt("a question")).await.expect("is answered")), "good");
    })
    .await;
}

#[tokio::test]
async fn where_policies_are_required_no_prompt_goes_on_without() {
    within(async {
        let broken = fake_library(|_| std::future::ready(Err(Status::internal("on fire"))));
        let mut mesh = Mesh::new(broken, json!({"required": true})).await;
        let status = mesh.ask(prompt("a question")).await.expect_err("is refused");
        let found = (status.code(), fake::reason(&status));
        assert_eq!(found, (Code::Unavailable, "ERROR_REASON_STORE_UNAVAILABLE".into()));
        assert!(mesh.explain("a question").await.error.contains("which policy"));
    })
    .await;
}

#[tokio::test]
async fn what_would_be_is_told_beforehand() {
    within(async {
        let said = [("route_tier", "premium"), ("route_tags", "reasoning")];
        let mesh = Mesh::new(library(vec![document("contracts", 0.9, &said)]), json!({})).await;
        let told = mesh.explain("review this").await;
        assert_eq!(told.policy, Some(v1::PolicyMatch { id: "contracts".into(), cosine: 0.9 }));
        let features = told.features.expect("is read");
        assert_eq!((features.tier(), features.tier_reason.as_str()), (v1::Tier::Premium, "policy"));
        assert_eq!((features.tags, told.hops.len()), (vec!["reasoning".into()], 2));
        let mesh = Mesh::new(library(vec![document("hours", 0.9, &[("answer", "Nine to five.")])]), json!({})).await;
        let told = mesh.explain("when are you open?").await;
        assert_eq!((told.policy.expect("applies").id.as_str(), told.hops.len(), told.error.as_str()), ("hours", 0, ""));
    })
    .await;
}
