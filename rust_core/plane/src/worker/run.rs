//! One run of a model: a padded batch in, one row of floats per text out.

/// Token ids of one text, ready to run.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Token ids, special tokens included.
    pub ids: Vec<u32>,
    /// Segment of each token; empty where all are of the first.
    pub types: Vec<u32>,
}

/// Inputs of one run, row after row, padded to the longest.
#[derive(Debug)]
pub struct Batch {
    /// Texts.
    pub rows: usize,
    /// Tokens of the longest text.
    pub width: usize,
    /// `[rows, width]`, 0 where padded.
    pub ids: Vec<i64>,
    /// `[rows, width]`, 1 on tokens and 0 on padding.
    pub mask: Vec<i64>,
    /// `[rows, width]`, segment of each token.
    pub types: Vec<i64>,
}

impl Batch {
    /// Pads `inputs` to the longest of them.
    pub fn pad<'a>(inputs: impl ExactSizeIterator<Item = &'a Input> + Clone) -> Self {
        let rows = inputs.len();
        let width = inputs.clone().map(|input| input.ids.len()).max().unwrap_or(0);
        let mut batch =
            Self { rows, width, ids: vec![0; rows * width], mask: vec![0; rows * width], types: vec![0; rows * width] };
        for (row, input) in inputs.enumerate() {
            let from = row * width;
            copy(&mut batch.ids[from..], &input.ids);
            copy(&mut batch.types[from..], &input.types);
            batch.mask[from..from + input.ids.len()].fill(1);
        }
        batch
    }
}

fn copy(to: &mut [i64], from: &[u32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = i64::from(*from);
    }
}

/// What a run gave: `width` floats per text, row after row.
#[derive(Debug)]
pub struct Rows {
    /// `[rows, width]`
    pub data: Vec<f32>,
    /// Floats of one text.
    pub width: usize,
}

/// A run failed; the message is the backend's own.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RunError(pub String);

/// One session of a model; each is driven by a thread of its own.
pub trait Runner: Send + 'static {
    /// Runs one batch.
    fn run(&mut self, batch: Batch) -> Result<Rows, RunError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorter_texts_are_padded_and_masked() {
        let inputs = [Input { ids: vec![7, 8, 9], types: vec![0, 1, 1] }, Input { ids: vec![5], types: vec![] }];
        let batch = Batch::pad(inputs.iter());
        assert_eq!((batch.rows, batch.width), (2, 3));
        assert_eq!(batch.ids, [7, 8, 9, 5, 0, 0]);
        assert_eq!(batch.mask, [1, 1, 1, 1, 0, 0]);
        assert_eq!(batch.types, [0, 1, 1, 0, 0, 0]);
    }
}
