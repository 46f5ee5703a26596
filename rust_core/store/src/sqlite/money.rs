//! Reserving, settling, sweeping, each within the transaction of the caller.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    Ask, Caps, Money, Month, Outcome, ReserveError, Standing, Ticket,
    budget::{Both, Change, Known, Totals},
    clock,
    ticket::{End, Id},
};

/// What `calls.outcome` holds of a call under way.
const UNDER_WAY: u8 = 0;

/// Whose totals: the column of this name in `schema.sql`.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Mesh = 0,
    Tenant = 1,
    Model = 2,
}

impl Kind {
    /// The tenant and the model of its row.
    fn names(self, ask: &Ask) -> (&str, &str) {
        match self {
            Self::Mesh => ("", ""),
            Self::Tenant => (&ask.tenant, ""),
            Self::Model => (&ask.tenant, &ask.model),
        }
    }
}

/// Holds the ticket's amount, if the caps allow it.
pub fn reserve(
    connection: &Connection,
    router: &str,
    ticket: &Ticket,
) -> rusqlite::Result<Result<Standing, ReserveError>> {
    let ask = ticket.ask();
    let before = totals(connection, &ask.tenant, ask.month)?;
    if let Err(exceeded) = before.admit(&ask.caps, ask.amount) {
        return Ok(Err(exceeded));
    }
    insert(connection, router, ticket, None)?;
    let held = Change { spent: 0, reserved: ask.amount.0, calls: 0 };
    add(connection, ask, held, &[Kind::Mesh, Kind::Tenant])?;
    Ok(Ok(before.plus(held).of_tenant(&ask.caps)))
}

/// Ends the ticket's call, unless it has its end.
pub fn settle(connection: &Connection, router: &str, ticket: &Ticket, end: End) -> rusqlite::Result<()> {
    match book(connection, router, ticket, end)? {
        Some(change) => {
            add(connection, ticket.ask(), change, &[Kind::Mesh, Kind::Tenant])?;
            // Of a model only what was spent is counted.
            add(connection, ticket.ask(), Change { reserved: 0, ..change }, &[Kind::Model])
        }
        None => Ok(()),
    }
}

/// Ends up to `limit` calls that should have ended by `now`, at all that they hold.
pub fn sweep(connection: &Connection, now: u64, limit: usize) -> rusqlite::Result<usize> {
    let sql = "SELECT id, request_id, tenant, model, month, router, reserved FROM calls
               WHERE outcome = 0 AND expires <= ?1 LIMIT ?2";
    let mut select = connection.prepare_cached(sql)?;
    let overdue: Vec<_> = select.query_map(params![now, limit], overdue)?.collect::<Result<_, _>>()?;
    for (router, ticket) in &overdue {
        settle(connection, router, ticket, End { cost: ticket.amount(), outcome: Outcome::Lost, now })?;
    }
    Ok(overdue.len())
}

/// What the month has cost so far, and holds.
pub fn totals(connection: &Connection, tenant: &str, month: Month) -> rusqlite::Result<Both> {
    let sql = "SELECT mesh.spent, mesh.reserved, own.spent, own.reserved FROM totals AS mesh
               LEFT JOIN totals AS own ON own.month = ?1 AND own.kind = 1 AND own.tenant = ?2 AND own.model = ''
               WHERE mesh.month = ?1 AND mesh.kind = 0 AND mesh.tenant = '' AND mesh.model = ''";
    let found = connection.prepare_cached(sql)?.query_row(params![month.number(), tenant], read_both).optional()?;
    Ok(found.unwrap_or_default())
}

fn read_both(row: &Row<'_>) -> rusqlite::Result<Both> {
    let money = |index| row.get::<_, Option<i64>>(index).map(|nanos| Money(nanos.unwrap_or(0)));
    let mesh = Totals { spent: money(0)?, reserved: money(1)? };
    Ok(Both { mesh, tenant: Totals { spent: money(2)?, reserved: money(3)? } })
}

