//! A linear classifier over a text's vector, its hashed features, or both, in microseconds.
//!
//! Logistic regression on a frozen encoder is within a point or two of fine-tuning on intent and topic, is trained in
//! seconds and stored in kilobytes, and many heads share one run of the encoder.  Hashed n-grams beside the vector
//! add the wording that meaning blurs (toxicity, sentiment); alone they need no encoder at all.
//!
//! The file is safetensors, `k` labels:
//!
//! | tensor | shape | over |
//! |---|---|---|
//! | `bias` | `[k]` | |
//! | `weight` (optional) | `[k, d]` | the unit vector of the encoder |
//! | `hashed` (optional) | `[k, buckets]` | [`crate::hash::features`] |
//! | `scalars` (optional) | `[k, 2]` | [`scalars`] |
//! | `quantiles` (optional) | `[101]` | [`LinearHead::complexity`] of the training texts |
//! | `lengths` (optional) | `[101]` | `ln(1 + bytes)` of the training texts |
//!
//! in F32 or F16, and where [`LinearHead::coverage`] is told, `seen`, the U8 bytes of a filter; with metadata `format` = `waypost.head.v1`, `name`, `version`, `labels` (a JSON list), `temperature`,
//! and where they apply `energy_threshold`, `experimental`, `encoder`, `coverage_none` and `coverage_full`.
//!
//! `logits = weight·v + hashed·h + scalars·s + bias`; probabilities are `softmax(logits / temperature)`.  Whether a
//! text is outside all labels is judged by the energy, `-logsumexp(logits)`: the highest probability cannot tell
//! "surely neither" from "either".
//!
//! A head that judges how strong a model a prompt needs is read as one number, `complexity = 1 - P(simple)`: it ranks
//! prompts by what a strong model would gain, and shares of traffic are cut from the rank.  Its quantiles are those of
//! out-of-fold scores, since a head is too sure of the texts it was taught.
use std::collections::HashSet;

use crate::file::{File, FileError};
use crate::hash;
use crate::traffic::{Coverage, Ranks};

/// The label of a prompt that any model answers.
const SIMPLE: &str = "simple";
const FORMAT: &str = "waypost.head.v1";

/// Why a head could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The file is not what it must be.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file lacks its `bias`.
    #[error("tensor `bias` is missing")]
    NoBias,
    /// Fewer than two labels: a yes-or-no question has two.
    #[error("a head needs at least two labels, this one has {labels:?}")]
    TooFewLabels {
        /// The labels it has.
        labels: Vec<String>,
    },
    /// Two labels have the same name.
    #[error("label {label:?} is there twice")]
    RepeatedLabel {
        /// The name.
        label: String,
    },
}

/// The caller's vector does not fit the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the head reads a vector of {expected}, got {actual}")]
pub struct WrongVector {
    /// What [`LinearHead::needs_vector`] says.
    pub expected: usize,
    /// Length of the vector given; 0 where none was.
    pub actual: usize,
}

/// What a head says of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// One per label, in the order of [`LinearHead::labels`]; they sum to 1.
    pub probabilities: Vec<f32>,
    /// The higher, the less the text resembles anything the head was trained on.
    pub energy: f32,
    /// Whether the energy is over the head's threshold; false where it has none.
    pub out_of_scope: bool,
}

/// A linear head in memory.
#[derive(Debug)]
pub struct LinearHead {
    name: String,
    version: String,
    encoder: String,
    labels: Vec<String>,
    temperature: f32,
    energy_threshold: Option<f32>,
    experimental: bool,
    bias: Vec<f32>,
    weight: Option<Dense>,
    hashed: Option<Sparse>,
    scalars: Option<Vec<f32>>,
    coverage: Option<Coverage>,
    ranks: Option<Ranks>,
}

