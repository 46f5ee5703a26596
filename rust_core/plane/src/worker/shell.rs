//! What the services share: the models, the limits, and how a call becomes work.

use std::{borrow::Cow, sync::Arc, time::Instant};

use http::HeaderMap;
use tonic::Request;
use waypost_decide::admit::{Limit, Permit};
use waypost_text::tokenize::Truncation;

use super::{
    config::{Identity, Limits, WorkerConfig},
    generate::Generator,
    model::{Model, Stages, Work},
    retrieve::Retriever,
    watch::{Watch, door::Part, trail::Trail},
};
use crate::{
    deadline::Deadline,
    error::Error,
    flight::{Flight, Flights},
    headers, hints,
    levels::Levels,
    proto::v1::{self, Task},
};

/// Pause suggested to a caller who meets a full queue.
const QUEUE_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// One worker's state, shared by its services.
pub struct Shell {
    /// As configured.
    pub config: WorkerConfig,
    /// In the order of the configuration: the first that has a task serves calls that name no model.
    pub models: Vec<Model>,
    /// The same of those that write.
    pub generators: Vec<Arc<Generator>>,
    /// The same of those that keep documents.
    pub retrievers: Vec<Retriever>,
    /// Texts inside.
    pub room: Limit,
    /// Calls inside.
    pub flights: Flights,
    /// What its process is to write to its log.
    pub levels: Levels,
    /// Tells of them.
    pub watch: Arc<Watch>,
}

/// One call from its arrival on.
pub struct Arrival {
    /// Model the router chose: the request may name none, an alias or a route.
    routed: Option<String>,
    /// Tenant the router knows it to be of.
    pub tenant: Option<String>,
    /// When the answer stops being of use.
    pub deadline: Deadline,
    /// When the call was decoded.
    pub started: Instant,
    /// When it passes where.
    pub trail: Arc<Trail>,
    _inside: Inside,
}

/// What is counted until the arrival drops.
enum Inside {
    Call(#[allow(dead_code)] Flight),
    Message(#[allow(dead_code)] Part),
}

impl Shell {
    /// Takes note of a call.
    pub fn arrive<T>(&self, request: &Request<T>) -> Arrival {
        let headers: &HeaderMap = request.metadata().as_ref();
        let started = Instant::now();
        let said = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_string);
        Arrival {
            routed: said(headers::MODEL),
            tenant: said(headers::TENANT),
            deadline: Deadline::from_headers(headers, started, self.config.default_timeout()),
            started,
            trail: request.extensions().get().cloned().unwrap_or_else(|| Arc::new(Trail::new(None, None, started))),
            _inside: Inside::Call(self.flights.enter()),
        }
    }

    /// Takes note of a message of a stream.
    pub fn arrive_within(&self, stream: &Arrival) -> Arrival {
        let started = Instant::now();
        let part = Part::of(&stream.trail, &self.watch, started);
        Arrival {
            routed: stream.routed.clone(),
            tenant: stream.tenant.clone(),
            deadline: stream.deadline,
            started,
            trail: part.trail.clone(),
            _inside: Inside::Message(part),
        }
    }

    /// The model a call means: by its own word, the router's, or the first that has the task.
    pub fn model(&self, named: &str, arrival: &Arrival, task: Task) -> Result<&Model, Error> {
        let name = arrival.meant(named);
        let capable = self.models.iter().filter(|model| model.tasks().contains(&task));
        let mut meant = capable.filter(|model| name.is_empty() || model.name() == name);
        let model = meant.next().ok_or_else(|| self.not_found(name, task))?;
        arrival.trail.meant(model.label());
        Ok(model)
    }

    /// The generating model a call means.
    pub fn generator(&self, named: &str, arrival: &Arrival) -> Result<&Arc<Generator>, Error> {
        let name = arrival.meant(named);
        let mut meant = self.generators.iter().filter(|each| name.is_empty() || each.name() == name);
        let generator = meant.next().ok_or_else(|| self.not_found(name, Task::Generate))?;
        arrival.trail.meant(generator.label());
        Ok(generator)
    }

    /// The store of documents a call means.
    pub fn retriever(&self, named: &str, arrival: &Arrival) -> Result<&Retriever, Error> {
        let name = arrival.meant(named);
        let mut meant = self.retrievers.iter().filter(|each| name.is_empty() || each.name() == name);
        let retriever = meant.next().ok_or_else(|| self.not_found(name, Task::Retrieve))?;
        arrival.trail.meant(retriever.label());
        Ok(retriever)
    }

    /// All models, as the registry sees them.
    pub fn infos(&self) -> Vec<v1::ModelInfo> {
        let generators = self.generators.iter().map(|each| each.info());
        let retrievers = self.retrievers.iter().map(|each| each.info(&self.models));
        self.models.iter().map(Model::info).chain(generators).chain(retrievers).collect()
    }

    fn not_found(&self, name: &str, task: Task) -> Error {
        if name.is_empty() {
            return Error::NotCapable { why: format!("no model here does {}", task.as_str_name()) };
        }
        let known: Vec<String> = self.infos().into_iter().map(|model| model.name).collect();
        if known.iter().any(|each| each == name) {
            return Error::NotCapable { why: format!("model {name:?} does not do {}", task.as_str_name()) };
        }
        Error::ModelNotFound { model: name.into(), known: known.join(", ") }
    }

    /// Every limit on what may be inside.
    pub fn rooms(&self) -> impl Iterator<Item = &Limit> {
        let texts = (!self.models.is_empty() || !self.retrievers.is_empty()).then_some(&self.room);
        texts.into_iter().chain(self.generators.iter().map(|each| each.room()))
    }

    /// Room for a call's texts, or a refusal at once.
    pub fn admit(&self, texts: usize) -> Result<Permit, Error> {
        let full = || Error::QueueFull { limit: self.room.max(), retry_after: QUEUE_PAUSE };
        self.room.try_acquire(texts).ok_or_else(full)
    }

    /// A call's terms of work.
    pub fn work(
        &self,
        arrival: &Arrival,
        route: Option<&v1::RouteHints>,
        truncation: i32,
        texts: usize,
    ) -> Result<Work, Error> {
        route.map_or(Ok(()), hints::check)?;
        Ok(Work {
            deadline: arrival.deadline,
            priority: priority(route)?,
            truncation: truncation_of(truncation)?,
            room: self.admit(texts)?,
            keep: !route.is_some_and(|route| route.no_store),
            trail: arrival.trail.clone(),
        })
    }

    /// What the worker accepts.
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Who answered.
    pub fn served(&self, model: &Identity) -> Option<v1::ServedBy> {
        Some(v1::ServedBy {
            model: model.name.clone(),
            version: model.version.clone(),
            instance: self.config.instance.clone(),
        })
    }
}

impl Arrival {
    /// Name of the model a call means, by its own word or the router's; empty: any.
    fn meant<'a>(&'a self, named: &'a str) -> &'a str {
        self.routed.as_deref().unwrap_or(named)
    }

