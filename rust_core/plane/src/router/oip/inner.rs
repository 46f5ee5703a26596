//! The native call that answers a request: made here, and run through the router's own pipeline, so that keys, limits,
//! budget, cache, routing and record are those of any other call.
//!
//! Dropping the future or the [`Replies`] cancels the call, as a caller who leaves would.

use std::{
    marker::PhantomData,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use prost::Message;
use tonic::{Code, Status, body::Body};

use crate::{
    deadline::Deadline,
    error::Error,
    headers,
    proto::inference::ModelInferRequest,
    router::{Plane, auth::Caller, call::Call, envelope, inbound::Inbound, mesh, methods, style},
};

/// Headers that are of the outer call alone.
const OUTER: [HeaderName; 3] =
    [header::CONTENT_TYPE, HeaderName::from_static("grpc-encoding"), HeaderName::from_static("grpc-accept-encoding")];
/// Begins the names of what the router says of an answer.
const OURS: &str = "waypost-";

/// A call of this service, or a stream of them, as it came in.
pub struct Arrival {
    plane: Arc<Plane>,
    caller: Result<Caller, Error>,
    headers: HeaderMap,
    /// By the caller's word.
    deadline: Option<Deadline>,
}

impl Arrival {
    /// With the metadata of the call.
    pub fn new<T>(plane: &Arc<Plane>, request: &tonic::Request<T>) -> Self {
        let caller = mesh::caller(request).cloned();
        let mut headers = request.metadata().as_ref().clone();
        let deadline = Deadline::asked(&headers, Instant::now());
        OUTER.iter().for_each(|name| drop(headers.remove(name)));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        Self { plane: plane.clone(), caller, headers, deadline }
    }

    /// Metadata of the caller.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A stream's requests have names of their own, and so its own name is nobody's.
    pub fn unnamed(mut self) -> Self {
        self.headers.remove(headers::REQUEST_ID);
        self
    }

    /// What the calls of one of its requests have in common.
    pub fn asking(&self, request: &ModelInferRequest, timeout: Option<Duration>) -> Asking {
        let now = Instant::now();
        let asked = self.deadline.unwrap_or(Deadline::after(now, self.plane.config.default_timeout));
        let deadline = timeout.map_or(asked, |timeout| asked.min(Deadline::after(now, timeout)));
        let mut headers = self.headers.clone();
        if !headers.contains_key(headers::REQUEST_ID)
            && let Some(id) = HeaderValue::from_str(&request.id).ok().filter(|id| !id.is_empty())
        {
            headers.insert(headers::REQUEST_ID, id);
        }
        Asking { plane: self.plane.clone(), caller: self.caller.clone(), headers, deadline }
    }
}

/// Makes calls on behalf of a request.
pub struct Asking {
    /// What all calls share.
    pub plane: Arc<Plane>,
    caller: Result<Caller, Error>,
    headers: HeaderMap,
    deadline: Deadline,
}

/// A reply, and what the router said of it.
#[derive(Debug)]
pub struct Answer<T> {
    /// The message.
    pub message: T,
    /// Trailers `waypost-…`.
    pub said: HeaderMap,
}

impl Asking {
    /// One request, one reply.
    pub async fn call<T: Message + Default>(&self, path: &str, request: &impl Message) -> Result<Answer<T>, Status> {
        let mut replies = self.replies(path, request).await?;
        let message = replies.next().await?.ok_or_else(|| garbled("without a message"))?;
        match replies.next().await? {
            None => Ok(Answer { message, said: replies.said }),
            Some(_) => Err(garbled("with a second message")),
        }
    }

    /// One request, a stream of replies.
    pub async fn replies<T: Message + Default>(
        &self,
        path: &str,
        request: &impl Message,
    ) -> Result<Replies<T>, Status> {
        let method = methods::find(path).ok_or_else(|| Error::NotImplemented { method: path.into() })?;
        let mut inner = Request::new(Inbound::Whole(Some(style::framed(request))));
        *inner.uri_mut() = http::Uri::from_static(method.path);
        *inner.headers_mut() = self.headers.clone();
        self.deadline.write(inner.headers_mut(), Instant::now());
        Replies::begin(Call::new(self.plane.clone(), method, self.caller.clone(), inner).serve().await)
    }
}

fn garbled(how: &str) -> Status {
    Error::ModelFailed { model: String::new(), why: format!("its reply came {how}") }.into()
}

/// Replies in passage.
pub struct Replies<T> {
    body: Body,
    rest: BytesMut,
    /// What the router said, once the last reply was taken.
    pub said: HeaderMap,
    _reply: PhantomData<fn() -> T>,
}

impl<T: Message + Default> Replies<T> {
    fn begin(response: Response<Body>) -> Result<Self, Status> {
        let (head, body) = response.into_parts();
        match Status::from_header_map(&head.headers) {
            Some(status) if status.code() != Code::Ok => Err(status),
            _ => Ok(Self { body, rest: BytesMut::new(), said: HeaderMap::new(), _reply: PhantomData }),
        }
    }

    /// The next, or none once all went well.
    pub async fn next(&mut self) -> Result<Option<T>, Status> {
        loop {
            if let Some(message) = self.buffered()? {
                return T::decode(message).map(Some).map_err(|error| garbled(&format!("garbled: {error}")));
            }
            match self.body.frame().await.transpose()?.map(http_body::Frame::into_data) {
                Some(Ok(data)) => self.rest.extend_from_slice(&data),
                Some(Err(trailers)) => return self.end(trailers.into_trailers().unwrap_or_default()),
                None => return Ok(None),
            }
        }
    }

    fn buffered(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(length) = envelope::frame_length(&self.rest, usize::MAX)? else { return Ok(None) };
        if self.rest.len() < length {
            return Ok(None);
        }
        let mut frame = self.rest.split_to(length).freeze();
        frame.advance(envelope::PREFIX);
        Ok(Some(frame))
    }

    fn end(&mut self, trailers: HeaderMap) -> Result<Option<T>, Status> {
        match Status::from_header_map(&trailers) {
            Some(status) if status.code() != Code::Ok => Err(status),
            _ => {
                self.said = said(&trailers);
                Ok(None)
            }
        }
    }
}

/// What of these the router says.
pub fn said(trailers: &HeaderMap) -> HeaderMap {
    let ours = trailers.iter().filter(|(name, _)| name.as_str().starts_with(OURS));
    ours.map(|(name, value)| (name.clone(), value.clone())).collect()
}
