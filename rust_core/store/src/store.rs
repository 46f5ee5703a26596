//! One type before all databases.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    Ask, Call, Caps, Document, Heard, ModelSpend, Money, Month, NewRoll, Outcome, Place, PutError, ReserveError, Roll,
    Standing, StoreError, Ticket, Told, clock, postgres::Postgres, redis::Redis, sqlite::Sqlite, ticket::End,
};

/// What an operator may set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a server may take to answer before it counts as unreachable.
    pub timeout: Duration,
    /// Operations that may wait for SQLite or PostgreSQL; beyond it, [`StoreError::Full`].
    pub queue: usize,
    /// What the names of all Redis keys begin with; the schema of PostgreSQL's tables.
    pub prefix: String,
    /// About so many calls are kept in Redis' ledger, the newest.
    pub ledger: usize,
}

/// Money and documents that routers share; clones share the connection.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    router: String,
    database: Database,
}

#[derive(Debug)]
enum Database {
    Sqlite(Sqlite),
    Redis(Arc<Redis>),
    Postgres(Box<Postgres>),
}

/// Calls the same method of whichever database it is.
macro_rules! either {
    ($store:expr, $method:ident($($argument:expr),*)) => {
        match &$store.0.database {
            Database::Sqlite(database) => database.$method($($argument),*).await,
            Database::Redis(database) => database.$method($($argument),*).await,
            Database::Postgres(database) => database.$method($($argument),*).await,
        }
    };
}

/// Gives a reservation back that nobody learnt of: its caller left, or the answer was lost.
///
/// The ticket's id says which, whether it was made or not; if it was not, then it cannot be made any more.
struct Unclaimed<'a> {
    store: &'a Store,
    ticket: Option<Ticket>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(1), queue: 4096, prefix: "waypost".into(), ledger: 1_000_000 }
    }
}

impl Store {
    /// Opens the store at `place` for the router of this name.
    ///
    /// A file is opened, or made.  A server need not be there yet: each operation tells, as [`Store::check`] does.
    pub async fn open(place: &Place, router: &str) -> Result<Self, StoreError> {
        Self::open_with(place, router, Settings::default()).await
    }

    /// Opens it with other than the usual settings.
    pub async fn open_with(place: &Place, router: &str, settings: Settings) -> Result<Self, StoreError> {
        let database = match place {
            Place::Postgres(url) => Postgres::open(url, router, settings).map(|it| Database::Postgres(Box::new(it))),
            Place::Redis(url) => Redis::open(url, settings).map(|redis| Database::Redis(Arc::new(redis))),
            Place::Sqlite(path) => Sqlite::open(Some(path.clone()), settings.queue).await.map(Database::Sqlite),
            Place::Memory => Sqlite::open(None, settings.queue).await.map(Database::Sqlite),
        };
        let failed = |cause| StoreError::Open { place: place.to_string(), cause };
        Ok(Self(Arc::new(Inner { router: router.into(), database: database.map_err(failed)? })))
    }

    /// Whether it answers.
    pub async fn check(&self) -> Result<(), StoreError> {
        either!(self, check())
    }

    /// Holds money for a call, if both caps allow it.
    ///
    /// Dropping this future gives back what it may have got.
    pub async fn reserve(&self, ask: Ask) -> Result<(Ticket, Standing), ReserveError> {
        must_be_price(ask.amount)?;
        let ticket = Ticket::new(ask);
        let mut unclaimed = Unclaimed { store: self, ticket: Some(ticket.clone()) };
        let reserved = either!(self, reserve(&self.0.router, &ticket));
        if !matches!(reserved, Err(ReserveError::Store(StoreError::Unreachable(_)))) {
            unclaimed.ticket = None;
        }
        Ok((ticket, reserved?))
    }

    /// Books what a call did cost in place of what was held for it, even where it was more.
    ///
    /// The first end of a call stands, except [`Outcome::Lost`], which a later one corrects.
    pub async fn settle(&self, ticket: Ticket, cost: Money, outcome: Outcome) -> Result<Standing, StoreError> {
        let end = end(cost, outcome)?;
        either!(self, settle(&self.0.router, &ticket, end))
    }

    /// Settles without waiting for it: cheaper, since it shares a transaction, and possible where a call is dropped.
    ///
    /// A file or PostgreSQL has it before what is asked for afterwards; for Redis, a task of the runtime is started.
    /// Where the server is away it is kept, among as many as [`Settings::queue`] says, until it is back.  Where the
    /// process dies before, the call is lost instead, and so costs all that was held.
    pub fn settle_soon(&self, ticket: Ticket, cost: Money, outcome: Outcome) -> Result<(), StoreError> {
        let end = end(cost, outcome)?;
        match &self.0.database {
            Database::Sqlite(database) => database.settle_soon(&self.0.router, &ticket, end),
            Database::Postgres(database) => database.settle_soon(&self.0.router, &ticket, end),
            Database::Redis(database) => database.settle_soon(&self.0.router, ticket, end),
        }
    }

