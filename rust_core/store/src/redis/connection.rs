//! One connection that all operations share, made again when it breaks.

use std::{fmt, future::Future, time::Duration};

use redis::{
    Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ScriptInvocation,
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
}

impl Connection {
    /// Connects when it is first used, and again when used after it broke; one try each, since callers will not wait.
    pub fn open(url: &str, timeout: Duration) -> RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(None)
            .set_number_of_retries(0);
        Ok(Self { manager: ConnectionManager::new_lazy_with_config(Client::open(url)?, config)?, timeout })
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

    async fn in_time<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> Result<T, StoreError> {
        match time::timeout(self.timeout, answer).await {
            Ok(answer) => answer.map_err(cause),
            Err(_) => Err(StoreError::Unreachable(format!("no answer within {:?}", self.timeout))),
        }
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

fn cause(error: RedisError) -> StoreError {
    if unreachable(&error) { StoreError::Unreachable(error.to_string()) } else { StoreError::Failed(error.to_string()) }
}
