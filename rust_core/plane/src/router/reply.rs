//! A whole reply, kept as it came, and what the router adds to it.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header, response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tonic::{Code, Status};

use super::{envelope::PREFIX, link::ReplyBody};

const STATUS: &str = "grpc-status";
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// A reply whose last byte has arrived.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status line and headers.
    pub head: response::Parts,
    frames: Vec<Bytes>,
    trailers: Option<HeaderMap>,
}

/// Why there is no whole reply.
#[derive(Debug)]
pub enum Broken {
    /// The request did not leave: nobody has seen it.
    Unsent,
    /// The connection or the stream broke; whether the work was done is not known.
    Lost,
    /// More bytes than the limit.
    TooLarge(usize),
}

impl From<h2::Error> for Broken {
    /// A stream the peer refused, or left out when it said goodbye, was not looked at.
    fn from(error: h2::Error) -> Self {
        let unseen = match error.reason() {
            Some(h2::Reason::REFUSED_STREAM) => true,
            Some(h2::Reason::NO_ERROR) => error.is_go_away() && error.is_remote(),
            _ => false,
        };
        if unseen { Self::Unsent } else { Self::Lost }
    }
}

impl Reply {
    /// Waits for all of it.
    pub async fn collect(response: Response<ReplyBody>, limit: usize) -> Result<Self, Broken> {
        let (head, mut body) = response.into_parts();
        let mut reply = Self { head, frames: Vec::new(), trailers: None };
        let mut size = 0;
        while let Some(frame) = body.frame().await {
            match frame?.into_data() {
                Ok(data) => {
                    size += data.len();
                    reply.keep(data);
                }
                Err(rest) => reply.trailers = rest.into_trailers().ok(),
            }
            if size > limit {
                return Err(Broken::TooLarge(size));
            }
        }
        reply.meta().contains_key(STATUS).then_some(reply).ok_or(Broken::Lost)
    }

    /// One that was kept.
    pub fn whole(head: response::Parts, frames: Vec<Bytes>, trailers: Option<HeaderMap>) -> Self {
        Self { head, frames, trailers }
    }

    /// A reply without a message.
    pub fn ended(head: response::Parts, trailers: HeaderMap) -> Self {
        Self { head, frames: Vec::new(), trailers: Some(trailers) }
    }

    /// One of the router's own, that went well: of these messages, each with its prefix.
    pub fn made(frames: Vec<Bytes>) -> Self {
        let mut head = Response::new(()).into_parts().0;
        head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        let trailers = HeaderMap::from_iter([(HeaderName::from_static(STATUS), HeaderValue::from_static("0"))]);
        Self { head, frames, trailers: Some(trailers) }
    }

    /// Its only message, without the prefix; copied together where it came in several frames.
    pub fn message(&self) -> Option<Bytes> {
        let whole = match self.frames.as_slice() {
            [] => return None,
            [only] => only.clone(),
            several => several.concat().into(),
        };
        (whole.len() >= PREFIX).then(|| whole.slice(PREFIX..))
    }

    /// As it came, with the prefix.
    pub fn frames(&self) -> &[Bytes] {
        &self.frames
    }

    /// What followed its message, unless all it has is headers.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// Bytes that keeping it takes.
    pub fn size(&self) -> usize {
        self.frames.iter().map(Bytes::len).sum()
    }

    /// The empty frame that ends a stream says nothing.
    fn keep(&mut self, data: Bytes) {
        if !data.is_empty() {
            self.frames.push(data);
        }
    }

    /// Where its status is: in the trailers, or in the headers where there is nothing else.
    pub fn meta(&self) -> &HeaderMap {
        self.trailers.as_ref().unwrap_or(&self.head.headers)
    }

    /// The same to add to.
    pub fn meta_mut(&mut self) -> &mut HeaderMap {
        self.trailers.as_mut().unwrap_or(&mut self.head.headers)
    }

    /// Its status code.
    pub fn code(&self) -> Code {
        code_of(self.meta())
    }

    /// Its status message.
    pub fn status_message(&self) -> Option<String> {
        message_of(self.meta())
    }

    /// The peer's word on retries: after so many milliseconds, or (none inside) not at all.
    pub fn pushback(&self) -> Option<Option<u64>> {
        self.meta().get(PUSHBACK).map(|value| value.to_str().ok().and_then(|text| text.parse().ok()))
    }

    /// For the client.
    pub fn into_response(self) -> Response<tonic::body::Body> {
        let Self { head, frames, trailers } = self;
        let body = match (frames.is_empty(), &trailers) {
            (true, None) => tonic::body::Body::empty(),
            _ => tonic::body::Body::new(Kept { frames: frames.into_iter(), trailers }),
        };
        Response::from_parts(head, body)
    }
}

/// The status code in headers or trailers.
pub fn code_of(meta: &HeaderMap) -> Code {
    meta.get(STATUS).map_or(Code::Unknown, |value| Code::from_bytes(value.as_bytes()))
}

/// The status message in headers or trailers, where there is one.
pub fn message_of(meta: &HeaderMap) -> Option<String> {
    Status::from_header_map(meta).map(|status| status.message().to_string()).filter(|message| !message.is_empty())
}

/// Whether headers are all there is to a reply.
pub fn is_status_only(headers: &HeaderMap) -> bool {
    headers.contains_key(STATUS)
}

/// Frames that have arrived.
struct Kept {
    frames: std::vec::IntoIter<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Body for Kept {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.frames.next().map(Frame::data);
        Poll::Ready(data.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.len() == 0 && self.trailers.is_none()
    }
}
