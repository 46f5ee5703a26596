//! Reading the best again: a reranker looks at more than is returned, and decides the order.

use super::super::{
    model::{Model, Stages},
    rerank,
    shell::{Arrival, Shell},
};
use crate::{
    error::Error,
    proto::v1::{self, QueryDocumentsRequest, QueryDocumentsResponse, ScoredDocument},
};

/// Documents that are read again, where no more are to be returned.
const DEPTH: u32 = 30;
/// Documents of a result where the request does not say how many.
const TOP_K: u32 = 10;

/// What the caller asked for before the request was widened.
pub struct Again {
    top_k: usize,
    without_text: bool,
}

impl Again {
    /// Has the store return more documents, with their texts.
    pub fn of(request: &mut QueryDocumentsRequest) -> Self {
        let top_k = if request.top_k == 0 { TOP_K } else { request.top_k };
        let asked = Self { top_k: top_k as usize, without_text: request.without_text };
        (request.top_k, request.without_text) = (top_k.max(DEPTH), false);
        asked
    }

    /// Orders what the store found as the reranker has it; texts that are too long for it are read to its limit.
    pub async fn order(
        &self,
        shell: &Shell,
        arrival: &Arrival,
        reranker: &Model,
        request: &QueryDocumentsRequest,
        answer: &mut QueryDocumentsResponse,
    ) -> Result<Stages, Error> {
        let mut spent = Stages::default();
        for (query, result) in request.queries.iter().zip(&mut answer.results) {
            let texts: Vec<String> = result.documents.iter().map(|found| text(found).to_string()).collect();
            if texts.is_empty() {
                continue;
            }
            let truncation = v1::Truncation::End as i32;
            let work = shell.work(arrival, request.route.as_ref(), truncation, texts.len() + 1)?;
            let (_, scores, output) = rerank::scored(reranker, query.text.clone(), texts, work).await?;
            spent = super::sum(spent, output.stages);
            self.apply(&mut result.documents, &scores);
        }
        Ok(spent)
    }

    fn apply(&self, documents: &mut Vec<ScoredDocument>, scores: &[f32]) {
        for (found, score) in documents.iter_mut().zip(scores) {
            (found.rerank, found.score) = (Some(f64::from(*score)), f64::from(*score));
        }
        documents.sort_by(|a, b| b.score.total_cmp(&a.score));
        documents.truncate(self.top_k);
        if self.without_text {
            documents.iter_mut().filter_map(|found| found.document.as_mut()).for_each(|document| document.text.clear());
        }
    }
}

fn text(found: &ScoredDocument) -> &str {
    found.document.as_ref().map_or("", |document| &document.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: &str, score: f64) -> ScoredDocument {
        let document = v1::Document { id: id.into(), text: "text".into(), ..Default::default() };
        ScoredDocument { document: Some(document), score, ..Default::default() }
    }

    #[test]
    fn more_is_looked_at_than_is_returned() {
        let mut request = QueryDocumentsRequest { without_text: true, ..Default::default() };
        let again = Again::of(&mut request);
        assert_eq!((request.top_k, request.without_text), (DEPTH, false));
        assert_eq!((again.top_k, again.without_text), (TOP_K as usize, true));
        let mut request = QueryDocumentsRequest { top_k: 70, ..Default::default() };
        assert_eq!((Again::of(&mut request).top_k, request.top_k), (70, 70));
    }

    #[test]
    fn the_reranker_decides_the_order() {
        let mut documents = vec![found("a", 0.9), found("b", 0.5), found("c", 0.1)];
        Again { top_k: 2, without_text: true }.apply(&mut documents, &[0.25, -1.0, 0.5]);
        let told: Vec<_> =
            documents.iter().map(|each| (each.document.clone().unwrap_or_default(), each.rerank)).collect();
        assert_eq!(told[0].0.id, "c");
        assert_eq!((told[1].0.id.as_str(), told[1].0.text.as_str(), told[1].1), ("a", "", Some(0.25)));
        assert_eq!(told.len(), 2);
    }
}
