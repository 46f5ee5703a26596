//! A store as its routers see it, on every database that can be had here.

mod common;
mod concurrency;
mod documents;
mod model;
mod money;
mod outage;
mod processes;
mod proxy;
mod shared;
