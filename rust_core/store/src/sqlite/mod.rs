//! Money and documents in a SQLite file, which the routers of one machine share.
//!
//! A transaction costs tens of microseconds and blocks, so one thread owns the connection and everybody else sends it
//! what to do.  It takes whatever waits into one transaction, so that the cost of a commit is shared exactly when there
//! is much to commit, and answers after the commit: who hears of a reservation has it for good.
//!
//! Several processes may open the file.  A transaction that writes says so at its begin, which waits for the other
//! writer: one that only finds out later cannot wait, and would fail.

mod connect;
mod documents;
mod ledger;
mod money;
mod owner;

use std::path::PathBuf;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{
    Call, Document, ModelSpend, Month, PutError, ReserveError, Standing, StoreError, Ticket, budget::Both, ticket::End,
};
use owner::{Access, Owner};

/// Rows that one transaction may sweep or purge: others wait for it.
const CHUNK: usize = 500;

/// A file, opened.
#[derive(Debug)]
pub(crate) struct Sqlite(Owner);

impl Sqlite {
    /// Opens the file, or memory.
    pub async fn open(path: Option<PathBuf>, queue: usize) -> Result<Self, String> {
        let (told, opened) = oneshot::channel();
        let owner = Owner::start(queue, move || connect::open(path.as_deref()), told).map_err(|it| it.to_string())?;
        match opened.await {
            Ok(Ok(())) => Ok(Self(owner)),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("its thread ended".into()),
        }
    }

    pub async fn check(&self) -> Result<(), StoreError> {
        self.0.ask(Access::Read, |it| it.query_row("SELECT EXISTS (SELECT 1 FROM totals)", [], |_| Ok(()))).await
    }

    pub async fn reserve(&self, router: &str, ticket: &Ticket) -> Result<Standing, ReserveError> {
        let (router, ticket) = (router.to_owned(), ticket.clone());
        self.0.ask(Access::Write, move |it| money::reserve(it, &router, &ticket)).await?
    }

    pub async fn settle(&self, router: &str, ticket: &Ticket, end: End) -> Result<Standing, StoreError> {
        let (router, ticket) = (router.to_owned(), ticket.clone());
        let settle = move |it: &Connection| {
            money::settle(it, &router, &ticket, end)?;
            money::totals(it, &ticket.ask().tenant, ticket.ask().month).map(|both| both.of_tenant(&ticket.ask().caps))
        };
        self.0.ask(Access::Write, settle).await
    }

    pub fn settle_soon(&self, router: &str, ticket: &Ticket, end: End) -> Result<(), StoreError> {
        let (router, ticket) = (router.to_owned(), ticket.clone());
        self.0.leave(move |it| money::settle(it, &router, &ticket, end))
    }

    pub async fn totals(&self, tenant: &str, month: Month) -> Result<Both, StoreError> {
        let tenant = tenant.to_owned();
        self.0.ask(Access::Read, move |it| money::totals(it, &tenant, month)).await
    }

    pub async fn spend_by_model(&self, tenant: Option<&str>, month: Month) -> Result<Vec<ModelSpend>, StoreError> {
        let tenant = tenant.map(str::to_owned);
        self.0.ask(Access::Read, move |it| ledger::by_model(it, tenant.as_deref(), month)).await
    }

    pub async fn ledger(&self, month: Month, limit: usize) -> Result<Vec<Call>, StoreError> {
        self.0.ask(Access::Read, move |it| ledger::newest(it, month, limit)).await
    }

    pub async fn sweep(&self, now: u64) -> Result<u64, StoreError> {
        self.in_chunks(move |it| money::sweep(it, now, CHUNK)).await
    }

    pub async fn purge(&self, before: u64) -> Result<u64, StoreError> {
        self.in_chunks(move |it| ledger::purge(it, before, CHUNK)).await
    }

    pub async fn document(&self, key: &str) -> Result<Option<Document>, StoreError> {
        let key = key.to_owned();
        self.0.ask(Access::Read, move |it| documents::get(it, &key)).await
    }

    pub async fn documents(&self, prefix: &str) -> Result<Vec<(String, Document)>, StoreError> {
        let prefix = prefix.to_owned();
        self.0.ask(Access::Read, move |it| documents::list(it, &prefix)).await
    }

    pub async fn put_document(&self, key: &str, expected: u64, text: &str) -> Result<u64, PutError> {
        let (key, text) = (key.to_owned(), text.to_owned());
        self.0.ask(Access::Write, move |it| documents::put(it, &key, expected, &text)).await?
    }

    /// Repeats what does up to [`CHUNK`] at once until less was left, and adds up.
    async fn in_chunks<F>(&self, step: F) -> Result<u64, StoreError>
    where
        F: Fn(&Connection) -> rusqlite::Result<usize> + Clone + Send + 'static,
    {
        let mut done = 0;
        loop {
            let count = self.0.ask(Access::Write, step.clone()).await?;
            done += count as u64;
            if count < CHUNK {
                return Ok(done);
            }
        }
    }
}
