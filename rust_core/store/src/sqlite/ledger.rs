//! Reading and forgetting the ledger.

use rusqlite::{Connection, Row, params, types::Type};

use crate::{Call, ModelSpend, Money, Month, Outcome, clock, ticket::Id};

/// What each model cost; without a tenant, all tenants.
pub fn by_model(connection: &Connection, tenant: Option<&str>, month: Month) -> rusqlite::Result<Vec<ModelSpend>> {
    let sql = "SELECT model, SUM(calls), SUM(spent) FROM totals
               WHERE month = ?1 AND kind = 2 AND (?2 IS NULL OR tenant = ?2) GROUP BY model";
    let read = |row: &Row<'_>| Ok(ModelSpend { model: row.get(0)?, calls: row.get(1)?, spent: Money(row.get(2)?) });
    connection.prepare_cached(sql)?.query_map(params![month.number(), tenant], read)?.collect()
}

/// The newest calls that ended.
pub fn newest(connection: &Connection, month: Month, limit: usize) -> rusqlite::Result<Vec<Call>> {
    let sql = "SELECT id, request_id, tenant, model, month, router, reserved, cost, outcome, ended FROM calls
               WHERE month = ?1 AND outcome <> 0 ORDER BY id DESC LIMIT ?2";
    connection
        .prepare_cached(sql)?
        .query_map(params![month.number(), i64::try_from(limit).unwrap_or(i64::MAX)], call)?
        .collect()
}

/// Deletes up to `limit` calls that began before a time, but none under way.
pub fn purge(connection: &Connection, before: u64, limit: usize) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM calls WHERE id IN (SELECT id FROM calls WHERE id < ?1 AND outcome <> 0 LIMIT ?2)";
    connection.prepare_cached(sql)?.execute(params![Id::first_of(before).bytes(), limit])
}

fn call(row: &Row<'_>) -> rusqlite::Result<Call> {
    Ok(Call {
        request_id: row.get(1)?,
        tenant: row.get(2)?,
        model: row.get(3)?,
        month: Month::from_number(row.get(4)?),
        router: row.get(5)?,
        reserved: Money(row.get(6)?),
        cost: Money(row.get(7)?),
        outcome: outcome(row.get(8)?)?,
        begun_at: clock::time(Id::from_bytes(row.get(0)?).millis()),
        ended_at: clock::time(row.get(9)?),
    })
}

fn outcome(code: u8) -> rusqlite::Result<Outcome> {
    let unknown = || format!("{code} is no outcome").into();
    Outcome::from_code(code).ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(8, Type::Integer, unknown()))
}
