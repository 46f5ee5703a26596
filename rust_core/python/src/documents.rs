//! The embedded store of documents; times are seconds since 1970.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use numpy::{
    PyArray1, PyArray2, PyReadonlyArray2,
    ndarray::{Array2, ArrayView2},
};
use pyo3::{
    IntoPyObjectExt,
    exceptions::{PyMemoryError, PyOSError, PyValueError},
    prelude::*,
    types::{PyBytes, PyDict},
};
use waypost_retrieve::{Error, Filter, Found, Graph, Millis, OpenError, Parts, Question, SpaceName, Stored, Which};

use crate::{
    columns::{Columns, Rows},
    told,
};

/// Milliseconds that are as good as for ever: some three million years, of which two can be added.
const FAR: f64 = 1e17;

/// Rows and how well they fit.
type FoundArrays<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f32>>);
/// Rows and their vectors.
type VectorArrays<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray2<f32>>);

/// A store in one file; thread-safe, and every call lets go of the GIL.
#[pyclass(module = "waypost._core", frozen)]
pub struct Documents(Mutex<Option<Arc<waypost_retrieve::Documents>>>);

impl Documents {
    /// Has work done without the GIL.
    fn ask<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&waypost_retrieve::Documents) -> Result<T, Error> + Send,
    ) -> PyResult<T> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let store = open.ok_or_else(|| PyValueError::new_err("the store is closed"))?;
        py.detach(|| work(&store)).map_err(failed)
    }
}

#[pymethods]
impl Documents {
    #[new]
    #[pyo3(signature = (path, *, max_bytes))]
    fn new(py: Python<'_>, path: PathBuf, max_bytes: u64) -> PyResult<Self> {
        let open = py.detach(|| waypost_retrieve::Documents::open(&path, max_bytes));
        let store = open.map_err(|error| PyOSError::new_err(opening(&path, &error)))?;
        Ok(Self(Mutex::new(Some(Arc::new(store)))))
    }

