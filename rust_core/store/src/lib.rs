//! What the routers of a mesh share: money, its ledger, and small documents.
//!
//! A call that costs money is asked for before it is made and settled after.  [`Store::reserve`] checks
//! `spent + reserved + amount <= cap`, of the mesh and of the tenant, and holds the amount, in one transaction: so a
//! month's cap holds under any concurrency and across routers, as long as amounts are the most that calls can cost.
//! What is held is durable.  When a router dies before it settles, [`Store::sweep`] (any router's) books the whole
//! amount as [`Outcome::Lost`], since the provider may have billed it; a router that comes back late corrects it.
//!
//! Call [`Store::sweep`] every few seconds and [`Store::purge`] now and then; [`Store::settle_soon`] is the way to settle
//! where nobody waits for what it says.
//!
//! One [`Place`] is a SQLite file, which the routers of a machine share: one thread owns the connection and commits
//! together whatever waits.  Others are a Redis or a PostgreSQL server, for the routers of many machines.  SQLite runs
//! with `synchronous=NORMAL`: what is committed survives the death of a process, not always a loss of power.  Redis is as
//! durable as it is configured: run it with `appendonly yes` and `maxmemory-policy noeviction`.  PostgreSQL loses nothing
//! that was committed.
//!
//! A store that does not answer is an error at once: who cannot reserve must not spend.  How calls ended meanwhile is
//! kept, so many, and written when it answers again.
//!
//! Where the store is Redis, routers can also tell each other what is forgotten soon ([`Store::tell`]), and keep answers
//! there ([`Store::keep_answer`]).
#![warn(missing_docs)]

mod budget;
mod clock;
mod error;
mod ledger;
mod money;
mod month;
mod place;
mod postgres;
mod redis;
mod shared;
mod sqlite;
mod store;
mod ticket;

pub use budget::{Caps, Scope, Standing};
pub use error::{PutError, ReserveError, StoreError};
pub use ledger::{Call, Document, ModelSpend};
pub use money::Money;
pub use month::{InvalidMonth, Month};
pub use place::{InvalidPlace, Place};
pub use shared::{Heard, NewRoll, Roll, Told};
pub use store::{Settings, Store};
pub use ticket::{Ask, Outcome, Ticket};
