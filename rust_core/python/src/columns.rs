//! Documents on their way into the store: columns of Python's, rows of the store's.

use numpy::{PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::{exceptions::PyValueError, prelude::*};
use waypost_retrieve::{Batch, Entry, Millis, SpaceName};

use crate::documents::millis;

/// Tenant, namespace, ids, texts, metadata, vectors, expiries.
#[derive(FromPyObject)]
pub struct Columns<'py>(
    String,
    String,
    Vec<String>,
    Vec<String>,
    Vec<String>,
    Option<PyReadonlyArray2<'py, f32>>,
    Vec<Option<f64>>,
);

/// The same, free of Python.
pub struct Rows {
    tenant: String,
    name: String,
    ids: Vec<String>,
    texts: Vec<String>,
    metadata: Vec<String>,
    vectors: Vec<f32>,
    width: usize,
    expires: Vec<Option<Millis>>,
}

impl TryFrom<Columns<'_>> for Rows {
    type Error = PyErr;

    fn try_from(Columns(tenant, name, ids, texts, metadata, vectors, expires): Columns<'_>) -> PyResult<Self> {
        let [given, width] = vectors.as_ref().map_or([ids.len(), 0], |it| [it.shape()[0], it.shape()[1]]);
        if [texts.len(), metadata.len(), expires.len(), given] != [ids.len(); 4] {
            return Err(PyValueError::new_err("ids, texts, metadata, vectors and expires differ in length"));
        }
        let vectors = vectors.map_or_else(Vec::new, |it| it.as_array().iter().copied().collect());
        let expires = expires.into_iter().map(|each| each.map(millis).transpose()).collect::<PyResult<_>>()?;
        Ok(Self { tenant, name, ids, texts, metadata, vectors, width, expires })
    }
}

impl Rows {
    /// Each document.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let entry = |at: usize| Entry {
            id: &self.ids[at],
            text: &self.texts[at],
            metadata: &self.metadata[at],
            vector: &self.vectors[at * self.width..(at + 1) * self.width],
            expires: self.expires[at],
        };
        (0..self.ids.len()).map(entry).collect()
    }

    /// Where they go.
    pub fn batch<'a>(&'a self, entries: &'a [Entry<'a>]) -> Batch<'a> {
        Batch { name: SpaceName { tenant: &self.tenant, name: &self.name }, entries }
    }
}
