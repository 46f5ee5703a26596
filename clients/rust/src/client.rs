use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::budget::Budget;
use crate::builder::{Builder, Channel};
use crate::embeddings::Embeddings;
use crate::error::Error;
use crate::retry::Limits;
use crate::stream::GenerateStream;
use crate::v1::classify_service_client::ClassifyServiceClient;
use crate::v1::embed_service_client::EmbedServiceClient;
use crate::v1::generate_service_client::GenerateServiceClient;
use crate::v1::mesh_service_client::MeshServiceClient;
use crate::v1::rerank_service_client::RerankServiceClient;
use crate::v1::retrieve_service_client::RetrieveServiceClient;
use crate::v1::{
    ClassifyRequest, ClassifyResponse, DeleteDocumentsRequest, DeleteDocumentsResponse, Document, EmbedRequest,
    GenerateRequest, GenerateResponse, GenerateStreamRequest, GetDocumentsRequest, ListDocumentsRequest,
    ListDocumentsResponse, ListModelsRequest, ModelInfo, QueryDocumentsRequest, QueryDocumentsResponse, RerankRequest,
    RerankResponse, UpsertDocumentsRequest, UpsertDocumentsResponse,
};

/// Largest message sent or received, as in the server.
const MAX_MESSAGE_BYTES: usize = 32 * 1024 * 1024;

/// A generated client, over this client's connection.
macro_rules! over {
    ($service:ident, $channel:expr) => {
        $service::new($channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    };
}

/// A call that may be tried again, by a generated client.
macro_rules! repeated {
    ($client:expr, $service:ident . $method:ident, $request:expr) => {{
        let service = over!($service, $client.channel());
        let send = |request| {
            let mut service = service.clone();
            async move { service.$method(request).await }
        };
        $client.limits().repeat($request, send).await
    }};
}

/// Calls a router or a single worker.
///
/// Clones are cheap and share the connection.  Every call has a deadline.  Calls without side effects are tried again
/// where nothing answered, for as long as the deadline allows.  Dropping a call cancels it.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    timeout: Duration,
    budget: Arc<Budget>,
}

impl Client {
    /// How to reach a mesh: `host:port`, or `unix:/path`.
    pub fn builder(address: impl Into<String>) -> Builder {
        Builder::new(address.into())
    }

    pub(crate) fn new(channel: Channel, timeout: Duration) -> Self {
        Self { channel, timeout, budget: Arc::default() }
    }

    /// The same client, whose calls may take this long.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// For the generated clients, where this one lacks a call; their deadlines and tries are the caller's to decide.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// One unit vector per text.
    pub async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, Error> {
        repeated!(self, EmbedServiceClient.embed, request).map(Embeddings::from)
    }

    /// Labels with calibrated scores, per text.
    pub async fn classify(&self, request: ClassifyRequest) -> Result<ClassifyResponse, Error> {
        repeated!(self, ClassifyServiceClient.classify, request)
    }

    /// The documents ordered against the query, best first.
    pub async fn rerank(&self, request: RerankRequest) -> Result<RerankResponse, Error> {
        repeated!(self, RerankServiceClient.rerank, request)
    }

    /// The whole answer.
    pub async fn generate(&self, request: GenerateRequest) -> Result<GenerateResponse, Error> {
        let mut service = over!(GenerateServiceClient, self.channel());
        self.limits().once(request, |request| async move { service.generate(request).await }).await
    }

    /// The answer piece by piece; dropping the stream cancels the call and frees the model.
    pub async fn generate_stream(&self, request: GenerateRequest) -> Result<GenerateStream, Error> {
        let (limits, request) = (self.limits(), GenerateStreamRequest { request: Some(request) });
        let mut service = over!(GenerateServiceClient, self.channel());
        let pieces = limits.once(request, |request| async move { service.generate_stream(request).await }).await?;
        Ok(GenerateStream::new(pieces, limits.deadline))
    }

    /// Stores documents, replacing those of the same id; what is answered is kept, and found by queries afterwards.
    pub async fn upsert_documents(&self, request: UpsertDocumentsRequest) -> Result<UpsertDocumentsResponse, Error> {
        repeated!(self, RetrieveServiceClient.upsert_documents, request)
    }

    /// Finds documents by meaning, by words, or both: one result per query.
    pub async fn query_documents(&self, request: QueryDocumentsRequest) -> Result<QueryDocumentsResponse, Error> {
        repeated!(self, RetrieveServiceClient.query_documents, request)
    }

    /// Documents by id; those that are not there are left out.
    pub async fn get_documents(&self, request: GetDocumentsRequest) -> Result<Vec<Document>, Error> {
        repeated!(self, RetrieveServiceClient.get_documents, request).map(|response| response.documents)
    }

    /// One page of a namespace by id; its `next_page_token` goes into the request of the next, until it is empty.
    pub async fn list_documents(&self, request: ListDocumentsRequest) -> Result<ListDocumentsResponse, Error> {
        repeated!(self, RetrieveServiceClient.list_documents, request)
    }

    /// Removes documents by id, or those that a filter lets through.
    pub async fn delete_documents(&self, request: DeleteDocumentsRequest) -> Result<DeleteDocumentsResponse, Error> {
        repeated!(self, RetrieveServiceClient.delete_documents, request)
    }

    /// The models that can be asked for by name.
    pub async fn models(&self) -> Result<Vec<ModelInfo>, Error> {
        repeated!(self, MeshServiceClient.list_models, ListModelsRequest {}).map(|response| response.models)
    }

    fn limits(&self) -> Limits {
        Limits { deadline: Instant::now() + self.timeout, budget: self.budget.clone() }
    }
}
