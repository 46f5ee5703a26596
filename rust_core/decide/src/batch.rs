//! Which texts run together.
//!
//! A batch is padded to its longest text, and on a CPU padding costs as much as text: batches as they come reached a
//! quarter of the rate of one text at a time.  So sort by length and cut windows whose padded size, rows times
//! longest, stays within a token budget.  Where no padding at all is affordable, plan with one row.

/// The most that one batch may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Padded tokens: rows times the longest.  A text longer than that runs alone.
    pub tokens: u32,
    /// Rows; 0 counts as 1.
    pub rows: u32,
}

/// Batches of indices into `lengths`, the short ones first; every index is in exactly one.
///
/// Equal lengths keep their order, so within a length first come is first served.
pub fn plan(lengths: &[u32], budget: Budget) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|index| lengths[*index]);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for index in order {
        match batches.last_mut() {
            Some(batch) if budget.fits(batch.len() + 1, lengths[index]) => batch.push(index),
            _ => batches.push(vec![index]),
        }
    }
    batches
}

impl Budget {
    fn fits(&self, rows: usize, longest: u32) -> bool {
        let padded = (rows as u64).saturating_mul(u64::from(longest));
        rows as u64 <= u64::from(self.rows) && padded <= u64::from(self.tokens)
    }
}
