//! The task that changes money, a group of steps at a time.
//!
//! A commit waits for the server's disk, and a month's total is one row that all calls change: one transaction per call
//! would make them wait for the disk one after the other.  So whatever came while the last group was under way is the
//! next one, as [`sqlite`](crate::sqlite) does it, and who is answered has it for good.

use std::{collections::VecDeque, time::Duration};

use tokio::{
    sync::{
        mpsc::{Receiver, Sender, channel, error::TrySendError},
        oneshot,
    },
    time::{Instant, timeout, timeout_at},
};

use super::{
    books::{Answer, Step},
    connection::{Connection, broke},
    money,
    session::OpenError,
};
use crate::StoreError;

/// Jobs that one transaction may take.
const GROUP: usize = 128;

/// How long a job that nobody waits for may wait for others to share its transaction.
const LINGER: Duration = Duration::from_millis(5);

/// Reaches the task, which ends when the last one is dropped and all is done.
#[derive(Debug)]
pub struct Owner {
    jobs: Sender<Job>,
    queue: usize,
    patience: Duration,
}

type Reply = oneshot::Sender<Result<Vec<Answer>, StoreError>>;

/// Steps of one group, and who waits for what comes of them.
#[derive(Debug)]
struct Job {
    steps: Vec<Step>,
    reply: Option<Reply>,
}

impl Owner {
    /// Starts the task, on the runtime that calls this.
    pub fn start(connection: Connection, queue: usize) -> Self {
        let (jobs, waiting) = channel(queue);
        let patience = connection.timeout();
        tokio::spawn(Task { connection, waiting, left: VecDeque::new(), queue }.live());
        Self { jobs, queue, patience }
    }

    /// Has steps done in one transaction, and waits until it is committed.
    pub async fn ask(&self, steps: Vec<Step>) -> Result<Vec<Answer>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job { steps, reply: Some(reply) })?;
        match timeout(self.patience, answer).await {
            Ok(answered) => answered.unwrap_or_else(|_| Err(StoreError::Failed("its task ended".into()))),
            Err(_) => Err(StoreError::Unreachable(format!("no answer within {:?}", self.patience))),
        }
    }

    /// Has a step done soon, after those that were asked for before; while the server is away it is tried again.
    pub fn leave(&self, step: Step) -> Result<(), StoreError> {
        self.send(Job { steps: vec![step], reply: None })
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Full(self.queue),
            TrySendError::Closed(_) => StoreError::Failed("its task ended".into()),
        })
    }
}

struct Task {
    connection: Connection,
    waiting: Receiver<Job>,
    /// What nobody waits for and could not be done yet.
    left: VecDeque<Job>,
    queue: usize,
}

impl Task {
    async fn live(mut self) {
        while let Some(group) = self.gather().await {
            let steps: Vec<_> = group.iter().flat_map(|job| &job.steps).collect();
            match self.book(&steps).await {
                Ok(answers) => reply(group, answers),
                Err(error) => self.fail(group, &error),
            }
        }
    }

    /// What is to be done next: what was left, what waits; and if nobody waits for any of it, what comes soon.
    async fn gather(&mut self) -> Option<Vec<Job>> {
        let mut group: Vec<_> = self.first().await?;
        let end = Instant::now() + LINGER;
        while group.len() < GROUP {
            let next = if group.iter().any(|job| job.reply.is_some()) {
                self.waiting.try_recv().ok()
            } else {
                timeout_at(end, self.waiting.recv()).await.ok().flatten()
            };
            let Some(job) = next else { break };
            group.extend(Some(job).filter(Job::is_wanted));
        }
        Some(group)
    }

    async fn first(&mut self) -> Option<Vec<Job>> {
        if self.left.is_empty() {
            return self.waiting.recv().await.map(|job| vec![job]);
        }
        // Not at once: the server has just been away.
        let come = timeout(self.connection.timeout(), self.waiting.recv()).await;
        let tried_again = self.left.drain(..self.left.len().min(GROUP / 2));
        Some(tried_again.chain(come.ok().flatten()).collect())
    }

    /// In time, or not at all; a second time where the session broke, since what was done is not done again.
    async fn book(&self, steps: &[&Step]) -> Result<Vec<Answer>, StoreError> {
        let once = async || Ok::<_, OpenError>(money::book(&*self.connection.session().await?, steps).await?);
        let booked = self.connection.in_time(async {
            match once().await {
                Err(OpenError::Postgres(error)) if broke(&error) => once().await,
                answers => answers,
            }
        });
        let booked = booked.await;
        if booked.is_err() {
            // It may be in the middle of a transaction.
            self.connection.forget().await;
        }
        booked
    }

    fn fail(&mut self, group: Vec<Job>, error: &StoreError) {
        for job in group {
            match job.reply {
                // Who asked may have left.
                Some(reply) => drop(reply.send(Err(error.clone()))),
                None if matches!(error, StoreError::Unreachable(_)) && self.left.len() < self.queue => {
                    self.left.push_back(job);
                }
                None => {}
            }
        }
    }
}

impl Job {
    /// Whether its caller still waits, where there is one.
    fn is_wanted(&self) -> bool {
        self.reply.as_ref().is_none_or(|reply| !reply.is_closed())
    }
}

fn reply(group: Vec<Job>, answers: Vec<Answer>) {
    let mut answers = answers.into_iter();
    for Job { steps, reply } in group {
        let own = answers.by_ref().take(steps.len()).collect();
        if let Some(reply) = reply {
            let _ = reply.send(Ok(own));
        }
    }
}
