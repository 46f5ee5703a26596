//! Reading what scripts wrote.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::connection::Connection;
use crate::{Call, Document, ModelSpend, Money, Month, Outcome, StoreError, clock};

/// Lines of the ledger that are read at once.
const PAGE: usize = 1_000;

type Line = (String, HashMap<String, String>);

/// What each model cost, from the fields of `models:MONTH`; without a tenant, all tenants.
pub fn by_model(fields: &[(String, i64)], tenant: Option<&str>) -> Vec<ModelSpend> {
    let mut models = BTreeMap::<&str, ModelSpend>::new();
    for (field, value) in fields {
        let Some((kind, whose, model)) = parts(field) else { continue };
        if tenant.is_some_and(|tenant| tenant != whose) {
            continue;
        }
        let entry = models.entry(model);
        let spend = entry.or_insert_with(|| ModelSpend { model: model.into(), calls: 0, spent: Money::ZERO });
        match kind {
            "spent" => spend.spent.0 += value,
            _ => spend.calls += u64::try_from(*value).unwrap_or(0),
        }
    }
    models.into_values().collect()
}

/// `spent:4:acmegpt` is what `acme` spent on `gpt`: the length parts names that may hold anything.
fn parts(field: &str) -> Option<(&str, &str, &str)> {
    let (kind, rest) = field.split_once(':')?;
    let (length, names) = rest.split_once(':')?;
    let (tenant, model) = names.split_at_checked(length.parse().ok()?)?;
    Some((kind, tenant, model))
}

/// The newest calls that ended; of one that ended twice, the last end.
pub async fn newest(connection: &Connection, key: &str, month: Month, limit: usize) -> Result<Vec<Call>, StoreError> {
    let (mut calls, mut seen, mut end) = (Vec::new(), HashSet::new(), "+".to_owned());
    while calls.len() < limit {
        let page = page(connection, key, &end).await?;
        let Some((last, _)) = page.last() else { break };
        end = format!("({last}");
        let fresh = page.into_iter().filter(|(_, line)| line.get("id").is_some_and(|id| seen.insert(id.clone())));
        let read = fresh.map(|(_, line)| call(&line)).collect::<Result<Vec<_>, _>>()?;
        calls.extend(read.into_iter().filter(|call| call.month == month));
    }
    calls.truncate(limit);
    Ok(calls)
}

async fn page(connection: &Connection, key: &str, end: &str) -> Result<Vec<Line>, StoreError> {
    let mut command = redis::cmd("XREVRANGE");
    connection.query(command.arg(key).arg(end).arg("-").arg("COUNT").arg(PAGE)).await
}

fn call(line: &HashMap<String, String>) -> Result<Call, StoreError> {
    Ok(Call {
        request_id: read(line, "request")?,
        tenant: read(line, "tenant")?,
        model: read(line, "model")?,
        month: read(line, "month")?,
        router: read(line, "router")?,
        reserved: Money(read(line, "reserved")?),
        cost: Money(read(line, "cost")?),
        outcome: Outcome::from_code(read(line, "outcome")?).ok_or_else(|| not_ours("outcome"))?,
        begun_at: clock::time(read(line, "begun")?),
        ended_at: clock::time(read(line, "ended")?),
    })
}

fn read<T: std::str::FromStr>(line: &HashMap<String, String>, field: &str) -> Result<T, StoreError> {
    line.get(field).and_then(|text| text.parse().ok()).ok_or_else(|| not_ours(field))
}

/// What was kept as `7 text`.
pub fn document(kept: &str) -> Result<Document, StoreError> {
    let parts = kept.split_once(' ').and_then(|(revision, text)| Some((revision.parse().ok()?, text.to_owned())));
    parts.map(|(revision, text)| Document { revision, text }).ok_or_else(|| not_ours("document"))
}

fn not_ours(what: &str) -> StoreError {
    StoreError::Failed(format!("a {what} is kept that this version did not write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parted_by_their_length() {
        assert_eq!(parts("spent:4:a:b:gpt:4"), Some(("spent", "a:b:", "gpt:4")));
        assert_eq!(parts("spent:9:a"), None);
    }

    #[test]
    fn tenants_are_added_up_where_none_is_named() {
        let fields = [("spent:1:agpt", 5), ("calls:1:agpt", 2), ("spent:1:bgpt", 7), ("calls:1:bgpt", 1)];
        let fields = fields.map(|(field, value)| (field.to_owned(), value));
        let spend = |calls, nanos| vec![ModelSpend { model: "gpt".into(), calls, spent: Money(nanos) }];
        assert_eq!(by_model(&fields, None), spend(3, 12));
        assert_eq!(by_model(&fields, Some("b")), spend(1, 7));
    }
}
