//! A loaded model: tokenizer, sessions and heads, and what it does with texts.

use std::{collections::HashMap, fs, io, sync::Arc, time::Instant};

use waypost_decide::admit::Permit;
use waypost_text::{
    bm25::DocumentFrequencies,
    hash,
    head::LinearHead,
    tokenize::{EncodeError, Encoding, Tokenizer, Truncation},
};

use super::{
    cache::{self, Row, VectorCache},
    config::{Kind, ModelConfig},
    engine::Engine,
    off_reactor,
    run::{Input, Runner},
    shell::Arrival,
    watch::{
        Watch,
        trail::{Mark, Trail},
    },
};
use crate::{
    deadline::Deadline,
    error::Error,
    proto::v1::{self, Task, TextUsage},
};

/// A sequence classifier has one head, of this name.
const OWN_HEAD: &str = "default";

/// What a call brings beside its texts.
pub struct Work {
    /// When the answer stops being of use.
    pub deadline: Deadline,
    /// Higher goes first.
    pub priority: i32,
    /// What to do with texts that are too long.
    pub truncation: Truncation,
    /// Room in the worker for this call's texts.
    pub room: Permit,
    /// Whether the vectors may be remembered.
    pub keep: bool,
    /// When it passes where.
    pub trail: Arc<Trail>,
}

/// What a model gave for a call's texts.
#[derive(Default)]
pub struct Output {
    /// One row per text: a vector, logits, or one score.
    pub rows: Vec<Row>,
    /// Per text.
    pub usage: Vec<TextUsage>,
    /// Longest of each stage.
    pub stages: Stages,
}

