//! Turns away who is not served, before anything of the call is read.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use futures::future::{Either, Ready, ready};
use http::{Request, Response};
use hyper::body::Incoming;
use tonic::{Status, body::Body};
use tower::Service;

use crate::{error::Error, peer::Peer, server::App};

/// An app behind a gate, for one connection.
#[derive(Clone)]
pub struct Gate<A> {
    app: A,
    stranger: Option<Error>,
}

impl<A> Gate<A> {
    /// Lets the calls of `peer` through to `app`, if it is served.
    pub fn new(app: A, peer: Peer) -> Self {
        Self { app, stranger: peer.admission.err().map(|why| Error::Stranger { why }) }
    }
}

impl<A: App> Service<Request<Incoming>> for Gate<A> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<A::Future, Ready<Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.app.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        match &self.stranger {
            None => Either::Left(self.app.call(request)),
            Some(error) => Either::Right(ready(Ok(Status::from(error.clone()).into_http()))),
        }
    }
}
