//! The arithmetic of a budget: what may still be reserved, and what the end of a call changes.
//!
//! All databases do the same by these rules; SQLite and PostgreSQL call them inside their transaction, Redis has them as
//! a script, and one test compares all with another one, written down in the simplest way.

use crate::{Money, error::ReserveError, ticket::Outcome};

/// Whose money a cap limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All tenants together.
    Mesh,
    /// One tenant.
    Tenant,
}

/// The most that a month may cost; absent: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// All tenants together.
    pub mesh: Option<Money>,
    /// The tenant that is asked for.
    pub tenant: Option<Money>,
}

/// Where a month's money stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// What ended calls cost: the tenant's, or everybody's where no tenant was asked for.
    pub spent: Money,
    /// What is held for calls under way, of the same.
    pub reserved: Money,
    /// What can still be reserved under both caps; absent: no limit.
    pub remaining: Option<Money>,
    /// Share of its cap that is spent or reserved, where it is larger, the mesh's or the tenant's; 0 without a cap.
    pub used_share: f64,
}

/// What one scope spent and holds in a month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub spent: Money,
    pub reserved: Money,
}

/// The two scopes that a call counts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Both {
    pub mesh: Totals,
    pub tenant: Totals,
}

/// What a database knows of a call when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing: the database lost it, or never had it.
    Nothing,
    /// It is under way.
    UnderWay,
    /// It ended.
    Ended(Outcome, Money),
}

/// What the end of a call adds to the totals of its month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub spent: i64,
    pub reserved: i64,
    pub calls: i64,
}

impl Totals {
    fn used(self) -> i64 {
        self.spent.0.saturating_add(self.reserved.0)
    }

    fn remaining(self, cap: Money) -> Money {
        Money(cap.0.saturating_sub(self.used()).max(0))
    }

    fn used_share(self, cap: Money) -> f64 {
        if cap.0 <= 0 { 1.0 } else { self.used() as f64 / cap.0 as f64 }
    }

    pub fn plus(self, change: Change) -> Self {
        Self { spent: Money(self.spent.0 + change.spent), reserved: Money(self.reserved.0 + change.reserved) }
    }

    fn admit(self, scope: Scope, cap: Option<Money>, asked: Money) -> Result<(), ReserveError> {
        let within = |cap: &Money| self.used().checked_add(asked.0).is_some_and(|used| used <= cap.0);
        match cap.filter(|cap| !within(cap)) {
            Some(cap) => Err(ReserveError::Exceeded { scope, cap, spent: self.spent, reserved: self.reserved, asked }),
            None => Ok(()),
        }
    }
}

impl Both {
    /// Whether so much more can be reserved.
    pub fn admit(&self, caps: &Caps, asked: Money) -> Result<(), ReserveError> {
        self.mesh.admit(Scope::Mesh, caps.mesh, asked)?;
        self.tenant.admit(Scope::Tenant, caps.tenant, asked)
    }

    /// After a change that counts in both.
    pub fn plus(self, change: Change) -> Self {
        Self { mesh: self.mesh.plus(change), tenant: self.tenant.plus(change) }
    }

    /// As the tenant sees it.
    pub fn of_tenant(&self, caps: &Caps) -> Standing {
        Standing::new(self.tenant, [(self.mesh, caps.mesh), (self.tenant, caps.tenant)])
    }

    /// As everybody together.
    pub fn of_mesh(&self, caps: &Caps) -> Standing {
        Standing::new(self.mesh, [(self.mesh, caps.mesh), (Totals::default(), None)])
    }
}

impl Standing {
    fn new(whose: Totals, limits: [(Totals, Option<Money>); 2]) -> Self {
        let capped = limits.into_iter().filter_map(|(totals, cap)| Some((totals, cap?)));
        Self {
            spent: whose.spent,
            reserved: whose.reserved,
            remaining: capped.clone().map(|(totals, cap)| totals.remaining(cap)).min(),
            used_share: capped.map(|(totals, cap)| totals.used_share(cap)).fold(0.0, f64::max),
        }
    }
}

impl Change {
    /// What ends a call at `cost` that holds so much, given what is `known` of it; nothing where it has its end already.
    ///
    /// A lost call was only assumed to cost all that was reserved, so that the truth may come later.
    pub fn of(known: Known, held: Money, cost: Money, outcome: Outcome) -> Option<Self> {
        let calls = i64::from(outcome.counts());
        match known {
            Known::Nothing => Some(Self { spent: cost.0, reserved: 0, calls }),
            Known::UnderWay => Some(Self { spent: cost.0, reserved: -held.0, calls }),
            Known::Ended(Outcome::Lost, assumed) => {
                Some(Self { spent: cost.0 - assumed.0, reserved: 0, calls: calls - 1 })
            }
            Known::Ended(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn totals(spent: i64, reserved: i64) -> Totals {
        Totals { spent: Money(spent), reserved: Money(reserved) }
    }

    fn caps(mesh: Option<i64>, tenant: Option<i64>) -> Caps {
        Caps { mesh: mesh.map(Money), tenant: tenant.map(Money) }
    }

    fn refused(both: &Both, caps: Caps, asked: i64) -> Option<Scope> {
        match both.admit(&caps, Money(asked)) {
            Err(ReserveError::Exceeded { scope, .. }) => Some(scope),
            _ => None,
        }
    }

    #[test]
    fn a_cap_can_be_reached_but_not_passed() {
        let both = Both { mesh: totals(70, 20), tenant: totals(7, 2) };
        assert_eq!(refused(&both, caps(Some(100), None), 10), None);
        assert_eq!(refused(&both, caps(Some(100), None), 11), Some(Scope::Mesh));
        assert_eq!(refused(&both, caps(Some(100), Some(10)), 2), Some(Scope::Tenant));
        assert_eq!(refused(&both, caps(None, None), i64::MAX), None);
    }

    #[test]
    fn what_remains_is_what_both_caps_leave() {
        let both = Both { mesh: totals(198, 1), tenant: totals(5, 0) };
        let standing = both.of_tenant(&caps(Some(200), Some(10)));
        assert_eq!((standing.spent, standing.remaining), (Money(5), Some(Money(1))));
        assert_eq!(standing.used_share, 0.995);
    }

    #[test]
    fn the_mesh_is_not_limited_by_a_tenant() {
        let standing = Both { mesh: totals(50, 0), tenant: totals(0, 0) }.of_mesh(&caps(Some(100), Some(1)));
        assert_eq!((standing.spent, standing.remaining), (Money(50), Some(Money(50))));
    }

    #[test]
    fn without_a_cap_nothing_is_used_and_a_cap_of_nothing_is_used_up() {
        assert_eq!(Both::default().of_mesh(&Caps::default()).used_share, 0.0);
        let nothing = Both::default().of_mesh(&caps(Some(0), None));
        assert_eq!((nothing.used_share, nothing.remaining), (1.0, Some(Money::ZERO)));
    }

    proptest! {
        #[test]
        fn what_is_admitted_stays_within_both_caps(
            (spent, reserved, own, asked) in (0..1000i64, 0..1000i64, 0..1000i64, 0..1000i64),
            (mesh, tenant) in (0..3000i64, 0..3000i64),
        ) {
            let both = Both { mesh: totals(spent, reserved), tenant: totals(own, 0) };
            let fits = spent + reserved + asked <= mesh && own + asked <= tenant;
            prop_assert_eq!(refused(&both, caps(Some(mesh), Some(tenant)), asked).is_none(), fits);
        }
    }
}
