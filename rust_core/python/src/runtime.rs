//! The tokio runtime that a Python object owns.

use std::future::Future;

use pyo3::{exceptions::PyRuntimeError, prelude::*};
use tokio::runtime::{Builder, Runtime};

/// A runtime of `threads` for sockets, and as many for text work again.
pub fn build(name: &str, threads: usize) -> PyResult<Runtime> {
    let threads = threads.max(1);
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(threads)
        .thread_name(name)
        .enable_all()
        .build();
    runtime.map_err(|error| PyRuntimeError::new_err(format!("cannot start threads: {error}")))
}

/// Runs `work` to its end without the GIL.
pub fn wait<T: Send>(py: Python<'_>, runtime: &Runtime, work: impl Future<Output = T> + Send) -> T {
    py.detach(|| runtime.block_on(work))
}
