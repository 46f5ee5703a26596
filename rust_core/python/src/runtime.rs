//! The tokio runtime that a Python object owns together with the server on it.

use std::{
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
};

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

/// A server between its start and its end; Python threads may use it at the same time.
pub struct Running<S>(Mutex<Option<(Runtime, S)>>);

impl<S> Default for Running<S> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<S: Send> Running<S> {
    fn lock(&self) -> MutexGuard<'_, Option<(Runtime, S)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a started server.
    pub fn set(&self, runtime: Runtime, server: S) -> PyResult<()> {
        let mut running = self.lock();
        if running.is_some() {
            return Err(PyRuntimeError::new_err("started already"));
        }
        *running = Some((runtime, server));
        Ok(())
    }

    /// Uses the server for a moment.
    pub fn with<T>(&self, work: impl FnOnce(&S) -> T) -> PyResult<T> {
        let running = self.lock();
        let (runtime, server) = running.as_ref().ok_or_else(|| PyRuntimeError::new_err("not running"))?;
        let _context = runtime.enter();
        Ok(work(server))
    }

    /// Ends the server with `last`, then its threads; true where none is running.
    pub fn end(&self, py: Python<'_>, last: impl FnOnce(&Runtime, S) -> bool + Send) -> PyResult<bool> {
        let Some((runtime, server)) = self.lock().take() else { return Ok(true) };
        Ok(py.detach(|| {
            let clean = last(&runtime, server);
            drop(runtime);
            clean
        }))
    }
}
