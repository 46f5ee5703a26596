//! Money and documents in Redis, which the routers of many machines share.
//!
//! Redis runs a script to its end before anything else, so each operation that changes money is one: the check of the
//! caps and what it allows cannot be parted.  Keys, all beginning with `{prefix}`:
//!
//! ```text
//! totals:2026-11   hash    spent, reserved, spent:TENANT, reserved:TENANT
//! models:2026-11   hash    spent:LENGTH:TENANTMODEL, calls:LENGTH:TENANTMODEL
//! call:ID          hash    a call under way; after its end, for an hour, so that it does not end twice
//! open             zset    ids of calls under way by when they expire
//! ledger           stream  calls that ended, the newest so many
//! documents        hash    revision and text
//! ```

mod connection;
mod ledger;

use redis::{Script, ScriptInvocation};

use crate::{
    Call, Document, ModelSpend, Money, Month, PutError, ReserveError, Settings, Standing, StoreError, Ticket,
    budget::{Both, Totals},
    clock,
    ticket::End,
};
use connection::{Connection, Repeat};

/// Calls that one script may sweep: others wait for it.
const CHUNK: u64 = 200;

/// A script with what all share before it.
macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(include_str!("common.lua"), include_str!($name)))
    };
}

/// A Redis server, and where in it.
#[derive(Debug)]
pub(crate) struct Redis {
    connection: Connection,
    root: String,
    ledger: usize,
    scripts: Scripts,
}

#[derive(Debug)]
struct Scripts {
    reserve: Script,
    settle: Script,
    sweep: Script,
    put: Script,
}

/// Spent and reserved, of the mesh and of the tenant, as scripts return them.
type Counted = (i64, i64, i64, i64);

impl Redis {
    /// Does not connect yet.
    pub fn open(url: &str, settings: Settings) -> Result<Self, String> {
        let connection = Connection::open(url, settings.timeout).map_err(|error| error.to_string())?;
        let scripts = Scripts {
            reserve: script!("reserve.lua"),
            settle: script!("settle.lua"),
            sweep: script!("sweep.lua"),
            put: script!("put.lua"),
        };
        Ok(Self { connection, root: format!("{{{}}}", settings.prefix), ledger: settings.ledger, scripts })
    }

    pub async fn check(&self) -> Result<(), StoreError> {
        self.connection.query(&redis::cmd("PING")).await
    }

    pub async fn reserve(&self, router: &str, ticket: &Ticket) -> Result<Standing, ReserveError> {
        let ask = ticket.ask();
        let mut script = self.about(&self.scripts.reserve, router, ticket);
        script.arg(clock::millis(ask.expires_at));
        for cap in [ask.caps.mesh, ask.caps.tenant] {
            script.arg(cap.map(|cap| cap.min(Money::MAX).0.to_string()).unwrap_or_default());
        }
        let (held, spent, reserved, own, held_own): (bool, i64, i64, i64, i64) =
            self.connection.run(&script, Repeat::Once).await?;
        let both = both((spent, reserved, own, held_own));
        if held {
            return Ok(both.of_tenant(&ask.caps));
        }
        both.admit(&ask.caps, ask.amount)?;
        Err(StoreError::Failed("the call ended before its money was reserved".into()).into())
    }

    pub async fn settle(&self, router: &str, ticket: &Ticket, end: End) -> Result<Standing, StoreError> {
        let mut script = self.about(&self.scripts.settle, router, ticket);
        script.arg(end.cost.0).arg(end.outcome.code()).arg(end.now).arg(self.ledger);
        let counted: Counted = self.connection.run(&script, Repeat::Once).await?;
        Ok(both(counted).of_tenant(&ticket.ask().caps))
    }

    pub async fn totals(&self, tenant: &str, month: Month) -> Result<Both, StoreError> {
        let mut command = redis::cmd("HMGET");
        command.arg(self.monthly("totals", month)).arg("spent").arg("reserved");
        command.arg(["spent:", tenant].concat()).arg(["reserved:", tenant].concat());
        let found: Vec<Option<i64>> = self.connection.query(&command).await?;
        let at = |index: usize| found.get(index).copied().flatten().unwrap_or(0);
        Ok(both((at(0), at(1), at(2), at(3))))
    }

    pub async fn spend_by_model(&self, tenant: Option<&str>, month: Month) -> Result<Vec<ModelSpend>, StoreError> {
        let fields: Vec<(String, i64)> =
            self.connection.query(redis::cmd("HGETALL").arg(self.monthly("models", month))).await?;
        Ok(ledger::by_model(&fields, tenant))
    }

    pub async fn ledger(&self, month: Month, limit: usize) -> Result<Vec<Call>, StoreError> {
        ledger::newest(&self.connection, &self.key("ledger"), month, limit).await
    }

    pub async fn sweep(&self, now: u64) -> Result<u64, StoreError> {
        let mut script = self.scripts.sweep.key(&self.root);
        script.arg(now).arg(CHUNK).arg(self.ledger);
        let mut swept = 0;
        loop {
            let count: u64 = self.connection.run(&script, Repeat::Once).await?;
            swept += count;
            if count < CHUNK {
                return Ok(swept);
            }
        }
    }

    pub async fn purge(&self, before: u64) -> Result<u64, StoreError> {
        let mut command = redis::cmd("XTRIM");
        self.connection.query(command.arg(self.key("ledger")).arg("MINID").arg(before)).await
    }

    pub async fn document(&self, key: &str) -> Result<Option<Document>, StoreError> {
        let mut command = redis::cmd("HGET");
        let found: Option<String> = self.connection.query(command.arg(self.key("documents")).arg(key)).await?;
        found.map(|text| ledger::document(&text)).transpose()
    }

    pub async fn documents(&self, prefix: &str) -> Result<Vec<(String, Document)>, StoreError> {
        let mut command = redis::cmd("HGETALL");
        let found: Vec<(String, String)> = self.connection.query(command.arg(self.key("documents"))).await?;
        let chosen = found.into_iter().filter(|(key, _)| key.starts_with(prefix));
        let read = chosen.map(|(key, text)| ledger::document(&text).map(|document| (key, document)));
        let mut documents = read.collect::<Result<Vec<_>, _>>()?;
        documents.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(documents)
    }

    pub async fn put_document(&self, key: &str, expected: u64, text: &str) -> Result<u64, PutError> {
        let mut script = self.scripts.put.key(&self.root);
        script.arg(key).arg(expected).arg(text);
        let (written, revision): (bool, u64) = self.connection.run(&script, Repeat::Never).await?;
        if written { Ok(revision) } else { Err(PutError::Conflict { actual: revision }) }
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.root)
    }

    fn monthly(&self, name: &str, month: Month) -> String {
        format!("{}:{name}:{month}", self.root)
    }

    /// The script, with the arguments that tell it the call.
    fn about<'a>(&self, script: &'a Script, router: &str, ticket: &Ticket) -> ScriptInvocation<'a> {
        let ask = ticket.ask();
        let mut script = script.key(&self.root);
        script.arg(format!("{:?}", ticket.id())).arg(&ask.request_id).arg(&ask.tenant).arg(&ask.model);
        script.arg(ask.month.to_string()).arg(router).arg(ask.amount.0).arg(ticket.id().millis());
        script
    }
}

fn both((spent, reserved, own, held_own): Counted) -> Both {
    let totals = |spent, reserved| Totals { spent: Money(spent), reserved: Money(reserved) };
    Both { mesh: totals(spent, reserved), tenant: totals(own, held_own) }
}
