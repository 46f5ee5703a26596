//! A request's body: as it comes off the wire, or made here where another protocol's request was translated.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;

use super::payloads::Tap;

/// The body of a call.
#[derive(Debug)]
pub enum Inbound {
    /// Arriving.
    Wire(Incoming),
    /// The same, and somebody hears it.
    Heard(Incoming, Tap),
    /// One message with its prefix, all there; none once it was taken.
    Whole(Option<Bytes>),
}

impl Inbound {
    /// What arrives from now on is heard by `tap`.
    pub fn heard(self, tap: Tap) -> Self {
        match self {
            Self::Wire(body) => Self::Heard(body, tap),
            other => other,
        }
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Wire(body) => Pin::new(body).poll_frame(cx),
            Self::Heard(body, tap) => Pin::new(body).poll_frame(cx).map_ok(|frame| {
                frame.data_ref().inspect(|data| tap.hear(data));
                frame
            }),
            Self::Whole(message) => Poll::Ready(message.take().map(|message| Ok(Frame::data(message)))),
        }
    }
}
