//! The few words the plane has for its operator, on standard error, one JSON object a line as Python's side writes them.

use std::time::SystemTime;

/// Something that is not as it should be, while the service goes on.
pub fn warn(event: &str, error: &str) {
    let timestamp = prost_types::Timestamp::from(SystemTime::now()).to_string();
    let line = serde_json::json!({ "event": event, "level": "warning", "timestamp": timestamp, "error": error });
    eprintln!("{line}");
}
