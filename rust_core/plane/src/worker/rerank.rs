//! `RerankService`: a cross-encoder where one is installed, else cosine fused with BM25.
//!
//! The fusion (z-scores, 0.7 cosine + 0.3 BM25) was the best of the methods without a cross-encoder on the collections
//! measured: bench/README.md.

use std::{sync::Arc, time::Instant};

use tonic::{Request, Response, Status};
use waypost_text::{bm25, fuse::fuse};

use super::{
    cache::Row,
    config::Kind,
    model::{Model, Output, Work},
    off_reactor,
    shell::{Arrival, SharedShell, Shell},
    watch::trail::Mark,
};
use crate::{
    error::Error,
    proto::v1::{self, Task, rerank_service_server::RerankService},
};

/// The service of one worker.
#[derive(Clone)]
pub struct Reranker(pub SharedShell);

#[tonic::async_trait]
impl RerankService for Reranker {
    async fn rerank(&self, request: Request<v1::RerankRequest>) -> Result<Response<v1::RerankResponse>, Status> {
        let arrival = self.0.arrive(&request);
        Ok(Response::new(rerank(&self.0, &arrival, request.into_inner()).await?))
    }
}

async fn rerank(shell: &Shell, arrival: &Arrival, request: v1::RerankRequest) -> Result<v1::RerankResponse, Error> {
    let model = shell.model(&request.model, arrival, Task::Rerank)?;
    shell.limits().check("documents", &request.documents)?;
    shell.limits().check_size(|| "query".into(), &request.query)?;
    let work = shell.work(arrival, request.route.as_ref(), request.truncation, request.documents.len() + 1)?;
    let (method, scores, output) = scored(model, request.query, request.documents, work).await?;
    Ok(v1::RerankResponse {
        served: shell.served(&model.config.identity),
        timings: arrival.timings(output.stages),
        method: method.into(),
        ranking: ranking(&scores, request.top_k),
        usage: output.usage,
    })
}

/// How the scores were made, the scores, and what it took.
type Scored = (&'static str, Vec<f32>, Output);

/// A score for each document.
pub async fn scored(model: &Model, query: String, documents: Vec<String>, work: Work) -> Result<Scored, Error> {
    let documents = Arc::new(documents);
    match model.config.kind {
        Kind::CrossEncoder => by_cross_encoder(model, query, &documents, work).await,
        _ => by_fusion(model, query, documents, work).await,
    }
}

async fn by_cross_encoder(
    model: &Model,
    query: String,
    documents: &Arc<Vec<String>>,
    work: Work,
) -> Result<Scored, Error> {
    let output = model.pair_rows(query, documents, work).await?;
    Ok(("cross-encoder", output.rows.iter().map(|row| row[0]).collect(), output))
}

/// The query is embedded as the last text of the documents' own call.
async fn by_fusion(model: &Model, query: String, documents: Arc<Vec<String>>, work: Work) -> Result<Scored, Error> {
    let (deadline, trail) = (work.deadline, work.trail.clone());
    let mut texts = Arc::unwrap_or_clone(documents);
    texts.push(query);
    let texts = Arc::new(texts);
    let mut output = model.rows("documents", &texts, model.config.dimensions, work).await?;
    output.usage.pop();
    trail.mark(Mark::Begun, Instant::now());
    let (frequencies, rows) = (model.frequencies.clone(), output.rows.clone());
    let bytes = texts.iter().map(String::len).sum();
    let score = move || {
        let (documents, query) = texts.split_at(texts.len() - 1);
        fuse(&cosines(&rows), &bm25::scores(&query[0], documents, frequencies.as_deref()))
    };
    let scores = deadline.run("inference", off_reactor(bytes, score)).await?;
    trail.mark_last(Mark::Done, Instant::now());
    Ok(("cosine+bm25", scores, output))
}

/// Of the last row with each before it; rows have unit length.
fn cosines(rows: &[Row]) -> Vec<f32> {
    let Some((query, documents)) = rows.split_last() else { return Vec::new() };
    documents.iter().map(|row| row.iter().zip(query.iter()).map(|(a, b)| a * b).sum()).collect()
}

fn ranking(scores: &[f32], top_k: u32) -> Vec<v1::RankedDocument> {
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    order.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
    if top_k > 0 {
        order.truncate(top_k as usize);
    }
    order.into_iter().map(|index| v1::RankedDocument { index, score: scores[index as usize] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_document_comes_first_and_equals_keep_their_order() {
        let order: Vec<u32> = ranking(&[0.1, 0.9, 0.1, 0.5], 3).iter().map(|r| r.index).collect();
        assert_eq!(order, [1, 3, 0]);
    }
}
