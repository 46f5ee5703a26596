//! Reserving, settling, sweeping, each within the transaction of the caller.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    Ask, Caps, Money, Month, Outcome, ReserveError, Standing, Ticket,
    budget::{Both, Change, Known, Totals},
    clock,
    ticket::Id,
};

/// The scope of all tenants; those of tenants begin otherwise.
const MESH: &str = "mesh";
/// What `calls.outcome` holds of a call under way.
const UNDER_WAY: u8 = 0;

/// How a call ends, and when.
#[derive(Clone, Copy, Debug)]
pub struct End {
    pub cost: Money,
    pub outcome: Outcome,
    pub now: u64,
}

/// Holds the ticket's amount, if the caps allow it.
pub fn reserve(
    connection: &Connection,
    router: &str,
    ticket: &Ticket,
) -> rusqlite::Result<Result<Standing, ReserveError>> {
    let ask = ticket.ask();
    if let Err(exceeded) = totals(connection, &ask.tenant, ask.month)?.admit(&ask.caps, ask.amount) {
        return Ok(Err(exceeded));
    }
    insert(connection, router, ticket, None)?;
    let held = Change { spent: 0, reserved: ask.amount.0, calls: 0 };
    Ok(Ok(add_totals(connection, ask, held)?.of_tenant(&ask.caps)))
}

/// Ends the ticket's call, unless it has its end.
pub fn settle(connection: &Connection, router: &str, ticket: &Ticket, end: End) -> rusqlite::Result<Standing> {
    let ask = ticket.ask();
    let known = known(connection, ticket.id())?;
    let both = match Change::of(known, ticket.amount(), end.cost, end.outcome) {
        None => totals(connection, &ask.tenant, ask.month)?,
        Some(change) => {
            match known {
                Known::Nothing => insert(connection, router, ticket, Some(end))?,
                _ => update(connection, ticket.id(), end)?,
            }
            add_model(connection, ask, change)?;
            add_totals(connection, ask, change)?
        }
    };
    Ok(both.of_tenant(&ask.caps))
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
    let mut select = connection.prepare_cached("SELECT spent, reserved FROM totals WHERE month = ?1 AND scope = ?2")?;
    let mut of = |scope: &str| select.query_row(params![month.number(), scope], read_totals).optional();
    let mesh = of(MESH)?.unwrap_or_default();
    Ok(Both { mesh, tenant: of(&scope(tenant))?.unwrap_or_default() })
}

fn scope(tenant: &str) -> String {
    ["tenant:", tenant].concat()
}

fn read_totals(row: &Row<'_>) -> rusqlite::Result<Totals> {
    Ok(Totals { spent: Money(row.get(0)?), reserved: Money(row.get(1)?) })
}

fn add_totals(connection: &Connection, ask: &Ask, change: Change) -> rusqlite::Result<Both> {
    let sql = "INSERT INTO totals (month, scope, spent, reserved) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT DO UPDATE SET spent = spent + excluded.spent, reserved = reserved + excluded.reserved
               RETURNING spent, reserved";
    let mut upsert = connection.prepare_cached(sql)?;
    let mut add =
        |scope: &str| upsert.query_row(params![ask.month.number(), scope, change.spent, change.reserved], read_totals);
    Ok(Both { mesh: add(MESH)?, tenant: add(&scope(&ask.tenant))? })
}

fn add_model(connection: &Connection, ask: &Ask, change: Change) -> rusqlite::Result<()> {
    let sql = "INSERT INTO models (month, tenant, model, calls, spent) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, spent = spent + excluded.spent";
    let values = params![ask.month.number(), ask.tenant, ask.model, change.calls, change.spent];
    connection.prepare_cached(sql)?.execute(values).map(drop)
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

fn update(connection: &Connection, id: Id, end: End) -> rusqlite::Result<()> {
    let sql = "UPDATE calls SET cost = ?2, outcome = ?3, ended = ?4 WHERE id = ?1";
    let values = params![id.bytes(), end.cost.0, end.outcome.code(), end.now];
    connection.prepare_cached(sql)?.execute(values).map(drop)
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
