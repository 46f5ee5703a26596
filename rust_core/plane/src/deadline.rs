//! The caller's deadline: the `grpc-timeout` header turned into an instant once, at the door.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue};

use crate::error::Error;

const HEADER: &str = "grpc-timeout";

/// When the answer stops being of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline that is `timeout` from `now`.
    pub fn after(now: Instant, timeout: Duration) -> Self {
        Self(now + timeout)
    }

    /// From the `grpc-timeout` header, or `default` where a call has none or one that cannot be read.
    pub fn from_headers(headers: &HeaderMap, now: Instant, default: Duration) -> Self {
        Self::asked(headers, now).unwrap_or(Self::after(now, default))
    }

    /// From the `grpc-timeout` header alone.
    pub fn asked(headers: &HeaderMap, now: Instant) -> Option<Self> {
        headers.get(HEADER).and_then(parse).map(|timeout| Self::after(now, timeout))
    }

    /// Time left at `now`; zero once it has passed.
    pub fn left(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// The deadline has passed.
    pub fn passed(self, now: Instant) -> bool {
        self.0 <= now
    }

    /// The same, but so much sooner.
    pub fn sooner(self, margin: Duration) -> Self {
        Self(self.0.checked_sub(margin).unwrap_or(self.0))
    }

    /// Tells the next hop how much time is left.
    pub fn write(self, headers: &mut HeaderMap, now: Instant) {
        headers.insert(HEADER, format(self.left(now)));
    }

    /// Ends when the deadline passes.
    pub fn sleep(self) -> tokio::time::Sleep {
        tokio::time::sleep_until(self.0.into())
    }

    /// Awaits `work` until the deadline; `stage` says in the error where the time ran out.
    pub async fn run<T>(self, stage: &'static str, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::time::timeout_at(self.0.into(), work).await.map_err(|_| Error::Deadline { stage })
    }
}

/// `grpc-timeout`: at most 8 digits and a unit, as the gRPC over HTTP/2 specification has it.
fn parse(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// The finest unit whose count fits 8 digits.
fn format(left: Duration) -> HeaderValue {
    const LIMIT: u128 = 100_000_000;
    let text = match (left.as_micros(), left.as_millis()) {
        (micros, _) if micros < LIMIT => format!("{micros}u"),
        (_, millis) if millis < LIMIT => format!("{millis}m"),
        _ => format!("{}S", left.as_secs().min(99_999_999)),
    };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("0u"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_of_the_header_is_read() {
        for (text, expected) in [("2H", 7_200_000), ("3M", 180_000), ("4S", 4_000), ("250m", 250), ("5000u", 5)] {
            let parsed = parse(&HeaderValue::from_static(text));
            assert_eq!(parsed, Some(Duration::from_millis(expected)), "{text}");
        }
    }

    #[test]
    fn a_header_that_is_no_timeout_is_ignored() {
        for text in ["", "S", "1", "-1S", "123456789S", "1x"] {
            assert_eq!(parse(&HeaderValue::from_static(text)), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_within_its_unit() {
        for left in [Duration::ZERO, Duration::from_micros(17), Duration::from_secs(99), Duration::from_secs(86_400)] {
            let back = parse(&format(left)).unwrap_or_default();
            assert!(left.abs_diff(back) < Duration::from_millis(1), "{left:?} became {back:?}");
        }
    }
}
