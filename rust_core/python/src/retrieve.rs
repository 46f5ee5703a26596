//! `Desk` and `Errand`: what a store of documents works with.

use std::{collections::HashMap, sync::Arc, time::Duration, time::Instant};

use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::{exceptions::PyValueError, prelude::*, pybacked::PyBackedBytes, types::PyBytes};
use waypost_plane::worker::{
    inbox::Waiting,
    refusal::Refusal,
    retrieve::{
        self,
        reply::{self, Ranked, Snippets},
    },
};

#[pyclass(module = "waypost._core", frozen)]
#[derive(Default)]
pub struct Desk(pub retrieve::Desk);

#[pymethods]
impl Desk {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    #[pyo3(signature = (lane, most, timeout_s=None))]
    fn take(&self, py: Python<'_>, lane: &str, most: usize, timeout_s: Option<f64>) -> PyResult<Vec<Errand>> {
        let patience = timeout_s.map(Duration::try_from_secs_f64).transpose();
        let patience = patience.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let inbox = match lane {
            "read" => &self.0.reads,
            "change" => &self.0.changes,
            other => return Err(PyValueError::new_err(format!("no lane {other:?}"))),
        };
        let taken = py.detach(|| inbox.take_some(most, patience));
        Ok(taken.into_iter().map(|errand| Errand(Arc::new(errand))).collect())
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }

    #[getter]
    fn closed(&self) -> bool {
        self.0.reads.is_closed()
    }
}

#[pyclass(module = "waypost._core", frozen)]
pub struct Errand(Arc<retrieve::errand::Errand>);

#[pymethods]
impl Errand {
    #[getter]
    fn method(&self) -> &'static str {
        self.0.method
    }

    #[getter]
    fn request<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.request)
    }

    #[getter]
    fn vectors<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyArray2<f32>>>> {
        let Some(matrix) = &self.0.vectors else { return Ok(None) };
        let rows = matrix.data.len() / matrix.width.max(1);
        PyArray1::from_slice(py, &matrix.data).reshape([rows, matrix.width]).map(Some)
    }

    #[getter]
    fn tenant(&self) -> &str {
        &self.0.tenant
    }

    #[getter]
    fn cancelled(&self) -> bool {
        self.0.is_over(Instant::now())
    }

    fn answer(&self, reply: &[u8]) {
        self.0.answer(Ok(reply.to_vec().into()));
    }

    fn fail(&self, refusal_json: &str) -> PyResult<()> {
        let refusal: Refusal = serde_json::from_str(refusal_json).map_err(|e| PyValueError::new_err(e.to_string()))?;
        self.0.answer(Err(refusal.of(&self.0.model)));
        Ok(())
    }
}

/// The encoded reply to a query.
#[pyfunction]
#[pyo3(signature = (ranked, queries, documents, *, snippets, max_chars, keep_text))]
pub fn query_reply<'py>(
    py: Python<'py>,
    ranked: Vec<Vec<Ranked>>,
    queries: Vec<String>,
    documents: HashMap<i64, PyBackedBytes>,
    snippets: usize,
    max_chars: usize,
    keep_text: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let found: Vec<_> = ranked.into_iter().zip(queries).collect();
    let document = |key| documents.get(&key).map(|it| &**it);
    let snippets = Snippets { count: snippets, max_chars, keep_text };
    let reply = py.detach(|| reply::encoded(&found, document, snippets));
    Ok(PyBytes::new(py, &reply.map_err(|error| PyValueError::new_err(error.to_string()))?))
}
