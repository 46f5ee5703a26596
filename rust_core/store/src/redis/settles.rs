//! Ends of calls that Redis has not taken yet.
//!
//! Each is sent at once, beside whoever asked.  One that does not arrive is kept, so many at most, and sent again by one
//! task until it does: what a call did cost stands in the ledger in the end, not what was held for it.  To settle twice
//! is to settle once, so nobody asks whether the first one arrived after all.

use std::{
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::mpsc::{Receiver, Sender, channel},
    time,
};

use super::Redis;
use crate::{StoreError, Ticket, ticket::End};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// How a call ended, by whom it was made.
#[derive(Debug)]
struct Settle {
    router: String,
    ticket: Ticket,
    end: End,
}

/// Those that are kept; its task begins with the first.
#[derive(Debug)]
pub struct Settles {
    most: usize,
    kept: OnceLock<Sender<Settle>>,
}

impl Settles {
    /// Keeps so many at most; of more, the reservation stands until it is swept.
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), kept: OnceLock::new() }
    }

    fn keep(&self, redis: &Arc<Redis>, settle: Settle) {
        let kept = self.kept.get_or_init(|| {
            let (kept, waiting) = channel(self.most);
            // Weak, so that the store can end.
            tokio::spawn(send_again(Arc::downgrade(redis), waiting));
            kept
        });
        let _ = kept.try_send(settle);
    }
}

impl Redis {
    /// Settles beside whoever asks.
    pub fn settle_soon(self: &Arc<Self>, router: &str, ticket: Ticket, end: End) -> Result<(), StoreError> {
        let runtime = Handle::try_current().map_err(|error| StoreError::Failed(error.to_string()))?;
        let (redis, router) = (self.clone(), router.to_owned());
        runtime.spawn(async move {
            if redis.settle(&router, &ticket, end).await.is_err_and(|error| error.is_outage()) {
                redis.settles.keep(&redis, Settle { router, ticket, end });
            }
        });
        Ok(())
    }
}

/// In their order, each until it is taken or refused.
async fn send_again(redis: Weak<Redis>, mut kept: Receiver<Settle>) {
    while let Some(Settle { router, ticket, end }) = kept.recv().await {
        while let Some(redis) = redis.upgrade() {
            match redis.settle(&router, &ticket, end).await {
                Err(error) if error.is_outage() => drop(redis),
                _ => break,
            }
            time::sleep(PAUSE).await;
        }
    }
}
