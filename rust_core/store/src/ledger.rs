//! What is read from a store.

use std::time::SystemTime;

use crate::{Money, Month, Outcome};

/// What a model cost in a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSpend {
    /// Its name.
    pub model: String,
    /// Calls that ended.
    pub calls: u64,
    /// What they cost.
    pub spent: Money,
}

/// A priced call that ended: one line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its id as the caller knows it.
    pub request_id: String,
    /// Who pays.
    pub tenant: String,
    /// What was called.
    pub model: String,
    /// The budget it counts in.
    pub month: Month,
    /// The router that asked.
    pub router: String,
    /// What was held for it.
    pub reserved: Money,
    /// What it cost.
    pub cost: Money,
    /// How it ended.
    pub outcome: Outcome,
    /// When its money was asked for.
    pub begun_at: SystemTime,
    /// When it was settled, or taken for lost.
    pub ended_at: SystemTime,
}

/// A text with the number of times it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// 1 is the first.
    pub revision: u64,
    /// What was written last.
    pub text: String,
}
