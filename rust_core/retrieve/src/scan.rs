//! The largest cosines, exactly: every vector meets every query.
//!
//! A block of vectors and all queries are multiplied at once while the block is in a core's cache, by `matrixmultiply`,
//! which finds the processor's vector instructions when it runs.  Packing pays from a few queries on; with fewer, each
//! row is multiplied as it lies, at the pace of memory.  Of a block of which few rows pass, these are copied together.

use std::cmp::Ordering;

use ndarray::{Array2, ArrayView2, s};

use crate::{
    Found,
    blocks::{Block, ROWS},
    state::View,
};

/// With so many queries a product of matrices is faster than one of each query.
const PACKED: usize = 4;

/// For each query the `limit` rows of the view, of those larger than `beyond`, with the largest products, best first.
pub fn scan(view: &View, queries: ArrayView2<'_, f32>, limit: usize, beyond: i64) -> Vec<Found> {
    let first = view.blocks.after(beyond);
    let mut best: Vec<Best> = queries.rows().into_iter().map(|_| Best::new(limit)).collect();
    for (index, block) in view.blocks.iter().enumerate().skip(first as usize / ROWS) {
        let from = (index * ROWS) as u32;
        let slots = first.max(from)..from + block.rows.len() as u32;
        let passing: Vec<usize> = view.passing.range(slots).map(|slot| (slot - from) as usize).collect();
        if !passing.is_empty() {
            meet(block, &passing, queries, &mut best);
        }
    }
    best.into_iter().map(Best::found).collect()
}

fn meet(block: &Block, passing: &[usize], queries: ArrayView2<'_, f32>, best: &mut [Best]) {
    let all =
        ArrayView2::from_shape((block.rows.len(), queries.ncols()), &block.vectors).expect("vectors are of a length");
    let sparse = passing.len() * 2 < block.rows.len();
    let scores = match sparse {
        true => products(gather(all, passing).view(), queries),
        false => products(all, queries),
    };
    for (query, best) in best.iter_mut().enumerate() {
        for (index, at) in passing.iter().enumerate() {
            best.offer(scores[[query, if sparse { index } else { *at }]], block.rows[*at]);
        }
    }
}

fn gather(all: ArrayView2<'_, f32>, rows: &[usize]) -> Array2<f32> {
    all.select(ndarray::Axis(0), rows)
}

/// `[queries, rows]`.
fn products(rows: ArrayView2<'_, f32>, queries: ArrayView2<'_, f32>) -> Array2<f32> {
    if queries.nrows() >= PACKED {
        return queries.dot(&rows.t());
    }
    let mut scores = Array2::zeros((queries.nrows(), rows.nrows()));
    for (index, query) in queries.rows().into_iter().enumerate() {
        scores.slice_mut(s![index, ..]).assign(&rows.dot(&query));
    }
    scores
}

/// The best of what was offered: kept to twice the limit and then cut, which costs less than a heap.
struct Best {
    limit: usize,
    worst: f32,
    kept: Vec<(f32, i64)>,
}

impl Best {
    fn new(limit: usize) -> Self {
        Self { limit, worst: f32::NEG_INFINITY, kept: Vec::new() }
    }

    fn offer(&mut self, score: f32, row: i64) {
        if score > self.worst && self.limit > 0 {
            self.kept.push((score, row));
            if self.kept.len() >= self.limit.saturating_mul(2) {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        if self.kept.len() > self.limit {
            let (_, last, _) = self.kept.select_nth_unstable_by(self.limit - 1, better);
            self.worst = last.0;
            self.kept.truncate(self.limit);
        }
    }

    fn found(mut self) -> Found {
        self.cut();
        self.kept.sort_unstable_by(better);
        self.kept.into_iter().map(|(score, row)| (row, score)).collect()
    }
}

/// Of equals the older one.
fn better(one: &(f32, i64), other: &(f32, i64)) -> Ordering {
    other.0.total_cmp(&one.0).then(one.1.cmp(&other.1))
}
