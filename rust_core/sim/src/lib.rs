//! A small world of routers and workers in which the choice between replicas is judged.
//!
//! A policy that looks sensible may send everybody to the same place; which one does shows only with queues, bursts
//! and faults, and not on a machine with two cores.  So here is the world without the machine: discrete events, a clock
//! that jumps from one to the next, random numbers from a seed.  The routers in it are not models of Waypost's: they
//! choose with [`waypost_decide::Balancer`] from [`waypost_decide::Stats`] and retry from
//! [`waypost_decide::RetryBudget`], as in production.  What is modelled is what is outside: workers ([`worker`]) with
//! slots, a queue and a [`profile`] of their speed, and [`traffic`] with bursts.
//!
//! A [`scenario`] says what happens, a [`contender`] who has to cope with it, [`world`] lets it happen, [`report`] says
//! how it went.  Same seed, same report; and all contenders meet the same calls.
//!
//! Left out, because it blurs the comparison without deciding it: the network's own time, and texts of different
//! length.
#![warn(missing_docs)]

pub mod agenda;
pub mod contender;
pub mod profile;
pub mod report;
pub mod router;
pub mod scenario;
pub mod traffic;
pub mod worker;
pub mod world;

pub use contender::Contender;
pub use report::Report;
pub use scenario::Scenario;
pub use world::run;
