//! Documents: `RetrieveService`, and how its calls reach the store that a backend keeps.
//!
//! A call goes down: [`check`] refuses what is wrong with it, [`vectors`] gives its texts their vectors by an encoder of
//! the same worker, an [`errand`] waits in one of two inboxes for the store's threads, what they found becomes a
//! [`reply`], and is read again by a reranker where that is asked for.

use std::{pin::Pin, sync::Arc, time::Instant};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use super::{
    config::RetrieverConfig,
    inbox::Inbox,
    model::{LoadError, Model, Stages},
    shell::{Arrival, SharedShell, Shell, invalid},
    watch::trail::Mark,
};
use crate::{
    error::Error,
    proto::v1::{self, QueryMode, Task, retrieve_service_server::RetrieveService},
};

mod asks;
mod check;
pub mod errand;
pub mod reply;
mod reread;
pub mod vectors;

use asks::{Answer, Ask, Lane};
use errand::{Errand, Terms};
use vectors::{Item, Matrix};

/// Where the store's threads take their errands.
#[derive(Clone, Default)]
pub struct Desk {
    /// What changes nothing.
    pub reads: Arc<Inbox<Errand>>,
    /// What does.
    pub changes: Arc<Inbox<Errand>>,
}

/// A store of documents of a worker.
pub struct Retriever {
    config: RetrieverConfig,
    label: Arc<str>,
    desk: Desk,
}

impl Desk {
    fn lane(&self, lane: Lane) -> &Inbox<Errand> {
        match lane {
            Lane::Read => &self.reads,
            Lane::Change => &self.changes,
        }
    }

    /// Lets the backend end; what still waits is dropped, which answers it.
    pub fn close(&self) {
        self.reads.close();
        self.changes.close();
    }
}

impl Retriever {
    /// Its door, if the models it works with are there.
    pub fn open(config: RetrieverConfig, desk: Desk, models: &[Model]) -> Result<Self, LoadError> {
        let label = Arc::from(&*config.identity.name);
        let needs = |named: &Option<String>, task| match named {
            Some(name) => models.iter().any(|model| model.name() == name && model.tasks().contains(&task)),
            None => true,
        };
        for (named, task) in [(&config.encoder, Task::Embed), (&config.reranker, Task::Rerank)] {
            if !needs(named, task) {
                let (model, other) = (config.identity.name.clone(), named.clone().unwrap_or_default());
                return Err(LoadError::Helper { model, other, task: task.as_str_name() });
            }
        }
        Ok(Self { config, label, desk })
    }

    /// Name that requests use.
    pub fn name(&self) -> &str {
        &self.config.identity.name
    }

    /// The same, to be kept.
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// How the registry sees it; its dimensions are those of its encoder.
    pub fn info(&self, models: &[Model]) -> v1::ModelInfo {
        v1::ModelInfo {
            tasks: vec![Task::Retrieve as i32],
            dimensions: self.encoder(models).map_or(0, |encoder| encoder.config.dimensions),
            ..self.config.identity.info()
        }
    }

    fn encoder<'a>(&self, models: &'a [Model]) -> Option<&'a Model> {
        named(models, self.config.encoder.as_deref()?)
    }

    /// Of a namespace's documents; by default the encoder does it.
    fn reranker<'a>(&self, models: &'a [Model]) -> Result<&'a Model, Error> {
        let name = self.config.reranker.as_deref().or(self.config.encoder.as_deref());
        name.and_then(|name| named(models, name)).ok_or_else(|| {
            let why = format!("model {:?} has neither a reranker nor an encoder", self.name());
            Error::NotCapable { why }
        })
    }
}

fn named<'a>(models: &'a [Model], name: &str) -> Option<&'a Model> {
    models.iter().find(|model| model.name() == name)
}

/// The service of one worker.
#[derive(Clone)]
pub struct Librarian(pub SharedShell);

/// Answers of a stream.
type Answers = Pin<Box<dyn Stream<Item = Result<v1::UpsertDocumentsStreamResponse, Status>> + Send>>;

#[tonic::async_trait]
impl RetrieveService for Librarian {
    async fn upsert_documents(
        &self,
        request: Request<v1::UpsertDocumentsRequest>,
    ) -> Result<Response<v1::UpsertDocumentsResponse>, Status> {
        let arrival = self.0.arrive(&request);
        Ok(Response::new(upsert(&self.0, &arrival, request.into_inner()).await?))
    }

