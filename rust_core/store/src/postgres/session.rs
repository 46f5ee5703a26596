//! A session with the server, ready for use.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio_postgres::{Client, Config, Error, NoTls, Row, Statement, error::SqlState, types::ToSql};

/// Raised with each change of `schema.sql` that old versions cannot work with.
const SCHEMA: i32 = 1;

/// Over all schemas of the database, and held to the end of the transaction.
const CREATING: &str = "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('waypost', 0))";

/// Raised by [`Session::open`].
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Postgres(#[from] Error),
    #[error("the database has schema {0}, of a newer version of Waypost; this one knows {SCHEMA}")]
    Newer(i32),
}

/// What a statement is asked with.
pub type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Ends when it is dropped, whatever the server is at.
#[derive(Debug)]
pub struct Session {
    client: Client,
    driver: AbortHandle,
    prepared: Mutex<HashMap<&'static str, Statement>>,
}

impl Session {
    /// Connects, and makes the tables in `schema` where there are none.
    ///
    /// No statement takes longer than `timeout`, so that the server does nothing late that nobody waits for, and a
    /// router that stops in a transaction does not hold up the others.
    pub async fn open(config: &Config, schema: &str, timeout: Duration) -> Result<Arc<Self>, OpenError> {
        let (client, connection) = config.connect(NoTls).await?;
        let driver = tokio::spawn(connection).abort_handle();
        let session = Self { client, driver, prepared: Mutex::default() };
        let (name, limit) = (identifier(schema), timeout.as_millis().max(1));
        let settings = format!(
            "SET search_path TO {name}; SET statement_timeout TO {limit};
             SET idle_in_transaction_session_timeout TO {limit}"
        );
        session.client.batch_execute(&settings).await?;
        session.migrate(&name).await?;
        Ok(Arc::new(session))
    }

    /// Whether it can be asked anything.
    pub fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// Several statements without values, in one transaction unless they say otherwise.
    pub async fn execute(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await
    }

    /// The rows that a statement answers.
    pub async fn query(&self, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, Error> {
        let statement = self.prepare(sql).await?;
        self.client.query(&statement, values).await
    }

    /// Has the server read a statement once; after it, [`Session::query`] of the same sends at its first poll.
    pub async fn prepare(&self, sql: &'static str) -> Result<Statement, Error> {
        let known = self.prepared.lock().get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        self.prepared.lock().insert(sql, statement.clone());
        Ok(statement)
    }

    async fn migrate(&self, schema: &str) -> Result<(), OpenError> {
        match self.version().await? {
            Some(SCHEMA) => Ok(()),
            Some(newer) => Err(OpenError::Newer(newer)),
            None => Ok(self.create(schema).await?),
        }
    }

    async fn version(&self) -> Result<Option<i32>, Error> {
        match self.client.query_opt("SELECT number FROM version", &[]).await {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
            found => Ok(found?.map(|row| row.get(0))),
        }
    }

    /// In one transaction, and one after the other where many do it at once: who comes second finds all there, and must
    /// not touch it, since groups that are under way by then hold their locks in another order.
    async fn create(&self, schema: &str) -> Result<(), Error> {
        self.execute(&format!("{CREATING}; CREATE SCHEMA IF NOT EXISTS {schema}")).await?;
        let made: bool = self.client.query_one("SELECT to_regclass('version') IS NOT NULL", &[]).await?.try_get(0)?;
        if !made {
            let version = format!("INSERT INTO version VALUES ({SCHEMA})");
            self.execute(&[include_str!("schema.sql"), &version].concat()).await?;
        }
        self.execute("COMMIT").await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// As SQL writes a name that may hold anything.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_quotes() {
        assert_eq!(identifier(r#"a"; DROP"#), r#""a""; DROP""#);
    }
}
