//! The store as its users see it.

mod behaviour;
mod common;
mod model;
mod processes;
mod traces;
