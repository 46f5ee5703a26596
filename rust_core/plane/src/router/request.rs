//! Takes a request off the wire: its first message whole, what may follow as it comes.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tonic::Status;

use super::{envelope::frame_length, inbound::Inbound};
use crate::error::Error;

/// The only message of a request, with its prefix.
pub async fn whole(body: &mut Inbound, limit: usize) -> Result<Bytes, Status> {
    let start = first(body, limit).await?;
    let length = frame_length(&start, limit)?;
    if length != Some(start.len()) || next_data(body).await?.is_some() {
        return Err(malformed("a second message, where the call has one"));
    }
    Ok(start)
}

/// All that came with the first message of a request, which is whole in it.
pub async fn first(body: &mut Inbound, limit: usize) -> Result<Bytes, Status> {
    let start = next_data(body).await?.ok_or_else(|| malformed("no message"))?;
    if is_whole(&start, limit)? {
        return Ok(start);
    }
    let mut all = BytesMut::from(start);
    while !is_whole(&all, limit)? {
        all.extend_from_slice(&next_data(body).await?.ok_or_else(|| malformed("a message that ends too soon"))?);
    }
    Ok(all.freeze())
}

fn is_whole(start: &[u8], limit: usize) -> Result<bool, Status> {
    Ok(frame_length(start, limit)?.is_some_and(|length| start.len() >= length))
}

/// Trailers, which a request has no use for, count as its end.
async fn next_data(body: &mut Inbound) -> Result<Option<Bytes>, Status> {
    while let Some(frame) = body.frame().await {
        match frame.map_err(|error| malformed(&error.to_string()))?.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => return Ok(Some(data)),
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

fn malformed(why: &str) -> Status {
    Error::Malformed { why: why.into() }.into()
}