impl LinearHead {
    /// Reads the content of a head file.
    pub fn load(bytes: &[u8]) -> Result<Self, HeadError> {
        let file = File::read(bytes, FORMAT)?;
        let labels = labels(&file)?;
        let count = labels.len();
        Ok(Self {
            name: file.text("name")?.to_owned(),
            version: file.text("version")?.to_owned(),
            encoder: file.optional("encoder").unwrap_or_default().to_owned(),
            temperature: temperature(&file)?,
            energy_threshold: energy_threshold(&file)?,
            experimental: file.optional("experimental") == Some("true"),
            bias: file.floats("bias")?.ok_or(HeadError::NoBias)?.shaped(&[count])?,
            weight: Dense::read(&file, count)?,
            hashed: Sparse::read(&file, count)?,
            scalars: file.floats("scalars")?.map(|tensor| tensor.shaped(&[count, 2])).transpose()?,
            coverage: Coverage::read(&file)?,
            ranks: Ranks::read(&file)?,
            labels,
        })
    }

    /// Its name, such as `intent`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The model whose vectors it was trained on; empty where it needs none.
    pub fn encoder(&self) -> &str {
        &self.encoder
    }

    /// What it tells apart.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Dimensions of the vector it reads; none where it reads the text alone.
    pub fn needs_vector(&self) -> Option<usize> {
        self.weight.as_ref().map(|weight| weight.dimensions)
    }

    /// Whether its makers would not yet act on what it says.
    pub fn experimental(&self) -> bool {
        self.experimental
    }

    /// Scores a text and, where the head reads one, its vector.
    pub fn score(&self, vector: Option<&[f32]>, text: &str) -> Result<Scores, WrongVector> {
        let mut logits = self.bias.clone();
        if let Some(weight) = &self.weight {
            weight.add(vector.unwrap_or_default(), &mut logits)?;
        }
        if let Some(hashed) = &self.hashed {
            hashed.add(text, &mut logits);
        }
        if let Some(weights) = &self.scalars {
            add_scalars(weights, text, &mut logits);
        }
        Ok(self.judge(logits))
    }

    /// How strong a model the text needs, 0 to 1: `1 - P(simple)`, of a head without that label `1 - P(first label)`.
    pub fn complexity(&self, scores: &Scores) -> f32 {
        let simple = self.labels.iter().position(|label| label == SIMPLE).unwrap_or(0);
        1.0 - scores.probabilities[simple]
    }

    /// How much the text is like those of the training set, 0 (nothing in common) to 1 (as much as they among each
    /// other); none where the file does not tell.
    pub fn coverage(&self, text: &str) -> Option<f32> {
        self.coverage.as_ref().map(|coverage| coverage.of(text))
    }

    /// The 0 % to 100 % quantiles of [`Self::complexity`] over training texts that the head had not seen, ascending;
    /// none where the file does not tell.
    pub fn quantiles(&self) -> Option<&[f32]> {
        self.ranks.as_ref().map(Ranks::scores)
    }

    /// What to take for [`Self::complexity`] where coverage is low: the score at the rank of the text's length, so it
    /// rises with the length and is spread as scores are; none where the file does not tell.
    pub fn length_prior(&self, text: &str) -> Option<f32> {
        self.ranks.as_ref()?.at_length(scalars(text)[0])
    }

    fn judge(&self, logits: Vec<f32>) -> Scores {
        let energy = -log_sum_exp(&logits);
        let probabilities = softmax(logits, self.temperature);
        let out_of_scope = self.energy_threshold.is_some_and(|threshold| energy > threshold);
        Scores { probabilities, energy, out_of_scope }
    }
}

/// Two features of a text's size: `ln(1 + bytes)` and `ln(1 + words)`, words being what white space separates.
pub fn scalars(text: &str) -> [f32; 2] {
    let words = text.split_whitespace().count();
    [text.len(), words].map(|size| (size as f32).ln_1p())
}

/// Rows of weights over a dense vector.
#[derive(Debug)]
struct Dense {
    dimensions: usize,
    rows: Vec<f32>,
}

impl Dense {
    fn read(file: &File, labels: usize) -> Result<Option<Self>, FileError> {
        let Some(tensor) = file.floats("weight")? else { return Ok(None) };
        Ok(Some(Self { dimensions: tensor.columns(labels)?, rows: tensor.values }))
    }

