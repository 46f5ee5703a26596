//! Refusal at the door.
//!
//! Beyond what can be served in time, waiting only turns a clear refusal into a late failure: at 1.15 times the
//! capacity, an unlimited queue answered 2 % within a second, a limited one 83 %.  A [`Limit`] counts what is inside
//! and says no at once; leaving is dropping the [`Permit`], so a cancelled request leaves as surely as a served one.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of units of work that may be inside at once; clones share the count.
#[derive(Clone, Debug)]
pub struct Limit {
    max: usize,
    used: Arc<AtomicUsize>,
}

/// Units of work that are inside until this is dropped.
#[derive(Debug)]
#[must_use = "dropping the permit gives its units back"]
pub struct Permit {
    units: usize,
    used: Arc<AtomicUsize>,
}

impl Limit {
    /// Admits up to `max` units.
    pub fn new(max: usize) -> Self {
        Self { max, used: Arc::default() }
    }

    /// Takes `units` in, all or none, without waiting.
    pub fn try_acquire(&self, units: usize) -> Option<Permit> {
        let enter = |used: usize| used.checked_add(units).filter(|total| *total <= self.max);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, enter).ok()?;
        Some(Permit { units, used: Arc::clone(&self.used) })
    }

    /// Units inside now.
    pub fn in_use(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// The most units that may be inside.
    pub fn max(&self) -> usize {
        self.max
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.used.fetch_sub(self.units, Ordering::AcqRel);
    }
}
