//! A budget that keeps retries from becoming the outage.
//!
//! Retrying a tenth of the calls is help, retrying all of them doubles the load on whatever is left.  Every request
//! deposits a fraction of a token, every retry takes a whole one, and a reserve lets quiet services retry at all (the
//! scheme of gRPC's retry throttling).  So retries never exceed `reserve + ratio × requests`.  The balance is capped
//! at the reserve: a good hour earns no storm later.
//!
//! Counted in thousandths of a token, in one atomic, because every request touches it.
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const TOKEN: f64 = 1000.0;

/// Shared budget of retries.
#[derive(Debug)]
pub struct RetryBudget {
    deposit: u64,
    cap: u64,
    balance: AtomicU64,
}

impl RetryBudget {
    /// `ratio` is the share of requests that may be retried, `min_tokens` the reserve it starts with.
    pub fn new(ratio: f64, min_tokens: f64) -> Self {
        let cap = (min_tokens.max(1.0) * TOKEN) as u64;
        let start = (min_tokens.max(0.0) * TOKEN) as u64;
        Self { deposit: (ratio.max(0.0) * TOKEN) as u64, cap, balance: AtomicU64::new(start) }
    }

    /// A first try was sent.
    pub fn deposit(&self) {
        self.change(|balance| Some((balance + self.deposit).min(self.cap)));
    }

    /// Asks for one retry; true takes it from the budget.
    pub fn withdraw(&self) -> bool {
        self.change(|balance| balance.checked_sub(TOKEN as u64))
    }

    /// Whole retries left.
    pub fn balance(&self) -> u64 {
        self.balance.load(Relaxed) / TOKEN as u64
    }

    fn change(&self, next: impl Fn(u64) -> Option<u64>) -> bool {
        self.balance.fetch_update(Relaxed, Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_reserve_lets_a_quiet_service_retry() {
        let budget = RetryBudget::new(0.2, 3.0);
        assert!((0..3).all(|_| budget.withdraw()));
        assert!(!budget.withdraw());
    }

    #[test]
    fn requests_earn_their_share_of_retries() {
        let budget = RetryBudget::new(0.2, 0.0);
        (0..4).for_each(|_| budget.deposit());
        assert!(!budget.withdraw());
        budget.deposit();
        assert!(budget.withdraw() && !budget.withdraw());
    }

    #[test]
    fn a_good_hour_earns_no_storm() {
        let budget = RetryBudget::new(0.2, 10.0);
        (0..100_000).for_each(|_| budget.deposit());
        assert_eq!(budget.balance(), 10);
    }

    #[test]
    fn nonsense_allows_nothing() {
        let budget = RetryBudget::new(f64::NAN, -5.0);
        budget.deposit();
        assert!(!budget.withdraw());
    }

    #[test]
    fn threads_do_not_overdraw_it() {
        let budget = RetryBudget::new(0.1, 50.0);
        let work = || {
            (0..1000)
                .filter(|_| {
                    budget.deposit();
                    budget.withdraw()
                })
                .count()
        };
        let retries: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(retries <= 50 + 400, "{retries}");
    }

    proptest! {
        #[test]
        fn retries_never_exceed_the_reserve_and_the_ratio(
            ratio in 0.0f64..2.0,
            reserve in 0.0f64..20.0,
            requests in prop::collection::vec(any::<bool>(), 0..500),
        ) {
            let budget = RetryBudget::new(ratio, reserve);
            let (mut sent, mut retried) = (0.0, 0.0);
            for fails in requests {
                budget.deposit();
                sent += 1.0;
                retried += f64::from(u8::from(fails && budget.withdraw()));
                prop_assert!(retried <= reserve + ratio * sent + 1e-9);
            }
        }
    }
}