/// Adds to the totals of the kinds.
fn add(connection: &Connection, ask: &Ask, change: Change, kinds: &[Kind]) -> rusqlite::Result<()> {
    let update = "UPDATE totals SET calls = calls + ?5, spent = spent + ?6, reserved = reserved + ?7
                  WHERE month = ?1 AND kind = ?2 AND tenant = ?3 AND model = ?4";
    let insert = "INSERT INTO totals (month, kind, tenant, model, calls, spent, reserved)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let Change { calls, spent, reserved } = change;
    for kind in kinds {
        let (tenant, model) = kind.names(ask);
        let values = params![ask.month.number(), *kind as u8, tenant, model, calls, spent, reserved];
        // An upsert would need a savepoint each time for what happens once a month.
        if connection.prepare_cached(update)?.execute(values)? == 0 {
            connection.prepare_cached(insert)?.execute(values)?;
        }
    }
    Ok(())
}

/// Writes the end of the call; what it changes, nothing where it has its end.
fn book(connection: &Connection, router: &str, ticket: &Ticket, end: End) -> rusqlite::Result<Option<Change>> {
    let change = |known| Change::of(known, ticket.amount(), end.cost, end.outcome);
    if update(connection, ticket.id(), end, UNDER_WAY)? {
        return Ok(change(Known::UnderWay));
    }
    let known = known(connection, ticket.id())?;
    match known {
        Known::Nothing => insert(connection, router, ticket, Some(end))?,
        _ => drop(update(connection, ticket.id(), end, Outcome::Lost.code())?),
    }
    Ok(change(known))
}

fn known(connection: &Connection, id: Id) -> rusqlite::Result<Known> {
    let mut select = connection.prepare_cached("SELECT outcome, cost FROM calls WHERE id = ?1")?;
    let found = select.query_row([id.bytes()], |row| Ok((row.get(0)?, Money(row.get(1)?)))).optional()?;
    Ok(found.map_or(Known::Nothing, |(code, cost)| {
        Outcome::from_code(code).map_or(Known::UnderWay, |outcome| Known::Ended(outcome, cost))
    }))
}

fn insert(connection: &Connection, router: &str, ticket: &Ticket, end: Option<End>) -> rusqlite::Result<()> {
    let ask = ticket.ask();
    let (cost, outcome, ended) = end.map_or((0, UNDER_WAY, 0), |end| (end.cost.0, end.outcome.code(), end.now));
    let sql = "INSERT INTO calls
               (id, request_id, tenant, model, month, router, reserved, expires, cost, outcome, ended)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let values = params![
        ticket.id().bytes(),
        ask.request_id,
        ask.tenant,
        ask.model,
        ask.month.number(),
        router,
        ask.amount.0,
        clock::millis(ask.expires_at),
        cost,
        outcome,
        ended,
    ];
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

/// Writes the end of a call that is at `outcome`; whether it was.
fn update(connection: &Connection, id: Id, end: End, outcome: u8) -> rusqlite::Result<bool> {
    let sql = "UPDATE calls SET cost = ?3, outcome = ?4, ended = ?5 WHERE id = ?1 AND outcome = ?2";
    let values = params![id.bytes(), outcome, end.cost.0, end.outcome.code(), end.now];
    connection.prepare_cached(sql)?.execute(values).map(|changed| changed > 0)
}

/// The router and the ticket of a row of [`sweep`].
fn overdue(row: &Row<'_>) -> rusqlite::Result<(String, Ticket)> {
    let ask = Ask {
        request_id: row.get(1)?,
        tenant: row.get(2)?,
        model: row.get(3)?,
        month: Month::from_number(row.get(4)?),
        amount: Money(row.get(6)?),
        caps: Caps::default(),
        expires_at: SystemTime::UNIX_EPOCH,
    };
    Ok((row.get(5)?, Ticket::known(Id::from_bytes(row.get(0)?), ask)))
}
