//! The data plane: the router's path and the worker's shell, without Python.
//!
//! Read a request downwards: [`server`] accepts, [`router`] chooses and forwards, [`worker`] tokenises, queues and
//! runs.  [`error`] is the one place that turns causes into status codes.
#![warn(missing_docs)]

pub mod address;
pub mod codec;
pub mod deadline;
pub mod error;
pub mod flight;
mod gate;
pub mod headers;
pub mod health;
mod hints;
pub mod levels;
pub mod load;
mod log;
pub mod metrics;
mod pace;
pub mod peer;
pub mod proto;
pub mod router;
pub mod server;
pub mod telemetry;
pub mod tls;
pub mod trace;
pub mod worker;
