//! Client of a Waypost mesh: a method per call, typed errors, a deadline and retries for every call.
//!
//! [`Client`] asks, [`v1`] is the contract, [`Error`] says why a call failed.  `README.md` begins with a program.

mod budget;
mod builder;
mod client;
mod embeddings;
mod error;
mod requests;
mod retry;
mod stream;

/// The contract, as generated from `proto/waypost/v1`; the comments are its own.
#[allow(clippy::doc_lazy_continuation, clippy::large_enum_variant)] // generated
pub mod v1 {
    tonic::include_proto!("waypost.v1");

    /// The contract's own description, encoded: for reflection, and for messages as JSON.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/waypost.bin"));
}

pub use tonic::Code;
pub use tonic::transport::{Certificate, ClientTlsConfig, Identity};

pub use builder::{Bearer, Builder, Channel};
pub use client::Client;
pub use embeddings::Embeddings;
pub use error::{Blame, Error};
pub use stream::GenerateStream;
