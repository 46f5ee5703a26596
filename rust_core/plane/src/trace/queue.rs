//! Spans on their way to whoever sends them.
//!
//! Not a channel: its reader would be woken for every span, and is to come once for many.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::SpanRecord;

/// As many wake the reader before its time.
pub const BATCH: usize = 512;

/// A bounded queue; one that is full loses the newest.
#[derive(Debug)]
pub struct Queue {
    spans: Mutex<Vec<SpanRecord>>,
    size: usize,
    enough: Notify,
    dropped: AtomicU64,
}

impl Queue {
    /// Holds up to `size`.
    pub fn new(size: usize) -> Self {
        Self { spans: Mutex::default(), size, enough: Notify::new(), dropped: AtomicU64::new(0) }
    }

    /// One more.
    pub fn put(&self, span: SpanRecord) {
        let mut spans = self.spans.lock();
        if spans.len() >= self.size {
            return self.lose(1);
        }
        spans.push(span);
        let waiting = spans.len();
        drop(spans);
        if waiting == BATCH.min(self.size) {
            self.enough.notify_one();
        }
    }

    /// All there are.
    pub fn take(&self) -> Vec<SpanRecord> {
        std::mem::take(&mut self.spans.lock())
    }

    /// Ends when there are enough to be worth it.
    pub async fn enough(&self) {
        self.enough.notified().await;
    }

    /// So many did not arrive.
    pub fn lose(&self, count: usize) {
        self.dropped.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Those lost so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
