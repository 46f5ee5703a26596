//! What is done with answers: keeping and judging them.

use std::time::Duration;

use serde::Deserialize;

use super::parse::seconds;

/// Answers that are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// Whether they are.
    pub enabled: bool,
    /// Bytes of all; beyond it those least used go.
    pub max_bytes: u64,
    /// For how long one is good.
    #[serde(rename = "ttl_s", deserialize_with = "seconds")]
    pub ttl: Duration,
    /// Whether routers keep them for each other, where the store is Redis.
    pub shared: bool,
    /// Bytes of one that is kept so.
    pub shared_max_bytes: usize,
    /// Answers to prompts that mean the same.
    pub semantic: SemanticCache,
}

impl Default for Cache {
    fn default() -> Self {
        let ttl = Duration::from_secs(300);
        let (shared, shared_max_bytes, semantic) = (false, 64 << 10, SemanticCache::default());
        Self { enabled: true, max_bytes: 64 << 20, ttl, shared, shared_max_bytes, semantic }
    }
}

/// Answers to prompts that mean the same.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SemanticCache {
    /// Whether they are given.
    pub enabled: bool,
    /// Model that says what means the same.
    pub model: String,
    /// Cosine from which on.
    pub threshold: f32,
    /// Prompts that are kept; beyond it the oldest go.
    pub max_entries: usize,
    /// Share of the hits that are answered afresh, to see how often a hit would have been wrong.
    pub audit_share: f64,
}

impl Default for SemanticCache {
    fn default() -> Self {
        Self { enabled: false, model: String::new(), threshold: 0.95, max_entries: 4096, audit_share: 0.05 }
    }
}

/// Answers that are judged.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quality {
    /// Whether they are.
    pub enabled: bool,
    /// Below this the next tier is asked.
    pub floor: f64,
    /// How an answer is compared with its prompt.
    pub relevance: Relevance,
    /// By which model; empty: the router chooses.
    pub model: String,
    /// Whether refusals count.
    pub refusals: bool,
    /// Whether loops count.
    pub repetition: bool,
    /// What an answer of this house looks like.
    pub brand: Brand,
}

impl Default for Quality {
    fn default() -> Self {
        Self {
            enabled: false,
            floor: 0.75,
            relevance: Relevance::Off,
            model: String::new(),
            refusals: true,
            repetition: true,
            brand: Brand::default(),
        }
    }
}

/// How an answer is compared with its prompt.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Relevance {
    /// Not at all.
    Off,
    /// By the words they share: microseconds.
    Hash,
    /// By the cosine of their vectors: one call of an encoder.
    Embed,
    /// By a reranker: one call of it.
    Rerank,
}

impl Relevance {
    /// From which value on an answer is to the point, each on its own scale: a question and its answer are about the
    /// same, but not the same, so that their vectors are further apart than those of two wordings of one thing.
    pub fn to_the_point(self) -> f32 {
        match self {
            Self::Off | Self::Hash | Self::Rerank => 0.5,
            Self::Embed => 0.35,
        }
    }
}

/// What an answer of this house looks like.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Brand {
    /// Regular expressions none of which may match.
    pub forbid: Vec<String>,
    /// Regular expressions all of which must.
    pub require: Vec<String>,
    /// Characters; 0: no limit.
    pub max_chars: usize,
}
