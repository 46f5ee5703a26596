//! A bounded ring from the calls to whoever keeps the record, off the hot path.
//!
//! A full ring loses the newest and counts it; it never waits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use parking_lot::Mutex;

/// The ring; clones share it.
pub struct Ring<T>(Arc<Shared<T>>);

struct Shared<T> {
    sender: SyncSender<T>,
    receiver: Mutex<Receiver<T>>,
    dropped: AtomicU64,
}

impl<T> Clone for Ring<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Ring<T> {
    /// Keeps up to `size`.
    pub fn new(size: usize) -> Self {
        let (sender, receiver) = sync_channel(size);
        Self(Arc::new(Shared { sender, receiver: Mutex::new(receiver), dropped: AtomicU64::new(0) }))
    }

    /// Up to `max`; waits up to `timeout` for the first.  Blocks: not for the reactor's threads.
    pub fn next(&self, max: usize, timeout: Duration) -> Vec<T> {
        let receiver = self.0.receiver.lock();
        let first = receiver.recv_timeout(timeout).into_iter();
        first.chain(receiver.try_iter()).take(max).collect()
    }

    /// Those lost because nobody fetched them in time.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// One more.
    pub fn put(&self, item: T) {
        if self.0.sender.try_send(item).is_err() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
