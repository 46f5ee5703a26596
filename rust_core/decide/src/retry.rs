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
