//! `Router`: the plane's router, steered by Python.

use std::{
    io,
    sync::OnceLock,
    time::{Duration, UNIX_EPOCH},
};

use pyo3::{
    exceptions::{PyOSError, PyRuntimeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyDict},
};
use waypost_plane::{
    address::{Address, InvalidAddress},
    levels::Levels,
    router::{
        self, Audit, Events, Payload, Payloads, Ring,
        config::RouterConfig,
        rollouts::{Rollout, Shadow},
    },
};

use crate::runtime::{self, Running};

#[pyclass(module = "waypost._core", frozen)]
pub struct Router {
    config: RouterConfig,
    running: Running<router::Router>,
    events: OnceLock<Events>,
    audit: OnceLock<Audit>,
    feedback: OnceLock<Ring<String>>,
    shadows: OnceLock<Ring<Shadow>>,
    payloads: OnceLock<Payloads>,
    levels: OnceLock<Levels>,
}

#[pymethods]
impl Router {
    #[new]
    fn new(config_json: &str) -> PyResult<Self> {
        let config = serde_json::from_str(config_json).map_err(value_error)?;
        let (events, audit, shadows) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        let (payloads, levels, feedback) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Ok(Self { config, running: Running::default(), events, audit, feedback, shadows, payloads, levels })
    }

    fn start(&self, py: Python<'_>) -> PyResult<String> {
        let runtime = runtime::build("waypost-router", self.config.io_threads)?;
        let listen = self.config.listen.to_string();
        let started = runtime::wait(py, &runtime, router::Router::start(self.config.clone()));
        let router = started.map_err(|error| match error.kind() {
            // A head, a rule or the ledger, which says so itself.
            io::ErrorKind::Other => PyOSError::new_err(error.to_string()),
            _ => PyOSError::new_err(format!("cannot listen on {listen}: {error}")),
        })?;
        let address = router.address().to_string();
        // A second start keeps the first one's events; `Running` refuses it.
        let _ = self.events.set(router.events());
        let _ = self.audit.set(router.audit());
        let _ = self.feedback.set(router.feedback());
        let _ = self.shadows.set(router.shadows());
        let _ = self.payloads.set(router.payloads());
        let _ = self.levels.set(router.levels());
        self.running.set(runtime, router)?;
        Ok(address)
    }

    fn set_instances(&self, addresses: Vec<String>) -> PyResult<()> {
        let parsed = addresses.iter().map(|address| address.parse()).collect::<Result<Vec<Address>, InvalidAddress>>();
        let addresses = parsed.map_err(value_error)?;
        self.running.with(|router| router.set_instances(addresses))
    }

    fn status(&self) -> PyResult<String> {
        self.running.with(|router| router.status().to_string())
    }

    /// Up to `max` decisions as JSON lines; waits at most `timeout_s` for the first.
    fn next_events(&self, py: Python<'_>, max: usize, timeout_s: f64) -> PyResult<Vec<String>> {
        let timeout = seconds(timeout_s)?;
        let events = self.events.get().ok_or_else(not_started)?;
        Ok(py.detach(|| events.next(max, timeout)))
    }

    /// Decisions lost because nobody took them in time.
    fn dropped_events(&self) -> u64 {
        self.events.get().map_or(0, Events::dropped)
    }

