//! The documents that a question is about, as they were when it was asked.
//!
//! Which these are is found out once, however often and however they are then searched: a filter that half of a large
//! namespace passes costs more than a search.

use std::sync::Arc;

use ndarray::{ArrayView1, ArrayView2, Axis};

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

    /// What an index of the rows up to `beyond` found for each vector, `[vectors, n]` and best first: without those that
    /// do not count, and with later ones.  Where too few are left, all documents are looked at.
    pub fn completed(
        &self,
        vectors: ArrayView2<'_, f32>,
        (rows, cosines): (ArrayView2<'_, i64>, ArrayView2<'_, f32>),
        limit: usize,
        beyond: i64,
    ) -> Result<Vec<Found>, Error> {
        let fresh = self.dense(vectors, limit, beyond)?;
        let indexed = rows.rows().into_iter().zip(cosines.rows());
        let each = |((rows, cosines), fresh)| self.best(rows, cosines, fresh, limit);
        let mut found: Vec<Found> = indexed.zip(fresh).map(each).collect();
        let few: Vec<usize> = (0..found.len()).filter(|index| found[*index].rows.len() < limit).collect();
        if !few.is_empty() {
            let looked_at = self.dense(vectors.select(Axis(0), &few).view(), limit, 0)?;
            few.into_iter().zip(looked_at).for_each(|(index, each)| found[index] = each);
        }
        Ok(found)
    }

    /// Of an index and of what it has not got yet.
    fn best(&self, rows: ArrayView1<'_, i64>, cosines: ArrayView1<'_, f32>, fresh: Found, limit: usize) -> Found {
        let indexed = rows.into_iter().copied().zip(cosines.into_iter().copied());
        let indexed = indexed.filter(|(row, _)| self.view.has(*row)).take(limit);
        if fresh.rows.is_empty() {
            return indexed.collect();
        }
        let mut all: Vec<(i64, f32)> = indexed.chain(fresh.rows.into_iter().zip(fresh.scores)).collect();
        all.sort_by(|one, other| other.1.total_cmp(&one.1));
        all.into_iter().take(limit).collect()
    }
}
