//! Rows and vectors, a few hundred side by side.
//!
//! A slot is a document's place: of the block `slot / ROWS` the entry `slot % ROWS`.  Slots are given in the order of
//! the rows, so a row is found by halving.  Readers take the blocks with them and let go of every lock: a block that
//! somebody still reads is copied before it grows.

use std::sync::Arc;

/// Entries of a block: its vectors stay in a core's cache while they meet all queries.
pub const ROWS: usize = 512;

/// Entries `[n]` and their vectors `[n, dimensions]`.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Ascending.
    pub rows: Vec<i64>,
    /// One after the other; empty where the space has none.
    pub vectors: Vec<f32>,
}

/// All of a space.
#[derive(Clone, Debug, Default)]
pub struct Blocks(Vec<Arc<Block>>);

impl Blocks {
    /// How many entries there are; the next one's slot.
    pub fn len(&self) -> u32 {
        let full = self.0.len().saturating_sub(1) * ROWS;
        (full + self.0.last().map_or(0, |last| last.rows.len())) as u32
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = &Block> {
        self.0.iter().map(Arc::as_ref)
    }

    /// Adds a row that is larger than all; its slot.
    pub fn push(&mut self, row: i64, vector: &[f32]) -> u32 {
        let slot = self.len();
        if (slot as usize).is_multiple_of(ROWS) {
            self.0.push(Arc::default());
        }
        let last = Arc::make_mut(self.0.last_mut().expect("one was added"));
        last.rows.push(row);
        last.vectors.extend_from_slice(vector);
        slot
    }

    /// The row at a slot.
    pub fn row(&self, slot: u32) -> i64 {
        let (block, at) = place(slot);
        self.0[block].rows[at]
    }

    /// The vector at a slot.
    pub fn vector(&self, slot: u32) -> &[f32] {
        let (block, at) = place(slot);
        let Block { rows, vectors } = &*self.0[block];
        let dimensions = vectors.len() / rows.len();
        &vectors[at * dimensions..(at + 1) * dimensions]
    }

    /// The slot of a row.
    pub fn slot(&self, row: i64) -> Option<u32> {
        let slot = self.after(row - 1);
        (slot < self.len() && self.row(slot) == row).then_some(slot)
    }

    /// The first slot whose row is larger than this.
    pub fn after(&self, row: i64) -> u32 {
        let block = self.0.partition_point(|it| it.rows.last().is_some_and(|last| *last <= row));
        let within = self.0.get(block).map_or(0, |it| it.rows.partition_point(|each| *each <= row));
        (block * ROWS + within).min(self.len() as usize) as u32
    }

    /// The largest row; 0 where there is none.
    pub fn last_row(&self) -> i64 {
        self.0.last().and_then(|it| it.rows.last()).copied().unwrap_or(0)
    }

    /// Bytes in memory.
    pub fn memory(&self) -> usize {
        self.iter().map(|it| it.rows.capacity() * 8 + it.vectors.capacity() * 4).sum()
    }
}

fn place(slot: u32) -> (usize, usize) {
    (slot as usize / ROWS, slot as usize % ROWS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_at_their_slots() {
        let mut blocks = Blocks::default();
        let rows: Vec<i64> = (0..3 * ROWS as i64 + 7).map(|index| 3 * index + 5).collect();
        for row in &rows {
            blocks.push(*row, &[*row as f32]);
        }
        for (slot, row) in rows.iter().enumerate() {
            assert_eq!(blocks.slot(*row), Some(slot as u32));
            assert_eq!(blocks.slot(row + 1), None);
            assert_eq!(blocks.after(*row) as usize, slot + 1);
            assert_eq!(blocks.vector(slot as u32), [*row as f32]);
        }
        assert_eq!(blocks.after(0), 0);
    }

    #[test]
    fn who_reads_sees_no_later_row() {
        let mut blocks = Blocks::default();
        blocks.push(1, &[]);
        let seen = blocks.clone();
        blocks.push(2, &[]);
        assert_eq!((seen.len(), blocks.len()), (1, 2));
    }
}
