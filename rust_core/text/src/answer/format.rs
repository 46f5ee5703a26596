//! Format.
pub(super) fn is_broken(schema: Option<&str>, answer: &str) -> bool {
    schema.is_some() && serde_json::from_str::<serde_json::Value>(answer).is_err()
}
