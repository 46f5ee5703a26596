//! The router against real workers over real sockets.

mod balance;
mod door;
mod events;
mod failure;
mod fake;
mod forward;
mod instances;
mod leaving;
mod metrics;
mod operate;
mod policies;
mod receiver;
mod stream;
mod traces;
mod waking;
