//! A worker whose answers a test decides, a router before it, and a client before that.

use std::{
    convert::Infallible,
    future::Future,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use serde_json::json;
use tokio::{runtime::Runtime, sync::mpsc};
use tonic::{Request, Response, Status, Streaming, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_types::StatusExt;
use waypost_plane::{
    address::Address,
    flight::Flights,
    health::Health,
    proto::v1::{
        self, Task, embed_service_client::EmbedServiceClient, embed_service_server, generate_service_server,
        mesh_service_server,
    },
    router::{Router, config::RouterConfig},
    server::{Entrance, Server, common_routes},
};

/// No test takes longer.
pub async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), test).await.expect("the test ends in time")
}

type Answer<T, U> = Arc<dyn Fn(Request<T>) -> BoxFuture<'static, Result<Response<U>, Status>> + Send + Sync>;

/// A client of the router.
pub type Client = EmbedServiceClient<Channel>;

/// What a fake worker is and does.
#[derive(Clone)]
pub struct Worker {
    name: String,
    models: Vec<v1::ModelInfo>,
    embed: Answer<v1::EmbedRequest, v1::EmbedResponse>,
    metrics: Answer<v1::GetMetricsRequest, v1::GetMetricsResponse>,
    library: Library,
}

/// A model that embeds.
pub fn model(name: &str) -> v1::ModelInfo {
    v1::ModelInfo { name: name.into(), version: "1".into(), tasks: vec![Task::Embed.into()], ..Default::default() }
}

/// The answer of `instance`.
pub fn embedded(instance: &str) -> Response<v1::EmbedResponse> {
    let served = v1::ServedBy { instance: instance.into(), ..Default::default() };
    Response::new(v1::EmbedResponse { served: Some(served), dimensions: 3, ..Default::default() })
}

impl Worker {
    /// Serves the model "m" and says its own name.
    pub fn named(name: &str) -> Self {
        let said = name.to_string();
        let embed: Answer<_, _> = Arc::new(move |_| {
            let answer = embedded(&said);
            Box::pin(async move { Ok(answer) })
        });
        let metrics: Answer<_, _> =
            Arc::new(|_| Box::pin(std::future::ready(Err(Status::unimplemented("a test says what")))));
        let library = Library(Arc::new(|_| {
            Box::pin(std::future::ready(Ok(Response::new(v1::QueryDocumentsResponse::default()))))
        }));
        Self { name: name.into(), models: vec![model("m")], embed, metrics, library }
    }

    /// Serves this model.
    pub fn with(mut self, model: v1::ModelInfo) -> Self {
        self.models = vec![model];
        self
    }

    /// Answers Embed with this status.
    pub fn refusing(self, status: Status) -> Self {
        self.embedding(move |_| std::future::ready(Err(status.clone())))
    }

