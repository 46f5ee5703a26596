//! What was asked through this service of this router since it started, by model and version.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;

use super::answered::Answered;
use crate::{
    headers,
    proto::{
        inference::{InferStatistics, ModelStatistics, StatisticDuration},
        v1::Timings,
    },
};

/// A model and its version.
type Key = (String, String);

/// Counts of all models.
#[derive(Debug, Default)]
pub struct Statistics(Mutex<BTreeMap<Key, Counts>>);

#[derive(Clone, Debug, Default)]
struct Counts {
    success: Sum,
    fail: Sum,
    queue: Sum,
    tokenize: Sum,
    inference: Sum,
    hit: Sum,
    miss: Sum,
    inputs: u64,
    last_ms: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    count: u64,
    time: Duration,
}

impl Sum {
    fn add(&mut self, time: Duration) {
        self.count += 1;
        self.time += time;
    }

    fn told(self) -> Option<StatisticDuration> {
        Some(StatisticDuration { count: self.count, ns: self.time.as_nanos().try_into().unwrap_or(u64::MAX) })
    }
}

impl Statistics {
    /// A request with so many inputs was answered after `took`.
    pub fn succeed(&self, answered: &Answered, inputs: usize, took: Duration) {
        let key = (answered.served.model.clone(), answered.served.version.clone());
        let mut all = self.0.lock();
        let counts = all.entry(key).or_default();
        counts.success.add(took);
        counts.inputs += inputs as u64;
        counts.last_ms = now_ms();
        let mut cached = answered.said.get_all(headers::CACHE).iter().map(|value| value.as_bytes());
        for timings in &answered.timings {
            counts.execute(timings, cached.next(), took);
        }
    }

    /// A request for a model was not.
    pub fn fail(&self, model: &str, version: &str, took: Duration) {
        let mut all = self.0.lock();
        all.entry((model.to_string(), version.to_string())).or_default().fail.add(took);
    }

    /// Of one model and version; zeros where nothing was asked.
    pub fn of(&self, model: &str, version: &str) -> ModelStatistics {
        let key = (model.to_string(), version.to_string());
        let counts = self.0.lock().get(&key).cloned().unwrap_or_default();
        let (name, version) = key;
        ModelStatistics {
            name,
            version,
            last_inference: counts.last_ms,
            inference_count: counts.inputs,
            execution_count: counts.inference.count,
            inference_stats: Some(counts.into()),
        }
    }
}

impl Counts {
    /// A kept answer tells the times of the call it was made for, which are not this one's.
    fn execute(&mut self, timings: &Timings, cached: Option<&[u8]>, took: Duration) {
        match cached {
            Some(b"miss") => self.miss.add(took),
            Some(_) => return self.hit.add(took),
            None => {}
        }
        self.queue.add(duration(timings.queue));
        self.tokenize.add(duration(timings.tokenize));
        self.inference.add(duration(timings.inference));
    }
}

impl From<Counts> for InferStatistics {
    fn from(counts: Counts) -> Self {
        Self {
            success: counts.success.told(),
            fail: counts.fail.told(),
            queue: counts.queue.told(),
            compute_input: counts.tokenize.told(),
            compute_infer: counts.inference.told(),
            compute_output: Sum::default().told(),
            cache_hit: counts.hit.told(),
            cache_miss: counts.miss.told(),
        }
    }
}

fn duration(told: Option<prost_types::Duration>) -> Duration {
    told.and_then(|told| Duration::try_from(told).ok()).unwrap_or_default()
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}
