//! Recent latency quantiles in constant memory.
//!
//! Samples fall into buckets whose bounds grow by 10 %, so any quantile is within 5 % of the true one from a
//! microsecond to an hour (the idea of DDSketch, with the range fixed in advance).  The window is a ring of slices:
//! a whole slice leaves at once, which costs one pass over its buckets instead of a timestamp per sample.
//!
//! Reading moves the window, hence `&mut self`: without it, the p95 of an instance nobody calls would never refresh.
use std::time::Duration;

const BUCKETS: usize = 232;
const GROWTH: f64 = 1.1;
const SMALLEST: f64 = 1e-6;

type Histogram = [u32; BUCKETS];

/// Quantiles of what was observed during the last `window`.
#[derive(Clone, Debug)]
pub struct WindowedQuantile {
    slice: Duration,
    epoch: u64,
    slices: Vec<Histogram>,
    merged: Histogram,
    count: u32,
}

impl WindowedQuantile {
    /// The window moves in steps of `window / slices`; at least one slice of at least a nanosecond is kept.
    pub fn new(window: Duration, slices: usize) -> Self {
        let slices = slices.max(1);
        Self {
            slice: window.div_f64(slices as f64).max(Duration::from_nanos(1)),
            epoch: 0,
            slices: vec![[0; BUCKETS]; slices],
            merged: [0; BUCKETS],
            count: 0,
        }
    }

    /// Takes in a latency measured at `now`.
    pub fn observe(&mut self, now: Duration, latency: Duration) {
        self.advance(now);
        let slot = self.slot(self.epoch);
        let bucket = bucket(latency);
        self.slices[slot][bucket] += 1;
        self.merged[bucket] += 1;
        self.count += 1;
    }

    /// The `q`-quantile (0.95 for p95) over the window that ends at `now`; none where the window is empty.
    pub fn quantile(&mut self, now: Duration, q: f64) -> Option<Duration> {
        self.advance(now);
        let rank = (q.clamp(0.0, 1.0) * f64::from(self.count)).ceil().max(1.0) as u32;
        let mut seen = 0;
        let bucket = self.merged.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(middle(bucket))
    }

    /// How many samples the window that ends at `now` holds.
    pub fn count(&mut self, now: Duration) -> u32 {
        self.advance(now);
        self.count
    }

    /// Forgets everything, so that an instance let back in is judged by what it does next.
    pub fn clear(&mut self) {
        self.slices.fill([0; BUCKETS]);
        self.merged = [0; BUCKETS];
        self.count = 0;
    }

    fn advance(&mut self, now: Duration) {
        let epoch = (now.as_nanos() / self.slice.as_nanos()) as u64;
        let stale = epoch.saturating_sub(self.epoch).min(self.slices.len() as u64);
        for age in 0..stale {
            self.expire(self.slot(epoch - age));
        }
        self.epoch = self.epoch.max(epoch);
    }

    fn expire(&mut self, slot: usize) {
        let old = std::mem::replace(&mut self.slices[slot], [0; BUCKETS]);
        for (merged, gone) in self.merged.iter_mut().zip(old) {
            *merged -= gone;
            self.count -= gone;
        }
    }

    fn slot(&self, epoch: u64) -> usize {
        (epoch % self.slices.len() as u64) as usize
    }
}

fn bucket(latency: Duration) -> usize {
    let steps = (latency.as_secs_f64() / SMALLEST).ln() / GROWTH.ln();
    (steps.max(0.0) as usize).min(BUCKETS - 1)
}

fn middle(bucket: usize) -> Duration {
    Duration::from_secs_f64(SMALLEST * GROWTH.powf(bucket as f64 + 0.5))
}
