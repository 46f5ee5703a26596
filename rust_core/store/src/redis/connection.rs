//! One connection that all operations share, made again when it breaks.
//!
//! What a stalled server was sent it does once it goes on, though nobody waits for it any more.  So when it has not
//! answered in time, one operation at a time finds out whether it does again, and all others fail at once: they need not
//! wait for what is known, and leave it no heap of work that nobody wants.

use std::{
    fmt,
    future::Future,
    sync::atomic::{AtomicBool, Ordering::AcqRel, Ordering::Acquire, Ordering::Release},
    time::Duration,
};

use redis::{
    Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ScriptInvocation, ServerErrorKind,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::time;

use crate::StoreError;

/// Whether an operation whose connection broke may be sent again: it may have been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    Never,
    /// Doing it twice is doing it once.
    Once,
}

/// A connection with a limit to how long it may take to answer.
pub struct Connection {
    manager: ConnectionManager,
    timeout: Duration,
    outage: Outage,
}

/// Whether the server answers.
#[derive(Debug, Default)]
struct Outage {
    /// The last that was heard of it is that it did not.
    away: AtomicBool,
    /// Somebody finds out.
    probing: AtomicBool,
}

/// The right to ask a server that did not answer, of one at a time.
struct Probe<'a>(Option<&'a Outage>);

impl Outage {
    /// None where another one is asking.
    fn enter(&self) -> Option<Probe<'_>> {
        if !self.away.load(Acquire) {
            return Some(Probe(None));
        }
        // Not `then_some`: the right that is not given would be made, and end that of the other by being dropped.
        (!self.probing.swap(true, AcqRel)).then(|| Probe(Some(self)))
    }

    /// Of an answer that comes late nobody knows whether it was sent before the server went away: so only who was let in
    /// to find out says that it is back.
    fn heard(&self, answered: bool, probe: &Probe<'_>) {
        if !answered {
            self.away.store(true, Release);
        } else if probe.0.is_some() {
            self.away.store(false, Release);
        }
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if let Some(outage) = self.0 {
            outage.probing.store(false, Release);
        }
    }
}

impl Connection {
    /// Connects when it is first used, and again when used after it broke; one try each, since callers will not wait.
    pub fn open(url: &str, timeout: Duration) -> RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(None)
            .set_number_of_retries(0);
        let manager = ConnectionManager::new_lazy_with_config(Client::open(url)?, config)?;
        Ok(Self { manager, timeout, outage: Outage::default() })
    }

    /// Runs a script.
    pub async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>, repeat: Repeat) -> Result<T, StoreError> {
        let once = || async { script.invoke_async(&mut self.manager.clone()).await };
        self.in_time(async {
            match once().await {
                Err(error) if repeat == Repeat::Once && unreachable(&error) => once().await,
                answer => answer,
            }
        })
        .await
    }

    /// Runs a command that changes nothing, or nothing more the second time.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let once = || async { command.query_async(&mut self.manager.clone()).await };
        self.in_time(async {
            match once().await {
                Err(error) if unreachable(&error) => once().await,
                answer => answer,
            }
        })
        .await
    }

    /// Runs a command that changes nothing, for who does not wait: to be late says nothing of the server.
    pub async fn soon<T: FromRedisValue>(&self, command: &Cmd, patience: Duration) -> Result<T, StoreError> {
        if self.outage.away.load(Acquire) {
            return Err(StoreError::Away);
        }
        let asked = time::timeout(patience, command.query_async(&mut self.manager.clone())).await;
        asked.map_err(|_| StoreError::Unreachable(format!("no answer within {patience:?}")))?.map_err(cause)
    }

    async fn in_time<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> Result<T, StoreError> {
        let probe = self.outage.enter().ok_or(StoreError::Away)?;
        let answer = match time::timeout(self.timeout, answer).await {
            Ok(answer) => answer.map_err(cause),
            Err(_) => Err(StoreError::Unreachable(format!("no answer within {:?}", self.timeout))),
        };
        self.outage.heard(!matches!(answer, Err(StoreError::Unreachable(_))), &probe);
        answer
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Whether it is unknown what became of the operation.
fn unreachable(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Io || error.is_unrecoverable_error()
}

/// Whether the server is there and cannot do it now: it reads its file, or another one is the master.
fn not_ready(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly, TryAgain};
    matches!(error.kind(), ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | ReadOnly | TryAgain))
}

fn cause(error: RedisError) -> StoreError {
    if unreachable(&error) || not_ready(&error) {
        StoreError::Unreachable(error.to_string())
    } else {
        StoreError::Failed(error.to_string())
    }
}
