//! Models that write: `GenerateService`, and what its calls are made of.
//!
//! A call goes down: [`check`] refuses what is wrong with it, [`Generator`] what there is no room for; its
//! [`job::Job`] waits in the [`inbox`] for the backend, and the caller's [`job::Ticket`] hands on what comes of it.  A
//! backend on this machine drives an [`engine`], which shares each step of the model among its slots; others answer
//! jobs by themselves.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{Stream, stream};
use parking_lot::Mutex;
use tonic::{Request, Response, Status};
use waypost_decide::{Limit, PeakEwma, Permit};

use super::{
    config::GeneratorConfig,
    inbox::Inbox,
    shell::{Arrival, SharedShell, Shell, duration, priority},
};
use crate::{
    error::Error,
    hints,
    proto::v1::{self, Task, generate_service_server::GenerateService},
};

mod check;
pub mod engine;
pub mod job;
mod pace;
pub mod slot;

use job::{Asked, Ending, Job, Slots, Terms, Ticket, Times};

/// Bounds of the pause suggested to a caller who meets a full queue.
const PAUSE: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);
/// How long an answer takes, before one was seen.
const FIRST_GUESS: Duration = Duration::from_secs(1);

/// A generating model of a worker.
pub struct Generator {
    config: GeneratorConfig,
    label: Arc<str>,
    room: Limit,
    slots: Slots,
    inbox: Arc<Inbox<Job>>,
    pace: Mutex<PeakEwma>,
    epoch: Instant,
}

impl Generator {
    /// Its door; the backend takes from `inbox`.
    pub fn open(config: GeneratorConfig, inbox: Arc<Inbox<Job>>) -> Self {
        let room = Limit::new(config.slots + config.queue_limit);
        let pace = Mutex::new(PeakEwma::new(10 * FIRST_GUESS, FIRST_GUESS));
        let label = Arc::from(&*config.identity.name);
        Self { config, label, room, slots: Slots::default(), inbox, pace, epoch: Instant::now() }
    }

    /// Name that requests use.
    pub fn name(&self) -> &str {
        &self.config.identity.name
    }

    /// The same, to be kept.
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// Those at work.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Requests inside.
    pub fn room(&self) -> &Limit {
        &self.room
    }

    /// How the registry sees it.
    pub fn info(&self) -> v1::ModelInfo {
        v1::ModelInfo {
            tasks: vec![Task::Generate as i32],
            adapters: self.config.adapters.clone(),
            cost_per_1k_output_tokens_usd: self.config.cost_per_1k_output_tokens_usd,
            slots: self.config.slots as u32,
            default_max_tokens: self.config.default_max_tokens,
            ..self.config.identity.info()
        }
    }

    fn admit(&self, asked: Asked, arrival: &Arrival, route: Option<&v1::RouteHints>) -> Result<Ticket, Error> {
        route.map_or(Ok(()), hints::check)?;
        let terms = Terms {
            deadline: arrival.deadline,
            priority: priority(route)?,
            tenant: arrival.tenant_or(route),
            model: self.label.clone(),
            slots: self.slots.clone(),
            trace: arrival.trail.traced.as_ref().map(|traced| traced.context()),
        };
        let room = self.enter().ok_or_else(|| self.full())?;
        let (job, ticket) = job::open(asked, terms, Some(room), arrival.started);
        self.inbox.put(job);
        Ok(ticket.followed_by(arrival.trail.clone()))
    }

    fn enter(&self) -> Option<Permit> {
        self.room.try_acquire(1).or_else(|| {
            self.inbox.forget_abandoned();
            self.room.try_acquire(1)
        })
    }

    /// Those who wait are as many turns of the slots away as there are.
    fn full(&self) -> Error {
        let turns = self.config.queue_limit as f64 / self.config.slots.max(1) as f64;
        let answer = self.pace.lock().get(self.epoch.elapsed());
        let pause = answer.mul_f64(turns.max(1.0) / 2.0).clamp(*PAUSE.start(), *PAUSE.end());
        Error::QueueFull { limit: self.room.max(), retry_after: pause }
    }

    fn answered(&self, arrival: &Arrival) {
        self.pace.lock().observe(self.epoch.elapsed(), arrival.started.elapsed());
    }

    /// `max_tokens` as it counts.
    fn completed(&self, mut request: v1::GenerateRequest) -> v1::GenerateRequest {
        if request.max_tokens == 0 {
            request.max_tokens = self.config.default_max_tokens;
        }
        request
    }
}

/// The service of one worker.
#[derive(Clone)]
pub struct Writer(pub SharedShell);

/// A stream of replies.
type Replies = Pin<Box<dyn Stream<Item = Result<v1::GenerateStreamResponse, Status>> + Send>>;