    fn upsert_each<'py>(
        &self,
        py: Python<'py>,
        batches: Vec<Columns<'py>>,
        now: f64,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let now = millis(now)?;
        let rows = batches.into_iter().map(Rows::try_from).collect::<PyResult<Vec<_>>>()?;
        let stored = self.ask(py, |it| {
            let entries: Vec<_> = rows.iter().map(Rows::entries).collect();
            let batches: Vec<_> = rows.iter().zip(&entries).map(|(rows, entries)| rows.batch(entries)).collect();
            it.upsert_each(&batches, now)
        })?;
        stored.into_iter().map(|each| outcome(py, each)).collect()
    }

    fn delete(
        &self,
        py: Python<'_>,
        tenant: &str,
        name: &str,
        ids: Option<Vec<String>>,
        filter: Option<&str>,
        now: f64,
    ) -> PyResult<u64> {
        let (filter, now) = (read(filter)?, millis(now)?);
        let ids: Option<Vec<&str>> = ids.as_ref().map(|ids| ids.iter().map(String::as_str).collect());
        let which = match (&ids, &filter) {
            (Some(ids), None) => Which::Ids(ids),
            (None, Some(filter)) => Which::Passing(filter),
            (None, None) => Which::All,
            (Some(_), Some(_)) => return Err(PyValueError::new_err("ids and filter: say one of both")),
        };
        self.ask(py, |it| it.delete(SpaceName { tenant, name }, which, now))
    }

    #[pyo3(signature = (tenant, name, filter, now))]
    fn select(
        &self,
        py: Python<'_>,
        tenant: &str,
        name: &str,
        filter: Option<&str>,
        now: f64,
    ) -> PyResult<Option<Selection>> {
        let (filter, now) = (read(filter)?, millis(now)?);
        let question = Question { filter: filter.as_ref(), now };
        Ok(self.ask(py, |it| it.select(SpaceName { tenant, name }, question))?.map(Selection))
    }

    #[pyo3(signature = (tenant, name, rows, *, text, vector))]
    fn fetch<'py>(
        &self,
        py: Python<'py>,
        tenant: &str,
        name: &str,
        rows: Vec<i64>,
        text: bool,
        vector: bool,
    ) -> PyResult<Vec<(i64, Bound<'py, PyBytes>)>> {
        let fetched = self.ask(py, |it| {
            let kept = it.fetch(SpaceName { tenant, name }, &rows, Parts { text, vector })?;
            Ok(kept.into_iter().map(|each| (each.row, told::document(each))).collect::<Vec<_>>())
        })?;
        Ok(fetched.into_iter().map(|(row, each)| (row, PyBytes::new(py, &each))).collect())
    }

    fn get<'py>(
        &self,
        py: Python<'py>,
        tenant: &str,
        name: &str,
        ids: Vec<String>,
        with_vector: bool,
        now: f64,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let now = millis(now)?;
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let parts = Parts { text: true, vector: with_vector };
        let kept = self.ask(py, |it| it.get(SpaceName { tenant, name }, &ids, parts, now))?;
        Ok(kept.into_iter().map(|each| PyBytes::new(py, &told::document(each))).collect())
    }

    #[allow(clippy::too_many_arguments)] // one question
    fn page<'py>(
        &self,
        py: Python<'py>,
        tenant: &str,
        name: &str,
        after: &str,
        limit: usize,
        filter: Option<&str>,
        now: f64,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let (filter, now) = (read(filter)?, millis(now)?);
        let question = Question { filter: filter.as_ref(), now };
        let kept = self.ask(py, |it| it.page(SpaceName { tenant, name }, after, limit, question))?;
        Ok(kept.into_iter().map(|each| PyBytes::new(py, &told::document(each))).collect())
    }

    fn set_retention(&self, py: Python<'_>, tenant: &str, name: &str, seconds: Option<f64>) -> PyResult<()> {
        let retention = seconds.map(millis).transpose()?;
        self.ask(py, |it| it.set_retention(SpaceName { tenant, name }, retention))
    }

    fn names(&self, py: Python<'_>, tenant: &str) -> PyResult<Vec<String>> {
        self.ask(py, |it| it.names(tenant))
    }

    fn spaces(&self, py: Python<'_>) -> PyResult<Vec<(String, String)>> {
        self.ask(py, |it| it.spaces())
    }

    fn figures<'py>(
        &self,
        py: Python<'py>,
        tenant: &str,
        name: &str,
        now: f64,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let now = millis(now)?;
        let Some(figures) = self.ask(py, |it| it.figures(SpaceName { tenant, name }, now))? else { return Ok(None) };
        let dict = PyDict::new(py);
        dict.set_item("retention", figures.retention.map(seconds))?;
        dict.set_item("documents", figures.documents)?;
        dict.set_item("dimensions", figures.dimensions)?;
        dict.set_item("disk_bytes", figures.disk_bytes)?;
        dict.set_item("memory_bytes", figures.memory_bytes)?;
        dict.set_item("last_row", figures.last_row)?;
        dict.set_item("indexed", figures.indexed)?;
        dict.set_item("graph", figures.graph.map(|it| (it.file, it.row)))?;
        Ok(Some(dict))
    }

    fn vectors<'py>(
        &self,
        py: Python<'py>,
        tenant: &str,
        name: &str,
        after: i64,
        limit: usize,
    ) -> PyResult<VectorArrays<'py>> {
        let (rows, vectors): (_, Array2<f32>) =
            self.ask(py, |it| it.vectors(SpaceName { tenant, name }, after, limit))?;
        Ok((PyArray1::from_vec(py, rows), PyArray2::from_owned_array(py, vectors)))
    }

    fn set_graph(&self, py: Python<'_>, tenant: &str, name: &str, file: Option<String>, row: i64) -> PyResult<()> {
        let graph = file.map(|file| Graph { file, row });
        self.ask(py, |it| it.set_graph(SpaceName { tenant, name }, graph))
    }

    fn sweep(&self, py: Python<'_>, now: f64) -> PyResult<u64> {
        let now = millis(now)?;
        self.ask(py, |it| it.sweep(now))
    }

    /// Lets go of the file when the calls under way have ended.
    fn close(&self, py: Python<'_>) {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(open));
    }
}

