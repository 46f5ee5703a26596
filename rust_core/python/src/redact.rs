//! Personal data in text.

use std::{borrow::Cow, collections::BTreeMap};

use pyo3::{prelude::*, types::PyString};

/// The text without what is personal in it, and how much of each kind that was.
#[pyfunction]
pub fn redact<'py>(
    py: Python<'py>,
    text: &Bound<'py, PyString>,
) -> PyResult<(Bound<'py, PyString>, BTreeMap<&'static str, u32>)> {
    let words = text.to_cow()?;
    let (left, counts) = py.detach(|| waypost_text::redact::redact(&words));
    let left = match left {
        Cow::Borrowed(_) => text.clone(),
        Cow::Owned(left) => PyString::new(py, &left),
    };
    Ok((left, counts.found().map(|(kind, count)| (kind.as_str(), count)).collect()))
}
