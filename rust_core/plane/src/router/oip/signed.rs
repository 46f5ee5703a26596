//! What tonic says otherwise than the contract, or has no place for: trailers of replies that succeed, which the handler
//! leaves with the response, and the error for a message that is too large.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use tonic::{Code, Status, body::Body, server::NamedService};
use tower::Service;

use crate::error::Error;

/// What a response is to say at its end; left among its extensions.
#[derive(Clone, Debug)]
pub struct Said(pub HeaderMap);

/// A service whose replies are completed.
#[derive(Clone, Debug)]
pub struct Signed<S> {
    /// The service itself.
    pub service: S,
    /// Bytes of a message that it receives.
    pub limit: usize,
}

impl<S: NamedService> NamedService for Signed<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Signed<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (answered, limit) = (self.service.call(request), self.limit);
        Box::pin(async move { answered.await.map(|response| sign(response, limit)) })
    }
}

fn sign(mut response: Response<Body>, limit: usize) -> Response<Body> {
    if let Some(Said(said)) = response.extensions_mut().remove() {
        return response.map(|body| with_trailers(body, said));
    }
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() == Code::OutOfRange => mended(status, limit).into_http(),
        _ => response,
    }
}

fn with_trailers(body: Body, said: HeaderMap) -> Body {
    Body::new(body.map_frame(move |mut frame| {
        if let Some(trailers) = frame.trailers_mut() {
            trailers.extend(said.clone());
        }
        frame
    }))
}

/// tonic's word for a message beyond the limit, in the contract's.
pub fn mended(status: Status, limit: usize) -> Status {
    if status.code() != Code::OutOfRange {
        return status;
    }
    let actual = status.message().split_whitespace().find_map(|word| word.parse().ok()).unwrap_or(limit);
    Error::MessageTooLarge { limit, actual }.into()
}
