//! `EmbedService`: vectors, one call or a stream of calls, and token counts.

use std::{pin::Pin, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::{
    cache::Row,
    config::Kind,
    model::Model,
    shell::{Arrival, SharedShell, Shell, invalid},
};
use crate::{
    error::Error,
    proto::v1::{self, Task, embed_service_server::EmbedService},
};

/// Calls of one stream that are worked on at once; more wait in the connection.
const STREAM_AHEAD: usize = 4;
const HASH_DIMENSIONS: std::ops::RangeInclusive<u32> = 8..=65_536;

/// The service of one worker.
#[derive(Clone)]
pub struct Embedder(pub SharedShell);

#[tonic::async_trait]
impl EmbedService for Embedder {
    async fn embed(&self, request: Request<v1::EmbedRequest>) -> Result<Response<v1::EmbedResponse>, Status> {
        let arrival = self.0.arrive(&request);
        Ok(Response::new(embed(&self.0, &arrival, request.into_inner()).await?))
    }

    type EmbedStreamStream = Pin<Box<dyn Stream<Item = Result<v1::EmbedStreamResponse, Status>> + Send>>;

    async fn embed_stream(
        &self,
        request: Request<Streaming<v1::EmbedStreamRequest>>,
    ) -> Result<Response<Self::EmbedStreamStream>, Status> {
        let (shell, arrival) = (self.0.clone(), Arc::new(self.0.arrive(&request)));
        let answers = request.into_inner().map(move |message| {
            let (shell, arrival) = (shell.clone(), arrival.clone());
            async move {
                let arrival = shell.arrive_within(&arrival);
                let request = message?.request.ok_or_else(|| invalid("request", "missing", "an EmbedRequest"))?;
                let response = embed(&shell, &arrival, request).await?;
                Ok(v1::EmbedStreamResponse { response: Some(response) })
            }
        });
        Ok(Response::new(Box::pin(answers.buffered(STREAM_AHEAD))))
    }

    async fn count_tokens(
        &self,
        request: Request<v1::CountTokensRequest>,
    ) -> Result<Response<v1::CountTokensResponse>, Status> {
        let arrival = self.0.arrive(&request);
        let request = request.into_inner();
        let model = self.0.model(&request.model, &arrival, Task::Embed)?;
        self.0.limits().check("texts", &request.texts)?;
        let _room = self.0.admit(request.texts.len())?;
        let tokens = model.count(request.texts, &arrival).await?;
        Ok(Response::new(v1::CountTokensResponse { served: self.0.served(&model.config.identity), tokens }))
    }
}

async fn embed(shell: &Shell, arrival: &Arrival, request: v1::EmbedRequest) -> Result<v1::EmbedResponse, Error> {
    let model = shell.model(&request.model, arrival, Task::Embed)?;
    shell.limits().check("texts", &request.texts)?;
    let dimensions = dimensions(shell, model, &request)?;
    let work = shell.work(arrival, request.route.as_ref(), request.truncation, request.texts.len())?;
    let output = model.rows("texts", &Arc::new(request.texts), dimensions, work).await?;
    Ok(v1::EmbedResponse {
        served: shell.served(&model.config.identity),
        timings: arrival.timings(output.stages),
        dimensions,
        vectors: pack(&output.rows, dimensions),
        usage: output.usage,
    })
}

fn dimensions(shell: &Shell, model: &Model, request: &v1::EmbedRequest) -> Result<u32, Error> {
    let own = model.config.dimensions;
    let asked = if request.dimensions == 0 { own } else { request.dimensions };
    if model.config.kind != Kind::Hash && asked != own {
        let expected = format!("{own} or 0: model {:?} makes no other vectors", model.name());
        return Err(invalid("dimensions", asked, expected));
    }
    if model.config.kind == Kind::Hash && !HASH_DIMENSIONS.contains(&asked) {
        return Err(invalid("dimensions", asked, "from 8 to 65536"));
    }
    let (bytes, limit) = (asked as usize * 4 * request.texts.len(), shell.limits().max_receive_bytes);
    if bytes > limit {
        let expected = format!("so small that {} vectors fit a reply of {limit} bytes", request.texts.len());
        return Err(invalid("dimensions", asked, expected));
    }
    Ok(asked)
}

/// Rows of float32, little-endian.
fn pack(rows: &[Row], dimensions: u32) -> Bytes {
    let mut bytes = BytesMut::with_capacity(rows.len() * dimensions as usize * 4);
    for value in rows.iter().flat_map(|row| row.iter()) {
        bytes.put_f32_le(*value);
    }
    bytes.freeze()
}
