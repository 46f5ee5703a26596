//! Families of several processes as one list.

use std::collections::HashMap;

use crate::proto::v1::MetricFamily;

/// Puts families of one name together, in the order of their first appearance; one that differs in kind, labels or
/// bounds from the first of its name (a worker of another version) cannot stand beside it and is left out.
pub fn merge(families: impl IntoIterator<Item = MetricFamily>) -> Vec<MetricFamily> {
    let mut merged: Vec<MetricFamily> = Vec::new();
    let mut places = HashMap::new();
    for family in families {
        let place = *places.entry(family.name.clone()).or_insert(merged.len());
        match merged.get_mut(place) {
            None => merged.push(family),
            Some(first) if is_alike(first, &family) => first.series.extend(family.series),
            Some(_) => {}
        }
    }
    merged
}

fn is_alike(a: &MetricFamily, b: &MetricFamily) -> bool {
    (a.r#type, &a.labels, &a.bounds) == (b.r#type, &b.labels, &b.bounds)
}
