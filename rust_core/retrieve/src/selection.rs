//! The documents that a question is about, as they were when it was asked.
//!
//! Which these are is found out once, however often and however they are then searched: a filter that half of a large
//! namespace passes costs more than a search.

use std::sync::Arc;

use ndarray::ArrayView2;

use crate::{Error, Found, InputError, Question, scan::scan, space::Space, state::View};

/// See the [module](self); it keeps what it needs in memory for as long as it is kept.
#[derive(Debug)]
pub struct Selection {
    space: Arc<Space>,
    view: Arc<View>,
}

impl Selection {
    pub(crate) fn of(space: Arc<Space>, question: Question<'_>) -> Self {
        let view = Arc::new(space.view(question));
        Self { space, view }
    }

    /// How many they are.
    pub fn count(&self) -> u64 {
        self.view.passing.len()
    }

    /// Of the namespace's vectors, 0: it has none; none: nothing was stored yet.
    pub fn dimensions(&self) -> Option<usize> {
        self.view.dimensions
    }

    /// For each vector those with the largest cosine, exactly, of rows larger than `beyond`.
    pub fn dense(&self, vectors: ArrayView2<'_, f32>, limit: usize, beyond: i64) -> Result<Vec<Found>, Error> {
        if let Some(index) = vectors.rows().into_iter().position(|it| !it.iter().all(|value| value.is_finite())) {
            return Err(InputError::NotFinite(index).into());
        }
        match self.view.dimensions.unwrap_or(0) {
            0 => Ok(vec![Found::default(); vectors.nrows()]),
            expected if expected == vectors.ncols() => Ok(scan(&self.view, vectors, limit, beyond)),
            expected => Err(InputError::Dimensions { expected, got: vectors.ncols() }.into()),
        }
    }

    /// For each text those that share words with it, by BM25.  A text is only words: there is no syntax.
    pub fn words(&self, texts: &[&str], limit: usize) -> Result<Vec<Found>, Error> {
        self.space.search(texts, limit, &self.view)
    }

    /// Which rows are theirs.
    pub fn keep(&self, rows: &[i64]) -> Vec<bool> {
        rows.iter().map(|row| self.view.has(*row)).collect()
    }
}
