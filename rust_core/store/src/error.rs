//! What can go wrong, by who must act.

use crate::{Money, budget::Scope};

/// Raised where the database did not do what was asked; a priced call must not be made then.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error("no store can be opened at {place}: {cause}")]
    Open {
        /// Where.
        place: String,
        /// What the database says.
        cause: String,
    },
    /// More is asked of it than it can do: ask less, or later.
    #[error("the store has {0} operations waiting and takes no more")]
    Full(usize),
    /// It does not answer in time; whether it did what was asked is unknown.
    #[error("the store cannot be reached: {0}")]
    Unreachable(String),
    /// It did not answer before, and was not asked again: somebody else finds out whether it is back.
    #[error("the store cannot be reached: it has not answered for a while")]
    Away,
    /// It refused; nothing was changed.
    #[error("the store failed: {0}")]
    Failed(String),
    /// What is no price: negative, or more than can be counted.
    #[error("{0} is no price: it is below zero or above {max}", max = Money::MAX)]
    NoPrice(Money),
}

impl StoreError {
    /// Whether the same may be done later.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Away)
    }
}

/// Raised by [`Store::reserve`](crate::Store::reserve).
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReserveError {
    /// A cap would be passed.
    #[error("{asked} more would pass the month's cap of {cap}: {spent} are spent, {reserved} reserved")]
    Exceeded {
        /// Whose cap.
        scope: Scope,
        /// The most the month may cost.
        cap: Money,
        /// What ended calls cost.
        spent: Money,
        /// What calls under way hold.
        reserved: Money,
        /// What was asked for.
        asked: Money,
    },
    /// The database did not answer as it should.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Raised by [`Store::put_document`](crate::Store::put_document).
#[derive(Clone, Debug, thiserror::Error)]
pub enum PutError {
    /// Somebody else wrote in between: read again.
    #[error("the document is at revision {actual} by now")]
    Conflict {
        /// What it is at; 0: there is none.
        actual: u64,
    },
    /// The database did not answer as it should.
    #[error(transparent)]
    Store(#[from] StoreError),
}
