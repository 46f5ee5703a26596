//! Which trace and which span a call belongs to, as <https://www.w3.org/TR/trace-context/> writes it.
//!
//! What is not written so is no context: the call then begins a trace of its own.  `tracestate` is not ours and passes
//! as it is.

use std::fmt::{self, Display};

use http::{HeaderMap, HeaderValue};

/// The header of a context.
pub const TRACEPARENT: &str = "traceparent";
/// The header of what others add to it.
pub const TRACESTATE: &str = "tracestate";

/// Length of a context of version 00; later versions may add to it.
const LENGTH: usize = 55;
/// The flag that says that the trace is kept.
const SAMPLED: u8 = 1;

/// A span of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: u128,
    /// The span.
    pub span_id: u64,
    /// Whether the trace is kept.
    pub sampled: bool,
}

impl TraceContext {
    /// Of a trace that begins here, and is kept.
    pub fn root() -> Self {
        let trace_id = std::iter::repeat_with(rand::random).find(|id| *id != 0).unwrap_or(1);
        Self { trace_id, span_id: span_id(), sampled: true }
    }

    /// What the caller said, if it did and once.
    pub fn parse(headers: &HeaderMap) -> Option<Self> {
        let mut said = headers.get_all(TRACEPARENT).iter();
        let only = said.next().filter(|_| said.next().is_none())?;
        Self::read(only.as_bytes())
    }

    fn read(text: &[u8]) -> Option<Self> {
        let is_dashed = text.len() >= LENGTH && [2, 35, 52].iter().all(|at| text[*at] == b'-');
        let version = hex(text.get(..2).filter(|_| is_dashed)?)?;
        let ends = match version {
            0 => text.len() == LENGTH,
            0xff => false,
            _ => text.get(LENGTH).is_none_or(|more| *more == b'-'),
        };
        let trace_id = hex(&text[3..35])?;
        let span_id = hex(&text[36..52])? as u64;
        let flags = hex(&text[53..55])? as u8;
        let is_valid = ends && trace_id != 0 && span_id != 0;
        is_valid.then_some(Self { trace_id, span_id, sampled: flags & SAMPLED != 0 })
    }

    /// Says it to whoever is called next.
    pub fn write(&self, headers: &mut HeaderMap) {
        // Hexadecimal digits and dashes are always a header's value.
        if let Ok(value) = HeaderValue::try_from(self.to_string()) {
            headers.insert(TRACEPARENT, value);
        }
    }

    /// Of a new span in the same trace.
    pub fn child(&self) -> Self {
        Self { span_id: span_id(), ..*self }
    }

    /// The trace as others write it.
    pub fn trace_id_hex(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The span as others write it.
    pub fn span_id_hex(&self) -> String {
        format!("{:016x}", self.span_id)
    }

    /// Whether its trace is among this share of all, by the rule of OpenTelemetry's TraceIdRatioBased: whoever decides
    /// by the same share decides alike.
    pub fn is_sampled_at(&self, share: f64) -> bool {
        let bound = (share.max(0.0) * (1_u64 << 63) as f64) as u64;
        share >= 1.0 || (self.trace_id as u64) >> 1 < bound
    }
}

impl Display for TraceContext {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

fn span_id() -> u64 {
    std::iter::repeat_with(rand::random).find(|id| *id != 0).unwrap_or(1)
}

/// A number of hexadecimal digits, small letters only.
fn hex(digits: &[u8]) -> Option<u128> {
    let is_small = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    u128::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| is_small)?, 16).ok()
}
