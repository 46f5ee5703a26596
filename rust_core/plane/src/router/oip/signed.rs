//! Trailers on replies that succeed, which tonic has no place for: the handler leaves them with the response, and they
//! are written when the status is.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use tonic::{body::Body, server::NamedService};
use tower::Service;

/// What a response is to say at its end; left among its extensions.
#[derive(Clone, Debug)]
pub struct Said(pub HeaderMap);

/// A service whose trailers are completed.
#[derive(Clone, Debug)]
pub struct Signed<S>(pub S);

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
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answered = self.0.call(request);
        Box::pin(async move { answered.await.map(sign) })
    }
}

fn sign(mut response: Response<Body>) -> Response<Body> {
    match response.extensions_mut().remove::<Said>() {
        None => response,
        Some(Said(said)) => response.map(|body| {
            Body::new(body.map_frame(move |mut frame| {
                if let Some(trailers) = frame.trailers_mut() {
                    trailers.extend(said.clone());
                }
                frame
            }))
        }),
    }
}
