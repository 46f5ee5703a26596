//! How good a whole answer is: by rules, and where it is wanted by a model that compares it with its prompt.

use std::time::Duration;

use prost::Message;
use waypost_text::answer::{self, Quality, Rules, RulesSpec, Subject};

use super::{
    Plane, ask,
    config::{self, Relevance},
    envelope::Prompt,
};
use crate::proto::v1::{
    EmbedRequest, EmbedResponse, FinishReason, GenerateResponse, RerankRequest, RerankResponse, RouteHints, Truncation,
};

/// A model that compares may take so long; an answer that cannot be compared in time is judged without.
const PATIENCE: Duration = Duration::from_secs(5);

/// Judges answers.
pub struct Judge {
    rules: Rules,
    floor: f64,
    relevance: Relevance,
    model: String,
}

impl Judge {
    /// As configured; none where answers are not judged.
    ///
    /// # Errors
    ///
    /// A rule is no regular expression.
    pub fn new(config: &config::Quality) -> Result<Option<Self>, answer::RulesError> {
        if !config.enabled {
            return Ok(None);
        }
        let rules = Rules::new(RulesSpec {
            refusals: config.refusals,
            repetition: config.repetition,
            forbid: config.brand.forbid.clone(),
            require: config.brand.require.clone(),
            max_chars: config.brand.max_chars,
            relevant: config.relevance.to_the_point(),
            ..RulesSpec::default()
        })?;
        Ok(Some(Self { rules, floor: config.floor, relevance: config.relevance, model: config.model.clone() }))
    }

    /// Below this the next tier is asked.
    pub fn floor(&self) -> f64 {
        self.floor
    }

    /// Judges the reply `message` to `prompt`; none where it is nobody's answer.
    pub async fn weigh(&self, plane: &Plane, prompt: &Prompt, message: &[u8]) -> Option<Quality> {
        let reply = GenerateResponse::decode(message).ok().filter(|reply| !reply.from_template)?;
        let relevance = self.relevance(plane, prompt, &reply.text).await;
        Some(self.rules.judge(&Subject {
            prompt: prompt.text(),
            answer: &reply.text,
            schema: Some(prompt.schema.as_str()).filter(|schema| !schema.is_empty()),
            relevance,
            cut_off: reply.finish_reason() == FinishReason::Length,
            has_tool_calls: !reply.tool_calls.is_empty(),
        }))
    }

    async fn relevance(&self, plane: &Plane, prompt: &Prompt, answer: &str) -> Option<f32> {
        match self.relevance {
            Relevance::Off => None,
            Relevance::Hash => Some(answer::relevance(prompt.text(), answer)),
            Relevance::Embed => self.by_vectors(plane, prompt, answer).await,
            Relevance::Rerank => self.by_reranker(plane, prompt, answer).await,
        }
    }

    async fn by_vectors(&self, plane: &Plane, prompt: &Prompt, answer: &str) -> Option<f32> {
        let request = EmbedRequest {
            model: self.model.clone(),
            route: hints(prompt),
            texts: vec![prompt.text().into(), answer.into()],
            truncation: Truncation::End.into(),
            ..EmbedRequest::default()
        };
        let reply: EmbedResponse = ask::model(plane, "/waypost.v1.EmbedService/Embed", &request, PATIENCE).await?;
        let (a, b) = reply.vectors.split_at_checked(4 * reply.dimensions as usize)?;
        Some(dot(a, b).clamp(0.0, 1.0))
    }

    async fn by_reranker(&self, plane: &Plane, prompt: &Prompt, answer: &str) -> Option<f32> {
        let request = RerankRequest {
            model: self.model.clone(),
            route: hints(prompt),
            query: prompt.text().into(),
            documents: vec![answer.into()],
            truncation: Truncation::End.into(),
            ..RerankRequest::default()
        };
        let reply: RerankResponse = ask::model(plane, "/waypost.v1.RerankService/Rerank", &request, PATIENCE).await?;
        reply.ranking.first().map(|ranked| ranked.score.clamp(0.0, 1.0))
    }
}

/// What the caller does not want kept, the model that compares does not keep either.
fn hints(prompt: &Prompt) -> Option<RouteHints> {
    prompt.no_store.then(|| RouteHints { no_store: true, ..RouteHints::default() })
}

/// Cosine of two unit vectors, little-endian float32 each.
pub fn dot(a: &[u8], b: &[u8]) -> f32 {
    let pairs = a.as_chunks().0.iter().zip(b.as_chunks().0);
    pairs.map(|(x, y)| f32::from_le_bytes(*x) * f32::from_le_bytes(*y)).sum()
}
