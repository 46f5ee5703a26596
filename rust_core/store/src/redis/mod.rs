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
//! told:TOPIC       stream  what routers told each other of late
//! answer:KEY       string  an answer, for a while
//! ```
//!
//! and, without it, the sets that others read and write too: see [`Store::put_roll`](crate::Store::put_roll).

mod connection;
mod ledger;
mod settles;
mod told;

use std::{collections::BTreeSet, time::Duration};

use redis::{Script, ScriptInvocation};

use crate::{
    Call, Document, ModelSpend, Money, Month, PutError, ReserveError, Settings, Standing, StoreError, Ticket,
    budget::{Both, Totals},
    clock,
    shared::{Heard, NewRoll, Roll, Told},
    ticket::End,
};
use connection::{Connection, Repeat};
use settles::Settles;

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
    settles: Settles,
}

#[derive(Debug)]
struct Scripts {
    reserve: Script,
    settle: Script,
    sweep: Script,
    put: Script,
    roll: Script,
    tell: Script,
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
            roll: script!("roll.lua"),
            tell: script!("tell.lua"),
        };
        let (root, settles) = (format!("{{{}}}", settings.prefix), Settles::new(settings.queue));
        Ok(Self { connection, root, ledger: settings.ledger, scripts, settles })
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

    pub async fn roll(&self, key: &str, set: &str) -> Result<Roll, StoreError> {
        let document = self.document(key).await?;
        let members: BTreeSet<String> = self.connection.query(redis::cmd("SMEMBERS").arg(set)).await?;
        Ok(Roll { document, members: Some(members) })
    }

    pub async fn put_roll(&self, roll: &NewRoll<'_>) -> Result<u64, PutError> {
        let NewRoll { key, set, expected, text, names, gone } = roll;
        let mut script = self.scripts.roll.prepare_invoke();
        script.key(&self.root).key(*set).arg(*key).arg(*expected).arg(*text).arg(names.len()).arg(*names).arg(*gone);
        let (written, revision): (bool, u64) = self.connection.run(&script, Repeat::Never).await?;
        if written { Ok(revision) } else { Err(PutError::Conflict { actual: revision }) }
    }

    pub async fn tell(
        &self,
        router: &str,
        topic: &str,
        text: &str,
        heard: &mut Heard,
    ) -> Result<Vec<Told>, StoreError> {
        let mut script = self.scripts.tell.key(&self.root);
        script.arg(topic).arg(router).arg(text).arg(&heard.0);
        let (now, entries): (u64, Vec<told::Entry>) = self.connection.run(&script, Repeat::Never).await?;
        if let Some((id, _)) = entries.last() {
            heard.0.clone_from(id);
        }
        Ok(told::by_others(entries, router, now))
    }

    pub async fn answer(&self, key: &str, patience: Duration) -> Result<Option<Vec<u8>>, StoreError> {
        self.connection.soon(redis::cmd("GET").arg(self.key(&format!("answer:{key}"))), patience).await
    }

    pub async fn keep_answer(&self, key: &str, answer: &[u8], ttl: Duration) -> Result<(), StoreError> {
        let mut command = redis::cmd("SET");
        command.arg(self.key(&format!("answer:{key}"))).arg(answer).arg("PX").arg(ttl.as_millis().max(1) as u64);
        self.connection.query(&command).await
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
