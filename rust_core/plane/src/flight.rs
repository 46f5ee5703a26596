//! Counts calls in flight and tells when the last one has left: what a drain waits for.

use std::sync::Arc;

use tokio::sync::watch;

/// Counter of open calls.
#[derive(Clone)]
pub struct Flights(Arc<watch::Sender<usize>>);

/// One open call; leaving is counted when it drops, also on cancel.
pub struct Flight(Arc<watch::Sender<usize>>);

impl Default for Flights {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Flights {
    /// Counts one call in.
    pub fn enter(&self) -> Flight {
        self.0.send_modify(|open| *open += 1);
        Flight(self.0.clone())
    }

    /// Calls open now.
    pub fn open(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until none is open.
    pub async fn idle(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|open| *open == 0).await;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn idle_waits_for_the_last_call_to_leave() {
        let flights = Flights::default();
        let flight = flights.enter();
        let waiting = tokio::spawn({
            let flights = flights.clone();
            async move { flights.idle().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(flight);
        waiting.await.expect("idle returns");
        assert_eq!(flights.open(), 0);
    }
}