    /// Answers Embed so.
    pub fn embedding<F>(mut self, answer: impl Fn(Request<v1::EmbedRequest>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Response<v1::EmbedResponse>, Status>> + Send + 'static,
    {
        self.embed = Arc::new(move |request| Box::pin(answer(request)));
        self
    }

    /// Finds these documents.
    pub fn finding<F>(mut self, answer: impl Fn(v1::QueryDocumentsRequest) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<v1::ScoredDocument>, Status>> + Send + 'static,
    {
        self.library = Library(Arc::new(move |request| {
            let found = answer(request.into_inner());
            Box::pin(async move {
                let results = vec![v1::QueryResult { documents: found.await? }];
                Ok(Response::new(v1::QueryDocumentsResponse { results, ..Default::default() }))
            })
        }));
        self
    }

    /// Tells these metrics.
    pub fn telling<F>(mut self, answer: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Vec<v1::MetricFamily>> + Send + 'static,
    {
        self.metrics = Arc::new(move |_| {
            let families = answer();
            Box::pin(async move { Ok(Response::new(v1::GetMetricsResponse { families: families.await })) })
        });
        self
    }

    /// Listens on a free port.
    pub fn start(self) -> Running {
        self.start_at(&"127.0.0.1:0".parse().expect("is an address"))
    }

    /// Listens there.
    pub fn start_at(self, address: &Address) -> Running {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime starts");
        let (health, flights) = (Health::default(), Flights::default());
        health.set("", ServingStatus::Serving);
        let routes = common_routes(&health, &[])
            .expect("reflection builds")
            .add_service(self.library.clone())
            .add_service(embed_service_server::EmbedServiceServer::new(self.clone()))
            .add_service(generate_service_server::GenerateServiceServer::new(self.clone()))
            .add_service(mesh_service_server::MeshServiceServer::new(self));
        let (sender, receiver) = std::sync::mpsc::channel();
        let address = address.clone();
        let app = tower::ServiceExt::<http::Request<hyper::body::Incoming>>::boxed_clone(routes);
        let served = health.clone();
        runtime.spawn(async move {
            let server = Server::start(&[Entrance::front(address, None)], move |_| app.clone(), served, flights).await;
            sender.send(server).expect("the test listens");
        });
        let server = receiver.recv().expect("the worker starts").expect("the worker listens");
        Running { address: server.address.clone(), health, server: Some(server), runtime: Some(runtime) }
    }
}

/// A fake worker in a runtime of its own, so that it can be killed.
pub struct Running {
    pub address: Address,
    pub health: Health,
    server: Option<Server>,
    runtime: Option<Runtime>,
}

impl Running {
    /// Ends it in the middle of whatever it does.
    pub fn kill(mut self) {
        self.end();
    }

    /// Lets it leave in order.
    pub async fn drain(mut self) -> bool {
        let server = self.server.take().expect("it runs");
        let runtime = self.runtime.as_ref().expect("it runs");
        runtime.spawn(server.drain(Duration::from_secs(10))).await.expect("drains")
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

#[tonic::async_trait]
impl embed_service_server::EmbedService for Worker {
    async fn embed(&self, request: Request<v1::EmbedRequest>) -> Result<Response<v1::EmbedResponse>, Status> {
        (self.embed)(request).await
    }

    type EmbedStreamStream = tokio_stream::wrappers::ReceiverStream<Result<v1::EmbedStreamResponse, Status>>;

    async fn embed_stream(
        &self,
        request: Request<Streaming<v1::EmbedStreamRequest>>,
    ) -> Result<Response<Self::EmbedStreamStream>, Status> {
        let mut requests = request.into_inner();
        let (sender, receiver) = mpsc::channel(1);
        let worker = self.clone();
        tokio::spawn(async move {
            while let Ok(Some(v1::EmbedStreamRequest { request: Some(request) })) = requests.message().await {
                let answer = (worker.embed)(Request::new(request)).await;
                let answer = answer.map(|response| v1::EmbedStreamResponse { response: Some(response.into_inner()) });
                if sender.send(answer).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response::new(receiver.into()))
    }

    async fn count_tokens(
        &self,
        request: Request<v1::CountTokensRequest>,
    ) -> Result<Response<v1::CountTokensResponse>, Status> {
        let tokens = request.get_ref().texts.iter().map(|text| text.len() as u32).collect();
        Ok(Response::new(v1::CountTokensResponse { served: None, tokens }))
    }
}

/// Answers QueryDocuments; no test asks for more of its service.
#[derive(Clone)]
struct Library(Answer<v1::QueryDocumentsRequest, v1::QueryDocumentsResponse>);

impl tonic::server::NamedService for Library {
    const NAME: &'static str = "waypost.v1.RetrieveService";
}

impl tower::Service<http::Request<tonic::body::Body>> for Library {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let answer = self.0.clone();
        let asked = tower::service_fn(move |request| answer(request));
        Box::pin(
            async move { Ok(tonic::server::Grpc::new(tonic_prost::ProstCodec::default()).unary(asked, request).await) },
        )
    }
}

/// What every answer of [`Worker`] to a prompt comes to.
pub const USAGE: v1::GenerateUsage =
    v1::GenerateUsage { prompt_tokens: 12, cached_tokens: 5, completion_tokens: 3, dropped_tokens: 0 };

#[tonic::async_trait]
impl generate_service_server::GenerateService for Worker {
    async fn generate(&self, _: Request<v1::GenerateRequest>) -> Result<Response<v1::GenerateResponse>, Status> {
        Ok(Response::new(v1::GenerateResponse {
            text: "once upon a time".into(),
            usage: Some(USAGE),
            ..Default::default()
        }))
    }

    type GenerateStreamStream = tokio_stream::Iter<std::vec::IntoIter<Result<v1::GenerateStreamResponse, Status>>>;

    async fn generate_stream(
        &self,
        _: Request<v1::GenerateStreamRequest>,
    ) -> Result<Response<Self::GenerateStreamStream>, Status> {
        let piece = |text: &str| v1::GenerateStreamResponse { text: text.into(), ..Default::default() };
        let end = v1::GenerateResponse { usage: Some(USAGE), ..Default::default() };
        let end = v1::GenerateStreamResponse { r#final: Some(end), ..Default::default() };
        let pieces = vec![Ok(piece("once")), Ok(piece(" upon")), Ok(piece(" a time")), Ok(end)];
        Ok(Response::new(tokio_stream::iter(pieces)))
    }

    async fn count_tokens(
        &self,
        _: Request<v1::GenerateServiceCountTokensRequest>,
    ) -> Result<Response<v1::GenerateServiceCountTokensResponse>, Status> {
        Err(Status::unimplemented("no test asks"))
    }
}

#[tonic::async_trait]
impl mesh_service_server::MeshService for Worker {
    async fn describe_instance(
        &self,
        _: Request<v1::DescribeInstanceRequest>,
    ) -> Result<Response<v1::DescribeInstanceResponse>, Status> {
        Ok(Response::new(v1::DescribeInstanceResponse {
            instance: self.name.clone(),
            models: self.models.clone(),
            ..Default::default()
        }))
    }

    async fn list_models(&self, _: Request<v1::ListModelsRequest>) -> Result<Response<v1::ListModelsResponse>, Status> {
        Err(Status::unimplemented("the router asks DescribeInstance"))
    }

    async fn list_instances(
        &self,
        _: Request<v1::ListInstancesRequest>,
    ) -> Result<Response<v1::ListInstancesResponse>, Status> {
        Err(Status::unimplemented("the router asks DescribeInstance"))
    }

    async fn explain(&self, _: Request<v1::ExplainRequest>) -> Result<Response<v1::ExplainResponse>, Status> {
        Err(Status::unimplemented("a worker's"))
    }

    async fn get_budget(&self, _: Request<v1::GetBudgetRequest>) -> Result<Response<v1::GetBudgetResponse>, Status> {
        Err(Status::unimplemented("a worker's"))
    }

    async fn send_feedback(
        &self,
        _: Request<v1::SendFeedbackRequest>,
    ) -> Result<Response<v1::SendFeedbackResponse>, Status> {
        Err(Status::unimplemented("a worker's"))
    }

    async fn list_rollouts(
        &self,
        _: Request<v1::ListRolloutsRequest>,
    ) -> Result<Response<v1::ListRolloutsResponse>, Status> {
        Err(Status::unimplemented("a worker's"))
    }

    async fn set_rollout(&self, _: Request<v1::SetRolloutRequest>) -> Result<Response<v1::SetRolloutResponse>, Status> {
        Err(Status::unimplemented("a worker's"))
    }

    async fn load_model(&self, _: Request<v1::LoadModelRequest>) -> Result<Response<v1::LoadModelResponse>, Status> {
        Err(Status::unimplemented("a worker's"))
    }

    async fn unload_model(
        &self,
        _: Request<v1::UnloadModelRequest>,
    ) -> Result<Response<v1::UnloadModelResponse>, Status> {
        Err(Status::unimplemented("a worker's"))
    }

    async fn create_token(
        &self,
        _: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        Err(Status::unimplemented("a worker's"))
    }

    async fn list_tokens(&self, _: Request<v1::ListTokensRequest>) -> Result<Response<v1::ListTokensResponse>, Status> {
        Err(Status::unimplemented("a worker's"))
    }

    async fn revoke_token(
        &self,
        _: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        Err(Status::unimplemented("a worker's"))
    }

    async fn get_metrics(
        &self,
        request: Request<v1::GetMetricsRequest>,
    ) -> Result<Response<v1::GetMetricsResponse>, Status> {
        (self.metrics)(request).await
    }

    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Result<Response<v1::GetStatusResponse>, Status> {
        Err(Status::unimplemented("a worker's"))
    }

    async fn get_history(&self, _: Request<v1::GetHistoryRequest>) -> Result<Response<v1::GetHistoryResponse>, Status> {
        Err(Status::unimplemented("a worker's"))
    }

    async fn list_decisions(
        &self,
        _: Request<v1::ListDecisionsRequest>,
    ) -> Result<Response<v1::ListDecisionsResponse>, Status> {
        Err(Status::unimplemented("a worker's"))
    }

    async fn drain_instance(
        &self,
        _: Request<v1::DrainInstanceRequest>,
    ) -> Result<Response<v1::DrainInstanceResponse>, Status> {
        Err(Status::unimplemented("a worker's"))
    }

    async fn pin_model(&self, _: Request<v1::PinModelRequest>) -> Result<Response<v1::PinModelResponse>, Status> {
        Err(Status::unimplemented("a worker's"))
    }

    async fn set_weights(&self, _: Request<v1::SetWeightsRequest>) -> Result<Response<v1::SetWeightsResponse>, Status> {
        Err(Status::unimplemented("a worker's"))
    }

    type SuperviseStream = futures::stream::BoxStream<'static, Result<v1::SuperviseResponse, Status>>;

    async fn supervise(
        &self,
        _: Request<tonic::Streaming<v1::SuperviseRequest>>,
    ) -> Result<Response<Self::SuperviseStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn set_log_level(
        &self,
        _: Request<v1::SetLogLevelRequest>,
    ) -> Result<Response<v1::SetLogLevelResponse>, Status> {
        Ok(Response::new(v1::SetLogLevelResponse { instances: vec![self.name.clone()] }))
    }
}

/// A router with these instances and, merged over the defaults, this configuration.
pub async fn router(workers: &[&Running], more: serde_json::Value) -> Router {
    let instances: Vec<String> = workers.iter().map(|worker| worker.address.to_string()).collect();
    let mut config = json!({
        "listen": "127.0.0.1:0", "instance": "router", "version": "test", "instances": instances, "seed": 7,
        // The same question again and again is to reach the workers.
        "cache": {"enabled": false},
    });
    let more = more.as_object().cloned().unwrap_or_default();
    config.as_object_mut().expect("is an object").extend(more);
    let config: RouterConfig = serde_json::from_value(config).expect("is a configuration");
    Router::start(config).await.expect("the router starts")
}

/// A connection to the router.
pub async fn channel(router: &Router) -> Channel {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", router.address()));
    endpoint.expect("is an address").connect().await.expect("the router is there")
}

/// A client that waits until all of `names` serve.
pub async fn client(router: &Router, names: &[&str]) -> Client {
    let channel = channel(router).await;
    for name in names {
        until(&channel, name, ServingStatus::Serving).await;
    }
    EmbedServiceClient::new(channel)
}

/// Waits until a health name is in this state.
pub async fn until(channel: &Channel, name: &str, wanted: ServingStatus) {
    let request = HealthCheckRequest { service: name.into() };
    let mut states = HealthClient::new(channel.clone()).watch(request).await.expect("is watched").into_inner();
    while states.message().await.expect("is watched").expect("goes on").status() != wanted {}
}

/// Waits until the router sees `count` instances ready.
pub async fn until_ready(router: &Router, count: usize) {
    let ready = || {
        let status = router.status();
        let instances = status["instances"].as_array().expect("is a list");
        instances.iter().filter(|instance| instance["state"] == "ready").count()
    };
    while ready() != count {
        tokio::task::yield_now().await;
    }
}

/// What the router's status says of an instance.
pub fn instance(router: &Router, name: &str) -> serde_json::Value {
    let status = router.status();
    let instances = status["instances"].as_array().expect("is a list");
    instances.iter().find(|instance| instance["instance"] == name).expect("is listed").clone()
}

/// Waits until an instance has this many calls in flight.
pub async fn until_in_flight(router: &Router, name: &str, count: u64) {
    while instance(router, name)["in_flight"] != count {
        tokio::task::yield_now().await;
    }
}

/// The machine-readable reason of a status.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// A header or trailer of a response.
pub fn metadata<T>(response: &Response<T>, name: &str) -> String {
    response.metadata().get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_string()
}

/// A request for one text.
pub fn embed(model: &str) -> v1::EmbedRequest {
    v1::EmbedRequest { model: model.into(), texts: vec!["text".into()], ..Default::default() }
}

/// Name of the instance that answered.
pub fn instance_of(response: Response<v1::EmbedResponse>) -> String {
    response.into_inner().served.expect("says who served").instance
}
