//! One request on its way to the store: the backend holds the [`Errand`], the caller's side waits for its reply.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use waypost_decide::admit::Permit;

use super::{super::inbox::Waiting, vectors::Matrix};
use crate::{deadline::Deadline, error::Error};

/// The encoded reply.
type Reply = Result<Bytes, Error>;

/// The backend's end.
pub struct Errand {
    /// Name of the rpc.
    pub method: &'static str,
    /// The request, encoded, without its vectors.
    pub request: Bytes,
    /// A row for each of its documents or queries; none where they have none.
    pub vectors: Option<Matrix>,
    /// Whose namespaces are meant.
    pub tenant: String,
    /// Name of the model.
    pub model: Arc<str>,
    /// When the answer stops being of use.
    pub deadline: Deadline,
    times: Arc<Mutex<Times>>,
    /// Taken until it is answered.
    _room: Permit,
    reply: Mutex<Option<oneshot::Sender<Reply>>>,
}

/// When the backend took it, and answered.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    taken: Option<Instant>,
    answered: Option<Instant>,
}

/// The caller's end.
pub struct Ticket {
    entered: Instant,
    model: Arc<str>,
    deadline: Deadline,
    times: Arc<Mutex<Times>>,
    reply: oneshot::Receiver<Reply>,
}

/// What came of it.
pub struct Done {
    /// The encoded reply.
    pub reply: Bytes,
    /// Until the backend took it.
    pub queue: Duration,
    /// From then on.
    pub work: Duration,
}

/// What an errand says beside its request.
pub struct Terms {
    /// See [`Errand`].
    pub tenant: String,
    /// See [`Errand`].
    pub model: Arc<str>,
    /// See [`Errand`].
    pub deadline: Deadline,
    /// Room in the worker.
    pub room: Permit,
}

/// Both ends.
pub fn open(method: &'static str, request: Bytes, vectors: Option<Matrix>, terms: Terms) -> (Errand, Ticket) {
    let (sender, reply) = oneshot::channel();
    let Terms { tenant, model, deadline, room } = terms;
    let times = Arc::<Mutex<Times>>::default();
    let ticket = Ticket { entered: Instant::now(), model: model.clone(), deadline, times: times.clone(), reply };
    let reply = Mutex::new(Some(sender));
    (Errand { method, request, vectors, tenant, model, deadline, times, _room: room, reply }, ticket)
}

impl Errand {
    /// Answers it; what comes after the first answer does not count.
    pub fn answer(&self, reply: Reply) {
        self.times.lock().answered.get_or_insert_with(Instant::now);
        if let Some(sender) = self.reply.lock().take() {
            // The caller may have left.
            let _ = sender.send(reply);
        }
    }
}

impl Waiting for Errand {
    fn is_over(&self, now: Instant) -> bool {
        let left = self.reply.lock().as_ref().is_none_or(oneshot::Sender::is_closed);
        left || self.deadline.passed(now)
    }

    fn take(&self, now: Instant) {
        self.times.lock().taken.get_or_insert(now);
    }

    fn weight(&self) -> usize {
        self.vectors.as_ref().map_or(1, |it| it.data.len() / it.width.max(1))
    }
}

impl Ticket {
    /// Waits for what comes of it.
    pub async fn done(self) -> Result<Done, Error> {
        let dropped = |_| match self.deadline.passed(Instant::now()) {
            true => Error::Deadline { stage: "queue" },
            false => {
                let why = "the backend dropped the request without an answer".into();
                Error::ModelFailed { model: self.model.to_string(), why }
            }
        };
        let reply = self.deadline.run("retrieval", self.reply).await?.unwrap_or_else(|error| Err(dropped(error)))?;
        let times = *self.times.lock();
        let ended = times.answered.unwrap_or_else(Instant::now);
        let taken = times.taken.unwrap_or(ended);
        Ok(Done { reply, queue: taken - self.entered, work: ended - taken })
    }
}
