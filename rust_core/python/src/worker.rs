//! `Worker`: the plane's worker, driven by Python sessions.

use std::{collections::HashMap, sync::OnceLock, time::Duration};

use pyo3::{
    exceptions::{PyOSError, PyRuntimeError, PyValueError},
    prelude::*,
};
use waypost_plane::{
    levels::Levels,
    worker::{self, StartError, config::WorkerConfig, run::Runner},
};

use crate::{
    generate::Inbox,
    retrieve::Desk,
    runner::PythonRunner,
    runtime::{self, Running},
};

#[pyclass(module = "waypost._core", frozen)]
pub struct Worker {
    config: WorkerConfig,
    runners: HashMap<String, Vec<Py<PyAny>>>,
    inboxes: HashMap<String, Py<Inbox>>,
    desks: HashMap<String, Py<Desk>>,
    running: Running<worker::Worker>,
    levels: OnceLock<Levels>,
}

#[pymethods]
impl Worker {
    #[new]
    #[pyo3(signature = (config_json, runners, inboxes=None, desks=None))]
    fn new(
        config_json: &str,
        runners: HashMap<String, Vec<Py<PyAny>>>,
        inboxes: Option<HashMap<String, Py<Inbox>>>,
        desks: Option<HashMap<String, Py<Desk>>>,
    ) -> PyResult<Self> {
        let config = serde_json::from_str(config_json).map_err(|e| PyValueError::new_err(e.to_string()))?;
        let (inboxes, desks) = (inboxes.unwrap_or_default(), desks.unwrap_or_default());
        Ok(Self { config, runners, inboxes, desks, running: Running::default(), levels: OnceLock::new() })
    }

    fn start(&self, py: Python<'_>) -> PyResult<String> {
        let runtime = runtime::build("waypost-worker", self.config.io_threads)?;
        let runners = self.runners.iter().map(|(name, sessions)| (name.clone(), boxed(py, sessions))).collect();
        let inboxes = self.inboxes.iter().map(|(name, inbox)| (name.clone(), inbox.get().0.clone())).collect();
        let desks = self.desks.iter().map(|(name, desk)| (name.clone(), desk.get().0.clone())).collect();
        let starting = worker::Worker::start(self.config.clone(), runners, inboxes, desks);
        let started = runtime::wait(py, &runtime, starting);
        let worker = started.map_err(start_error)?;
        let address = worker.address().to_string();
        // A second start keeps the first one's; `Running` refuses it.
        let _ = self.levels.set(worker.levels());
        self.running.set(runtime, worker)?;
        Ok(address)
    }

    /// What is to be written to the log from now on, once somebody changes that; waits at most `timeout_s`.
    fn next_log_level(&self, py: Python<'_>, timeout_s: f64) -> PyResult<Option<&'static str>> {
        let timeout = Duration::try_from_secs_f64(timeout_s).map_err(|e| PyValueError::new_err(e.to_string()))?;
        let not_started = || PyRuntimeError::new_err("the worker has not been started");
        let levels = self.levels.get().ok_or_else(not_started)?;
        Ok(py.detach(|| levels.next(timeout)))
    }

    fn drain(&self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let patience = Duration::try_from_secs_f64(timeout_s).map_err(|e| PyValueError::new_err(e.to_string()))?;
        self.running.end(py, |runtime, worker| runtime.block_on(worker.drain(patience)))
    }
}

fn boxed(py: Python<'_>, sessions: &[Py<PyAny>]) -> Vec<Box<dyn Runner>> {
    let one = |session: &Py<PyAny>| Box::new(PythonRunner(session.clone_ref(py))) as Box<dyn Runner>;
    sessions.iter().map(one).collect()
}

fn start_error(error: StartError) -> PyErr {
    match error {
        StartError::Listen { .. } => PyOSError::new_err(error.to_string()),
        _ => PyValueError::new_err(error.to_string()),
    }
}
