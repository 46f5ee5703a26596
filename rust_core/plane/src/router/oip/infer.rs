//! One request: which task it is for, and its answer.

use std::{sync::Arc, time::Instant};

use tonic::Status;

use super::{
    Common, Oip,
    answered::Answered,
    generate::{self, Generate, Pieces},
    inner::{Arrival, Asking},
    invalid,
    known::Known,
    outputs::Requested,
    parameters::Parameters,
    rerank::{self, Rerank},
    statistics::Statistics,
    tensor::{Inputs, listed},
    texts::{self, Texts},
};
use crate::{error::Error, proto::inference::ModelInferRequest, router::Plane};

/// What a request asks for.
#[derive(Debug)]
enum Work {
    Texts(Texts),
    Rerank(Rerank),
    Generate(Box<Generate>),
}

/// A request that was understood.
pub struct Infer {
    /// The caller's name for it.
    pub id: String,
    /// A stream's end is to be said by a response of its own.
    pub empty_final: bool,
    asking: Asking,
    work: Work,
    tally: Tally,
}

/// Tells the statistics how a request ended.
pub struct Tally {
    statistics: Arc<Statistics>,
    /// The model and version it was for.
    named: Option<(String, String)>,
    inputs: usize,
    arrived: Instant,
}

impl Tally {
    fn new(oip: &Oip, known: Option<&Known>) -> Self {
        let version = |known: &Known| known.model.version().unwrap_or_default().to_string();
        let named = known.map(|known| (known.model.name.to_string(), version(known)));
        Self { statistics: oip.statistics.clone(), named, inputs: 0, arrived: Instant::now() }
    }

    /// It was answered.
    pub fn succeed(&self, answered: &Answered) {
        self.statistics.succeed(answered, self.inputs, self.arrived.elapsed());
    }

    /// It was not.
    pub fn fail(&self) {
        if let Some((model, version)) = &self.named {
            self.statistics.fail(model, version, self.arrived.elapsed());
        }
    }
}

impl Infer {
    /// Understands a request.
    ///
    /// # Errors
    ///
    /// It is not what a model of that name can be asked.
    pub fn read(oip: &Oip, arrival: &Arrival, request: ModelInferRequest) -> Result<Self, Error> {
        let known = Known::find(&oip.plane, &request.model_name);
        let tally = Tally::new(oip, known.as_ref());
        let read = Self::understand(&oip.plane, arrival, request, known.as_ref());
        match read {
            Ok((id, empty_final, asking, work)) => {
                let tally = Tally { inputs: work.inputs(), ..tally };
                Ok(Self { id, empty_final, asking, work, tally })
            }
            Err(error) => {
                tally.fail();
                Err(error)
            }
        }
    }

    fn understand(
        plane: &Plane,
        arrival: &Arrival,
        mut request: ModelInferRequest,
        known: Option<&Known>,
    ) -> Result<(String, bool, Asking, Work), Error> {
        match known {
            Some(known) => known.check_version("model_version", &request.model_version)?,
            None if request.model_name.is_empty() => {}
            None => return Err(crate::router::models::unknown(&plane.registry.snapshot(), &request.model_name)),
        }
        let mut parameters = Parameters::new("parameters", std::mem::take(&mut request.parameters));
        let asking = arrival.asking(&request, parameters.timeout()?);
        let empty_final = parameters.empty_final()?;
        let work = Work::read(&mut request, &mut parameters, known)?;
        parameters.finish()?;
        Ok((request.id, empty_final, asking, work))
    }

    /// Its only answer.
    pub async fn answer(&self) -> Result<Answered, Status> {
        let answer = match &self.work {
            Work::Texts(texts) => texts.answer(&self.asking).await,
            Work::Rerank(rerank) => rerank.answer(&self.asking).await,
            Work::Generate(generate) => generate.answer(&self.asking).await,
        };
        match &answer {
            Ok(answered) => self.tally.succeed(answered),
            Err(_) => self.tally.fail(),
        }
        answer
    }

    /// The same in pieces, where it is to be written.
    pub fn split(self) -> Result<Writing, Box<Self>> {
        match self.work {
            Work::Generate(generate) => {
                let Self { id, empty_final, asking, tally, .. } = self;
                Ok(Writing { id, empty_final, asking, generate, tally })
            }
            work => Err(Box::new(Self { work, ..self })),
        }
    }
}

/// A request for text that is to come in pieces.
pub struct Writing {
    /// The caller's name for it.
    pub id: String,
    /// Its end is to be said by a response of its own.
    pub empty_final: bool,
    asking: Asking,
    generate: Box<Generate>,
    /// For its end.
    pub tally: Tally,
}

impl Writing {
    /// Begins.
    pub async fn pieces(&self) -> Result<Pieces, Status> {
        self.generate.stream(&self.asking).await
    }
}

impl Work {
    fn read(
        request: &mut ModelInferRequest,
        parameters: &mut Parameters,
        known: Option<&Known>,
    ) -> Result<Self, Error> {
        let mut inputs = Inputs::take(request)?;
        let requested = Requested::read(std::mem::take(&mut request.outputs))?;
        let (model, route) = (std::mem::take(&mut request.model_name), parameters.route()?);
        let common = Common { model, route, truncation: parameters.truncation()? };
        let mut names = inputs.names();
        names.sort_unstable();
        Ok(match names.as_slice() {
            [texts::TEXT] => Self::Texts(Texts::read(&mut inputs, requested, parameters, known, common)?),
            [rerank::DOCUMENTS, rerank::QUERY] => Self::Rerank(Rerank::read(&mut inputs, requested, common)?),
            [generate::PROMPT] | [generate::MESSAGES] => {
                Self::Generate(Generate::read(&mut inputs, requested, parameters, common)?.into())
            }
            other => {
                let expected = "`text`; or `query` and `documents`; or `prompt`; or `messages`";
                return Err(invalid("inputs", listed(other), expected));
            }
        })
    }

    /// Texts, documents or prompts in it.
    fn inputs(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Rerank(rerank) => rerank.len(),
            Self::Generate(_) => 1,
        }
    }
}
