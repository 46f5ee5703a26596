//! A Python callable as a session: the one place where a request's path enters Python, once per run.

use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray2};
use pyo3::prelude::*;
use waypost_plane::worker::run::{Batch, Rows, RunError, Runner};

/// `run(input_ids, attention_mask, token_type_ids) -> float32 [n, d]`, each input int64 `[n, tokens]`.
pub struct PythonRunner(pub Py<PyAny>);

impl Runner for PythonRunner {
    fn run(&mut self, batch: Batch) -> Result<Rows, RunError> {
        Python::attach(|py| self.call(py, batch).map_err(|error| RunError(error.to_string())))
    }
}

impl PythonRunner {
    fn call(&self, py: Python<'_>, batch: Batch) -> PyResult<Rows> {
        let shape = [batch.rows, batch.width];
        let array = |values: Vec<i64>| PyArray1::from_vec(py, values).reshape(shape);
        let inputs = (array(batch.ids)?, array(batch.mask)?, array(batch.types)?);
        let output = self.0.bind(py).call1(inputs)?;
        let rows: PyReadonlyArray2<'_, f32> = output.extract()?;
        let rows = rows.as_array();
        Ok(Rows { width: rows.ncols(), data: rows.iter().copied().collect() })
    }
}
