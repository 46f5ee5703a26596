//! Answers that are kept: exact, bounded in bytes, for a while, and asked for once.
//!
//! A key is everything the answer depends on: the call, the model and its version, the tenant, and the request without
//! its wishes about the route.  A model whose replicas are of several versions is not kept, for who would answer
//! decides what.  Calls that ask the same at the same time wait for the first of them; where that one fails, the next
//! asks.  Only calls whose answer is the same each time come here.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};
use quick_cache::{Weighter, sync};
use xxhash_rust::xxh3::Xxh3;

use super::{config, envelope::PREFIX, methods::Shape, models::Wanted, registry::Model, reply::Reply};
use crate::proto::v1::Task;

/// Bytes that an entry takes beside its reply.
const OVERHEAD: u64 = 512;
/// For sizing the table only.
const USUAL_BYTES: u64 = 2048;
/// Field of every request that says how it is to be routed, not what is asked.
const ROUTE: u32 = 2;
/// Fields of Generate's input.
const CHAT: u32 = 3;
const RAW: u32 = 4;

/// What an answer depends on, in 128 bits: two of a billion keys are the same with a chance of 1e-21.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(test, derive(Default))]
pub struct Key(u128);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[derive(Clone)]
struct Kept {
    reply: Reply,
    until: Instant,
}

#[derive(Clone)]
struct Bytewise;

impl Weighter<Key, Kept> for Bytewise {
    fn weight(&self, _: &Key, kept: &Kept) -> u64 {
        OVERHEAD + kept.reply.size() as u64
    }
}

type Table = sync::Cache<Key, Kept, Bytewise>;
type Guard<'a> =
    sync::PlaceholderGuard<'a, Key, Kept, Bytewise, quick_cache::DefaultHashBuilder, sync::DefaultLifecycle<Key, Kept>>;

/// All of them.
pub struct Cache {
    table: Option<Table>,
    ttl: Duration,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What was there.
pub enum Found<'a> {
    /// An answer.
    Hit(Reply),
    /// Nothing: whoever gets this asks, and others wait.
    Lead(Lead<'a>),
}

/// The right to ask.  Dropping it lets the next one try.
pub struct Lead<'a> {
    guard: Guard<'a>,
    until: Instant,
}

impl Lead<'_> {
    /// Keeps what was answered.
    pub fn keep(self, reply: &Reply) {
        let until = self.until;
        self.keep_until(reply, until);
    }

    /// Keeps it only for so long.
    pub fn keep_until(self, reply: &Reply, until: Instant) {
        // Fails where the entry was taken away meanwhile; then there is nothing to keep.
        let _ = self.guard.insert(Kept { reply: reply.clone(), until });
    }
}

impl Cache {
    /// As configured.
    pub fn new(config: &config::Cache) -> Self {
        let entries = (config.max_bytes / USUAL_BYTES).max(16) as usize;
        let table = config.enabled.then(|| Table::with_weighter(entries, config.max_bytes, Bytewise));
        Self { table, ttl: config.ttl, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// Looks, and waits where somebody is asking already.
    pub async fn look(&self, key: Key) -> Found<'_> {
        let table = self.table.as_ref().expect("a key is made only where answers are kept");
        loop {
            match table.get_value_or_guard_async(&key).await {
                Ok(kept) if kept.until > Instant::now() => {
                    self.hits.fetch_add(1, Relaxed);
                    return Found::Hit(kept.reply);
                }
                Ok(_) => {
                    table.remove(&key);
                }
                Err(guard) => {
                    self.misses.fetch_add(1, Relaxed);
                    return Found::Lead(Lead { guard, until: Instant::now() + self.ttl });
                }
            }
        }
    }

    /// Looks without asking: for a call that keeps nothing.
    pub fn peek(&self, key: Key) -> Option<Reply> {
        let kept = self.table.as_ref()?.get(&key).filter(|kept| kept.until > Instant::now())?;
        self.hits.fetch_add(1, Relaxed);
        Some(kept.reply)
    }

    /// Answers given from here, and those that had to be asked for.
    pub fn counts(&self) -> (u64, u64) {
        (self.hits.load(Relaxed), self.misses.load(Relaxed))
    }

    /// Bytes in use.
    pub fn bytes(&self) -> u64 {
        self.table.as_ref().map_or(0, Table::weight)
    }
}

impl Key {
    /// Of a call whose answer may be kept.
    pub fn of(cache: &Cache, wanted: &Wanted, model: &Model, tenant: &str, message: &Bytes) -> Option<Self> {
        let keepable = cache.table.is_some() && !wanted.asked.route.no_cache && is_repeatable(wanted);
        if !keepable {
            return None;
        }
        let mut hash = identity(wanted, model, tenant)?;
        hash_message(&mut hash, message.get(PREFIX..)?, &[ROUTE])?;
        Some(Self(hash.digest128()))
    }
}

/// Everything an answer depends on but what it answers, for those who compare that themselves; `before` stands before
/// it.
pub fn group(wanted: &Wanted, model: &Model, tenant: &str, before: &str, message: &[u8]) -> Option<u128> {
    let mut hash = identity(wanted, model, tenant)?;
    hash.update(before.as_bytes());
    hash_message(&mut hash, message, &[ROUTE, CHAT, RAW])?;
    Some(hash.digest128())
}

fn identity(wanted: &Wanted, model: &Model, tenant: &str) -> Option<Xxh3> {
    let mut hash = Xxh3::new();
    for part in [wanted.method.path, &model.name, model.version()?, tenant] {
        hash.update(part.as_bytes());
        hash.update(&[0xff]);
    }
    Some(hash)
}

/// Reading the same twice gives the same; writing does only where nothing is drawn at random.
fn is_repeatable(wanted: &Wanted) -> bool {
    let same = match &wanted.asked.prompt {
        Some(prompt) => prompt.deterministic,
        None => wanted.method.task != Task::Retrieve && wanted.method.idempotent,
    };
    same && wanted.method.shape == Shape::Unary
}

/// Every field but these, as it came.
fn hash_message(hash: &mut Xxh3, message: &[u8], without: &[u32]) -> Option<()> {
    let mut rest = message;
    while rest.has_remaining() {
        let start = rest;
        let (field, wire): (u32, WireType) = decode_key(&mut rest).ok()?;
        skip_field(wire, field, &mut rest, DecodeContext::default()).ok()?;
        if !without.contains(&field) {
            hash.update(&start[..start.len() - rest.len()]);
        }
    }
    Some(())
}
