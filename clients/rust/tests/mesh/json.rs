//! Messages as the golden table writes them.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;
use waypost_client::v1::DESCRIPTORS;

const FLOAT_TOLERANCE: f64 = 1e-5;

static CONTRACT: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("built by protox"));

pub fn read<M: prost::Message + Default>(kind: &str, json: &Value) -> M {
    DynamicMessage::deserialize(descriptor(kind), json).expect("the table is right").transcode_to().expect("one schema")
}

/// With the fields that are zero, so that the table may expect them.
pub fn write<M: prost::Message>(kind: &str, message: &M) -> Value {
    let mut dynamic = DynamicMessage::new(descriptor(kind));
    dynamic.transcode_from(message).expect("one schema");
    let options = SerializeOptions::new().skip_default_fields(false);
    dynamic.serialize_with_options(serde_json::value::Serializer, &options).expect("is JSON")
}

/// Whether an answer has all that is wanted; what it has besides does not count.
pub fn matches(wanted: &Value, got: &Value) -> bool {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            wanted.iter().all(|(key, value)| got.get(key).is_some_and(|got| matches(value, got)))
        }
        (Value::Array(wanted), Value::Array(got)) => {
            wanted.len() == got.len() && wanted.iter().zip(got).all(|(wanted, got)| matches(wanted, got))
        }
        (Value::Number(wanted), Value::Number(got)) => {
            (wanted.as_f64().unwrap() - got.as_f64().unwrap()).abs() <= FLOAT_TOLERANCE
        }
        _ => wanted == got,
    }
}

fn descriptor(kind: &str) -> prost_reflect::MessageDescriptor {
    CONTRACT.get_message_by_name(&format!("waypost.v1.{kind}")).expect("is in the contract")
}
