//! A request message over the limit, refused by its length before it is read.
//!
//! tonic has such a limit too, but says OUT_OF_RANGE without details; the contract says MESSAGE_TOO_LARGE and how much
//! is taken.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use crate::error::Error;

/// Bytes before each message: a flag and a length.
const PREFIX: usize = 5;

/// A request's body, whose messages are measured as they begin.
pub struct Measured<B> {
    body: B,
    ruler: Ruler,
}

struct Ruler {
    limit: usize,
    prefix: [u8; PREFIX],
    /// Bytes of the prefix that have come.
    known: usize,
    /// Bytes of the message that are still to come.
    rest: usize,
}

impl<B> Measured<B> {
    /// Takes messages of up to `limit` bytes.
    pub fn new(body: B, limit: usize) -> Self {
        Self { body, ruler: Ruler { limit, prefix: [0; PREFIX], known: 0, rest: 0 } }
    }
}

impl Ruler {
    fn follow(&mut self, mut data: &[u8]) -> Result<(), Error> {
        while !data.is_empty() {
            let passed = self.rest.min(data.len());
            self.rest -= passed;
            data = self.begin(&data[passed..])?;
        }
        Ok(())
    }

    /// Takes what `data` has of the next prefix.
    fn begin<'a>(&mut self, data: &'a [u8]) -> Result<&'a [u8], Error> {
        let (part, data) = data.split_at(data.len().min(PREFIX - self.known));
        self.prefix[self.known..][..part.len()].copy_from_slice(part);
        self.known += part.len();
        if self.known == PREFIX {
            self.known = 0;
            self.rest = self.allowed((&self.prefix[1..]).get_u32() as usize)?;
        }
        Ok(data)
    }

    fn allowed(&self, actual: usize) -> Result<usize, Error> {
        let limit = self.limit;
        if actual > limit { Err(Error::MessageTooLarge { limit, actual }) } else { Ok(actual) }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Measured<B>
where
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else { return Poll::Ready(None) };
        let frame = frame.map_err(|error| Status::from_error(Box::new(error)))?;
        if let Some(data) = frame.data_ref() {
            self.ruler.follow(data)?;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(parts: &[&[u8]]) -> Result<(), Error> {
        let mut ruler = Measured::new((), 3).ruler;
        parts.iter().try_for_each(|part| ruler.follow(part))
    }

    #[test]
    fn messages_are_measured_wherever_the_bytes_are_cut() {
        let stream = [0, 0, 0, 0, 3, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9];
        for cut in 0..stream.len() {
            assert_eq!(follow(&[&stream[..cut], &stream[cut..]]), Ok(()), "cut at {cut}");
        }
    }

    #[test]
    fn a_message_over_the_limit_is_refused_by_its_length_alone() {
        let large = Err(Error::MessageTooLarge { limit: 3, actual: 4 });
        assert_eq!(follow(&[&[0, 0, 0, 0, 4]]), large);
        assert_eq!(follow(&[&[0, 0, 0, 0, 1, 9, 0, 0], &[0, 0, 4]]), large);
    }
}