    /// Whose call it is: as the router knows, else as the request says.
    pub fn tenant_or(&self, route: Option<&v1::RouteHints>) -> String {
        let hinted = || route.map(|hints| hints.tenant.clone());
        self.tenant.clone().or_else(hinted).unwrap_or_default()
    }

    /// The stages' times with the total so far.
    pub fn timings(&self, stages: Stages) -> Option<v1::Timings> {
        Some(v1::Timings {
            queue: duration(stages.queue),
            tokenize: duration(stages.tokenize),
            inference: duration(stages.inference),
            total: duration(self.started.elapsed()),
        })
    }
}

/// As the contract has it.
pub fn duration(time: std::time::Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(time).ok()
}

/// Of a call; a higher number goes first.
pub fn priority(route: Option<&v1::RouteHints>) -> Result<i32, Error> {
    let Some(hints) = route else { return Ok(v1::Priority::Normal as i32) };
    match v1::Priority::try_from(hints.priority) {
        Ok(v1::Priority::Unspecified) => Ok(v1::Priority::Normal as i32),
        Ok(priority) => Ok(priority as i32),
        Err(_) => Err(invalid("route.priority", hints.priority, "a value of waypost.v1.Priority")),
    }
}

fn truncation_of(value: i32) -> Result<Truncation, Error> {
    match v1::Truncation::try_from(value) {
        Ok(v1::Truncation::Unspecified) => Ok(Truncation::Refuse),
        Ok(v1::Truncation::End) => Ok(Truncation::End),
        Ok(v1::Truncation::Start) => Err(invalid("truncation", "TRUNCATION_START", "TRUNCATION_END here, or absent")),
        Err(_) => Err(invalid("truncation", value, "a value of waypost.v1.Truncation")),
    }
}

/// A field out of its range.
pub fn invalid(field: impl Into<Cow<'static, str>>, actual: impl ToString, expected: impl Into<String>) -> Error {
    Error::InvalidField { field: field.into(), actual: actual.to_string(), expected: expected.into() }
}

/// A shell that services can share.
pub type SharedShell = Arc<Shell>;
