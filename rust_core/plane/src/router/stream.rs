//! Replies that go on: frames pass as they come, at the pace of whoever reads them.
//!
//! Nothing is buffered here beyond the frame in hand: a client that stops reading stops the worker through HTTP/2's
//! own windows, and the other way round.  Once the first byte is through, nothing is tried again.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::SendStream;
use http::{HeaderMap, Response};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use tokio::time::Sleep;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status, body::Body};
use waypost_decide::stats::Verdict;

use super::{
    call::Call,
    inbound::Inbound,
    link::ReplyBody,
    money::{Meter, Told},
    outcome,
    reply::{self, code_of},
};
use crate::error::Error;

/// A reply that has begun.
pub struct Streamed {
    /// Headers, and what follows them.
    pub response: Response<ReplyBody>,
    /// What was read of it already.
    pub first: Option<Frame<Bytes>>,
    /// The other direction, where the client streams too.
    pub pump: Option<Pump>,
}

/// Carries the client's further messages to the worker; dropping it ends that.
///
/// A task of its own because the two directions must not wait for each other: a client may send all it has before it
/// reads anything.
pub struct Pump(#[allow(dead_code)] AbortOnDropHandle<()>);

impl Pump {
    /// Begins to carry `rest` to `stream`.
    pub fn start(rest: Inbound, stream: SendStream<Bytes>) -> Self {
        Self(AbortOnDropHandle::new(tokio::spawn(async move {
            // The worker's reply tells of any failure; there is nobody else to tell.
            let _ = carry(rest, stream).await;
        })))
    }
}

async fn carry(mut rest: Inbound, mut stream: SendStream<Bytes>) -> Result<(), h2::Error> {
    while let Some(frame) = rest.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => carry_data(data, &mut stream).await?,
            Ok(Err(_)) => break,
            Err(_) => {
                stream.send_reset(h2::Reason::CANCEL);
                return Ok(());
            }
        }
    }
    stream.send_data(Bytes::new(), true)
}

/// Sends no more than the worker has room for.
async fn carry_data(mut data: Bytes, stream: &mut SendStream<Bytes>) -> Result<(), h2::Error> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let Some(room) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await.transpose()? else { break };
        let part = data.split_to(room.min(data.len()));
        stream.send_data(part, false)?;
    }
    Ok(())
}

/// The response that goes on.
pub fn pass_on(call: Call, streamed: Streamed) -> Response<Body> {
    let deadline = Box::pin(call.deadline.sleep());
    let Streamed { response, first, pump } = streamed;
    let (head, body) = response.into_parts();
    let meter = meter(&call);
    let passage = Passage { call, first, body, deadline, _pump: pump, meter, told: Told::default(), ended: false };
    Response::from_parts(head, Body::new(passage))
}

/// Only what costs money, or tells its tokens at its end, is looked into.
fn meter(call: &Call) -> Option<Meter> {
    let priced = call.delivery.as_ref().is_some_and(|delivery| delivery.spending.is_some());
    (priced || call.method.writes()).then(Meter::default)
}

/// The body of a reply in passage, with all that the call holds.
struct Passage {
    call: Call,
    first: Option<Frame<Bytes>>,
    body: ReplyBody,
    deadline: Pin<Box<Sleep>>,
    _pump: Option<Pump>,
    meter: Option<Meter>,
    told: Told,
    ended: bool,
}

impl Passage {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(self.fail(Verdict::TimedOut, Error::Deadline { stage: "stream" })));
        }
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(self.pass(first)));
        }
        Poll::Ready(match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => Some(self.pass(frame)),
            Some(Err(_)) | None => Some(self.lose()),
        })
    }

    fn pass(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        if let Some(delivery) = &mut self.call.delivery {
            delivery.attempt.heard();
        }
        if let (Some(capture), Some(data)) = (&mut self.call.capture, frame.data_ref()) {
            capture.hear(data);
        }
        if let (Some(meter), Some(data)) = (&mut self.meter, frame.data_ref()) {
            self.told = meter.pass(data).unwrap_or(self.told);
        }
        match frame.into_trailers() {
            Ok(trailers) => self.finish(trailers),
            Err(data) => data,
        }
    }

    fn finish(&mut self, mut trailers: HeaderMap) -> Frame<Bytes> {
        let code = code_of(&trailers);
        if code != Code::Ok && outcome::is_unbilled(&trailers) {
            self.told.tokens.get_or_insert_default();
        }
        self.end(code, outcome::verdict(code));
        let message = reply::message_of(&trailers);
        self.call.sign(&mut trailers, code, message);
        Frame::trailers(trailers)
    }

    fn end(&mut self, code: Code, verdict: Verdict) {
        self.ended = true;
        if let (Some(traced), Some(meter)) = (self.call.record().traced(), &self.meter) {
            traced.finish = meter.finish;
        }
        if let Some(delivery) = self.call.delivery.take() {
            self.call.end(delivery, code, verdict, self.told);
        }
    }

    /// Says itself how it ended, in place of the worker.
    fn fail(&mut self, verdict: Verdict, error: Error) -> Frame<Bytes> {
        let status = Status::from(error);
        self.call.note_refusal(&status);
        self.end(status.code(), verdict);
        let (code, message) = (status.code(), status.message().to_string());
        let mut trailers = status.into_http::<()>().into_parts().0.headers;
        trailers.remove(http::header::CONTENT_TYPE);
        self.call.sign(&mut trailers, code, Some(message));
        Frame::trailers(trailers)
    }

    fn lose(&mut self) -> Frame<Bytes> {
        let instance = self.call.signature.replica.as_ref().map(|replica| replica.served.instance.to_string());
        self.fail(Verdict::Failed, Error::InstanceLost { instance: instance.unwrap_or_default() })
    }
}

impl http_body::Body for Passage {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.ended {
            true => Poll::Ready(None),
            false => self.poll_next(cx).map(|frame| frame.map(Ok)),
        }
    }
}
