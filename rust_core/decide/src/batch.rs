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

/// The first text with the others of exactly its length, as many as the budget holds: a batch without padding.
///
/// Empty only where there is no text.
pub fn equals(lengths: &[u32], budget: Budget) -> Vec<usize> {
    let Some(&first) = lengths.first() else { return Vec::new() };
    let rows = (budget.tokens / first.max(1)).min(budget.rows).max(1) as usize;
    (0..lengths.len()).filter(|index| lengths[*index] == first).take(rows).collect()
}

impl Budget {
    fn fits(&self, rows: usize, longest: u32) -> bool {
        let padded = (rows as u64).saturating_mul(u64::from(longest));
        rows as u64 <= u64::from(self.rows) && padded <= u64::from(self.tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BUDGET: Budget = Budget { tokens: 512, rows: 32 };

    #[test]
    fn nothing_needs_no_batch() {
        assert!(plan(&[], BUDGET).is_empty());
    }

    #[test]
    fn short_texts_run_together_and_long_ones_apart() {
        assert_eq!(plan(&[300, 8, 8, 300, 8], BUDGET), [vec![1, 2, 4], vec![0], vec![3]]);
    }

    #[test]
    fn padding_counts_towards_the_budget() {
        let budget = Budget { tokens: 30, rows: 32 };
        assert_eq!(plan(&[1, 1, 10], budget), [vec![0, 1, 2]]);
        assert_eq!(plan(&[1, 1, 1, 10], budget), [vec![0, 1, 2], vec![3]]);
    }

    #[test]
    fn a_text_over_the_budget_runs_alone() {
        assert_eq!(plan(&[600, 600, 8], BUDGET), [vec![2], vec![0], vec![1]]);
    }

    #[test]
    fn rows_are_limited_even_where_texts_are_empty() {
        assert_eq!(plan(&[0; 5], Budget { tokens: 0, rows: 2 }), [vec![0, 1], vec![2, 3], vec![4]]);
    }

    #[test]
    fn zero_rows_count_as_one() {
        assert_eq!(plan(&[5, 5], Budget { tokens: 512, rows: 0 }), [vec![0], vec![1]]);
    }

    #[test]
    fn equals_leave_out_whatever_would_need_padding() {
        assert_eq!(equals(&[8, 9, 8, 7, 8], BUDGET), [0, 2, 4]);
        assert_eq!(equals(&[8, 8, 8], Budget { tokens: 16, rows: 32 }), [0, 1]);
        assert_eq!(equals(&[8, 8, 8], Budget { tokens: 512, rows: 2 }), [0, 1]);
    }

    #[test]
    fn the_first_text_runs_even_over_the_budget() {
        assert_eq!(equals(&[600, 600], BUDGET), [0]);
        assert_eq!(equals(&[0, 0], Budget { tokens: 0, rows: 0 }), [0]);
        assert!(equals(&[], BUDGET).is_empty());
    }

    proptest! {
        #[test]
        fn every_index_is_in_exactly_one_batch(
            lengths in prop::collection::vec(any::<u32>(), 0..200),
            tokens in any::<u32>(),
            rows in any::<u32>(),
        ) {
            let mut indices: Vec<usize> = plan(&lengths, Budget { tokens, rows }).concat();
            indices.sort_unstable();
            prop_assert!(indices.into_iter().eq(0..lengths.len()));
        }

        #[test]
        fn no_batch_of_several_exceeds_the_budget(
            lengths in prop::collection::vec(0u32..600, 0..200),
            tokens in 0u32..2048,
            rows in 0u32..40,
        ) {
            for batch in plan(&lengths, Budget { tokens, rows }) {
                let longest = batch.iter().map(|index| lengths[*index]).max().unwrap();
                let padded = batch.len() as u32 * longest;
                prop_assert!(batch.len() == 1 || (padded <= tokens && batch.len() as u32 <= rows));
            }
        }

        #[test]
        fn lengths_ascend_and_equal_ones_keep_their_order(lengths in prop::collection::vec(0u32..20, 0..200)) {
            let order = plan(&lengths, BUDGET).concat();
            prop_assert!(order.is_sorted_by_key(|index| (lengths[*index], *index)));
        }
    }
}
