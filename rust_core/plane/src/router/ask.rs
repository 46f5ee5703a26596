//! The router's own questions to a model of the mesh.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use prost::Message;
use tonic::Code;
use waypost_decide::route::State;
use waypost_decide::stats::Verdict;

use super::{
    Plane,
    delivery::{Answer, Delivery, Parcel},
    envelope,
    methods::{self, Method, Shape},
    models::{self, Wanted},
    outcome::Outcome,
    registry::Model,
    reply::Reply,
    style,
};
use crate::{deadline::Deadline, headers};

/// The reply of whichever model does it best; none where it does not come, for whatever reason.
pub async fn model<T: Message + Default>(
    plane: &Plane,
    path: &'static str,
    request: &impl Message,
    patience: Duration,
) -> Option<T> {
    let (method, message) = (methods::find(path)?, style::framed(request));
    let asked = envelope::decode(method, &message).ok()?;
    let wanted = Wanted { method, asked, bytes: message.len(), features: None };
    let snapshot = plane.registry.snapshot();
    let model = match wanted.asked.model.as_str() {
        "" => {
            let mut ranked = models::rank(&snapshot, &wanted, &plane.chooser.weights(), plane.clock.now()).ok()?;
            ranked.next(&State::default())?.model
        }
        named => models::named(&snapshot, &wanted, named).ok()?,
    };
    let reply = send(plane, method, &wanted, &model, message, patience).await?;
    T::decode(reply.message()?).ok()
}

/// Sends `message` to a replica of `model`, once.
pub async fn send(
    plane: &Plane,
    method: &Method,
    wanted: &Wanted,
    model: &Model,
    message: Bytes,
    patience: Duration,
) -> Option<Reply> {
    let deadline = Deadline::after(Instant::now(), patience);
    let picked = plane.chooser.pick(model, wanted, &[], deadline).ok()?;
    let parcel = parcel(plane, method, model, message, deadline);
    let delivery = Delivery { attempt: picked.attempt, link: picked.link, spending: None, row: 0, span: None };
    let sent = deadline.run("own question", delivery.send(&parcel, &mut None)).await;
    let (delivery, Ok(Answer::Whole(reply))) = sent.ok()? else { return None };
    let outcome = Outcome::of(&Ok(reply.clone()));
    let verdict = if outcome.code == Code::Ok { Verdict::Answered } else { outcome.verdict };
    delivery.attempt.end(verdict);
    (outcome.code == Code::Ok).then_some(reply)
}

fn parcel(plane: &Plane, method: &Method, model: &Model, message: Bytes, deadline: Deadline) -> Parcel {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    deadline.write(&mut headers, Instant::now());
    if let Some(replica) = model.replicas.first() {
        headers.insert(headers::MODEL, replica.served.model_header.clone());
    }
    Parcel {
        path: http::uri::PathAndQuery::from_static(method.path),
        headers,
        message,
        shape: Shape::Unary,
        limit: plane.config.limits.max_receive_bytes,
    }
}
