//! The one transaction of a group of steps: read, decide, write.
//!
//! Groups take turns, over all routers, at a lock that a statement before the first reading takes: so what was read is
//! still so when it is written, whatever the group touches, and no two groups wait for each other.  Statements are sent
//! without waiting for the answers to those before: a group takes two round trips.

use std::{collections::HashSet, sync::Arc, time::SystemTime};

use futures::future::{try_join, try_join3};
use tokio_postgres::{Error, Row};

use super::{
    books::{self, Account, Answer, Books, Kind, Line, Step},
    session::Session,
};
use crate::{
    Ask, Caps, Money, Month, Outcome, Ticket,
    budget::{Both, Change, Known, Totals},
    clock,
    ticket::{End, Id},
};

/// Vacuum does not touch this table, and reading it is allowed meanwhile.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; LOCK TABLE version IN EXCLUSIVE MODE";

const TOTALS: &str = "SELECT month, kind, tenant, spent, reserved FROM totals
     JOIN unnest($1::int[], $2::smallint[], $3::text[]) AS asked (month, kind, tenant) USING (month, kind, tenant)
     WHERE model = ''";

const CALLS: &str = "SELECT id, outcome, cost FROM calls WHERE id = ANY($1::bytea[])";

const WRITE_CALLS: &str =
    "INSERT INTO calls (id, request_id, tenant, model, month, router, reserved, expires, cost, outcome, ended)
     SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::int[], $6::text[], $7::bigint[],
                          $8::bigint[], $9::bigint[], $10::smallint[], $11::bigint[])
     ON CONFLICT (id) DO UPDATE SET cost = excluded.cost, outcome = excluded.outcome, ended = excluded.ended";

const WRITE_TOTALS: &str = "INSERT INTO totals AS kept (month, kind, tenant, model, calls, spent, reserved)
     SELECT * FROM unnest($1::int[], $2::smallint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[])
     ON CONFLICT (month, kind, tenant, model) DO UPDATE SET calls = kept.calls + excluded.calls,
         spent = kept.spent + excluded.spent, reserved = kept.reserved + excluded.reserved";

pub const OVERDUE: &str = "SELECT id, request_id, tenant, model, month, router, reserved, expires FROM calls
     WHERE outcome = 0 AND expires <= $1 LIMIT $2";

pub const STANDING: &str = "SELECT kind, spent, reserved FROM totals
     WHERE month = $1 AND model = '' AND (kind, tenant) IN ((0, ''), (1, $2))";

/// Does all steps or none; the answer to each.
pub async fn book(session: &Session, steps: &[&Step]) -> Result<Vec<Answer>, Error> {
    for sql in [TOTALS, CALLS, WRITE_CALLS, WRITE_TOTALS] {
        session.prepare(sql).await?;
    }
    let mut books = read(session, steps).await?;
    let answers = steps.iter().map(|step| books.take(step)).collect();
    if books.lines.is_empty() {
        session.execute("ROLLBACK").await?;
    } else {
        write(session, &books).await?;
    }
    Ok(answers)
}

async fn read(session: &Session, steps: &[&Step]) -> Result<Books, Error> {
    let (months, kinds, tenants) = accounts(steps);
    let ids: Vec<_> = steps.iter().map(|step| step.ticket.id().bytes()).collect();
    let ids: Vec<_> = ids.iter().map(<[u8; 16]>::as_slice).collect();
    let ((), totals, calls) = try_join3(
        session.execute(BEGIN),
        session.query(TOTALS, &[&months, &kinds, &tenants]),
        session.query(CALLS, &[&ids]),
    )
    .await?;
    let totals = totals.iter().map(account).collect::<Result<_, _>>()?;
    let calls = calls.iter().map(call).collect::<Result<_, _>>()?;
    Ok(Books::new(totals, calls))
}

/// What the caps of the steps are about.
fn accounts<'a>(steps: &[&'a Step]) -> (Vec<i32>, Vec<i16>, Vec<&'a str>) {
    let asks = steps.iter().map(|step| step.ticket.ask());
    let both = asks.flat_map(|ask| [(ask.month, 0, ""), (ask.month, 1, ask.tenant.as_str())]);
    let distinct: HashSet<_> = both.collect();
    let (mut months, mut kinds, mut tenants) = (Vec::new(), Vec::new(), Vec::new());
    for (month, kind, tenant) in distinct {
        months.push(month.number() as i32);
        kinds.push(kind);
        tenants.push(tenant);
    }
    (months, kinds, tenants)
}

