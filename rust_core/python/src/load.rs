//! The load generator, for benches.

use std::{collections::BTreeMap, time::Duration};

use numpy::PyArray1;
use pyo3::{
    exceptions::{PyOSError, PyValueError},
    prelude::*,
};
use waypost_plane::{
    address::InvalidAddress,
    load::{Plan, run},
};

use crate::runtime;

/// `(latencies in seconds, payload of each call, calls per status code, elapsed seconds)`.
type Report<'py> = (Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<u64>>, BTreeMap<i32, u64>, f64);

/// Sends `payloads` (encoded messages) in turn from `clients` closed-loop clients for `duration_s`.
#[pyfunction]
#[pyo3(signature = (address, path, payloads, *, clients, duration_s, connections=1, rate=None, timeout_s=30.0, key=None))]
#[allow(clippy::too_many_arguments)] // keywords in Python
pub fn load<'py>(
    py: Python<'py>,
    address: &str,
    path: String,
    payloads: Vec<Vec<u8>>,
    clients: usize,
    duration_s: f64,
    connections: usize,
    rate: Option<f64>,
    timeout_s: f64,
    key: Option<String>,
) -> PyResult<Report<'py>> {
    if payloads.is_empty() || rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
        return Err(PyValueError::new_err("load needs at least one payload and a finite rate above 0"));
    }
    let seconds = |value| Duration::try_from_secs_f64(value).map_err(|e| PyValueError::new_err(e.to_string()));
    let address = address.parse().map_err(|e: InvalidAddress| PyValueError::new_err(e.to_string()))?;
    let (duration, timeout) = (seconds(duration_s)?, seconds(timeout_s)?);
    let plan = Plan { address, path, payloads, clients, connections, duration, rate, timeout, key };
    let runtime = runtime::build("waypost-load", 1)?;
    let report = runtime::wait(py, &runtime, run(plan)).map_err(|e| PyOSError::new_err(e.to_string()))?;
    let sent = report.payloads.into_iter().map(|index| index as u64).collect();
    let latencies = PyArray1::from_vec(py, report.latencies);
    Ok((latencies, PyArray1::from_vec(py, sent), report.codes, report.elapsed.as_secs_f64()))
}
