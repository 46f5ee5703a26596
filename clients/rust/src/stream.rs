use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Streaming;

use crate::error::Error;
use crate::retry::too_late;
use crate::v1::GenerateStreamResponse;

/// An answer piece by piece; the last piece carries `final`, with the finish reason and the usage.
///
/// Dropping it cancels the call unless it is over, so that the model stops at its next step.
pub struct GenerateStream {
    /// None once the deadline has passed.
    pieces: Option<Streaming<GenerateStreamResponse>>,
    deadline: Pin<Box<Sleep>>,
}

impl GenerateStream {
    pub(crate) fn new(pieces: Streaming<GenerateStreamResponse>, deadline: Instant) -> Self {
        Self { pieces: Some(pieces), deadline: Box::pin(sleep_until(deadline)) }
    }

    /// The next piece; none: that was the last.
    pub async fn next(&mut self) -> Result<Option<GenerateStreamResponse>, Error> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await.transpose()
    }
}

impl Stream for GenerateStream {
    type Item = Result<GenerateStreamResponse, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(pieces) = &mut self.pieces else { return Poll::Ready(None) };
        if let Poll::Ready(piece) = Pin::new(pieces).poll_next(context) {
            return Poll::Ready(piece.map(|piece| piece.map_err(Error::from)));
        }
        ready!(self.deadline.as_mut().poll(context));
        self.pieces = None;
        Poll::Ready(Some(Err(too_late().into())))
    }
}
