//! `Router`: the plane's router, steered by Python.

use std::{sync::OnceLock, time::Duration};

use pyo3::{
    exceptions::{PyOSError, PyRuntimeError, PyValueError},
    prelude::*,
};
use waypost_plane::{
    address::{Address, InvalidAddress},
    router::{self, Events, config::RouterConfig},
};

use crate::runtime::{self, Running};

#[pyclass(module = "waypost._core", frozen)]
pub struct Router {
    config: RouterConfig,
    running: Running<router::Router>,
    events: OnceLock<Events>,
}

#[pymethods]
impl Router {
    #[new]
    fn new(config_json: &str) -> PyResult<Self> {
        let config = serde_json::from_str(config_json).map_err(|e| PyValueError::new_err(e.to_string()))?;
        Ok(Self { config, running: Running::default(), events: OnceLock::new() })
    }

    fn start(&self, py: Python<'_>) -> PyResult<String> {
        let runtime = runtime::build("waypost-router", self.config.io_threads)?;
        let listen = self.config.listen.to_string();
        let started = runtime::wait(py, &runtime, router::Router::start(self.config.clone()));
        let router = started.map_err(|error| PyOSError::new_err(format!("cannot listen on {listen}: {error}")))?;
        let address = router.address().to_string();
        // A second start keeps the first one's events; `Running` refuses it.
        let _ = self.events.set(router.events());
        self.running.set(runtime, router)?;
        Ok(address)
    }

    fn set_instances(&self, addresses: Vec<String>) -> PyResult<()> {
        let parsed = addresses.iter().map(|address| address.parse()).collect::<Result<Vec<Address>, InvalidAddress>>();
        let addresses = parsed.map_err(|error| PyValueError::new_err(error.to_string()))?;
        self.running.with(|router| router.set_instances(addresses))
    }

    fn status(&self) -> PyResult<String> {
        self.running.with(|router| router.status().to_string())
    }

    /// Up to `max` decisions as JSON lines; waits at most `timeout_s` for the first.
    fn next_events(&self, py: Python<'_>, max: usize, timeout_s: f64) -> PyResult<Vec<String>> {
        let timeout = seconds(timeout_s)?;
        let events = self.events.get().ok_or_else(|| PyRuntimeError::new_err("the router has not been started"))?;
        Ok(py.detach(|| events.next(max, timeout)))
    }

    /// Decisions lost because nobody took them in time.
    fn dropped_events(&self) -> u64 {
        self.events.get().map_or(0, Events::dropped)
    }

    fn drain(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let patience = seconds(timeout_s)?;
        self.running.end(py, |runtime, router| runtime.block_on(router.drain(patience)))
    }
}

fn seconds(value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value).map_err(|error| PyValueError::new_err(error.to_string()))
}
