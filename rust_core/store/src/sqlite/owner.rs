//! The thread that owns the connection.

use std::{
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::connect::OpenError;
use crate::StoreError;

/// Operations that one transaction may take: about a millisecond's work.
const GROUP: usize = 128;

/// How long an operation that can wait does so for others to share its transaction.
const LINGER: Duration = Duration::from_millis(5);

/// What an operation needs of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    /// It writes, and nobody waits for it.
    WriteSoon,
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
                work(&connection, &waiting);
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
        self.send(access, work)?.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Has `work` done soon, with the next transaction or by itself; what is asked after it comes after it.
    pub fn leave<T, F>(&self, work: F) -> Result<(), StoreError>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.send(Access::WriteSoon, work).map(drop)
    }

    fn send<T, F>(&self, access: Access, work: F) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError>
    where
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Asked { access, work: Some(work), result: None, reply });
        self.jobs.try_send(job).map(|()| answer).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Full(self.queue),
            TrySendError::Disconnected(_) => ended(),
        })
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
fn work(connection: &Connection, waiting: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = waiting.recv() {
        let mut group = gather(first, waiting);
        let committed = commit(connection, &mut group).map_err(|error| StoreError::Failed(error.to_string()));
        group.into_iter().for_each(|job| job.reply(committed.clone()));
    }
}

/// What waits; and if nobody waits for any of it, what comes soon.
fn gather(first: Box<dyn Job>, waiting: &Receiver<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
    let mut group = vec![first];
    let mut awaited = group[0].access() != Access::WriteSoon;
    let end = Instant::now() + LINGER;
    while group.len() < GROUP {
        let left = if awaited { Duration::ZERO } else { end.saturating_duration_since(Instant::now()) };
        let next = if left.is_zero() { waiting.try_recv().ok() } else { waiting.recv_timeout(left).ok() };
        let Some(job) = next else { break };
        awaited |= job.access() != Access::WriteSoon;
        group.push(job);
    }
    group
}

/// All or none: what fails is the file, not the question, so it fails for all.
fn commit(connection: &Connection, group: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    let writes = group.iter().any(|job| job.access() != Access::Read);
    execute(connection, if writes { "BEGIN IMMEDIATE" } else { "BEGIN" })?;
    let done = group.iter_mut().try_for_each(|job| job.run(connection)).and_then(|()| execute(connection, "COMMIT"));
    if done.is_err() && !connection.is_autocommit() {
        execute(connection, "ROLLBACK")?;
    }
    done
}

/// Prepared once, unlike the statements of rusqlite's own transactions.
fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

fn ended() -> StoreError {
    StoreError::Failed("its thread ended".into())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn start() -> Owner {
        let open = || Connection::open_in_memory().map_err(OpenError::from);
        Owner::start(8, open, oneshot::channel().0).expect("a thread starts")
    }

    /// Asks without waiting for the answer.
    fn ask<T: Send + 'static>(
        owner: &Owner,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, StoreError>> {
        owner.send(Access::Write, work).expect("there is room")
    }

    fn rows(owner: &Owner) -> u32 {
        let count = |it: &Connection| it.query_row("SELECT COUNT(*) FROM t", [], |row| row.get(0));
        ask(owner, count).blocking_recv().expect("it answers").expect("it is read")
    }

    #[test]
    fn what_waits_together_is_committed_or_fails_together() {
        let owner = start();
        let ((begin, begun), (go, held)) = (channel(), channel::<()>());
        let first = ask(&owner, move |it| {
            let _ = (begin.send(()), held.recv());
            it.execute_batch("CREATE TABLE t (a)")
        });
        begun.recv().expect("it begins");
        let good = ask(&owner, |it| it.execute_batch("INSERT INTO t VALUES (1)"));
        let bad = ask(&owner, |it| it.execute_batch("INSERT INTO nowhere VALUES (1)"));
        drop(go);
        first.blocking_recv().expect("it answers").expect("it was alone");
        assert!(matches!(good.blocking_recv(), Ok(Err(StoreError::Failed(_)))));
        assert!(matches!(bad.blocking_recv(), Ok(Err(StoreError::Failed(_)))));
        assert_eq!(rows(&owner), 0);
    }

    #[test]
    fn what_is_left_is_done_before_what_is_asked_later() {
        let owner = start();
        ask(&owner, |it| it.execute_batch("CREATE TABLE t (a)"))
            .blocking_recv()
            .expect("it answers")
            .expect("it is new");
        owner.leave(|it| it.execute_batch("INSERT INTO t VALUES (1)")).expect("there is room");
        assert_eq!(rows(&owner), 1);
    }
}