    fn add(&self, vector: &[f32], logits: &mut [f32]) -> Result<(), WrongVector> {
        if vector.len() != self.dimensions {
            return Err(WrongVector { expected: self.dimensions, actual: vector.len() });
        }
        for (logit, row) in logits.iter_mut().zip(self.rows.chunks_exact(self.dimensions)) {
            *logit += dot(row, vector);
        }
        Ok(())
    }
}

/// Weights over hashed features, stored bucket by bucket, so that a text touches only its own.
#[derive(Debug)]
struct Sparse {
    buckets: u32,
    columns: Vec<f32>,
}

impl Sparse {
    fn read(file: &File, labels: usize) -> Result<Option<Self>, FileError> {
        let Some(tensor) = file.floats("hashed")? else { return Ok(None) };
        let buckets = tensor.columns(labels)?;
        Ok(Some(Self { buckets: buckets as u32, columns: transposed(&tensor.values, buckets) }))
    }

    fn add(&self, text: &str, logits: &mut [f32]) {
        let labels = logits.len();
        for (bucket, value) in hash::features(text, self.buckets) {
            let column = &self.columns[bucket as usize * labels..][..labels];
            for (logit, weight) in logits.iter_mut().zip(column) {
                *logit += value * weight;
            }
        }
    }
}

fn transposed(rows: &[f32], columns: usize) -> Vec<f32> {
    let height = rows.len() / columns;
    let mut transposed = vec![0.0; rows.len()];
    for (y, row) in rows.chunks_exact(columns).enumerate() {
        for (x, value) in row.iter().enumerate() {
            transposed[x * height + y] = *value;
        }
    }
    transposed
}

fn add_scalars(weights: &[f32], text: &str, logits: &mut [f32]) {
    let scalars = scalars(text);
    for (logit, row) in logits.iter_mut().zip(weights.chunks_exact(2)) {
        *logit += row[0] * scalars[0] + row[1] * scalars[1];
    }
}

// Sixteen sums that do not wait for each other become vector registers; one running sum would not.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut sums = [0.0; 16];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..16 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

fn highest(values: &[f32]) -> f32 {
    values.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

fn log_sum_exp(values: &[f32]) -> f32 {
    let highest = highest(values);
    highest + values.iter().map(|value| (value - highest).exp()).sum::<f32>().ln()
}

fn softmax(mut values: Vec<f32>, temperature: f32) -> Vec<f32> {
    let highest = highest(&values);
    values.iter_mut().for_each(|value| *value = ((*value - highest) / temperature).exp());
    let sum: f32 = values.iter().sum();
    values.iter_mut().for_each(|value| *value /= sum);
    values
}

fn labels(file: &File) -> Result<Vec<String>, HeadError> {
    let value = file.text("labels")?;
    let wrong = |_| FileError::Metadata { key: "labels", value: value.to_owned(), expected: "a JSON list of strings" };
    let labels: Vec<String> = serde_json::from_str(value).map_err(wrong)?;
    if labels.len() < 2 {
        return Err(HeadError::TooFewLabels { labels });
    }
    let mut seen = HashSet::new();
    match labels.iter().find(|label| !seen.insert(label.as_str())) {
        Some(label) => Err(HeadError::RepeatedLabel { label: label.clone() }),
        None => Ok(labels),
    }
}

fn temperature(file: &File) -> Result<f32, FileError> {
    let (key, expected) = ("temperature", "a finite number above 0");
    let value: f32 = file.parse(key, expected)?;
    if value.is_finite() && value > 0.0 {
        return Ok(value);
    }
    Err(FileError::Metadata { key, value: value.to_string(), expected })
}

fn energy_threshold(file: &File) -> Result<Option<f32>, FileError> {
    let (key, expected) = ("energy_threshold", "a number");
    match file.optional(key).map(|_| file.parse::<f32>(key, expected)).transpose()? {
        Some(value) if value.is_nan() => Err(FileError::Metadata { key, value: value.to_string(), expected }),
        threshold => Ok(threshold),
    }
}
