//! The thread that owns the connection.

use std::{
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::connect::OpenError;
use crate::StoreError;

/// Operations that one transaction may take: about a millisecond's work.
const GROUP: usize = 128;

/// Whether an operation changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// Reaches the thread; when the last one is dropped, it closes the file.
#[derive(Debug)]
pub struct Owner {
    jobs: SyncSender<Box<dyn Job>>,
    queue: usize,
}

/// An operation and who waits for it.
trait Job: Send {
    fn access(&self) -> Access;
    /// Does it, within a transaction that others share.
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    /// Tells what came of it, once the transaction is over.
    fn reply(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Asked<F, T> {
    access: Access,
    work: Option<F>,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl Owner {
    /// Starts the thread, which opens the connection and says whether it could.
    pub fn start<F>(queue: usize, open: F, told: oneshot::Sender<Result<(), OpenError>>) -> std::io::Result<Self>
    where
        F: FnOnce() -> Result<Connection, OpenError> + Send + 'static,
    {
        let (jobs, waiting) = sync_channel(queue);
        let life = move || match open() {
            Ok(connection) => {
                let _ = told.send(Ok(()));
                work(connection, &waiting);
            }
            Err(error) => drop(told.send(Err(error))),
        };
        thread::Builder::new().name("waypost-store".into()).spawn(life)?;
        Ok(Self { jobs, queue })
    }

    /// Has `work` done in a transaction and waits until it is committed.
    pub async fn ask<T, F>(&self, access: Access, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Asked { access, work: Some(work), result: None, reply });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Full(self.queue),
            TrySendError::Disconnected(_) => ended(),
        })?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl<F, T> Job for Asked<F, T>
where
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn access(&self) -> Access {
        self.access
    }

    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.result = self.work.take().map(|work| work(connection)).transpose()?;
        Ok(())
    }

    fn reply(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        // Who asked may have left.
        let _ = reply.send(committed.and_then(|()| result.ok_or_else(ended)));
    }
}

/// Takes what waits, commits it together, answers; until nobody can ask any more.
fn work(mut connection: Connection, waiting: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = waiting.recv() {
        let mut group = vec![first];
        group.extend(waiting.try_iter().take(GROUP - 1));
        let committed = commit(&mut connection, &mut group).map_err(|error| StoreError::Failed(error.to_string()));
        group.into_iter().for_each(|job| job.reply(committed.clone()));
    }
}

/// All or none: what fails is the file, not the question, so it fails for all.
fn commit(connection: &mut Connection, group: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    let writes = group.iter().any(|job| job.access() == Access::Write);
    let behavior = if writes { TransactionBehavior::Immediate } else { TransactionBehavior::Deferred };
    let transaction = Transaction::new(connection, behavior)?;
    group.iter_mut().try_for_each(|job| job.run(&transaction))?;
    transaction.commit()
}

fn ended() -> StoreError {
    StoreError::Failed("its thread ended".into())
}
