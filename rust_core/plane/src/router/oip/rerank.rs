//! A query and documents in, their scores and their order out.

use tonic::Status;

use super::{
    Common,
    answered::Answered,
    inner::{Answer, Asking},
    outputs::Requested,
    tensor::{Inputs, Tensor},
};
use crate::{
    error::Error,
    proto::v1::{RankedDocument, RerankRequest, RerankResponse},
};

/// The inputs.
pub const QUERY: &str = "query";
/// The inputs.
pub const DOCUMENTS: &str = "documents";
/// Scores in the order of the documents.
pub const SCORE: &str = "score";
/// Positions of the documents, best first.
pub const RANKING: &str = "ranking";

const RERANK: &str = "/waypost.v1.RerankService/Rerank";

/// What is to be put in order.
#[derive(Debug)]
pub struct Rerank {
    request: RerankRequest,
    outputs: Vec<&'static str>,
}

impl Rerank {
    /// Reads it off a request.
    pub fn read(inputs: &mut Inputs, requested: Requested, common: Common) -> Result<Self, Error> {
        let request = RerankRequest {
            model: common.model,
            route: Some(common.route),
            query: inputs.one(QUERY)?,
            documents: inputs.list(DOCUMENTS)?,
            truncation: common.truncation.into(),
            top_k: 0,
        };
        Ok(Self { request, outputs: requested.among(&[SCORE, RANKING])? })
    }

    /// Documents in it.
    pub fn len(&self) -> usize {
        self.request.documents.len()
    }

    /// Asks for the order.
    pub async fn answer(&self, asking: &Asking) -> Result<Answered, Status> {
        let mut answer: Answer<RerankResponse> = asking.call(RERANK, &self.request).await?;
        let RerankResponse { served, timings, ranking, .. } = std::mem::take(&mut answer.message);
        let tensors = self.outputs.iter().map(|output| self.tensor(output, &ranking)).collect();
        Ok(Answered::new(&answer, served, timings, tensors))
    }

    fn tensor(&self, output: &str, ranking: &[RankedDocument]) -> Tensor {
        if output == RANKING {
            return Tensor::positions(RANKING, &ranking.iter().map(|ranked| ranked.index).collect::<Vec<_>>());
        }
        let mut scores = vec![0.0; self.len()];
        for ranked in ranking {
            if let Some(score) = scores.get_mut(ranked.index as usize) {
                *score = ranked.score;
            }
        }
        Tensor::scores(SCORE, &[scores.len()], &scores)
    }
}
