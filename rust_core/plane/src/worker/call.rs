//! One call's texts on their way through the queue: rows are collected as runs deliver them.
//!
//! The caller holds a [`Ticket`]; when it drops, by answer, deadline or disconnect, what still waits is not run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use waypost_decide::admit::Permit;

use super::{
    model::Work,
    run::Input,
    watch::trail::{Mark, Trail},
};
use crate::{deadline::Deadline, error::Error};

/// Callers with more time than this are served as they came: else who has much would wait for all who come with less,
/// for as long as these keep coming.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a call's runs gave.
#[derive(Debug, Default)]
pub struct Outcome {
    /// One row per text, in the order of the call.
    pub rows: Vec<Vec<f32>>,
    /// Longest wait for a session.
    pub queue: Duration,
    /// Longest run.
    pub inference: Duration,
}

/// State shared by a call's texts.
pub struct Call {
    /// When its answer stops being of use.
    pub deadline: Deadline,
    /// Higher goes first.
    pub priority: i32,
    /// When it passes where.
    pub trail: Arc<Trail>,
    entered: Instant,
    abandoned: AtomicBool,
    progress: Mutex<Progress>,
    /// Room in the queue, given back when the last text has left it.
    _room: Permit,
}

struct Progress {
    pending: usize,
    outcome: Outcome,
    answer: Option<oneshot::Sender<Result<Outcome, Error>>>,
}

/// One text of a call.
pub struct Item {
    /// The call it belongs to.
    pub call: Arc<Call>,
    /// Its position in the call.
    pub row: usize,
    /// What to run.
    pub input: Input,
}

/// The caller's end.
pub struct Ticket {
    call: Arc<Call>,
    answer: oneshot::Receiver<Result<Outcome, Error>>,
}

/// Splits a call into its texts and the ticket that waits for them.
pub fn open(inputs: Vec<Input>, work: Work, now: Instant) -> (Vec<Item>, Ticket) {
    work.trail.mark(Mark::Queued, now);
    let (sender, answer) = oneshot::channel();
    let rows = inputs.len();
    let outcome = Outcome { rows: vec![Vec::new(); rows], ..Outcome::default() };
    let call = Arc::new(Call {
        deadline: work.deadline,
        priority: work.priority,
        trail: work.trail,
        entered: now,
        abandoned: AtomicBool::new(false),
        progress: Mutex::new(Progress { pending: rows, outcome, answer: Some(sender) }),
        _room: work.room,
    });
    let items = inputs.into_iter().enumerate().map(|(row, input)| Item { call: call.clone(), row, input }).collect();
    (items, Ticket { call, answer })
}

impl Call {
    /// When its turn should have come.
    pub fn due(&self) -> Deadline {
        self.deadline.min(Deadline::after(self.entered, PATIENCE))
    }

    /// Nobody waits for the answer any more.
    pub fn abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// A session has taken one of its texts.
    pub fn begin(&self, now: Instant) {
        self.trail.mark(Mark::Begun, now);
    }

    /// Where it is.
    fn stage(&self) -> &'static str {
        if self.trail.at(Mark::Begun).is_some() { "inference" } else { "queue" }
    }

    /// Takes in the row of one text; the last one answers the call.
    pub fn deliver(&self, row: usize, values: Vec<f32>, started: Instant, ended: Instant) {
        self.trail.mark_last(Mark::Done, ended);
        let mut progress = self.progress.lock();
        let outcome = &mut progress.outcome;
        outcome.rows[row] = values;
        outcome.queue = outcome.queue.max(started.saturating_duration_since(self.entered));
        outcome.inference = outcome.inference.max(ended - started);
        progress.pending -= 1;
        if progress.pending == 0 {
            let outcome = std::mem::take(&mut progress.outcome);
            progress.send(Ok(outcome));
        }
    }

    /// Answers the whole call with `error`; its other texts are not run.
    pub fn fail(&self, error: Error) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.progress.lock().send(Err(error));
    }
}

impl Progress {
    fn send(&mut self, answer: Result<Outcome, Error>) {
        if let Some(sender) = self.answer.take() {
            // The caller may have left in this moment.
            let _ = sender.send(answer);
        }
    }
}

impl Ticket {
    /// Waits for the last text, at most until the deadline.
    pub async fn wait(mut self) -> Result<Outcome, Error> {
        let answer = tokio::select! {
            answer = &mut self.answer => answer,
            () = self.call.deadline.sleep() => return Err(Error::Deadline { stage: self.call.stage() }),
        };
        // The sender drops unanswered only when a session's thread ended with the worker.
        answer.unwrap_or(Err(Error::Draining { instance: "this worker".into() }))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.call.abandoned.store(true, Ordering::Relaxed);
    }
}
