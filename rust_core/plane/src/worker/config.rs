//! What a worker is told at its start, as JSON from the Python side that checked it.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use crate::{proto::v1, telemetry::Telemetry, tls::ServerTls};

/// One worker process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// Name under which the mesh knows it.
    pub instance: String,
    /// `host:port` or `unix:/path`.
    pub listen: String,
    /// Its certificates, and whose it wants to see; none: plain text.
    #[serde(default)]
    pub tls: Option<ServerTls>,
    /// Version of Waypost.
    pub version: String,
    /// What it accepts.
    pub limits: Limits,
    /// Models that read texts.
    #[serde(default)]
    pub models: Vec<ModelConfig>,
    /// Models that write.
    #[serde(default)]
    pub generators: Vec<GeneratorConfig>,
    /// Stores of documents.
    #[serde(default)]
    pub retrievers: Vec<RetrieverConfig>,
    /// Threads that serve sockets; sessions have threads of their own.
    #[serde(default = "one")]
    pub io_threads: usize,
    /// Vectors kept per encoder, so that a text seen again is not run again; 0 keeps none.
    #[serde(default = "vector_cache")]
    pub vector_cache: usize,
    /// What it tells of itself.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// Deadline of calls that bring none, in seconds.
    #[serde(default = "default_timeout")]
    pub default_timeout_s: f64,
}

fn one() -> usize {
    1
}

fn vector_cache() -> usize {
    4096
}

fn default_timeout() -> f64 {
    60.0
}

impl WorkerConfig {
    /// Deadline of calls that bring none.
    pub fn default_timeout(&self) -> Duration {
        Duration::from_secs_f64(self.default_timeout_s)
    }
}

/// Limits of one worker; beyond each comes an error at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one request message, and of one reply's vectors.
    pub max_receive_bytes: usize,
    /// Texts (or documents) of one call.
    pub max_texts: usize,
    /// Bytes of one text.
    pub max_text_bytes: usize,
    /// Texts waiting or running, over all calls.
    pub queue_limit: usize,
}

/// What a model's runs mean.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Unit vectors: serves embed, classify by heads, rerank.
    Encoder,
    /// The same by hashing, without a runner.
    Hash,
    /// Logits per label.
    SequenceClassifier,
    /// One score per (query, document).
    CrossEncoder,
}

/// How texts are put together for a run.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
pub enum Batching {
    /// One text a run: nothing is padded.
    Single,
    /// Texts of the same number of tokens, up to a token budget: nothing is padded.
    Equal {
        /// Tokens of a run.
        token_budget: u32,
        /// Texts of a run.
        max_rows: u32,
    },
    /// Texts of like length up to a padded token budget.
    Budget {
        /// Tokens of a run, padding included.
        token_budget: u32,
        /// Texts of a run.
        max_rows: u32,
    },
}

/// What the registry and the callers know of a model, whatever it does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Name that requests use.
    pub name: String,
    /// Version of its files.
    pub version: String,
    /// Backend that runs it, for the registry.
    pub backend: String,
    /// Capability tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Tier by its short name, such as "simple".
    #[serde(default)]
    pub tier: Option<String>,
    /// Most tokens of a text, or of prompt and answer together.
    #[serde(default)]
    pub max_tokens: u32,
    /// US dollars per 1,000 tokens.
    #[serde(default)]
    pub cost_per_1k_tokens_usd: f64,
    /// 0 to 1, beside other models of the task.
    #[serde(default = "half")]
    pub quality: f64,
}

impl Identity {
    /// As the registry has it; `tasks` and what is particular to a kind of model are added there.
    pub fn info(&self) -> v1::ModelInfo {
        let tier = self.tier.as_ref().map(|tier| format!("TIER_{}", tier.to_uppercase()));
        let tier = tier.and_then(|name| v1::Tier::from_str_name(&name)).unwrap_or_default();
        v1::ModelInfo {
            name: self.name.clone(),
            version: self.version.clone(),
            backend: self.backend.clone(),
            tags: self.tags.clone(),
            tier: tier as i32,
            max_tokens: self.max_tokens,
            cost_per_1k_tokens_usd: self.cost_per_1k_tokens_usd,
            quality: self.quality,
            ..Default::default()
        }
    }
}

/// A model that writes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorConfig {
    /// See [`Identity`].
    pub identity: Identity,
    /// Requests worked on at once.
    pub slots: usize,
    /// Requests that wait beyond these.
    pub queue_limit: usize,
    /// Tokens of an answer whose request sets no limit.
    pub default_max_tokens: u32,
    /// LoRA adapters by name.
    #[serde(default)]
    pub adapters: Vec<String>,
    /// US dollars per 1,000 tokens of an answer, where they cost otherwise; 0: the same.
    #[serde(default)]
    pub cost_per_1k_output_tokens_usd: f64,
}

/// A store of documents.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrieverConfig {
    /// See [`Identity`].
    pub identity: Identity,
    /// Model of the same worker that gives texts their vectors; none: they bring them along, or have none.
    #[serde(default)]
    pub encoder: Option<String>,
    /// Model of the same worker that reads the best again; none: the encoder.
    #[serde(default)]
    pub reranker: Option<String>,
}

/// A model that reads texts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// See [`Identity`].
    pub identity: Identity,
    /// See [`Kind`].
    pub kind: Kind,
    /// Length of its vectors.
    #[serde(default)]
    pub dimensions: u32,
    /// `tokenizer.json`; every kind but `hash` needs one.
    #[serde(default)]
    pub tokenizer: Option<PathBuf>,
    /// See [`Batching`].
    #[serde(default = "single")]
    pub batching: Batching,
    /// Linear heads over the vectors.
    #[serde(default)]
    pub heads: Vec<HeadConfig>,
    /// Labels of a sequence classifier, in the order of its logits.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Background document frequencies for BM25.
    #[serde(default)]
    pub document_frequencies: Option<PathBuf>,
}

fn half() -> f64 {
    0.5
}

fn single() -> Batching {
    Batching::Single
}

/// One head file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadConfig {
    /// Name that requests use.
    pub name: String,
    /// Safetensors file.
    pub path: PathBuf,
}
