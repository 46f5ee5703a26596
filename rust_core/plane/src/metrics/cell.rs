//! What a series has come to: a few atomics.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use parking_lot::Mutex;

use super::now;
use crate::proto::v1;

/// Number of a trace.
pub type TraceId = u128;

/// What a series can be.
pub trait Cell: Send + Sync + 'static {
    /// Nothing yet.
    fn new(bounds: &[f64]) -> Self;

    /// Its figures, without labels and time.
    fn read(&self) -> v1::MetricSeries;
}

/// A whole number that only grows.
pub struct Whole(AtomicU64);

impl Whole {
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Cell for Whole {
    fn new(_: &[f64]) -> Self {
        Self(AtomicU64::new(0))
    }

    fn read(&self) -> v1::MetricSeries {
        v1::MetricSeries { value: self.get() as f64, ..Default::default() }
    }
}

/// A sum that only grows, as the bits of an `f64`.
pub struct Amount(AtomicU64);

impl Amount {
    pub fn add(&self, more: f64) {
        let sum = |bits| Some((f64::from_bits(bits) + more).to_bits());
        // Never fails: it is always Some.
        let _ = self.0.fetch_update(Relaxed, Relaxed, sum);
    }

    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

impl Cell for Amount {
    fn new(_: &[f64]) -> Self {
        Self(AtomicU64::new(0))
    }

    fn read(&self) -> v1::MetricSeries {
        v1::MetricSeries { value: self.get(), ..Default::default() }
    }
}

/// A figure that goes up and down.
pub struct Level(AtomicU64);

impl Level {
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }
}

impl Cell for Level {
    fn new(_: &[f64]) -> Self {
        Self(AtomicU64::new(0))
    }

    fn read(&self) -> v1::MetricSeries {
        v1::MetricSeries { value: f64::from_bits(self.0.load(Relaxed)), ..Default::default() }
    }
}

/// How many values fell into each bucket, and their sum.
pub struct Spread {
    buckets: Box<[AtomicU64]>,
    sum: Amount,
    /// One for each bucket, made with the first traced call.
    exemplars: OnceLock<Box<[Mutex<Option<Exemplar>>]>>,
}

/// The latest traced call of a bucket.
#[derive(Clone, Copy)]
struct Exemplar {
    value: f64,
    trace: TraceId,
    time: SystemTime,
}

impl Spread {
    /// A bucket takes what is not above its end; what is above all ends goes into the last.
    pub fn observe(&self, value: f64, bounds: &[f64], trace: Option<TraceId>) {
        let bucket = bounds.partition_point(|end| *end < value);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.add(value);
        if let Some(trace) = trace {
            self.remember(bucket, Exemplar { value, trace, time: now() });
        }
    }

    pub fn buckets(&self) -> Vec<u64> {
        self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect()
    }

    /// Waits for nobody: of two at once one is enough.
    fn remember(&self, bucket: usize, exemplar: Exemplar) {
        let none = || self.buckets.iter().map(|_| Mutex::new(None)).collect();
        if let Some(mut place) = self.exemplars.get_or_init(none)[bucket].try_lock() {
            *place = Some(exemplar);
        }
    }

    fn exemplars(&self) -> Vec<v1::Exemplar> {
        let places = self.exemplars.get().into_iter().flatten().enumerate();
        let told = places.filter_map(|(bucket, place)| {
            let Exemplar { value, trace, time } = (*place.lock())?;
            let trace_id = format!("{trace:032x}");
            Some(v1::Exemplar { bucket: bucket as u32, value, trace_id, time: Some(time.into()) })
        });
        told.collect()
    }
}

impl Cell for Spread {
    fn new(bounds: &[f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, sum: Amount::new(bounds), exemplars: OnceLock::new() }
    }

    fn read(&self) -> v1::MetricSeries {
        v1::MetricSeries {
            value: self.sum.get(),
            buckets: self.buckets(),
            exemplars: self.exemplars(),
            ..Default::default()
        }
    }
}
