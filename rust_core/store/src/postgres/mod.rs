//! Money and documents in PostgreSQL, which the routers of many machines share.
//!
//! For those who run one already, and want the ledger in its backups and within reach of SQL: one commit to its disk
//! is slower than Redis' memory, but many calls share it.  The tables are in a schema of their own, named by
//! [`Settings::prefix`], which is made at the first use where there is none.
//!
//! One session changes money, a group of steps in each transaction (`owner`, `books`, `money`); another one reads, so
//! that nobody who only looks waits for a commit.  What a session of a router that died was in the middle of is undone
//! by the server.

mod books;
mod connection;
mod documents;
mod ledger;
mod money;
mod owner;
mod session;

use std::sync::Arc;

use tokio_postgres::{Config, Error, Row};

use crate::{
    Call, Document, ModelSpend, Month, PutError, ReserveError, Settings, Standing, StoreError, Ticket,
    budget::Both,
    ticket::{End, Id},
};
use books::{Answer, Kind, Step};
use connection::Connection;
use owner::Owner;
use session::Values;

/// Rows that one transaction may sweep or purge: others wait for it.
const CHUNK: usize = 500;

/// A PostgreSQL server, and where in it.
#[derive(Debug)]
pub(crate) struct Postgres {
    owner: Owner,
    reader: Connection,
}

impl Postgres {
    /// Does not connect yet; needs a runtime, on which it lives.
    pub fn open(url: &str, router: &str, settings: Settings) -> Result<Self, String> {
        let mut config: Config = url.parse().map_err(|_| "it is no address of a database".to_owned())?;
        if config.get_application_name().is_none() {
            config.application_name(format!("waypost {router}"));
        }
        let connection = || Connection::new(config.clone(), settings.prefix.clone(), settings.timeout);
        Ok(Self { owner: Owner::start(connection(), settings.queue), reader: connection() })
    }

    pub async fn check(&self) -> Result<(), StoreError> {
        self.reader.query("SELECT 1 FROM totals LIMIT 1", &[]).await.map(drop)
    }

    pub async fn reserve(&self, router: &str, ticket: &Ticket) -> Result<Standing, ReserveError> {
        self.one(step(router, ticket, Kind::Reserve)?).await?.standing
    }

    pub async fn settle(&self, router: &str, ticket: &Ticket, end: End) -> Result<Standing, StoreError> {
        let answer = self.one(step(router, ticket, Kind::End(end))?).await?;
        answer.standing.map_err(|error| match error {
            ReserveError::Store(error) => error,
            refused => StoreError::Failed(refused.to_string()),
        })
    }

    pub fn settle_soon(&self, router: &str, ticket: &Ticket, end: End) -> Result<(), StoreError> {
        self.owner.leave(step(router, ticket, Kind::End(end))?)
    }

    pub async fn totals(&self, tenant: &str, month: Month) -> Result<Both, StoreError> {
        let rows = self.reader.query(money::STANDING, &[&number(month), &tenant]).await?;
        money::both(&rows).map_err(unreadable)
    }

    pub async fn spend_by_model(&self, tenant: Option<&str>, month: Month) -> Result<Vec<ModelSpend>, StoreError> {
        self.all(ledger::BY_MODEL, &[&number(month), &tenant], ledger::spend).await
    }

    pub async fn ledger(&self, month: Month, limit: usize) -> Result<Vec<Call>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let calls = self.all(ledger::NEWEST, &[&number(month), &limit], ledger::call).await?;
        Ok(calls.into_iter().flatten().collect())
    }

    pub async fn sweep(&self, now: u64) -> Result<u64, StoreError> {
        let mut swept = 0;
        loop {
            let values: Values<'_> = &[&(now as i64), &(CHUNK as i64)];
            let overdue = self.all(money::OVERDUE, values, |row| money::overdue(row, now)).await?;
            let found = overdue.len();
            if found > 0 {
                swept += self.owner.ask(overdue).await?.iter().filter(|answer| answer.changed).count() as u64;
            }
            if found < CHUNK {
                return Ok(swept);
            }
        }
    }

    pub async fn purge(&self, before: u64) -> Result<u64, StoreError> {
        let (first, mut purged) = (Id::first_of(before).bytes(), 0);
        loop {
            let rows = self.reader.query(ledger::PURGE, &[&first.as_slice(), &(CHUNK as i64)]).await?;
            let gone = rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0)).map_err(unreadable)?;
            purged += gone as u64;
            if gone < CHUNK as i64 {
                return Ok(purged);
            }
        }
    }

    pub async fn document(&self, key: &str) -> Result<Option<Document>, StoreError> {
        Ok(self.all(documents::GET, &[&key], documents::read).await?.pop())
    }

    pub async fn documents(&self, prefix: &str) -> Result<Vec<(String, Document)>, StoreError> {
        self.all(documents::LIST, &[&prefix], |row| Ok((row.try_get(2)?, documents::read(row)?))).await
    }

    pub async fn put_document(&self, key: &str, expected: u64, text: &str) -> Result<u64, PutError> {
        storable([key, text])?;
        let sql = if expected == 0 { documents::MAKE } else { documents::REPLACE };
        let rows = self.reader.query_once(sql, &[&key, &i64::try_from(expected).unwrap_or(i64::MAX), &text]).await?;
        match rows.first() {
            Some(row) => Ok(documents::revision(row).map_err(unreadable)?),
            None => Err(PutError::Conflict { actual: self.document(key).await?.map_or(0, |it| it.revision) }),
        }
    }

    async fn one(&self, step: Step) -> Result<Answer, StoreError> {
        let answers = self.owner.ask(vec![step]).await?;
        answers.into_iter().next().ok_or_else(|| StoreError::Failed("a step has no answer".into()))
    }

    async fn all<T>(
        &self,
        sql: &'static str,
        values: Values<'_>,
        read: impl Fn(&Row) -> Result<T, Error>,
    ) -> Result<Vec<T>, StoreError> {
        self.reader.query(sql, values).await?.iter().map(read).collect::<Result<_, _>>().map_err(unreadable)
    }
}

fn step(router: &str, ticket: &Ticket, kind: Kind) -> Result<Step, StoreError> {
    let ask = ticket.ask();
    storable([&ask.request_id, &ask.tenant, &ask.model, router])?;
    Ok(Step { router: Arc::from(router), ticket: ticket.clone(), kind })
}

/// What PostgreSQL cannot keep is refused before it fails a whole group.
fn storable<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<(), StoreError> {
    match texts.into_iter().find(|text| text.contains('\0')) {
        Some(text) => Err(StoreError::Failed(format!("PostgreSQL keeps no text with a zero in it: {text:?}"))),
        None => Ok(()),
    }
}

fn number(month: Month) -> i32 {
    month.number() as i32
}

fn unreadable(error: Error) -> StoreError {
    StoreError::Failed(format!("a row is kept that this version did not write: {error}"))
}