#[tonic::async_trait]
impl GenerateService for Writer {
    async fn generate(&self, request: Request<v1::GenerateRequest>) -> Result<Response<v1::GenerateResponse>, Status> {
        let arrival = self.0.arrive(&request);
        let (generator, mut ticket) = admit(&self.0, &arrival, request.into_inner())?;
        let whole = ticket.rest().await?;
        let (ending, times) = whole.end.unwrap_or_default();
        generator.answered(&arrival);
        let summary = summary(&self.0, generator, &arrival, ending, times);
        Ok(Response::new(v1::GenerateResponse { text: whole.text, logprobs: whole.logprobs, ..summary }))
    }

    type GenerateStreamStream = Replies;

    /// The reply begins with the first piece of the answer: until then a failure is a status of its own, and the
    /// router may try elsewhere.
    async fn generate_stream(
        &self,
        request: Request<v1::GenerateStreamRequest>,
    ) -> Result<Response<Self::GenerateStreamStream>, Status> {
        let arrival = self.0.arrive(&request);
        let inner = request.into_inner().request.ok_or(Error::EmptyInput { field: "request" })?;
        let (generator, mut ticket) = admit(&self.0, &arrival, inner)?;
        let first = ticket.next().await?;
        let (shell, generator) = (self.0.clone(), generator.clone());
        let writing = Writing { shell, generator, arrival, ticket, first: Some(first), ended: false };
        Ok(Response::new(Box::pin(stream::unfold(writing, Writing::next))))
    }

    async fn count_tokens(
        &self,
        request: Request<v1::GenerateServiceCountTokensRequest>,
    ) -> Result<Response<v1::GenerateServiceCountTokensResponse>, Status> {
        let arrival = self.0.arrive(&request);
        let request = request.into_inner();
        let generator = self.0.generator(&request.model, &arrival)?;
        check::count(&request, self.0.limits())?;
        let route = request.route.clone();
        let mut ticket = generator.admit(Asked::Count(Arc::new(request)), &arrival, route.as_ref())?;
        let (ending, _) = ticket.rest().await?.end.unwrap_or_default();
        let served = self.0.served(&generator.config.identity);
        Ok(Response::new(v1::GenerateServiceCountTokensResponse { served, tokens: ending.usage.prompt_tokens }))
    }
}

fn admit<'a>(
    shell: &'a Shell,
    arrival: &Arrival,
    request: v1::GenerateRequest,
) -> Result<(&'a Arc<Generator>, Ticket), Error> {
    let generator = shell.generator(&request.model, arrival)?;
    check::request(&request, shell.limits())?;
    let request = generator.completed(request);
    let route = request.route.clone();
    let ticket = generator.admit(Asked::Answer(Arc::new(request)), arrival, route.as_ref())?;
    Ok((generator, ticket))
}

/// An answer under way to its caller, with all that the call holds.
struct Writing {
    shell: SharedShell,
    generator: Arc<Generator>,
    arrival: Arrival,
    ticket: Ticket,
    first: Option<job::Piece>,
    ended: bool,
}

impl Writing {
    async fn next(mut self) -> Option<(Result<v1::GenerateStreamResponse, Status>, Self)> {
        if self.ended {
            return None;
        }
        let piece = match self.first.take() {
            Some(piece) => Ok(piece),
            None => self.ticket.next().await,
        };
        let reply = piece.map(|piece| self.reply(piece)).inspect_err(|_| self.ended = true);
        Some((reply.map_err(Status::from), self))
    }

    fn reply(&mut self, piece: job::Piece) -> v1::GenerateStreamResponse {
        self.ended = piece.end.is_some();
        let last = piece.end.map(|(ending, times)| {
            self.generator.answered(&self.arrival);
            summary(&self.shell, &self.generator, &self.arrival, ending, times)
        });
        v1::GenerateStreamResponse { text: piece.text, logprobs: piece.logprobs, r#final: last }
    }
}

/// All of a reply but its text.
fn summary(shell: &Shell, by: &Generator, arrival: &Arrival, ending: Ending, times: Times) -> v1::GenerateResponse {
    arrival.trail.spent(&ending.usage);
    v1::GenerateResponse {
        served: shell.served(&by.config.identity),
        timings: Some(v1::Timings {
            queue: duration(times.queue),
            tokenize: times.tokenize.and_then(duration),
            inference: duration(times.inference),
            total: duration(arrival.started.elapsed()),
        }),
        finish_reason: ending.reason as i32,
        usage: Some(ending.usage),
        first_token: times.first_token.and_then(duration),
        per_token: times.per_token.and_then(duration),
        tokens_per_second: times.tokens_per_second,
        tool_calls: ending.tool_calls,
        from_template: ending.from_template,
        cost_usd: ending.cost_usd,
        ..Default::default()
    }
}
