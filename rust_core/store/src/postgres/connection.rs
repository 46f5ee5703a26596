//! A session that is made when it is first needed, and again when it broke, with a limit to how long all of it may take.

use std::{error::Error as _, future::Future, sync::Arc, time::Duration};

use tokio::{sync::Mutex, time};
use tokio_postgres::{Config, Error, Row, error::SqlState};

use super::session::{OpenError, Session, Values};
use crate::StoreError;

/// What says that it was not done because of the server's state, not because of what was asked.
const AWAY: [&SqlState; 8] = [
    &SqlState::ADMIN_SHUTDOWN,
    &SqlState::CRASH_SHUTDOWN,
    &SqlState::CANNOT_CONNECT_NOW,
    &SqlState::TOO_MANY_CONNECTIONS,
    &SqlState::QUERY_CANCELED,
    &SqlState::LOCK_NOT_AVAILABLE,
    &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    &SqlState::READ_ONLY_SQL_TRANSACTION,
];

#[derive(Debug)]
pub struct Connection {
    config: Config,
    schema: String,
    timeout: Duration,
    session: Mutex<Option<Arc<Session>>>,
}

impl Connection {
    /// Does not connect yet.
    pub fn new(mut config: Config, schema: String, timeout: Duration) -> Self {
        config.connect_timeout(timeout);
        Self { config, schema, timeout, session: Mutex::default() }
    }

    /// The rows that a statement answers, which is asked a second time where the session broke.
    pub async fn query(&self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        self.in_time(async {
            match self.session().await?.query(sql, values).await {
                Err(error) if broke(&error) => Ok(self.session().await?.query(sql, values).await?),
                rows => Ok(rows?),
            }
        })
        .await
    }

    /// The same, but never a second time.
    pub async fn query_once(&self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        self.in_time(async { Ok(self.session().await?.query(sql, values).await?) }).await
    }

    /// The session, made where there is none; callers that come meanwhile wait for the same.
    pub async fn session(&self) -> Result<Arc<Session>, OpenError> {
        let mut kept = self.session.lock().await;
        if let Some(session) = kept.as_ref().filter(|session| session.is_open()) {
            return Ok(Arc::clone(session));
        }
        let session = Session::open(&self.config, &self.schema, self.timeout).await?;
        Ok(Arc::clone(kept.insert(session)))
    }

    /// What an answer is worth if it comes in time; where it does not come, the session is not used again.
    pub async fn in_time<T>(&self, answer: impl Future<Output = Result<T, OpenError>>) -> Result<T, StoreError> {
        match time::timeout(self.timeout, answer).await {
            Ok(answer) => answer.map_err(cause),
            Err(_) => {
                self.forget().await;
                Err(StoreError::Unreachable(format!("no answer within {:?}", self.timeout)))
            }
        }
    }

    /// Makes a new session next time.
    pub async fn forget(&self) {
        self.session.lock().await.take();
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// Whether it is unknown what became of a statement.
pub fn broke(error: &Error) -> bool {
    error.is_closed() || error.source().is_some_and(|cause| cause.is::<std::io::Error>())
}

fn cause(error: OpenError) -> StoreError {
    match &error {
        OpenError::Postgres(inner) if away(inner) => StoreError::Unreachable(said(inner)),
        OpenError::Postgres(inner) => StoreError::Failed(said(inner)),
        OpenError::Newer(_) => StoreError::Failed(error.to_string()),
    }
}

fn away(error: &Error) -> bool {
    error.code().map_or_else(|| broke(error), |code| AWAY.contains(&code))
}

/// With the reason, which the error itself leaves out.
fn said(error: &Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