fn account(row: &Row) -> Result<(Account, Totals), Error> {
    let (month, kind): (i32, i16) = (row.try_get(0)?, row.try_get(1)?);
    let month = Month::from_number(month as u32);
    let account = if kind == 0 { Account::of_mesh(month) } else { Account::of_tenant(month, row.try_get(2)?) };
    Ok((account, Totals { spent: Money(row.try_get(3)?), reserved: Money(row.try_get(4)?) }))
}

fn call(row: &Row) -> Result<(Id, Known), Error> {
    let outcome: i16 = row.try_get(1)?;
    Ok((id(row)?, books::known(outcome as u8, Money(row.try_get(2)?))))
}

/// Of a row that begins with it; one of another length is none of ours, and no call's.
pub fn id(row: &Row) -> Result<Id, Error> {
    let bytes: &[u8] = row.try_get(0)?;
    Ok(Id::from_bytes(bytes.try_into().unwrap_or_default()))
}

async fn write(session: &Session, books: &Books) -> Result<(), Error> {
    let changed = try_join(write_calls(session, books.lines.values()), write_totals(session, books));
    try_join(changed, session.execute("COMMIT")).await.map(drop)
}

async fn write_calls(session: &Session, lines: impl Iterator<Item = &Line> + Clone) -> Result<(), Error> {
    /// One column of all lines.
    macro_rules! column {
        ($line:ident => $value:expr) => {
            lines.clone().map(|$line| $value).collect::<Vec<_>>()
        };
    }
    let ids = column!(line => line.ticket.id().bytes());
    let end =
        |line: &Line| line.end.map_or((0, 0, 0), |end| (end.cost.0, i16::from(end.outcome.code()), end.now as i64));
    session
        .query(
            WRITE_CALLS,
            &[
                &ids.iter().map(<[u8; 16]>::as_slice).collect::<Vec<_>>(),
                &column!(line => line.ticket.ask().request_id.as_str()),
                &column!(line => line.ticket.ask().tenant.as_str()),
                &column!(line => line.ticket.ask().model.as_str()),
                &column!(line => line.ticket.ask().month.number() as i32),
                &column!(line => &*line.router),
                &column!(line => line.ticket.amount().0),
                &column!(line => clock::millis(line.ticket.ask().expires_at) as i64),
                &column!(line => end(line).0),
                &column!(line => end(line).1),
                &column!(line => end(line).2),
            ],
        )
        .await
        .map(drop)
}

async fn write_totals(session: &Session, books: &Books) -> Result<(), Error> {
    let rows = books.changes.iter();
    let column = |of: fn(&Change) -> i64| books.changes.values().map(of).collect::<Vec<_>>();
    session
        .query(
            WRITE_TOTALS,
            &[
                &rows.clone().map(|(account, _)| account.month.number() as i32).collect::<Vec<_>>(),
                &rows.clone().map(|(account, _)| account.kind).collect::<Vec<_>>(),
                &rows.clone().map(|(account, _)| account.tenant.as_str()).collect::<Vec<_>>(),
                &rows.map(|(account, _)| account.model.as_str()).collect::<Vec<_>>(),
                &column(|change| change.calls),
                &column(|change| change.spent),
                &column(|change| change.reserved),
            ],
        )
        .await
        .map(drop)
}

/// The totals from the rows of [`STANDING`].
pub fn both(rows: &[Row]) -> Result<Both, Error> {
    let mut both = Both::default();
    for row in rows {
        let kind: i16 = row.try_get(0)?;
        let totals = Totals { spent: Money(row.try_get(1)?), reserved: Money(row.try_get(2)?) };
        *(if kind == 0 { &mut both.mesh } else { &mut both.tenant }) = totals;
    }
    Ok(both)
}

/// What takes the call of a row of [`OVERDUE`] for lost, at all that it holds.
pub fn overdue(row: &Row, now: u64) -> Result<Step, Error> {
    let (month, router): (i32, &str) = (row.try_get(4)?, row.try_get(5)?);
    let ask = Ask {
        request_id: row.try_get(1)?,
        tenant: row.try_get(2)?,
        model: row.try_get(3)?,
        month: Month::from_number(month as u32),
        amount: Money(row.try_get(6)?),
        caps: Caps::default(),
        expires_at: SystemTime::UNIX_EPOCH,
    };
    let end = End { cost: ask.amount, outcome: Outcome::Lost, now };
    Ok(Step { router: Arc::from(router), ticket: Ticket::known(id(row)?, ask), kind: Kind::Overdue(end) })
}
