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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn beyond_the_limit_the_answer_is_no_at_once() {
        let limit = Limit::new(2);
        let permits = [limit.try_acquire(1), limit.try_acquire(1)];
        assert!(permits.iter().all(Option::is_some));
        assert!(limit.try_acquire(1).is_none());
    }

    #[test]
    fn leaving_makes_room() {
        let limit = Limit::new(1);
        drop(limit.try_acquire(1));
        assert!(limit.try_acquire(1).is_some());
    }

    #[test]
    fn units_enter_all_or_none() {
        let limit = Limit::new(10);
        let permit = limit.try_acquire(6);
        assert!(permit.is_some() && limit.try_acquire(5).is_none());
        assert_eq!(limit.in_use(), 6);
    }

    #[test]
    fn more_than_the_limit_never_enters() {
        assert!(Limit::new(10).try_acquire(11).is_none());
        let limit = Limit::new(usize::MAX);
        let _permit = limit.try_acquire(1);
        assert!(limit.try_acquire(usize::MAX).is_none());
    }

    #[test]
    fn clones_share_the_count() {
        let limit = Limit::new(1);
        let _permit = limit.clone().try_acquire(1);
        assert!(limit.try_acquire(1).is_none());
    }

    #[test]
    fn threads_never_exceed_it_and_leave_nothing_behind() {
        let limit = Limit::new(3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let _permit = limit.try_acquire(2);
                        assert!(limit.in_use() <= limit.max());
                    }
                });
            }
        });
        assert_eq!(limit.in_use(), 0);
    }

    proptest! {
        #[test]
        fn the_count_is_the_sum_of_the_permits_held(
            steps in prop::collection::vec((0usize..20, any::<bool>()), 0..100),
        ) {
            let limit = Limit::new(50);
            let mut held: Vec<(usize, Permit)> = Vec::new();
            for (units, leaves) in steps {
                if leaves && !held.is_empty() {
                    drop(held.swap_remove(units % held.len()));
                } else if let Some(permit) = limit.try_acquire(units) {
                    held.push((units, permit));
                }
                prop_assert_eq!(limit.in_use(), held.iter().map(|(units, _)| units).sum::<usize>());
                prop_assert!(limit.in_use() <= 50);
            }
        }
    }
}
