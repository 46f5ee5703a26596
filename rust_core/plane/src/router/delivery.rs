//! One request on its way to one replica.

use bytes::Bytes;
use http::{HeaderMap, uri::PathAndQuery};
use http_body_util::BodyExt;

use super::{
    attempt::Attempt,
    inbound::Inbound,
    link::{Link, ReplyBody},
    methods::Shape,
    money::Spending,
    reply::{self, Broken, Reply},
    stream::{Pump, Streamed},
};
use crate::trace::TraceContext;

/// What goes to whichever replica.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The call.
    pub path: PathAndQuery,
    /// Metadata.
    pub headers: HeaderMap,
    /// The request, or the first message of many.
    pub message: Bytes,
    /// How many messages each side sends.
    pub shape: Shape,
    /// Bytes of a whole reply.
    pub limit: usize,
}

/// What comes back.
pub enum Answer {
    /// A whole reply.
    Whole(Reply),
    /// A reply that has begun.
    Streamed(Streamed),
}

/// A parcel at its replica.  Dropping it cancels the work there.
pub struct Delivery {
    /// The call, counted in there.
    pub attempt: Attempt,
    /// The way there; none where the connection has just ended.
    pub link: Option<Link>,
    /// What is held for it.
    pub spending: Option<Spending>,
    /// Its row in the call's record.
    pub row: usize,
    /// Its span, where the call is traced.
    pub span: Option<TraceContext>,
}

impl Delivery {
    /// Sends it and waits for the answer, or its beginning; `rest` is what follows the first message.
    pub async fn send(mut self, parcel: &Parcel, rest: &mut Option<Inbound>) -> (Self, Result<Answer, Broken>) {
        let result = exchange(self.link.take(), parcel, self.span, rest).await;
        (self, result)
    }
}

async fn exchange(
    link: Option<Link>,
    parcel: &Parcel,
    span: Option<TraceContext>,
    rest: &mut Option<Inbound>,
) -> Result<Answer, Broken> {
    let mut link = link.ok_or(Broken::Unsent)?;
    let mut headers = parcel.headers.clone();
    if let Some(span) = span {
        span.write(&mut headers);
    }
    let opened = link.open(parcel.path.clone(), headers);
    let (response, mut stream) = opened.map_err(|_| Broken::Unsent)?;
    stream.send_data(parcel.message.clone(), parcel.shape != Shape::Both)?;
    let pump = match parcel.shape {
        Shape::Both => rest.take().map(|rest| Pump::start(rest, stream)),
        _ => None,
    };
    let response = response.await?.map(ReplyBody);
    if parcel.shape == Shape::Unary || reply::is_status_only(response.headers()) {
        return Reply::collect(response, parcel.limit).await.map(Answer::Whole);
    }
    match parcel.shape {
        Shape::Replies => begun(response).await,
        _ => Ok(Answer::Streamed(Streamed { response, first: None, pump })),
    }
}

/// Waits for the first frame: until it is there, the call may still go elsewhere.
async fn begun(response: http::Response<ReplyBody>) -> Result<Answer, Broken> {
    let (head, mut body) = response.into_parts();
    let first = body.frame().await.ok_or(Broken::Lost)??;
    match first.into_trailers() {
        Ok(trailers) => Ok(Answer::Whole(Reply::ended(head, trailers))),
        Err(first) => {
            let response = http::Response::from_parts(head, body);
            Ok(Answer::Streamed(Streamed { response, first: Some(first), pump: None }))
        }
    }
}
