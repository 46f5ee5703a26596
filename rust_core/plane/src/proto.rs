//! The contract, compiled from `proto/` by `build.rs`.

/// Package `waypost.v1`.
#[allow(missing_docs, clippy::doc_lazy_continuation, clippy::large_enum_variant)]
pub mod v1 {
    tonic::include_proto!("waypost.v1");
}

/// Package `inference`: the Open Inference Protocol v2.
#[allow(missing_docs, clippy::large_enum_variant)]
pub mod inference {
    tonic::include_proto!("inference");
}

/// Descriptors of the whole contract, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/waypost.bin"));

/// Descriptors of the Open Inference Protocol.
pub const OIP_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/inference.bin"));
