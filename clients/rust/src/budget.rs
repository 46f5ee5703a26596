//! How many retries a client may add to the load of a mesh in trouble.
//!
//! The token bucket of gRPC's retry throttling (gRFC A6): a failed try takes a token, an answer gives a fifth back, and
//! below half there is no further try.  All clones of a client share one.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

const TOKEN: u32 = 10;
const FULL: u32 = 100 * TOKEN;
const GIVEN_BACK: u32 = TOKEN / 5;

#[derive(Debug)]
pub(crate) struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(FULL))
    }
}

impl Budget {
    pub(crate) fn answered(&self) {
        self.change(|tokens| (tokens + GIVEN_BACK).min(FULL));
    }

    /// Whether another try is within the budget.
    pub(crate) fn failed(&self) -> bool {
        self.change(|tokens| tokens.saturating_sub(TOKEN)) > FULL / 2
    }

    fn change(&self, change: impl Fn(u32) -> u32) -> u32 {
        let before = self.0.fetch_update(Relaxed, Relaxed, |tokens| Some(change(tokens)));
        change(before.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_alone_use_it_up() {
        let budget = Budget::default();
        assert_eq!((0..100).filter(|_| budget.failed()).count(), 49);
    }

    #[test]
    fn five_answers_give_one_try_back() {
        let budget = Budget::default();
        while budget.failed() {}
        (0..10).for_each(|_| budget.answered());
        assert!(budget.failed());
        assert!(!budget.failed());
    }
}
