//! Texts in, vectors and labels out: each output is a call of its own, and they run side by side.

use futures::future::try_join_all;
use tonic::Status;

use super::{
    Common,
    answered::Answered,
    inner::{Answer, Asking},
    known::Known,
    outputs::{Output, Requested},
    parameters::Parameters,
    tensor::{Inputs, Tensor},
};
use crate::{
    error::Error,
    proto::v1::{
        Classification, ClassifyRequest, ClassifyResponse, EmbedRequest, EmbedResponse, HeadInfo, ServedBy, Task,
    },
    router::Plane,
};

/// The input.
pub const TEXT: &str = "text";
/// The output of vectors; every other is the name of a head.
pub const EMBEDDING: &str = "embedding";

const EMBED: &str = "/waypost.v1.EmbedService/Embed";
const CLASSIFY: &str = "/waypost.v1.ClassifyService/Classify";

/// Texts and what is wanted of them.
#[derive(Debug)]
pub struct Texts {
    common: Common,
    texts: Vec<String>,
    dimensions: u32,
    wanted: Vec<Wanted>,
}

#[derive(Debug)]
enum Wanted {
    Embedding,
    Head { name: String, top: Option<u32> },
}

impl Texts {
    /// Reads it off a request.
    pub fn read(
        inputs: &mut Inputs,
        requested: Requested,
        parameters: &mut Parameters,
        known: Option<&Known>,
        common: Common,
    ) -> Result<Self, Error> {
        let texts = inputs.list(TEXT)?;
        let dimensions = parameters.take("dimensions", "a length of vectors")?.unwrap_or_default();
        Ok(Self { common, texts, dimensions, wanted: wanted(requested.all(), known)? })
    }

    /// Texts in it.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Asks for all that is wanted.
    pub async fn answer(&self, asking: &Asking) -> Result<Answered, Status> {
        let calls = self.wanted.iter().map(|wanted| self.ask(asking, wanted));
        try_join_all(calls).await.map(Answered::join)
    }

    async fn ask(&self, asking: &Asking, wanted: &Wanted) -> Result<Answered, Status> {
        match wanted {
            Wanted::Embedding => self.embed(asking).await,
            Wanted::Head { name, top } => self.classify(asking, name, *top).await,
        }
    }

    async fn embed(&self, asking: &Asking) -> Result<Answered, Status> {
        let request = EmbedRequest {
            model: self.common.model.clone(),
            route: Some(self.common.route.clone()),
            texts: self.texts.clone(),
            truncation: self.common.truncation.into(),
            dimensions: self.dimensions,
        };
        let mut answer: Answer<EmbedResponse> = asking.call(EMBED, &request).await?;
        let EmbedResponse { served, timings, dimensions, vectors, .. } = std::mem::take(&mut answer.message);
        let tensor = Tensor::floats(EMBEDDING, &[self.len(), dimensions as usize], vectors);
        Ok(Answered::new(&answer, served, timings, vec![tensor]))
    }

    async fn classify(&self, asking: &Asking, head: &str, top: Option<u32>) -> Result<Answered, Status> {
        let request = ClassifyRequest {
            model: self.common.model.clone(),
            route: Some(self.common.route.clone()),
            texts: self.texts.clone(),
            truncation: self.common.truncation.into(),
            head: head.to_string(),
            top_k: top.unwrap_or_default(),
            threshold: 0.0,
        };
        let mut answer: Answer<ClassifyResponse> = asking.call(CLASSIFY, &request).await?;
        let ClassifyResponse { served, timings, results, .. } = std::mem::take(&mut answer.message);
        let labels = labels(&asking.plane, served.as_ref(), head)?;
        let tensor = match top {
            None => scores(head, &labels, &results),
            Some(top) => best(head, &labels, &results, top as usize),
        };
        Ok(Answered::new(&answer, served, timings, vec![tensor]))
    }
}

fn wanted(requested: Vec<Output>, known: Option<&Known>) -> Result<Vec<Wanted>, Error> {
    if requested.is_empty() {
        return Ok(known.map_or_else(|| vec![Wanted::Embedding], usual));
    }
    requested.into_iter().map(|output| one(output, known)).collect()
}

/// All of the first task that reads texts.
fn usual(known: &Known) -> Vec<Wanted> {
    let first = known.tasks().into_iter().find(|task| matches!(task, Task::Embed | Task::Classify));
    match first {
        Some(Task::Classify) => {
            let heads = known.heads().into_iter();
            heads.map(|head| Wanted::Head { name: head.name.clone(), top: None }).collect()
        }
        _ => vec![Wanted::Embedding],
    }
}

fn one(output: Output, known: Option<&Known>) -> Result<Wanted, Error> {
    if output.name == EMBEDDING {
        return output.without_classification().map(|()| Wanted::Embedding);
    }
    if let Some(known) = known {
        let heads = known.heads();
        if heads.iter().all(|head| head.name != output.name) {
            let offered: Vec<_> = heads.iter().map(|head| head.name.as_str()).chain([EMBEDDING]).collect();
            return Err(output.misnamed(format!("one of {}", offered.join(", "))));
        }
    }
    Ok(Wanted::Head { name: output.name, top: output.classification })
}

/// The labels of the model that answered, in the order of its head.
fn labels(plane: &Plane, served: Option<&ServedBy>, head: &str) -> Result<Vec<String>, Error> {
    let served = served.cloned().unwrap_or_default();
    let snapshot = plane.registry.snapshot();
    let replicas = snapshot.model(&served.model).map(|model| model.replicas.as_slice()).unwrap_or_default();
    let infos = replicas.iter().map(|replica| &replica.served.info).filter(|info| info.version == served.version);
    let mut heads = infos.flat_map(|info| &info.heads);
    let found: Option<&HeadInfo> = heads.find(|known| known.name == head);
    let gone = || Error::ModelFailed { model: served.model.clone(), why: "it left while it answered".into() };
    found.map(|head| head.labels.clone()).ok_or_else(gone)
}

/// A row of scores per text, in the order of the labels.
fn scores(name: &str, labels: &[String], results: &[Classification]) -> Tensor {
    let mut rows = Vec::with_capacity(results.len() * labels.len());
    for result in results {
        let score = |label: &String| result.labels.iter().find(|each| each.label == *label).map_or(0.0, |it| it.score);
        rows.extend(labels.iter().map(score));
    }
    Tensor::scores(name, &[results.len(), labels.len()], &rows)
}

/// The best labels of each text as Triton writes them: "score:index:label".
fn best(name: &str, labels: &[String], results: &[Classification], top: usize) -> Tensor {
    let width = top.min(labels.len());
    let mut rows = Vec::with_capacity(results.len() * width);
    for each in results.iter().flat_map(|result| result.labels.iter().take(width)) {
        let index = labels.iter().position(|label| *label == each.label).unwrap_or_default();
        rows.push(format!("{:.6}:{index}:{}", each.score, each.label));
    }
    Tensor::texts(name, &[results.len(), width], &rows)
}
