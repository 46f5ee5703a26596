//! One request on its way: the backend holds the [`Job`], the caller's side the [`Ticket`].
//!
//! What the backend gives is gathered until the caller's side takes it, so a reader who is slow, or does not read, costs
//! no more than its own answer, which the context bounds.  A ticket that drops, by answer, deadline or disconnect, tells
//! the backend that nobody waits any more; a job that drops unanswered tells the caller that the backend failed.  Its
//! room is taken until the backend has let go of it, so what is counted is what is being worked on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;
use waypost_decide::admit::Permit;

use super::super::{
    inbox::Waiting,
    watch::trail::{Mark, Trail},
};
use crate::{
    deadline::Deadline,
    error::Error,
    proto::v1::{self, FinishReason, TokenLogprob},
    trace::TraceContext,
};

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Asked {
    /// An answer.
    Answer(Arc<v1::GenerateRequest>),
    /// The tokens of a prompt.
    Count(Arc<v1::GenerateServiceCountTokensRequest>),
}

/// The terms of a request.
#[derive(Clone, Debug)]
pub struct Terms {
    /// When the answer stops being of use.
    pub deadline: Deadline,
    /// Higher goes first.
    pub priority: i32,
    /// For whom.
    pub tenant: String,
    /// Name of the model.
    pub model: Arc<str>,
    /// One of these is taken while it is worked on.
    pub slots: Slots,
    /// Its trace, if it is traced, for whoever is asked next.
    pub trace: Option<TraceContext>,
}

/// How many requests of a model are being worked on.
#[derive(Clone, Debug, Default)]
pub struct Slots(Arc<AtomicUsize>);

/// One of them, until this is dropped.
struct Slot(Slots);

