//! Follows each call of the contract from its headers to the last byte of its answer.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::future::{BoxFuture, Either};
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tonic::{Code, Status, body::Body};
use tower::Service;

use super::{Watch, trail::Trail};
use crate::{deadline::Deadline, router::methods, server::App};

const STATUS: &str = "grpc-status";
/// A caller's clock began to run before ours: by as much as its request was under way.
const AHEAD: Duration = Duration::from_millis(10);

/// An app whose calls are watched; what it serves beside the contract's calls is not.
#[derive(Clone)]
pub struct Door<A> {
    app: A,
    watch: Arc<Watch>,
}

impl<A> Door<A> {
    /// Before `app`.
    pub fn new(app: A, watch: Arc<Watch>) -> Self {
        Self { app, watch }
    }
}

impl<A: App> Service<Request<Incoming>> for Door<A> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<A::Future, BoxFuture<'static, Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.app.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let method = methods::find(request.uri().path()).filter(|_| self.watch.is_on());
        let Some(method) = method else { return Either::Left(self.app.call(request)) };
        let trail = Arc::new(self.watch.follow(method, request.headers()));
        let deadline = Deadline::asked(request.headers(), trail.started);
        let mut end = End { watch: self.watch.clone(), trail: trail.clone(), deadline, code: None };
        request.extensions_mut().insert(trail);
        let answer = self.app.call(request);
        Either::Right(Box::pin(async move {
            let response = answer.await?;
            end.hear(response.headers());
            Ok(response.map(|body| Body::new(Watched { body, end })))
        }))
    }
}

/// Tells of a call when it is dropped, be that because it was answered or because nobody waits any more.
struct End {
    watch: Arc<Watch>,
    trail: Arc<Trail>,
    deadline: Option<Deadline>,
    code: Option<Code>,
}

impl End {
    /// Headers or trailers of the answer, which may say how it ended.
    fn hear(&mut self, headers: &HeaderMap) {
        self.code = headers.get(STATUS).map(|code| Code::from_bytes(code.as_bytes())).or(self.code);
    }
}

impl Drop for End {
    /// A caller whose time is over may be gone before it is told so.
    fn drop(&mut self) {
        let now = Instant::now();
        let late = self.deadline.is_some_and(|deadline| deadline.sooner(AHEAD).passed(now));
        let left = if late { Code::DeadlineExceeded } else { Code::Cancelled };
        self.watch.ended(&self.trail, Some(self.code.unwrap_or(left)), now);
    }
}

/// An answer; fields drop in this order, so that whatever made it has let go of the trail before that is told.
struct Watched {
    body: Body,
    end: End,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(trailers) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.trailers_ref()) {
            self.end.hear(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// One message of a stream, watched like a call.
pub struct Part {
    watch: Arc<Watch>,
    /// Its own.
    pub trail: Arc<Trail>,
}

impl Part {
    /// Of the stream that `whole` is of.
    pub fn of(whole: &Arc<Trail>, watch: &Arc<Watch>, now: Instant) -> Self {
        Self { watch: watch.clone(), trail: Arc::new(whole.part(now)) }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.watch.ended(&self.trail, None, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    /// The code that a call counts with whose caller leaves when it has so much time left.
    fn left_with(left: Duration) -> String {
        let watch = Arc::new(Watch::start("w-0", &Telemetry::default()).expect("starts"));
        let method = methods::find("/waypost.v1.EmbedService/Embed").expect("is in the table");
        let trail = Arc::new(watch.follow(method, &HeaderMap::new()));
        let deadline = Some(Deadline::after(Instant::now(), left));
        drop(End { watch: watch.clone(), trail, deadline, code: None });
        let families = watch.families(Instant::now());
        let calls = families.iter().find(|family| family.name == "waypost_worker_calls").expect("is counted");
        calls.series[0].values[3].clone()
    }

    #[test]
    fn who_leaves_when_its_time_is_over_was_not_answered_in_time() {
        assert_eq!(left_with(Duration::ZERO), "DEADLINE_EXCEEDED");
        assert_eq!(left_with(AHEAD / 2), "DEADLINE_EXCEEDED");
        assert_eq!(left_with(Duration::from_secs(9)), "CANCELLED");
    }
}
