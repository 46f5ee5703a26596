//! `waypost._core`: the only crate that knows Python.
//!
//! One file per Python face; each wraps a type of the pure crates and adds nothing but conversion.  Every call that
//! waits or computes for long releases the GIL.

mod canary;
mod columns;
mod documents;
mod features;
mod generate;
mod load;
mod redact;
mod retrieve;
mod router;
mod runner;
mod runtime;
mod told;
mod worker;

use pyo3::prelude::*;

#[pymodule]
mod _core {
    #[pymodule_export]
    use super::canary::{canary_traffic, judge_canary};
    #[pymodule_export]
    use super::documents::{Documents, Selection};
    #[pymodule_export]
    use super::features::{LinearHead, Tokenizer, hash_embed, hash_features, pair_keys, word_keys};
    #[pymodule_export]
    use super::generate::{Engine, Inbox, Job};
    #[pymodule_export]
    use super::load::load;
    #[pymodule_export]
    use super::redact::redact;
    #[pymodule_export]
    use super::retrieve::{Desk, Errand, query_reply};
    #[pymodule_export]
    use super::router::Router;
    #[pymodule_export]
    use super::worker::Worker;
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("version", env!("CARGO_PKG_VERSION"))?;
        module.add("build_profile", if cfg!(debug_assertions) { "debug" } else { "release" })
    }
}
