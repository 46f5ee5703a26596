//! What a router holds between reserving money and knowing the price.

use std::{fmt, sync::Arc, time::SystemTime};

use crate::{Caps, Money, Month, clock};

/// What a call might cost, asked for before it is made.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The call's id; calls of several hops ask several times.
    pub request_id: String,
    /// Who pays.
    pub tenant: String,
    /// What is called.
    pub model: String,
    /// The budget it counts in.
    pub month: Month,
    /// The most that it can cost.
    pub amount: Money,
    /// What the month may cost.
    pub caps: Caps,
    /// When a call that was not settled is taken for lost.
    pub expires_at: SystemTime,
}

/// How a priced call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// It was answered.
    Served = 1,
    /// The provider failed.
    Failed = 2,
    /// The caller left.
    Cancelled = 3,
    /// It was not sent, so it counts as no call.
    Unused = 4,
    /// Nobody knows: it is taken to have cost all that was reserved, until it is settled otherwise.
    Lost = 5,
}

/// How a call ends, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub cost: Money,
    pub outcome: Outcome,
    pub now: u64,
}

/// Money that is held for one call until it is settled; clones are the same money.
#[derive(Clone, Debug)]
#[must_use = "settle it, or its money stays reserved until it expires"]
pub struct Ticket(Arc<Claim>);

#[derive(Debug)]
struct Claim {
    id: Id,
    ask: Ask,
}

/// Names a ticket in all databases: when it began, in milliseconds, and 80 random bits (as UUIDs of version 7).
///
/// The router makes it, so that it can give back what it cannot know to have got; and it sorts by time, so that the
/// ledger grows at its end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(u128);

impl Outcome {
    /// Whether a call was made.
    pub(crate) fn counts(self) -> bool {
        self != Self::Unused
    }

    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Served, Self::Failed, Self::Cancelled, Self::Unused, Self::Lost].into_iter().find(|it| it.code() == code)
    }
}

impl Ticket {
    pub(crate) fn new(ask: Ask) -> Self {
        Self::known(Id::new(clock::now()), ask)
    }

    pub(crate) fn known(id: Id, ask: Ask) -> Self {
        Self(Arc::new(Claim { id, ask }))
    }

    pub(crate) fn id(&self) -> Id {
        self.0.id
    }

    pub(crate) fn ask(&self) -> &Ask {
        &self.0.ask
    }

    /// The call it was asked for.
    pub fn request_id(&self) -> &str {
        &self.0.ask.request_id
    }

    /// What is held.
    pub fn amount(&self) -> Money {
        self.0.ask.amount
    }
}

impl Id {
    fn new(now: u64) -> Self {
        Self(u128::from(now) << 80 | rand::random::<u128>() >> 48)
    }

    /// The first that a ticket of this time could have.
    pub fn first_of(millis: u64) -> Self {
        Self(u128::from(millis) << 80)
    }

    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    pub fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// When its ticket was made, in milliseconds since 1970.
    pub fn millis(self) -> u64 {
        (self.0 >> 80) as u64
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_tell_it() {
        let (early, late) = (Id::new(1_000), Id::new(1_001));
        assert!(Id::first_of(1_000) <= early && early < Id::first_of(1_001) && early < late);
        assert_eq!(early.millis(), 1_000);
        assert_eq!(Id::from_bytes(early.bytes()), early);
    }

    #[test]
    fn outcomes_are_read_as_they_are_written() {
        let read = (0..=6).filter_map(Outcome::from_code).map(Outcome::code).collect::<Vec<_>>();
        assert_eq!(read, [1, 2, 3, 4, 5]);
    }
}
