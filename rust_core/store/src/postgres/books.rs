//! What a group of calls changes, by the rules of [`budget`](crate::budget), before any of it is written.
//!
//! The group is one transaction.  It reads what its calls touch, all of them at once, decides one call after the other
//! here, and writes each row that changed once: so a busy month's row has one new version per group, not per call.

use std::{collections::HashMap, sync::Arc};

use crate::{
    Ask, Money, Month, Outcome, ReserveError, Standing, StoreError, Ticket,
    budget::{Both, Change, Known, Totals},
    ticket::{End, Id},
};

/// Something that is to happen to a call.
#[derive(Clone, Debug)]
pub struct Step {
    pub router: Arc<str>,
    pub ticket: Ticket,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Reserve,
    End(End),
    /// An end that counts only if the call has none yet.
    Overdue(End),
}

/// What came of a step.
#[derive(Debug)]
pub struct Answer {
    pub standing: Result<Standing, ReserveError>,
    /// Whether anything is different now.
    pub changed: bool,
}

/// Names a row of the totals: kind (as in `schema.sql`), tenant, model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account {
    pub month: Month,
    pub kind: i16,
    pub tenant: String,
    pub model: String,
}

/// A row of the calls as it is to be.
#[derive(Debug)]
pub struct Line {
    pub router: Arc<str>,
    pub ticket: Ticket,
    pub end: Option<End>,
}

/// What is known, and what is to be written.
#[derive(Debug, Default)]
pub struct Books {
    totals: HashMap<Account, Totals>,
    known: HashMap<Id, Known>,
    /// What is added to the totals.
    pub changes: HashMap<Account, Change>,
    /// What calls are replaced by.
    pub lines: HashMap<Id, Line>,
}

impl Account {
    pub fn of_mesh(month: Month) -> Self {
        Self { month, kind: 0, tenant: String::new(), model: String::new() }
    }

    pub fn of_tenant(month: Month, tenant: &str) -> Self {
        Self { month, kind: 1, tenant: tenant.into(), model: String::new() }
    }

    fn of_model(ask: &Ask) -> Self {
        Self { month: ask.month, kind: 2, tenant: ask.tenant.clone(), model: ask.model.clone() }
    }
}

impl Books {
    /// With what the database has of the accounts and calls of a group; what is not there is nothing.
    pub fn new(totals: HashMap<Account, Totals>, known: HashMap<Id, Known>) -> Self {
        Self { totals, known, ..Self::default() }
    }

    /// Does one step after those before it.
    pub fn take(&mut self, step: &Step) -> Answer {
        let ask = step.ticket.ask();
        let before = self.known(step.ticket.id());
        let (standing, changed) = match (step.kind, before) {
            (Kind::Reserve, Known::Nothing) => match self.both(ask).admit(&ask.caps, ask.amount) {
                Err(exceeded) => (Err(exceeded), false),
                Ok(()) => (Ok(()), self.hold(step)),
            },
            (Kind::Reserve, Known::UnderWay) => (Ok(()), false),
            (Kind::Reserve, Known::Ended(..)) => (Err(ended().into()), false),
            (Kind::Overdue(_), Known::Nothing | Known::Ended(..)) => (Ok(()), false),
            (Kind::Overdue(end) | Kind::End(end), known) => (Ok(()), self.end(step, end, known)),
        };
        Answer { standing: standing.map(|()| self.both(ask).of_tenant(&ask.caps)), changed }
    }

    fn known(&self, id: Id) -> Known {
        self.known.get(&id).copied().unwrap_or(Known::Nothing)
    }

    fn both(&self, ask: &Ask) -> Both {
        let totals = |account| self.totals.get(&account).copied().unwrap_or_default();
        Both { mesh: totals(Account::of_mesh(ask.month)), tenant: totals(Account::of_tenant(ask.month, &ask.tenant)) }
    }

    fn hold(&mut self, step: &Step) -> bool {
        self.add(step.ticket.ask(), Change { spent: 0, reserved: step.ticket.amount().0, calls: 0 });
        self.write(step, None)
    }

