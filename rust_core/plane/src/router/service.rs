//! The door: who may not come in is told so here; inference calls are forwarded as bytes, all else is answered here.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use tonic::{Status, body::Body, service::Routes};
use tower::Service;

use super::{Plane, auth::Caller, call::Call, inbound::Inbound, methods};
use crate::{error::Error, peer::Peer};

/// One for each connection.
#[derive(Clone)]
pub struct RouterService {
    plane: Arc<Plane>,
    /// Shared, because a clone is made for every call and few calls need them.
    routes: Arc<Routes>,
    peer: Arc<Peer>,
}

impl RouterService {
    /// Forwards what `peer` asks for by `plane`; `routes` answer the rest.
    pub fn new(plane: Arc<Plane>, routes: Arc<Routes>, peer: Peer) -> Self {
        Self { plane, routes, peer: Arc::new(peer) }
    }
}

impl RouterService {
    /// What is not forwarded.
    fn answer(&self, caller: Result<Caller, Error>, mut request: Request<Incoming>) -> Answer {
        let watch = self.plane.metrics.grpc.watch(request.uri().path());
        match caller {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                let answer = Routes::clone(&self.routes).call(request);
                Box::pin(async move { Ok(watch.over(answer.await?)) })
            }
            Err(error) => Box::pin(async move { Ok(watch.over(Status::from(error).into_http())) }),
        }
    }
}

type Answer = BoxFuture<'static, Result<Response<Body>, Infallible>>;

impl Service<Request<Incoming>> for RouterService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let path = request.uri().path();
        let caller = self.plane.admit(&self.peer, request.headers(), path);
        match (methods::find(path), caller) {
            (Some(method), caller) => {
                self.plane.metrics.grpc.started(method.into());
                let call = Call::new(self.plane.clone(), method, caller, request.map(Inbound::Wire));
                let call = call.through_the_door();
                Box::pin(async move { Ok(call.serve().await) })
            }
            (None, caller) => self.answer(caller, request),
        }
    }
}