    /// Where the month's money stands, of a tenant or of all together.
    pub async fn standing(&self, tenant: Option<&str>, month: Month, caps: Caps) -> Result<Standing, StoreError> {
        let both = either!(self, totals(tenant.unwrap_or_default(), month))?;
        Ok(if tenant.is_some() { both.of_tenant(&caps) } else { both.of_mesh(&caps) })
    }

    /// What each model cost in the month, the dearest first, of a tenant or of all together.
    pub async fn spend_by_model(&self, tenant: Option<&str>, month: Month) -> Result<Vec<ModelSpend>, StoreError> {
        let mut models = either!(self, spend_by_model(tenant, month))?;
        models.sort_by(|a, b| b.spent.cmp(&a.spent).then_with(|| a.model.cmp(&b.model)));
        Ok(models)
    }

    /// The newest calls of the month that ended, at most `limit`.
    pub async fn ledger(&self, month: Month, limit: usize) -> Result<Vec<Call>, StoreError> {
        either!(self, ledger(month, limit))
    }

    /// Takes calls for lost that should have been settled by `now`, and says how many.
    pub async fn sweep(&self, now: SystemTime) -> Result<u64, StoreError> {
        either!(self, sweep(clock::millis(now)))
    }

    /// Forgets the ledger's lines from before a time, not what months cost, and says how many.
    ///
    /// Do not purge what might still be settled: an unknown ticket is booked as a new call.
    pub async fn purge(&self, before: SystemTime) -> Result<u64, StoreError> {
        either!(self, purge(clock::millis(before)))
    }

    /// The document of this name.
    pub async fn document(&self, key: &str) -> Result<Option<Document>, StoreError> {
        either!(self, document(key))
    }

    /// The documents whose names begin so, by name.
    pub async fn documents(&self, prefix: &str) -> Result<Vec<(String, Document)>, StoreError> {
        either!(self, documents(prefix))
    }

    /// Writes a document if it is still at the `expected` revision, 0 where there must be none; the new revision.
    pub async fn put_document(&self, key: &str, expected: u64, text: &str) -> Result<u64, PutError> {
        either!(self, put_document(key, expected, text))
    }

    /// The document of this name that names things, and what Redis' `set` has.
    pub async fn roll(&self, key: &str, set: &str) -> Result<Roll, StoreError> {
        match &self.0.database {
            Database::Redis(database) => database.roll(key, set).await,
            _ => Ok(Roll { document: self.document(key).await?, members: None }),
        }
    }

    /// Writes it if it is still at its `expected` revision; where there is Redis, also the set, at once.
    ///
    /// The set is for programs that only want the names, and may add some of their own, which stay.
    pub async fn put_roll(&self, roll: &NewRoll<'_>) -> Result<u64, PutError> {
        match &self.0.database {
            Database::Redis(database) => database.put_roll(roll).await,
            _ => self.put_document(roll.key, roll.expected, roll.text).await,
        }
    }

    /// Tells the other routers something, and hears what they told since; none where they cannot hear each other, which
    /// takes Redis.  Some two thousand words of each topic are kept.
    pub async fn tell(&self, topic: &str, text: &str, heard: &mut Heard) -> Option<Result<Vec<Told>, StoreError>> {
        match &self.0.database {
            Database::Redis(database) => Some(database.tell(&self.0.router, topic, text, heard).await),
            _ => None,
        }
    }

    /// Whether the place keeps answers, and lets routers hear each other.
    pub fn is_quick(&self) -> bool {
        matches!(self.0.database, Database::Redis(_))
    }

    /// An answer that a router kept, if Redis has it within `patience`.
    pub async fn answer(&self, key: &str, patience: Duration) -> Result<Option<Vec<u8>>, StoreError> {
        match &self.0.database {
            Database::Redis(database) => database.answer(key, patience).await,
            _ => Ok(None),
        }
    }

    /// Keeps an answer for so long, where there is Redis.
    pub async fn keep_answer(&self, key: &str, answer: &[u8], ttl: Duration) -> Result<(), StoreError> {
        match &self.0.database {
            Database::Redis(database) => database.keep_answer(key, answer, ttl).await,
            _ => Ok(()),
        }
    }
}

impl Drop for Unclaimed<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            // Where this fails too, the money stays held until a sweep.
            let _ = self.store.settle_soon(ticket, Money::ZERO, Outcome::Unused);
        }
    }
}

fn end(cost: Money, outcome: Outcome) -> Result<End, StoreError> {
    must_be_price(cost).map(|()| End { cost, outcome, now: clock::now() })
}

fn must_be_price(money: Money) -> Result<(), StoreError> {
    if money.is_price() { Ok(()) } else { Err(StoreError::NoPrice(money)) }
}