impl Slots {
    /// Those taken.
    pub fn busy(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn take(&self) -> Slot {
        self.0.fetch_add(1, Ordering::Relaxed);
        Slot(self.clone())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How an answer ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ending {
    /// Why it ended there; `None` of a count.
    pub reason: FinishReason,
    /// What it came to.
    pub usage: v1::GenerateUsage,
    /// Calls of the caller's tools.
    pub tool_calls: Vec<v1::ToolCall>,
    /// No model wrote it.
    pub from_template: bool,
    /// US dollars.
    pub cost_usd: f64,
}

/// The backend's end.
pub struct Job {
    /// What is asked for.
    pub asked: Asked,
    /// See [`Terms`].
    pub terms: Terms,
    held: Mutex<Held>,
    line: Arc<Line>,
}

/// What it takes until it is released.
#[derive(Default)]
struct Held {
    _room: Option<Permit>,
    slot: Option<Slot>,
}

/// The caller's end.
pub struct Ticket {
    line: Arc<Line>,
    deadline: Deadline,
    trail: Option<Arc<Trail>>,
}

/// What both ends share.
struct Line {
    entered: Instant,
    progress: Mutex<Progress>,
    moved: Notify,
    left: AtomicBool,
    on_leave: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

#[derive(Default)]
struct Progress {
    text: String,
    logprobs: Vec<TokenLogprob>,
    pace: Pace,
    end: Option<Result<Ending, Error>>,
}

/// When things happened.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    taken: Option<Instant>,
    read: Option<Instant>,
    begun: Option<Instant>,
    first: Option<Instant>,
    last: Option<Instant>,
    tokens: u32,
}

/// What came since the piece before.
#[derive(Debug, Default)]
pub struct Piece {
    /// Whole characters.
    pub text: String,
    /// Of the tokens, where they were asked for.
    pub logprobs: Vec<TokenLogprob>,
    /// Of the last piece.
    pub end: Option<(Ending, Times)>,
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    /// Waiting for a slot, or for somebody to read it.
    pub queue: Duration,
    /// Being read, where that is known.
    pub tokenize: Option<Duration>,
    /// From the slot to the end.
    pub inference: Duration,
    /// From the arrival to the first token.
    pub first_token: Option<Duration>,
    /// From one token to the next.
    pub per_token: Option<Duration>,
    /// Tokens per second from the slot to the last.
    pub tokens_per_second: f64,
}

/// A request's two ends; `room` is what it takes.
pub fn open(asked: Asked, terms: Terms, room: Option<Permit>, now: Instant) -> (Job, Ticket) {
    let line = Arc::new(Line {
        entered: now,
        progress: Mutex::default(),
        moved: Notify::new(),
        left: AtomicBool::new(false),
        on_leave: Mutex::default(),
    });
    let ticket = Ticket { line: line.clone(), deadline: terms.deadline, trail: None };
    (Job { asked, terms, held: Mutex::new(Held { _room: room, slot: None }), line }, ticket)
}

impl Waiting for Job {
    fn is_over(&self, now: Instant) -> bool {
        self.line.left.load(Ordering::Acquire) || self.terms.deadline.passed(now)
    }

    fn take(&self, now: Instant) {
        self.line.progress.lock().pace.taken.get_or_insert(now);
    }
}

impl Job {
    /// Calls `tell` once, when nobody waits any more; now, if that is so already.
    pub fn on_leave(&self, tell: impl FnOnce() + Send + 'static) {
        *self.line.on_leave.lock() = Some(Box::new(tell));
        if self.line.left.load(Ordering::Acquire) {
            self.line.tell();
        }
    }

    /// Its prompt is read.
    pub fn read(&self, now: Instant) {
        self.line.progress.lock().pace.read.get_or_insert(now);
    }

    /// It has left the queue.
    pub fn begin(&self, now: Instant) {
        self.line.progress.lock().pace.begun.get_or_insert(now);
        self.held.lock().slot.get_or_insert_with(|| self.terms.slots.take());
    }

    /// Takes in a piece of the answer, of so many tokens.
    pub fn push(&self, text: &str, logprobs: Vec<TokenLogprob>, tokens: u32, now: Instant) {
        let mut progress = self.line.progress.lock();
        progress.pace.count(tokens, now);
        progress.text.push_str(text);
        progress.logprobs.extend(logprobs);
        let news = !text.is_empty() || !progress.logprobs.is_empty();
        drop(progress);
        if news {
            self.line.moved.notify_one();
        }
    }

    /// The answer is complete, or there is none; what comes after the first of these does not count.
    pub fn end(&self, end: Result<Ending, Error>) {
        self.release();
        let mut progress = self.line.progress.lock();
        if let Asked::Count(_) = self.asked {
            progress.pace.counted(Instant::now());
        }
        progress.end.get_or_insert(end);
        drop(progress);
        self.line.moved.notify_one();
    }

    /// Nothing is done for it any more.
    pub fn release(&self) {
        std::mem::take(&mut *self.held.lock());
    }
}

impl Drop for Job {
    /// A backend drops what is over without a word, and may be the first to see that its time has passed.
    fn drop(&mut self) {
        let why = || "the backend dropped the request without an answer".into();
        let late = self.terms.deadline.passed(Instant::now());
        self.end(Err(match late {
            true => Error::Deadline { stage: self.line.stage() },
            false => Error::ModelFailed { model: self.terms.model.to_string(), why: why() },
        }));
    }
}

impl Line {
    /// Where it is.
    fn stage(&self) -> &'static str {
        if self.progress.lock().pace.begun.is_some() { "generation" } else { "queue" }
    }

    fn tell(&self) {
        let tell = self.on_leave.lock().take();
        if let Some(tell) = tell {
            tell();
        }
    }
}

impl Pace {
    /// Its tokens are counted: it was read, and nothing else.
    fn counted(&mut self, now: Instant) {
        let read = self.read.unwrap_or(now);
        *self = Self { taken: self.taken, read: Some(read), last: Some(read), ..Self::default() };
    }

    /// Puts it on record.
    fn tell(&self, trail: &Trail) {
        let read = self.taken.zip(self.read);
        let passed = [
            (Mark::Read, read.map(|(taken, _)| taken)),
            (Mark::Queued, read.map(|(_, read)| read)),
            (Mark::Begun, self.begun),
            (Mark::First, self.first),
            (Mark::Done, self.last),
        ];
        passed.into_iter().filter_map(|(mark, at)| Some((mark, at?))).for_each(|(mark, at)| trail.mark(mark, at));
        if self.tokens > 0 {
            trail.written(self.tokens.into());
        }
    }

    fn count(&mut self, tokens: u32, now: Instant) {
        self.tokens += tokens;
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    fn times(&self, entered: Instant, now: Instant) -> Times {
        let begun = self.begun.unwrap_or(now);
        let since_begun = |at: Instant| at.saturating_duration_since(begun).as_secs_f64().max(1e-9);
        let steps = self.tokens.saturating_sub(1);
        let tokenize = self.taken.zip(self.read).map(|(taken, read)| read.saturating_duration_since(taken));
        Times {
            queue: begun.saturating_duration_since(entered).saturating_sub(tokenize.unwrap_or_default()),
            tokenize,
            inference: now.saturating_duration_since(begun),
            first_token: self.first.map(|first| first.saturating_duration_since(entered)),
            per_token: self.first.zip(self.last).filter(|_| steps > 0).map(|(first, last)| (last - first) / steps),
            tokens_per_second: self.last.map_or(0.0, |last| f64::from(self.tokens) / since_begun(last)),
        }
    }
}

impl Ticket {
    /// What became of the request is told to `trail` when the caller lets go of it.
    pub fn followed_by(mut self, trail: Arc<Trail>) -> Self {
        trail.mark(Mark::Entered, self.line.entered);
        self.trail = Some(trail);
        self
    }

    /// The next piece, as soon as there is anything; at most until the deadline.
    pub async fn next(&mut self) -> Result<Piece, Error> {
        loop {
            if let Some(piece) = self.take()? {
                return Ok(piece);
            }
            tokio::select! {
                () = self.line.moved.notified() => {}
                () = self.deadline.sleep() => return Err(Error::Deadline { stage: self.line.stage() }),
            }
        }
    }

    /// The whole answer as one piece.
    pub async fn rest(&mut self) -> Result<Piece, Error> {
        let mut whole = self.next().await?;
        while whole.end.is_none() {
            let piece = self.next().await?;
            whole.text.push_str(&piece.text);
            whole.logprobs.extend(piece.logprobs);
            whole.end = piece.end;
        }
        Ok(whole)
    }

    fn take(&self) -> Result<Option<Piece>, Error> {
        let mut progress = self.line.progress.lock();
        // What was said before it failed is sent first: a stream ends with its status.
        if progress.text.is_empty() && progress.logprobs.is_empty() && progress.end.is_none() {
            return Ok(None);
        }
        let (text, logprobs) = (std::mem::take(&mut progress.text), std::mem::take(&mut progress.logprobs));
        let end = match (&progress.end, text.is_empty()) {
            (Some(Err(error)), true) => return Err(error.clone()),
            (Some(Ok(ending)), _) => Some((ending.clone(), progress.pace.times(self.line.entered, Instant::now()))),
            _ => None,
        };
        Ok(Some(Piece { text, logprobs, end }))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.line.left.store(true, Ordering::Release);
        self.line.tell();
        if let Some(trail) = &self.trail {
            self.line.progress.lock().pace.tell(trail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(deadline: Deadline) -> Terms {
        Terms { deadline, priority: 2, tenant: String::new(), model: "m".into(), slots: Slots::default(), trace: None }
    }

    fn pair(patience: Duration) -> (Job, Ticket) {
        let now = Instant::now();
        let terms = terms(Deadline::after(now, patience));
        open(Asked::Answer(Arc::default()), terms, None, now)
    }

    #[tokio::test]
    async fn what_is_not_taken_at_once_comes_together() {
        let (job, mut ticket) = pair(Duration::from_secs(9));
        ["a", "b", "c"].into_iter().for_each(|text| job.push(text, vec![], 1, Instant::now()));
        assert_eq!(ticket.next().await.expect("has text").text, "abc");
        job.push("d", vec![], 1, Instant::now());
        job.end(Ok(Ending::default()));
        let last = ticket.next().await.expect("has text");
        assert_eq!((last.text.as_str(), last.end.is_some()), ("d", true));
    }

    #[tokio::test]
    async fn a_failure_comes_after_what_was_said_before() {
        let (job, mut ticket) = pair(Duration::from_secs(9));
        job.push("so far", vec![], 1, Instant::now());
        drop(job);
        assert_eq!(ticket.next().await.expect("has text").text, "so far");
        assert!(matches!(ticket.next().await, Err(Error::ModelFailed { .. })));
    }

    #[tokio::test]
    async fn a_job_that_is_dropped_because_it_is_late_is_no_failure_of_the_model() {
        let (job, mut ticket) = pair(Duration::ZERO);
        drop(job);
        assert_eq!(ticket.next().await.expect_err("is late"), Error::Deadline { stage: "queue" });
    }

    #[tokio::test]
    async fn the_deadline_names_the_stage() {
        let (job, mut ticket) = pair(Duration::from_millis(5));
        assert_eq!(ticket.next().await.expect_err("passes"), Error::Deadline { stage: "queue" });
        job.begin(Instant::now());
        assert_eq!(ticket.next().await.expect_err("passes"), Error::Deadline { stage: "generation" });
    }

    #[test]
    fn room_is_taken_until_the_backend_lets_go() {
        let limit = waypost_decide::Limit::new(2);
        let now = Instant::now();
        let deadline = Deadline::after(now, Duration::from_secs(9));
        let terms = terms(deadline);
        let opened = || open(Asked::Answer(Arc::default()), terms.clone(), limit.try_acquire(1), now);
        let ((left, ticket), (answered, _waiting)) = (opened(), opened());
        drop(ticket);
        assert_eq!(limit.in_use(), 2);
        drop(left);
        assert_eq!(limit.in_use(), 1);
        answered.end(Ok(Ending::default()));
        assert_eq!(limit.in_use(), 0);
    }

    #[test]
    fn a_caller_who_leaves_is_heard_of_once() {
        let (job, ticket) = pair(Duration::from_secs(9));
        let (tell, told) = std::sync::mpsc::channel();
        let again = tell.clone();
        job.on_leave(move || tell.send(1).expect("is heard"));
        assert!(!job.is_over(Instant::now()));
        drop(ticket);
        assert!(job.is_over(Instant::now()));
        job.on_leave(move || again.send(2).expect("is heard"));
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [1, 2]);
    }
}
