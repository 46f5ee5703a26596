//! Whether an answer is the JSON that was asked for.
//!
//! It must parse as it stands, because whoever asked for JSON parses it as it stands: a fence around it is a fault.
//! Of the schema this checks the shape, at every depth: `type`, `enum`, `const`, `required`, `properties`,
//! `additionalProperties`, `items`, and `$ref` to a place in the schema itself.  Whatever else a schema says (bounds,
//! patterns, formats, `anyOf`) counts as satisfied: a fault here asks a dearer model, so doubt goes to the answer.
//! The full check is the Generator's, with jsonschema-rs; that crate would bring 26 others and a minute of building.
use serde_json::Value;

/// Schemas and answers nested deeper are not followed.
const DEPTH: usize = 64;

pub(super) fn is_broken(schema: Option<&str>, answer: &str) -> bool {
    let Some(schema) = schema else { return false };
    let Ok(value) = serde_json::from_str::<Value>(answer) else { return true };
    let Ok(schema) = serde_json::from_str::<Value>(schema) else { return false };
    !Root(&schema).accepts(&schema, &value, DEPTH)
}

/// The schema that references point into.
struct Root<'a>(&'a Value);

impl Root<'_> {
    fn accepts(&self, schema: &Value, value: &Value, depth: usize) -> bool {
        if depth == 0 {
            return true;
        }
        if let Some(target) = self.target(schema) {
            return self.accepts(target, value, depth - 1);
        }
        *schema != Value::Bool(false)
            && has_type(schema, value)
            && is_listed(schema, value)
            && self.accepts_fields(schema, value, depth)
            && self.accepts_items(schema, value, depth)
    }

    // "#" and "#/$defs/Name"; anything else is somewhere this does not look.
    fn target(&self, schema: &Value) -> Option<&Value> {
        self.0.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
    }

    fn accepts_fields(&self, schema: &Value, value: &Value, depth: usize) -> bool {
        let Some(object) = value.as_object() else { return true };
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        if !required.filter_map(Value::as_str).all(|name| object.contains_key(name)) {
            return false;
        }
        let properties = schema.get("properties");
        let open = schema.get("patternProperties").is_some();
        object.iter().all(|(name, field)| match properties.and_then(|properties| properties.get(name)) {
            Some(known) => self.accepts(known, field, depth - 1),
            None => open || self.accepts(schema.get("additionalProperties").unwrap_or(&Value::Null), field, depth - 1),
        })
    }

    fn accepts_items(&self, schema: &Value, value: &Value, depth: usize) -> bool {
        let (Some(items), Some(array)) = (schema.get("items"), value.as_array()) else { return true };
        let skipped = schema.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
        array.iter().skip(skipped).all(|item| self.accepts(items, item, depth - 1))
    }
}

fn has_type(schema: &Value, value: &Value) -> bool {
    match schema.get("type") {
        Some(Value::String(name)) => is_a(name, value),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).any(|name| is_a(name, value)),
        _ => true,
    }
}

fn is_a(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => true,
    }
}

fn is_listed(schema: &Value, value: &Value) -> bool {
    let among = schema.get("enum").and_then(Value::as_array).is_none_or(|choices| choices.contains(value));
    among && schema.get("const").is_none_or(|only| only == value)
}
