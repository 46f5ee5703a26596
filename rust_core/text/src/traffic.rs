//! What a head knows of the texts it was trained on: how like them a text is, and where its score lies among theirs.
//!
//! A linear model answers with the same confidence about what it has never seen, so a router asks first whether a text
//! resembles the training set.  [`Coverage`] is a Bloom filter with one hash function (Bloom 1970) over pairs of
//! neighbouring words, the cheapest one-class model there is: the share of a text's pairs that training saw, stretched
//! so that 0 is what the filter's false positives alone give and 1 what the middle one of unseen texts of the same
//! traffic gives.  Single words tell little, as every corpus has the common ones.
//!
//! [`Ranks`] turns scores into shares of traffic: the 101 quantiles of the training texts' out-of-fold scores, and the
//! same of their lengths.  The length prior is the score at the length's own rank, so that thresholds set for scores
//! hold for it as well.
use safetensors::Dtype;

use crate::file::{File, FileError};
use crate::hash;

const RANKS: usize = 101;
/// Pairs that every text is taken to have beside its own, unseen: one lucky pair shall prove nothing.
const DOUBT: usize = 2;
const NUMBER: &str = "a number";
const MORE: &str = "above `coverage_none`";

/// How much of a text the training set had.
#[derive(Debug)]
pub(crate) struct Coverage {
    seen: Vec<u8>,
    none: f32,
    full: f32,
}

impl Coverage {
    pub(crate) fn read(file: &File) -> Result<Option<Self>, FileError> {
        let Some(seen) = file.optional_vector("seen", Dtype::U8, "U8", |[byte]| byte)? else { return Ok(None) };
        if seen.is_empty() {
            return Err(FileError::Empty { tensor: "seen" });
        }
        let (none, full) = (file.parse("coverage_none", NUMBER)?, file.parse("coverage_full", NUMBER)?);
        match none < full {
            true => Ok(Some(Self { seen, none, full })),
            false => Err(FileError::Metadata { key: "coverage_full", value: full.to_string(), expected: MORE }),
        }
    }

    /// From 0, like nothing that was taught, to 1, like most of it; 0 for a text without a pair of words.
    pub(crate) fn of(&self, text: &str) -> f32 {
        let keys = hash::pair_keys(text);
        let seen = keys.iter().filter(|key| self.has(**key)).count();
        let share = seen as f32 / (keys.len() + DOUBT) as f32;
        ((share - self.none) / (self.full - self.none)).clamp(0.0, 1.0)
    }

    fn has(&self, key: u64) -> bool {
        let bit = hash::bucket(key, 8 * self.seen.len() as u32) as usize;
        self.seen[bit / 8] >> (bit % 8) & 1 == 1
    }
}

/// Scores and lengths of the training texts, each as 101 ascending quantiles.
#[derive(Debug)]
pub(crate) struct Ranks {
    scores: Vec<f32>,
    lengths: Option<Vec<f32>>,
}

impl Ranks {
    pub(crate) fn read(file: &File) -> Result<Option<Self>, FileError> {
        let Some(scores) = ascending(file, "quantiles")? else { return Ok(None) };
        Ok(Some(Self { scores, lengths: ascending(file, "lengths")? }))
    }

    pub(crate) fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// The score whose rank is that of `length`; none where lengths were not kept.
    pub(crate) fn at_length(&self, length: f32) -> Option<f32> {
        let lengths = self.lengths.as_ref()?;
        Some(value_at(&self.scores, rank(lengths, length)))
    }
}

fn ascending(file: &File, name: &'static str) -> Result<Option<Vec<f32>>, FileError> {
    let Some(tensor) = file.floats(name)? else { return Ok(None) };
    let values = tensor.shaped(&[RANKS])?;
    match values.is_sorted() {
        true => Ok(Some(values)),
        false => Err(FileError::NotAscending { tensor: name }),
    }
}

// The position of `value` among ascending `quantiles`, in steps and parts of steps; among equal ones the middle.
fn rank(quantiles: &[f32], value: f32) -> f32 {
    let below = quantiles.partition_point(|quantile| *quantile < value);
    let not_above = quantiles.partition_point(|quantile| *quantile <= value);
    if below < not_above {
        return (below + not_above - 1) as f32 / 2.0;
    }
    if below == 0 || below == quantiles.len() {
        return below.min(quantiles.len() - 1) as f32;
    }
    let (low, high) = (quantiles[below - 1], quantiles[below]);
    (below - 1) as f32 + (value - low) / (high - low)
}

fn value_at(quantiles: &[f32], rank: f32) -> f32 {
    let low = rank.floor() as usize;
    let high = (low + 1).min(quantiles.len() - 1);
    quantiles[low] + (quantiles[high] - quantiles[low]) * rank.fract()
}
