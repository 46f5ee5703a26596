//! One HTTP/2 connection to a worker, and a call on it.
//!
//! h2 is used directly.  hyper's client puts a task, a channel and a oneshot between caller and connection for every
//! request, tonic's channel a buffer on top; here the caller writes into the connection's own send queue and is woken
//! by it, and dropping a call resets its stream.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{
    HeaderMap, Method, Request, Response, Uri, Version,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::{Body, Frame};

use crate::{address::Address, proto::v1::mesh_service_client::MeshServiceClient};

/// A connection that calls can be opened on; clones share it.
#[derive(Clone)]
pub struct Link {
    sender: SendRequest<Bytes>,
    authority: Authority,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.authority)
    }
}

impl Link {
    /// Calls go out by `sender` to the host of `address`.
    pub fn new(sender: SendRequest<Bytes>, address: &Address) -> Self {
        let authority = match address {
            Address::Tcp(host) => Authority::try_from(host.as_str()).ok(),
            Address::Unix(_) => None,
        };
        Self { sender, authority: authority.unwrap_or(Authority::from_static("localhost")) }
    }

    /// Opens a call; its body follows on the stream.
    pub fn open(
        &mut self,
        path: PathAndQuery,
        headers: HeaderMap,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.uri(path);
        *request.headers_mut() = headers;
        self.sender.send_request(request, false)
    }

    fn uri(&self, path: PathAndQuery) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).unwrap_or_default()
    }
}

/// The reply's body, read at the pace of whoever reads this.
#[derive(Debug)]
pub struct ReplyBody(pub RecvStream);

impl ReplyBody {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let data = ready!(self.0.poll_data(cx));
        if let Some(Ok(bytes)) = &data {
            // Fails only where the stream is gone already, and then there is nothing to release.
            let _ = self.0.flow_control().release_capacity(bytes.len());
        }
        Poll::Ready(data)
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        match ready!(self.poll_data(cx)) {
            Some(data) => Poll::Ready(Some(data.map(Frame::data))),
            None => self.0.poll_trailers(cx).map(|trailers| trailers.transpose().map(|t| t.map(Frame::trailers))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}

/// The router's own calls to a worker, by the generated clients over the same connection.
#[derive(Clone, Debug)]
pub struct Control(pub Link);

/// What the generated clients want to know: nobody looks at it.
pub fn origin() -> Uri {
    Uri::from_static("http://localhost")
}

/// Calls of the contract's `MeshService` over `link`.
pub fn control(link: Link) -> MeshServiceClient<Control> {
    MeshServiceClient::with_origin(Control(link), origin())
}

impl tower::Service<Request<tonic::body::Body>> for Control {
    type Response = Response<ReplyBody>;
    type Error = tonic::Status;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let mut link = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = http_body_util::BodyExt::collect(body).await?.to_bytes();
            let path = parts.uri.into_parts().path_and_query.unwrap_or(PathAndQuery::from_static("/"));
            exchange(&mut link, path, parts.headers, body)
                .await
                .map_err(|error| tonic::Status::from_error(error.into()))
        })
    }
}

async fn exchange(
    link: &mut Link,
    path: PathAndQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response<ReplyBody>, h2::Error> {
    let (response, mut stream) = link.open(path, headers)?;
    stream.send_data(body, true)?;
    Ok(response.await?.map(ReplyBody))
}
