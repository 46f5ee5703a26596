//! The door: inference calls are forwarded as bytes, all else is answered here.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use tonic::{body::Body, service::Routes};
use tower::Service;

use super::{Plane, call::Call, inbound::Inbound, methods};

/// One for all connections.
#[derive(Clone)]
pub struct RouterService {
    plane: Arc<Plane>,
    /// Shared, because a clone is made for every call and few calls need them.
    routes: Arc<Routes>,
}

impl RouterService {
    /// Forwards by `plane`; `routes` answer the rest.
    pub fn new(plane: Arc<Plane>, routes: Routes) -> Self {
        Self { plane, routes: Arc::new(routes) }
    }
}

impl Service<Request<Incoming>> for RouterService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        match methods::find(request.uri().path()) {
            Some(method) => {
                let call = Call::new(self.plane.clone(), method, request.map(Inbound::Wire));
                Box::pin(async move { Ok(call.serve().await) })
            }
            None => Box::pin(Routes::clone(&self.routes).call(request)),
        }
    }
}
