//! Reading and forgetting the ledger.

use tokio_postgres::{Error, Row};

use super::money;
use crate::{Call, ModelSpend, Money, Month, Outcome, clock};

/// Without a tenant, all tenants.
pub const BY_MODEL: &str = "SELECT model, SUM(calls)::bigint, SUM(spent)::bigint FROM totals
     WHERE month = $1 AND kind = 2 AND ($2::text IS NULL OR tenant = $2) GROUP BY model";

pub const NEWEST: &str =
    "SELECT id, request_id, tenant, model, month, router, reserved, cost, outcome, ended FROM calls
     WHERE month = $1 AND outcome <> 0 ORDER BY id DESC LIMIT $2";

/// None that is under way.
pub const PURGE: &str = "WITH gone AS (
         DELETE FROM calls WHERE id IN (SELECT id FROM calls WHERE id < $1 AND outcome <> 0 LIMIT $2) RETURNING 1)
     SELECT count(*) FROM gone";

pub fn spend(row: &Row) -> Result<ModelSpend, Error> {
    let calls: i64 = row.try_get(1)?;
    Ok(ModelSpend { model: row.try_get(0)?, calls: calls.max(0) as u64, spent: Money(row.try_get(2)?) })
}

/// A row of [`NEWEST`]; nothing where a newer version wrote an outcome that this one does not know.
pub fn call(row: &Row) -> Result<Option<Call>, Error> {
    let (month, outcome, ended): (i32, i16, i64) = (row.try_get(4)?, row.try_get(8)?, row.try_get(9)?);
    let Some(outcome) = Outcome::from_code(outcome as u8) else { return Ok(None) };
    Ok(Some(Call {
        request_id: row.try_get(1)?,
        tenant: row.try_get(2)?,
        model: row.try_get(3)?,
        month: Month::from_number(month as u32),
        router: row.try_get(5)?,
        reserved: Money(row.try_get(6)?),
        cost: Money(row.try_get(7)?),
        outcome,
        begun_at: clock::time(money::id(row)?.millis()),
        ended_at: clock::time(ended as u64),
    }))
}