    type UpsertDocumentsStreamStream = Answers;

    /// One request after the other: of two that store the same document the later one counts.
    async fn upsert_documents_stream(
        &self,
        request: Request<Streaming<v1::UpsertDocumentsStreamRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let (shell, arrival) = (self.0.clone(), Arc::new(self.0.arrive(&request)));
        let answers = request.into_inner().then(move |message| {
            let (shell, arrival) = (shell.clone(), arrival.clone());
            async move {
                let arrival = shell.arrive_within(&arrival);
                let missing = || invalid("request", "missing", "an UpsertDocumentsRequest");
                let request = message?.request.ok_or_else(missing)?;
                let response = upsert(&shell, &arrival, request).await?;
                Ok(v1::UpsertDocumentsStreamResponse { response: Some(response) })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn query_documents(
        &self,
        request: Request<v1::QueryDocumentsRequest>,
    ) -> Result<Response<v1::QueryDocumentsResponse>, Status> {
        let arrival = self.0.arrive(&request);
        Ok(Response::new(query(&self.0, &arrival, request.into_inner()).await?))
    }

    async fn get_documents(
        &self,
        request: Request<v1::GetDocumentsRequest>,
    ) -> Result<Response<v1::GetDocumentsResponse>, Status> {
        check::ids(&request.get_ref().ids, self.0.limits())?;
        self.handed_on(request).await
    }

    async fn list_documents(
        &self,
        request: Request<v1::ListDocumentsRequest>,
    ) -> Result<Response<v1::ListDocumentsResponse>, Status> {
        check::list(request.get_ref())?;
        self.handed_on(request).await
    }

    async fn delete_documents(
        &self,
        request: Request<v1::DeleteDocumentsRequest>,
    ) -> Result<Response<v1::DeleteDocumentsResponse>, Status> {
        check::delete(request.get_ref(), self.0.limits())?;
        self.handed_on(request).await
    }

    async fn set_namespace(
        &self,
        request: Request<v1::SetNamespaceRequest>,
    ) -> Result<Response<v1::SetNamespaceResponse>, Status> {
        check::retention(request.get_ref())?;
        self.handed_on(request).await
    }

    async fn get_namespace(
        &self,
        request: Request<v1::GetNamespaceRequest>,
    ) -> Result<Response<v1::GetNamespaceResponse>, Status> {
        self.handed_on(request).await
    }

    async fn list_namespaces(
        &self,
        request: Request<v1::ListNamespacesRequest>,
    ) -> Result<Response<v1::ListNamespacesResponse>, Status> {
        self.handed_on(request).await
    }

    async fn delete_namespace(
        &self,
        request: Request<v1::DeleteNamespaceRequest>,
    ) -> Result<Response<v1::DeleteNamespaceResponse>, Status> {
        self.handed_on(request).await
    }
}

impl Librarian {
    /// The store's own answer.
    async fn handed_on<Q: Ask>(&self, request: Request<Q>) -> Result<Response<Q::Answer>, Status> {
        let arrival = self.0.arrive(&request);
        let request = request.into_inner();
        let retriever = meant(&self.0, &arrival, &request)?;
        let (answer, stages) = ask(&self.0, &arrival, retriever, &request, None, 1).await?;
        Ok(Response::new(signed(&self.0, &arrival, retriever, answer, stages)))
    }
}

async fn upsert(
    shell: &Shell,
    arrival: &Arrival,
    mut request: v1::UpsertDocumentsRequest,
) -> Result<v1::UpsertDocumentsResponse, Error> {
    let retriever = meant(shell, arrival, &request)?;
    check::upsert(&request, shell.limits())?;
    let mut documents = std::mem::take(&mut request.documents);
    let way = Way { field: "documents", truncation: request.truncation };
    let (vectors, embedded) = vectors_of(shell, arrival, retriever, &request, &mut documents, way).await?;
    if vectors.is_none()
        && let Some(index) = documents.iter().position(|document| document.text.is_empty())
    {
        return Err(invalid(format!("documents[{index}]"), "empty", "a text, a vector, or both"));
    }
    request.documents = documents;
    let units = request.documents.len();
    let (answer, stages) = ask(shell, arrival, retriever, &request, vectors, units).await?;
    Ok(signed(shell, arrival, retriever, answer, sum(embedded, stages)))
}

async fn query(
    shell: &Shell,
    arrival: &Arrival,
    mut request: v1::QueryDocumentsRequest,
) -> Result<v1::QueryDocumentsResponse, Error> {
    let retriever = meant(shell, arrival, &request)?;
    check::query(&request, shell.limits())?;
    let (vectors, embedded) = match request.mode() {
        QueryMode::Bm25 => (None, Stages::default()),
        _ => {
            let mut queries = std::mem::take(&mut request.queries);
            let way = Way { field: "queries", truncation: request.truncation };
            let made = vectors_of(shell, arrival, retriever, &request, &mut queries, way).await?;
            request.queries = queries;
            made
        }
    };
    if vectors.is_none() && request.mode() == QueryMode::Dense {
        let why = format!("model {:?} has no encoder: a dense query must bring its vector", retriever.name());
        return Err(Error::NotCapable { why });
    }
    let units = request.queries.len();
    let again = request.rerank.then(|| reread::Again::of(&mut request));
    let (mut answer, stages) = ask(shell, arrival, retriever, &request, vectors, units).await?;
    let mut stages = sum(embedded, stages);
    if let Some(again) = again {
        let reranker = retriever.reranker(&shell.models)?;
        stages = sum(stages, again.order(shell, arrival, reranker, &request, &mut answer).await?);
    }
    Ok(signed(shell, arrival, retriever, answer, stages))
}

/// What items are called in errors, and what to do with texts that are too long.
struct Way {
    field: &'static str,
    truncation: i32,
}

/// Of documents, or queries; none where nobody makes them.
async fn vectors_of<I: Item>(
    shell: &Shell,
    arrival: &Arrival,
    retriever: &Retriever,
    request: &impl Ask,
    items: &mut [I],
    way: Way,
) -> Result<(Option<Matrix>, Stages), Error> {
    let encoder = retriever.encoder(&shell.models);
    let width = encoder.map_or(0, |encoder| encoder.config.dimensions);
    if let Some(brought) = vectors::brought(way.field, items, width)? {
        return Ok((Some(brought), Stages::default()));
    }
    let Some(encoder) = encoder else { return Ok((None, Stages::default())) };
    let work = shell.work(arrival, request.route(), way.truncation, items.len())?;
    let (made, stages) = vectors::made(way.field, items, encoder, work).await?;
    Ok((Some(made), stages))
}

fn meant<'a, Q: Ask>(shell: &'a Shell, arrival: &Arrival, request: &Q) -> Result<&'a Retriever, Error> {
    request.namespace().map_or(Ok(()), check::namespace)?;
    request.route().map_or(Ok(()), crate::hints::check)?;
    shell.retriever(request.model(), arrival)
}

/// Sends it to the store's threads, as a call of so many documents or queries.
async fn ask<Q: Ask>(
    shell: &Shell,
    arrival: &Arrival,
    retriever: &Retriever,
    request: &Q,
    vectors: Option<Matrix>,
    units: usize,
) -> Result<(Q::Answer, Stages), Error> {
    let terms = Terms {
        tenant: arrival.tenant_or(request.route()),
        model: retriever.label.clone(),
        deadline: arrival.deadline,
        room: shell.admit(units)?,
    };
    let encoded = Bytes::from(request.encode_to_vec());
    let (errand, ticket) = errand::open(Q::METHOD, encoded, vectors, terms);
    arrival.trail.mark(Mark::Queued, Instant::now());
    retriever.desk.lane(Q::LANE).put(errand);
    let done = ticket.done().await?;
    let now = Instant::now();
    arrival.trail.mark(Mark::Begun, now - done.work);
    arrival.trail.mark_last(Mark::Done, now);
    let answer = Q::Answer::decode(done.reply).map_err(|error| {
        let why = format!("it answered {} with what is no answer: {error}", Q::METHOD);
        Error::ModelFailed { model: retriever.name().into(), why }
    })?;
    Ok((answer, Stages { queue: done.queue, inference: done.work, ..Stages::default() }))
}

fn signed<A: Answer>(shell: &Shell, arrival: &Arrival, by: &Retriever, answer: A, stages: Stages) -> A {
    answer.served(shell.served(&by.config.identity), arrival.timings(stages))
}

/// Of what was done one after the other.
fn sum(a: Stages, b: Stages) -> Stages {
    Stages { queue: a.queue + b.queue, tokenize: a.tokenize + b.tokenize, inference: a.inference + b.inference }
}
