//! Times as milliseconds since 1970, which all databases keep.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last that a database can keep.
const LAST: u128 = i64::MAX as u128;

/// Milliseconds since 1970; before it, 0.
pub fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis().min(LAST) as u64)
}

/// The time so many milliseconds after 1970.
pub fn time(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}

/// Milliseconds from 1970 until now.
pub fn now() -> u64 {
    millis(SystemTime::now())
}