    fn end(&mut self, step: &Step, end: End, known: Known) -> bool {
        let Some(change) = Change::of(known, step.ticket.amount(), end.cost, end.outcome) else { return false };
        let ask = step.ticket.ask();
        self.add(ask, change);
        // Of a model only what was spent is counted.
        self.add_to(Account::of_model(ask), Change { reserved: 0, ..change });
        self.write(step, Some(end))
    }

    fn add(&mut self, ask: &Ask, change: Change) {
        self.add_to(Account::of_mesh(ask.month), change);
        self.add_to(Account::of_tenant(ask.month, &ask.tenant), change);
    }

    fn add_to(&mut self, account: Account, change: Change) {
        let totals = self.totals.entry(account.clone()).or_default();
        *totals = totals.plus(change);
        let sum = self.changes.entry(account).or_insert(Change { spent: 0, reserved: 0, calls: 0 });
        sum.spent += change.spent;
        sum.reserved += change.reserved;
        sum.calls += change.calls;
    }

    fn write(&mut self, step: &Step, end: Option<End>) -> bool {
        let id = step.ticket.id();
        self.known.insert(id, end.map_or(Known::UnderWay, |end| Known::Ended(end.outcome, end.cost)));
        self.lines.insert(id, Line { router: Arc::clone(&step.router), ticket: step.ticket.clone(), end });
        true
    }
}

/// What the database says of a call, from its columns.
pub fn known(outcome: u8, cost: Money) -> Known {
    Outcome::from_code(outcome).map_or(Known::UnderWay, |outcome| Known::Ended(outcome, cost))
}

fn ended() -> StoreError {
    StoreError::Failed("the call ended before its money was reserved".into())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::Caps;

    fn step(kind: Kind) -> Step {
        let ask = Ask {
            request_id: "request".into(),
            tenant: "acme".into(),
            model: "gpt".into(),
            month: Month::of(UNIX_EPOCH),
            amount: Money(40),
            caps: Caps { mesh: Some(Money(100)), tenant: None },
            expires_at: UNIX_EPOCH,
        };
        Step { router: "router".into(), ticket: Ticket::new(ask), kind }
    }

    fn end(cost: i64, outcome: Outcome) -> End {
        End { cost: Money(cost), outcome, now: 0 }
    }

    #[test]
    fn a_group_sees_what_its_own_steps_hold() {
        let mut books = Books::default();
        let admitted = (0..3).map(|_| books.take(&step(Kind::Reserve)).standing.is_ok()).collect::<Vec<_>>();
        assert_eq!(admitted, [true, true, false]);
        assert_eq!(books.changes[&Account::of_mesh(Month::of(UNIX_EPOCH))].reserved, 80);
        assert_eq!(books.lines.len(), 2);
    }

    #[test]
    fn a_call_that_begins_and_ends_in_one_group_is_one_line() {
        let (mut books, reserve) = (Books::default(), step(Kind::Reserve));
        books.take(&reserve);
        books.take(&Step { kind: Kind::End(end(30, Outcome::Served)), ..reserve.clone() });
        let change = books.changes[&Account::of_mesh(Month::of(UNIX_EPOCH))];
        assert_eq!(change, Change { spent: 30, reserved: 0, calls: 1 });
        assert_eq!(books.lines.len(), 1);
    }

    #[test]
    fn what_is_done_again_changes_nothing() {
        let (mut books, reserve) = (Books::default(), step(Kind::Reserve));
        let settle = Step { kind: Kind::End(end(30, Outcome::Served)), ..reserve.clone() };
        let again = [&reserve, &reserve, &settle, &settle, &reserve];
        let changed = again.map(|step| books.take(step).changed);
        assert_eq!(changed, [true, false, true, false, false]);
    }

    #[test]
    fn what_ended_is_not_overdue_any_more() {
        let (mut books, reserve) = (Books::default(), step(Kind::Reserve));
        let overdue = Step { kind: Kind::Overdue(end(40, Outcome::Lost)), ..reserve.clone() };
        let changed = [&overdue, &reserve, &overdue, &overdue].map(|step| books.take(step).changed);
        assert_eq!(changed, [false, true, true, false]);
    }
}