/// The documents that a question is about; thread-safe, and every call lets go of the GIL.
#[pyclass(module = "waypost._core", frozen)]
pub struct Selection(waypost_retrieve::Selection);

#[pymethods]
impl Selection {
    fn __len__(&self) -> usize {
        self.0.count() as usize
    }

    #[getter]
    fn dimensions(&self) -> Option<usize> {
        self.0.dimensions()
    }

    fn dense<'py>(
        &self,
        py: Python<'py>,
        vectors: PyReadonlyArray2<'py, f32>,
        limit: usize,
    ) -> PyResult<Vec<FoundArrays<'py>>> {
        let vectors: ArrayView2<'_, f32> = vectors.as_array();
        let found = py.detach(|| self.0.dense(vectors, limit, 0)).map_err(failed)?;
        Ok(found.into_iter().map(|each| arrays(py, each)).collect())
    }

    fn words<'py>(&self, py: Python<'py>, texts: Vec<String>, limit: usize) -> PyResult<Vec<FoundArrays<'py>>> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = py.detach(|| self.0.words(&texts, limit)).map_err(failed)?;
        Ok(found.into_iter().map(|each| arrays(py, each)).collect())
    }

    fn completed<'py>(
        &self,
        py: Python<'py>,
        vectors: PyReadonlyArray2<'py, f32>,
        rows: PyReadonlyArray2<'py, i64>,
        cosines: PyReadonlyArray2<'py, f32>,
        limit: usize,
        beyond: i64,
    ) -> PyResult<Vec<FoundArrays<'py>>> {
        let (vectors, rows, cosines) = (vectors.as_array(), rows.as_array(), cosines.as_array());
        let found = py.detach(|| self.0.completed(vectors, (rows, cosines), limit, beyond)).map_err(failed)?;
        Ok(found.into_iter().map(|each| arrays(py, each)).collect())
    }
}

fn failed(error: Error) -> PyErr {
    match error {
        Error::Input(error) => PyValueError::new_err(error.to_string()),
        Error::Full { .. } => PyMemoryError::new_err(error.to_string()),
        Error::Truth(_) | Error::Words(_) => PyOSError::new_err(error.to_string()),
    }
}

/// How many were added and replaced, or the exception itself.
fn outcome(py: Python<'_>, stored: Result<Stored, Error>) -> PyResult<Bound<'_, PyAny>> {
    match stored {
        Ok(Stored { added, replaced }) => (added, replaced).into_bound_py_any(py),
        Err(error) => Ok(failed(error).into_value(py).into_bound(py).into_any()),
    }
}

fn opening(path: &std::path::Path, error: &OpenError) -> String {
    match error {
        OpenError::InUse(_) => error.to_string(),
        _ => format!("cannot open {}: {error}", path.display()),
    }
}

fn read(filter: Option<&str>) -> PyResult<Option<Filter>> {
    filter.map(Filter::parse).transpose().map_err(|error| PyValueError::new_err(error.to_string()))
}

pub fn millis(seconds: f64) -> PyResult<Millis> {
    match seconds.is_finite() {
        true => Ok((seconds * 1000.0).round().clamp(-FAR, FAR) as Millis),
        false => Err(PyValueError::new_err(format!("{seconds} is no time"))),
    }
}

fn seconds(millis: Millis) -> f64 {
    millis as f64 / 1000.0
}

fn arrays(py: Python<'_>, found: Found) -> FoundArrays<'_> {
    (PyArray1::from_vec(py, found.rows), PyArray1::from_vec(py, found.scores))
}
