//! `Worker`: the plane's worker, driven by Python sessions.

use std::{collections::HashMap, time::Duration};

use pyo3::{
    exceptions::{PyOSError, PyRuntimeError, PyValueError},
    prelude::*,
};
use tokio::runtime::Runtime;
use waypost_plane::worker::{self, StartError, config::WorkerConfig, run::Runner};

use crate::{runner::PythonRunner, runtime};

#[pyclass(module = "waypost._core")]
pub struct Worker {
    config: WorkerConfig,
    runners: HashMap<String, Vec<Py<PyAny>>>,
    running: Option<(Runtime, worker::Worker)>,
}

#[pymethods]
impl Worker {
    #[new]
    fn new(config_json: &str, runners: HashMap<String, Vec<Py<PyAny>>>) -> PyResult<Self> {
        let config = serde_json::from_str(config_json).map_err(|e| PyValueError::new_err(e.to_string()))?;
        Ok(Self { config, runners, running: None })
    }

    fn start(&mut self, py: Python<'_>) -> PyResult<String> {
        if self.running.is_some() {
            return Err(PyRuntimeError::new_err("the worker has been started already"));
        }
        let runtime = runtime::build("waypost-worker", self.config.io_threads)?;
        let runners = std::mem::take(&mut self.runners).into_iter().map(|(name, all)| (name, boxed(all))).collect();
        let started = runtime::wait(py, &runtime, worker::Worker::start(self.config.clone(), runners));
        let worker = started.map_err(start_error)?;
        let address = worker.address().to_string();
        self.running = Some((runtime, worker));
        Ok(address)
    }

    fn drain(&mut self, py: Python<'_>, timeout_s: f64) -> PyResult<bool> {
        let patience = Duration::try_from_secs_f64(timeout_s).map_err(|e| PyValueError::new_err(e.to_string()))?;
        let Some((runtime, worker)) = self.running.take() else { return Ok(true) };
        let clean = runtime::wait(py, &runtime, worker.drain(patience));
        py.detach(|| drop(runtime));
        Ok(clean)
    }
}

fn boxed(runners: Vec<Py<PyAny>>) -> Vec<Box<dyn Runner>> {
    runners.into_iter().map(|runner| Box::new(PythonRunner(runner)) as Box<dyn Runner>).collect()
}

fn start_error(error: StartError) -> PyErr {
    match error {
        StartError::Listen { .. } => PyOSError::new_err(error.to_string()),
        _ => PyValueError::new_err(error.to_string()),
    }
}