/// Time spent per stage.
#[derive(Clone, Copy, Default)]
#[allow(missing_docs)] // named as in `Timings`
pub struct Stages {
    pub queue: std::time::Duration,
    pub tokenize: std::time::Duration,
    pub inference: std::time::Duration,
}

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the fields are what the messages name
pub enum LoadError {
    #[error("model {model:?}: cannot read {path}: {source}")]
    Read { model: String, path: String, source: io::Error },
    #[error("model {model:?}: {path}: {why}")]
    Broken { model: String, path: String, why: String },
    #[error("model {model:?} of kind {kind:?} needs {needs}")]
    Incomplete { model: String, kind: Kind, needs: &'static str },
    #[error("model {model:?} needs {other:?} for {task}, and no model of its worker is called so and does that")]
    Helper { model: String, other: String, task: &'static str },
    #[error("model {model:?}: head {head:?} is for vectors of {head_dimensions}, the model makes {dimensions}")]
    HeadMismatch { model: String, head: String, head_dimensions: usize, dimensions: usize },
}

/// One model of a worker.
pub struct Model {
    /// As configured.
    pub config: ModelConfig,
    label: Arc<str>,
    watch: Arc<Watch>,
    heads: Vec<(String, Arc<LinearHead>)>,
    /// Background for BM25.
    pub frequencies: Option<Arc<DocumentFrequencies>>,
    tokenizer: Option<Arc<Tokenizer>>,
    engine: Option<Engine>,
    cache: VectorCache,
}

impl Model {
    /// Reads tokenizer and heads and starts the sessions.
    pub fn load(
        config: ModelConfig,
        runners: Vec<Box<dyn Runner>>,
        cached: usize,
        watch: Arc<Watch>,
    ) -> Result<Self, LoadError> {
        let incomplete =
            |needs| LoadError::Incomplete { model: config.identity.name.clone(), kind: config.kind, needs };
        let tokenizer = load_tokenizer(&config)?;
        if config.kind != Kind::Hash && tokenizer.is_none() {
            return Err(incomplete("a tokenizer"));
        }
        if config.kind != Kind::Hash && runners.is_empty() {
            return Err(incomplete("at least one session"));
        }
        let width = width(&config);
        if width == 0 {
            return Err(incomplete("the number of its dimensions, or labels"));
        }
        let some = (!runners.is_empty()).then_some(runners);
        let label = Arc::from(&*config.identity.name);
        let started = some.map(|some| Engine::start(&label, some, width, config.batching, &watch)).transpose();
        let engine = started.map_err(|source| read_error(&config, "its sessions' threads".into(), source))?;
        let heads = load_heads(&config)?;
        let frequencies = load_frequencies(&config)?;
        let cache = VectorCache::new(if config.kind == Kind::Encoder { cached } else { 0 });
        Ok(Self { config, label, watch, heads, frequencies, tokenizer, engine, cache })
    }

    /// What it can be asked for.
    pub fn tasks(&self) -> &'static [Task] {
        match self.config.kind {
            Kind::Encoder | Kind::Hash if self.heads.is_empty() => &[Task::Embed, Task::Rerank],
            Kind::Encoder | Kind::Hash => &[Task::Embed, Task::Classify, Task::Rerank],
            Kind::SequenceClassifier => &[Task::Classify],
            Kind::CrossEncoder => &[Task::Rerank],
        }
    }

    /// Name that requests use.
    pub fn name(&self) -> &str {
        &self.config.identity.name
    }

    /// The same, to be kept.
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// How requests and the registry see it.
    pub fn info(&self) -> v1::ModelInfo {
        v1::ModelInfo {
            tasks: self.tasks().iter().map(|task| *task as i32).collect(),
            dimensions: self.config.dimensions,
            heads: self.head_infos(),
            ..self.config.identity.info()
        }
    }

    /// A head by name; a sequence classifier's own is none of these.
    pub fn head(&self, name: &str) -> Option<&Arc<LinearHead>> {
        self.heads.iter().find(|(known, _)| known == name).map(|(_, head)| head)
    }

    /// The names requests may use.
    pub fn head_names(&self) -> Vec<&str> {
        match self.config.kind {
            Kind::SequenceClassifier => vec![OWN_HEAD],
            _ => self.heads.iter().map(|(name, _)| name.as_str()).collect(),
        }
    }

    fn head_infos(&self) -> Vec<v1::HeadInfo> {
        let of_labels = |name: &str, labels: &[String], experimental| v1::HeadInfo {
            name: name.to_string(),
            labels: labels.to_vec(),
            experimental,
        };
        if self.config.kind == Kind::SequenceClassifier {
            return vec![of_labels(OWN_HEAD, &self.config.labels, false)];
        }
        self.heads.iter().map(|(name, head)| of_labels(name, head.labels(), head.experimental())).collect()
    }

    /// Unit vectors (or logits) of texts; `field` is the texts' name in errors.
    pub async fn rows(
        &self,
        field: &'static str,
        texts: &Arc<Vec<String>>,
        dimensions: u32,
        work: Work,
    ) -> Result<Output, Error> {
        if self.config.kind == Kind::Hash {
            return self.hash_rows(texts, dimensions, work).await;
        }
        let (texts, truncation) = (texts.clone(), work.truncation);
        let bytes = texts.iter().map(String::len).sum();
        let tokenizer = self.tokenizer()?;
        let encode = move || {
            let each = |(index, text): (usize, &String)| {
                let named = |error| encode_error(format!("{field}[{index}]"), error);
                tokenizer.encode(text, truncation).map_err(named)
            };
            texts.iter().enumerate().map(each).collect()
        };
        self.run_encoded(bytes, encode, work).await
    }

    /// Scores of (query, document) pairs.
    pub async fn pair_rows(&self, query: String, documents: &Arc<Vec<String>>, work: Work) -> Result<Output, Error> {
        let (documents, truncation) = (documents.clone(), work.truncation);
        let bytes = documents.iter().map(|document| document.len() + query.len()).sum();
        let tokenizer = self.tokenizer()?;
        let encode = move || {
            let each = |(index, document): (usize, &String)| {
                let named = |error| encode_error(format!("query + documents[{index}]"), error);
                tokenizer.encode_pair(&query, document, truncation).map_err(named)
            };
            documents.iter().enumerate().map(each).collect()
        };
        self.run_encoded(bytes, encode, work).await
    }

    /// Tokens of each text, without truncation.
    pub async fn count(&self, texts: Vec<String>, arrival: &Arrival) -> Result<Vec<u32>, Error> {
        arrival.trail.mark(Mark::Read, Instant::now());
        let tokenizer = self.tokenizer()?;
        let bytes = texts.iter().map(String::len).sum();
        let count = move || {
            let each = |(index, text): (usize, &String)| {
                let tokens = tokenizer.count(text).map_err(|error| encode_error(format!("texts[{index}]"), error))?;
                Ok(tokens as u32)
            };
            texts.iter().enumerate().map(each).collect()
        };
        let counted = arrival.deadline.run("tokenize", off_reactor(bytes, count)).await?;
        arrival.trail.mark_last(Mark::Done, Instant::now());
        counted
    }

    fn tokenizer(&self) -> Result<Arc<Tokenizer>, Error> {
        let why = || format!("model {:?} has no tokenizer: its texts have no tokens", self.config.identity.name);
        self.tokenizer.clone().ok_or_else(|| Error::NotCapable { why: why() })
    }

    async fn hash_rows(&self, texts: &Arc<Vec<String>>, dimensions: u32, work: Work) -> Result<Output, Error> {
        let started = Instant::now();
        work.trail.mark(Mark::Begun, started);
        let count = texts.len();
        let (texts, bytes) = (texts.clone(), texts.iter().map(String::len).sum());
        let embed = move || texts.iter().map(|text| Row::from(hash::embed(text, dimensions))).collect();
        let rows = work.deadline.run("inference", off_reactor(bytes, embed)).await?;
        let ended = Instant::now();
        work.trail.mark_last(Mark::Done, ended);
        let stages = Stages { inference: ended - started, ..Stages::default() };
        Ok(Output { rows, usage: vec![TextUsage::default(); count], stages })
    }

    async fn run_encoded(
        &self,
        bytes: usize,
        encode: impl FnOnce() -> Result<Vec<Encoding>, Error> + Send + 'static,
        work: Work,
    ) -> Result<Output, Error> {
        let started = Instant::now();
        work.trail.mark(Mark::Read, started);
        let encodings = work.deadline.run("tokenize", off_reactor(bytes, encode)).await??;
        let tokenize = started.elapsed();
        let usage = encodings.iter().map(usage).collect();
        let (rows, mut stages) = self.run_missing(encodings, work).await?;
        stages.tokenize = tokenize;
        Ok(Output { rows, usage, stages })
    }

    /// Runs what the cache does not have; a text that comes twice in a call runs once.
    async fn run_missing(&self, encodings: Vec<Encoding>, work: Work) -> Result<(Vec<Row>, Stages), Error> {
        let mut rows = self.look_up(&encodings, &work.trail);
        let mut first: HashMap<u128, usize> = HashMap::new();
        let mut inputs = Vec::new();
        let mut from_run = Vec::new();
        for (index, encoding) in encodings.into_iter().enumerate().filter(|(index, _)| rows[*index].is_none()) {
            let key = cache::key(&encoding.ids) ^ cache::key(&encoding.type_ids).rotate_left(1);
            let position = *first.entry(key).or_insert(inputs.len());
            if position == inputs.len() {
                inputs.push(Input { ids: encoding.ids, types: encoding.type_ids });
            }
            from_run.push((index, position));
        }
        if inputs.is_empty() {
            work.trail.mark_last(Mark::Done, Instant::now());
            return Ok((rows.into_iter().flatten().collect(), Stages::default()));
        }
        let keys: Vec<u128> = inputs.iter().map(|input| cache::key(&input.ids)).collect();
        let engine = self.engine.as_ref().ok_or_else(|| self.failed("it has no session"))?;
        let keep = work.keep;
        let outcome = engine.run(inputs, work).await?;
        let fresh: Vec<Row> = outcome.rows.into_iter().map(Row::from).collect();
        for (key, row) in keys.into_iter().zip(&fresh).filter(|_| keep) {
            self.cache.put(key, row.clone());
        }
        for (index, position) in from_run {
            rows[index] = Some(fresh[position].clone());
        }
        let stages = Stages { queue: outcome.queue, inference: outcome.inference, ..Stages::default() };
        Ok((rows.into_iter().flatten().collect(), stages))
    }

    /// The vectors that are known.
    fn look_up(&self, encodings: &[Encoding], trail: &Trail) -> Vec<Option<Row>> {
        let rows: Vec<Option<Row>> = encodings.iter().map(|encoding| self.cache.get(&encoding.ids)).collect();
        let tokens = |encoding: &Encoding| encoding.ids.len() as u64;
        let known = encodings.iter().zip(&rows).filter(|(_, row)| row.is_some()).map(|(encoding, _)| tokens(encoding));
        trail.read(encodings.iter().map(tokens).sum(), known.sum());
        if self.cache.keeps() {
            let hits = rows.iter().flatten().count();
            self.watch.looked_up(self.name(), hits, rows.len() - hits);
        }
        rows
    }

    /// An error of this model.
    pub fn failed(&self, why: impl ToString) -> Error {
        Error::ModelFailed { model: self.config.identity.name.clone(), why: why.to_string() }
    }
}

/// Floats of one text in a run's answer.
fn width(config: &ModelConfig) -> usize {
    match config.kind {
        Kind::Encoder | Kind::Hash => config.dimensions as usize,
        Kind::SequenceClassifier => config.labels.len(),
        Kind::CrossEncoder => 1,
    }
}

fn encode_error(field: String, error: EncodeError) -> Error {
    match error {
        EncodeError::TooLong { tokens, limit } => Error::TextTooLong { field, limit, actual: tokens },
        EncodeError::Model(why) => Error::ModelFailed { model: "tokenizer".into(), why: format!("{field}: {why}") },
    }
}

fn usage(encoding: &Encoding) -> TextUsage {
    TextUsage { tokens: encoding.ids.len() as u32, truncated: encoding.truncated }
}

fn read_error(config: &ModelConfig, path: String, source: io::Error) -> LoadError {
    LoadError::Read { model: config.identity.name.clone(), path, source }
}

fn broken(config: &ModelConfig, path: &std::path::Path, why: impl ToString) -> LoadError {
    LoadError::Broken { model: config.identity.name.clone(), path: path.display().to_string(), why: why.to_string() }
}

fn load_tokenizer(config: &ModelConfig) -> Result<Option<Arc<Tokenizer>>, LoadError> {
    let Some(path) = &config.tokenizer else { return Ok(None) };
    let tokenizer =
        Tokenizer::load(path, config.identity.max_tokens as usize).map_err(|error| broken(config, path, error))?;
    Ok(Some(Arc::new(tokenizer)))
}

fn load_heads(config: &ModelConfig) -> Result<Vec<(String, Arc<LinearHead>)>, LoadError> {
    let load = |head: &super::config::HeadConfig| {
        let bytes = fs::read(&head.path).map_err(|e| read_error(config, head.path.display().to_string(), e))?;
        let linear = LinearHead::load(&bytes).map_err(|error| broken(config, &head.path, error))?;
        match linear.needs_vector() {
            Some(needed) if needed != config.dimensions as usize => Err(LoadError::HeadMismatch {
                model: config.identity.name.clone(),
                head: head.name.clone(),
                head_dimensions: needed,
                dimensions: config.dimensions as usize,
            }),
            _ => Ok((head.name.clone(), Arc::new(linear))),
        }
    };
    config.heads.iter().map(load).collect()
}

fn load_frequencies(config: &ModelConfig) -> Result<Option<Arc<DocumentFrequencies>>, LoadError> {
    let Some(path) = &config.document_frequencies else { return Ok(None) };
    let bytes = fs::read(path).map_err(|e| read_error(config, path.display().to_string(), e))?;
    DocumentFrequencies::load(&bytes).map(|table| Some(Arc::new(table))).map_err(|error| broken(config, path, error))
}
