//! Lexical relevance of candidate documents to a query: Okapi BM25 (Robertson and Zaragoza 2009).
//!
//! A rare word says more than a frequent one, but how rare a word is cannot be told from the candidates: they were
//! found by those very words.  Measured on a small collection, document frequencies from the candidates ruin the
//! ranking (nDCG .383), none at all is better (.436), those of a collection are best (.489).  So frequencies come from
//! a background table, and without one every word weighs the same.
//!
//! The table is safetensors: `keys` U64 `[n]`, [`crate::hash::word_keys`] in ascending order, and `counts` U32 `[n]`,
//! in how many documents each occurs; metadata `format` = `waypost.df.v1` and `documents`, of how many.  A word that
//! is not in it counts as unseen, so the rarest may be left out to keep it small.
use safetensors::Dtype;

use crate::file::{File, FileError};
use crate::hash::word_keys;

const FORMAT: &str = "waypost.df.v1";

// Anserini's defaults, not measured on data of ours: candidates are passages rather than whole articles, so repetition
// and length should tell less than with Okapi's 1.2 and 0.75.
const SATURATION: f32 = 0.9;
const LENGTH_SHARE: f32 = 0.4;

/// Why a table could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file is not what it must be.
    #[error(transparent)]
    File(#[from] FileError),
    /// `keys` and `counts` differ in length.
    #[error("{keys} keys, but {counts} counts")]
    Uneven {
        /// Length of `keys`.
        keys: usize,
        /// Length of `counts`.
        counts: usize,
    },
    /// `keys` are not in strictly ascending order.
    #[error("keys are not ascending at index {index}")]
    Unsorted {
        /// The first one that is not above its predecessor.
        index: usize,
    },
}

/// In how many documents of a background collection each word occurs.
#[derive(Debug)]
pub struct DocumentFrequencies {
    documents: u64,
    keys: Vec<u64>,
    counts: Vec<u32>,
}

impl DocumentFrequencies {
    /// Reads the content of a table file.
    pub fn load(bytes: &[u8]) -> Result<Self, TableError> {
        let file = File::read(bytes, FORMAT)?;
        let keys = file.vector("keys", Dtype::U64, "U64", u64::from_le_bytes)?;
        let counts = file.vector("counts", Dtype::U32, "U32", u32::from_le_bytes)?;
        if keys.len() != counts.len() {
            return Err(TableError::Uneven { keys: keys.len(), counts: counts.len() });
        }
        if let Some(index) = keys.windows(2).position(|pair| pair[0] >= pair[1]) {
            return Err(TableError::Unsorted { index: index + 1 });
        }
        Ok(Self { documents: file.parse("documents", "a count")?, keys, counts })
    }

    /// How many documents were counted.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// How much a word says: `ln(1 + (N - df + 0.5) / (df + 0.5))`, above zero for every word.
    pub fn weight(&self, key: u64) -> f32 {
        let found = self.keys.binary_search(&key).map_or(0, |index| self.counts[index]);
        let (total, found) = (self.documents as f64, f64::from(found).min(self.documents as f64));
        ((total - found + 0.5) / (found + 0.5)).ln_1p() as f32
    }
}

/// The BM25 score of every document, in their order; 0 for one without a word of the query.
///
/// Comparable among the documents of one call only: the average length is theirs.
pub fn scores<D: AsRef<str>>(query: &str, documents: &[D], background: Option<&DocumentFrequencies>) -> Vec<f32> {
    let terms = terms(query, background);
    let documents: Vec<Vec<u64>> = documents.iter().map(|document| word_keys(document.as_ref())).collect();
    let words: usize = documents.iter().map(Vec::len).sum();
    let average = words as f32 / documents.len() as f32;
    documents.iter().map(|words| relevance(&terms, words, words.len() as f32 / average)).collect()
}

/// A distinct word of the query; a word said twice weighs twice.
struct Term {
    key: u64,
    weight: f32,
}

fn terms(query: &str, background: Option<&DocumentFrequencies>) -> Vec<Term> {
    let mut keys = word_keys(query);
    keys.sort_unstable();
    let weight = |key| background.map_or(1.0, |table| table.weight(key));
    keys.chunk_by(u64::eq).map(|same| Term { key: same[0], weight: same.len() as f32 * weight(same[0]) }).collect()
}

fn relevance(terms: &[Term], words: &[u64], relative_length: f32) -> f32 {
    let damping = SATURATION * (1.0 - LENGTH_SHARE + LENGTH_SHARE * relative_length);
    let matches = occurrences(terms, words).into_iter().zip(terms).filter(|(count, _)| *count > 0.0);
    matches.map(|(count, term)| term.weight * count * (SATURATION + 1.0) / (count + damping)).sum()
}

fn occurrences(terms: &[Term], words: &[u64]) -> Vec<f32> {
    let mut counts = vec![0.0; terms.len()];
    for word in words {
        if let Ok(index) = terms.binary_search_by_key(word, |term| term.key) {
            counts[index] += 1.0;
        }
    }
    counts
}
