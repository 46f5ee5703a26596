//! Text features for training and tools, the same as those served.

use numpy::{PyArray1, PyArray2, PyReadonlyArray2, PyUntypedArrayMethods, ndarray::Array2};
use pyo3::{exceptions::PyValueError, prelude::*};
use waypost_text::{hash, head, tokenize};

fn value_error(error: impl ToString) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Hash vectors `[n, dimensions]`.
#[pyfunction]
pub fn hash_embed<'py>(py: Python<'py>, texts: Vec<String>, dimensions: u32) -> PyResult<Bound<'py, PyArray2<f32>>> {
    if dimensions == 0 {
        return Err(value_error("dimensions is 0: ask for at least 1"));
    }
    let rows: Vec<f32> = py.detach(|| texts.iter().flat_map(|text| hash::embed(text, dimensions)).collect());
    matrix(py, rows, texts.len(), dimensions as usize)
}

/// Hashed features as compressed sparse rows: `(indptr, indices, values)`.
#[pyfunction]
#[allow(clippy::type_complexity)] // the three arrays that scipy.sparse.csr_array takes
pub fn hash_features<'py>(
    py: Python<'py>,
    texts: Vec<String>,
    buckets: u32,
) -> PyResult<(Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i32>>, Bound<'py, PyArray1<f32>>)> {
    if buckets == 0 || buckets > i32::MAX as u32 {
        return Err(value_error(format!("buckets is {buckets}: it must be from 1 to {}", i32::MAX)));
    }
    let (mut ends, mut indices, mut values) = (vec![0_i64], Vec::new(), Vec::new());
    py.detach(|| {
        for text in &texts {
            for (index, value) in hash::features(text, buckets) {
                indices.push(index as i32);
                values.push(value);
            }
            ends.push(indices.len() as i64);
        }
    });
    Ok((PyArray1::from_vec(py, ends), PyArray1::from_vec(py, indices), PyArray1::from_vec(py, values)))
}

/// 64-bit keys of a text's words, as the document frequencies count them.
#[pyfunction]
pub fn word_keys<'py>(py: Python<'py>, text: &str) -> Bound<'py, PyArray1<u64>> {
    PyArray1::from_vec(py, hash::word_keys(text))
}

/// 64-bit keys of a text's pairs of neighbouring words, as a head's coverage is judged by.
#[pyfunction]
pub fn pair_keys<'py>(py: Python<'py>, text: &str) -> Bound<'py, PyArray1<u64>> {
    PyArray1::from_vec(py, hash::pair_keys(text))
}

fn matrix<'py>(py: Python<'py>, data: Vec<f32>, rows: usize, width: usize) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let array = Array2::from_shape_vec((rows, width), data).map_err(value_error)?;
    Ok(PyArray2::from_owned_array(py, array))
}

/// A `tokenizer.json` with an explicit limit.
#[pyclass(module = "waypost._core", frozen)]
pub struct Tokenizer(tokenize::Tokenizer);

#[pymethods]
impl Tokenizer {
    #[new]
    fn new(path: &str, max_tokens: usize) -> PyResult<Self> {
        tokenize::Tokenizer::load(path, max_tokens).map(Self).map_err(value_error)
    }

    #[pyo3(signature = (texts, truncate=false))]
    fn encode(&self, py: Python<'_>, texts: Vec<String>, truncate: bool) -> PyResult<Vec<Vec<u32>>> {
        let truncation = if truncate { tokenize::Truncation::End } else { tokenize::Truncation::Refuse };
        let each = |(index, text): (usize, &String)| match self.0.encode(text, truncation) {
            Ok(encoding) => Ok(encoding.ids),
            Err(error) => Err(format!("texts[{index}]: {error}")),
        };
        let all = py.detach(|| texts.iter().enumerate().map(each).collect::<Result<Vec<_>, _>>());
        all.map_err(value_error)
    }

    fn count(&self, py: Python<'_>, texts: Vec<String>) -> PyResult<Vec<usize>> {
        let all = py.detach(|| texts.iter().map(|text| self.0.count(text)).collect::<Result<Vec<_>, _>>());
        all.map_err(value_error)
    }
}

/// A head file.
#[pyclass(module = "waypost._core", frozen)]
pub struct LinearHead(head::LinearHead);

#[pymethods]
impl LinearHead {
    #[new]
    fn new(path: std::path::PathBuf) -> PyResult<Self> {
        let bytes = std::fs::read(&path)?;
        head::LinearHead::load(&bytes).map(Self).map_err(|error| value_error(format!("{}: {error}", path.display())))
    }

    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn labels(&self) -> Vec<String> {
        self.0.labels().to_vec()
    }

    #[getter]
    fn experimental(&self) -> bool {
        self.0.experimental()
    }

    /// Dimensions of the vector it reads; `None` where it reads the text alone.
    #[getter]
    fn vector_dimensions(&self) -> Option<usize> {
        self.0.needs_vector()
    }

    /// 101 ascending quantiles of the training texts' complexity; `None` where the file does not tell.
    #[getter]
    fn quantiles<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray1<f32>>> {
        self.0.quantiles().map(|quantiles| PyArray1::from_slice(py, quantiles))
    }

    /// How much the text is like the training set, 0 to 1; `None` where the file does not tell.
    fn coverage(&self, text: &str) -> Option<f32> {
        self.0.coverage(text)
    }

    /// The complexity that the text's length alone suggests; `None` where the file does not tell.
    fn length_prior(&self, text: &str) -> Option<f32> {
        self.0.length_prior(text)
    }

    /// Probabilities `[n, labels]` and energies `[n]`.
    #[allow(clippy::type_complexity)] // a pair of arrays
    fn score<'py>(
        &self,
        py: Python<'py>,
        vectors: Option<PyReadonlyArray2<'py, f32>>,
        texts: Vec<String>,
    ) -> PyResult<(Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<f32>>)> {
        let needed = self.0.needs_vector();
        let shape = vectors.as_ref().map(|v| (v.shape()[0], v.shape()[1]));
        if let Some(dimensions) = needed
            && shape != Some((texts.len(), dimensions))
        {
            let (want, got) = ((texts.len(), dimensions), shape);
            return Err(value_error(format!("vectors have shape {got:?}: this head needs {want:?}")));
        }
        let rows = vectors.as_ref().map(|v| v.as_array());
        let (mut probabilities, mut energies) = (Vec::new(), Vec::new());
        for (index, text) in texts.iter().enumerate() {
            let row: Option<Vec<f32>> = rows.as_ref().map(|rows| rows.row(index).to_vec());
            let scores = self.0.score(row.as_deref(), text).map_err(value_error)?;
            probabilities.extend(scores.probabilities);
            energies.push(scores.energy);
        }
        let matrix = matrix(py, probabilities, texts.len(), self.0.labels().len())?;
        Ok((matrix, PyArray1::from_vec(py, energies)))
    }
}
