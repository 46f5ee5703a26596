//! Documents as the contract has them, encoded: metadata goes from the store to the caller without being Python's.

use prost::Message;
use prost_types::{ListValue, Struct, Timestamp, Value, value::Kind};
use serde_json::{Map, Value as Json};
use waypost_plane::proto::v1;
use waypost_retrieve::{Kept, Millis};

/// The last moment that a Timestamp has: the end of the year 9999.
const LAST: Millis = 253_402_300_799_999;

/// `waypost.v1.Document`.
pub fn document(kept: Kept) -> Vec<u8> {
    let Kept { id, text, metadata, expires, vector, .. } = kept;
    // It was checked when it was stored.
    let fields: Map<String, Json> = serde_json::from_str(&metadata).unwrap_or_default();
    let metadata = (!fields.is_empty()).then(|| object(fields));
    let vector = (!vector.is_empty()).then_some(v1::Vector { values: vector });
    v1::Document { id, text, metadata, vector, expires: expires.map(timestamp) }.encode_to_vec()
}

fn object(fields: Map<String, Json>) -> Struct {
    Struct { fields: fields.into_iter().map(|(name, each)| (name, value(each))).collect() }
}

fn value(json: Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(truth) => Kind::BoolValue(truth),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(values) => Kind::ListValue(ListValue { values: values.into_iter().map(value).collect() }),
        Json::Object(fields) => Kind::StructValue(object(fields)),
    };
    Value { kind: Some(kind) }
}

fn timestamp(millis: Millis) -> Timestamp {
    let millis = millis.clamp(0, LAST);
    Timestamp { seconds: millis.div_euclid(1000), nanos: (millis.rem_euclid(1000) * 1_000_000) as i32 }
}