    /// What is to be written to the log from now on, once somebody changes that; waits at most `timeout_s`.
    fn next_log_level(&self, py: Python<'_>, timeout_s: f64) -> PyResult<Option<&'static str>> {
        let timeout = seconds(timeout_s)?;
        let levels = self.levels.get().ok_or_else(not_started)?;
        Ok(py.detach(|| levels.next(timeout)))
    }

    /// Up to `max` changes and refusals as JSON lines; waits at most `timeout_s` for the first.
    fn next_audits(&self, py: Python<'_>, max: usize, timeout_s: f64) -> PyResult<Vec<String>> {
        let timeout = seconds(timeout_s)?;
        let audit = self.audit.get().ok_or_else(not_started)?;
        Ok(py.detach(|| audit.next(max, timeout)))
    }

    /// Changes and refusals lost because nobody took them in time.
    fn dropped_audits(&self) -> u64 {
        self.audit.get().map_or(0, Audit::dropped)
    }

    /// Up to `max` opinions of answers as JSON lines; waits at most `timeout_s` for the first.
    fn next_feedback(&self, py: Python<'_>, max: usize, timeout_s: f64) -> PyResult<Vec<String>> {
        let timeout = seconds(timeout_s)?;
        let feedback = self.feedback.get().ok_or_else(not_started)?;
        Ok(py.detach(|| feedback.next(max, timeout)))
    }

    /// Opinions lost because nobody took them in time.
    fn dropped_feedback(&self) -> u64 {
        self.feedback.get().map_or(0, Ring::dropped)
    }

    /// Every rollout with what its sides have shown, as JSON.
    fn rollouts(&self) -> PyResult<String> {
        let all = self.running.with(|router| router.rollouts())?;
        serde_json::to_string(&all).map_err(value_error)
    }

    /// Changes a rollout, if it is still at its revision; returns it as it is then.
    fn set_rollout(&self, py: Python<'_>, rollout_json: &str) -> PyResult<String> {
        let rollout: Rollout = serde_json::from_str(rollout_json).map_err(value_error)?;
        let set = py.detach(|| self.running.with(|router| router.set_rollout(rollout)))?;
        serde_json::to_string(&set.map_err(value_error)?).map_err(value_error)
    }

    /// Up to `max` pairs of answers; waits at most `timeout_s` for the first.
    fn next_shadows<'py>(&self, py: Python<'py>, max: usize, timeout_s: f64) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let timeout = seconds(timeout_s)?;
        let ring = self.shadows.get().ok_or_else(not_started)?;
        py.detach(|| ring.next(max, timeout)).iter().map(|shadow| as_dict(py, shadow)).collect()
    }

    /// Up to `max` calls with what was said; waits at most `timeout_s` for the first.
    fn next_payloads<'py>(&self, py: Python<'py>, max: usize, timeout_s: f64) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let timeout = seconds(timeout_s)?;
        let payloads = self.payloads.get().ok_or_else(not_started)?;
        py.detach(|| payloads.next(max, timeout)).iter().map(|payload| payload_dict(py, payload)).collect()
    }

    /// Calls whose record is lost because nobody took it in time.
    fn dropped_payloads(&self) -> u64 {
        self.payloads.get().map_or(0, Payloads::dropped)
    }

    fn drain(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let patience = seconds(timeout_s)?;
        self.running.end(py, |runtime, router| runtime.block_on(router.drain(patience)))
    }
}

fn as_dict<'py>(py: Python<'py>, shadow: &Shadow) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("method", shadow.method)?;
    dict.set_item("request_id", &shadow.request_id)?;
    dict.set_item("mode", shadow.mode.as_str())?;
    dict.set_item("stable_model", &shadow.stable_model)?;
    dict.set_item("stable", PyBytes::new(py, &shadow.stable))?;
    dict.set_item("canary_model", &shadow.canary_model)?;
    dict.set_item("canary", PyBytes::new(py, &shadow.canary))?;
    Ok(dict)
}

fn payload_dict<'py>(py: Python<'py>, payload: &Payload) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let begun = payload.begun.duration_since(UNIX_EPOCH).unwrap_or_default();
    dict.set_item("timestamp", begun.as_secs_f64())?;
    dict.set_item("method", payload.method)?;
    dict.set_item("request_id", &payload.request_id)?;
    dict.set_item("tenant", &*payload.tenant)?;
    dict.set_item("mode", payload.mode.as_str())?;
    dict.set_item("model", payload.model.as_deref())?;
    dict.set_item("status", payload.status())?;
    for (name, said) in [("request", &payload.request), ("reply", &payload.reply)] {
        dict.set_item(name, PyBytes::new(py, &said.concat()))?;
        dict.set_item(format!("{name}_cut"), said.is_cut())?;
    }
    Ok(dict)
}

fn not_started() -> PyErr {
    PyRuntimeError::new_err("the router has not been started")
}

fn value_error(error: impl ToString) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn seconds(value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value).map_err(value_error)
}
