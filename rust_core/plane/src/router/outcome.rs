//! What an attempt's end means: for the instance's record, and for trying elsewhere.
//!
//! An error that is the caller's own (INVALID_ARGUMENT, NOT_FOUND, …) is a good answer of a healthy instance.

use std::time::Duration;

use http::HeaderMap;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{
    reply::{Broken, Reply},
    stats::Verdict,
};
use crate::proto::v1::ErrorReason;

/// Whether and where a second attempt makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would end the same, or might do the work twice.
    No,
    /// On another instance.
    Elsewhere,
    /// On another instance, or on the same after this pause.
    Again(Duration),
}

/// An attempt's end, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Status code.
    pub code: Code,
    /// What it says about the instance.
    pub verdict: Verdict,
    /// What to do next.
    pub retry: Retry,
    /// No work was begun, so doing it again is no second time and costs nothing.
    pub untouched: bool,
}

impl Outcome {
    /// Of an attempt that ended with `result`.
    pub fn of(result: &Result<Reply, Broken>) -> Self {
        match result {
            Ok(reply) => Self::of_reply(reply),
            Err(Broken::Unsent) => Self::refused(Code::Unavailable, Retry::Elsewhere),
            Err(Broken::Lost) => Self::new(Code::Unavailable, Verdict::Failed, Retry::Elsewhere),
            Err(Broken::TooLarge(_)) => Self::new(Code::ResourceExhausted, Verdict::Answered, Retry::No),
        }
    }

    fn new(code: Code, verdict: Verdict, retry: Retry) -> Self {
        Self { code, verdict, retry, untouched: false }
    }

    fn refused(code: Code, retry: Retry) -> Self {
        Self { code, verdict: Verdict::Refused, retry, untouched: true }
    }

    fn of_reply(reply: &Reply) -> Self {
        let outcome = Self::of_status(reply.code(), reply.meta());
        match (outcome.retry, reply.pushback()) {
            (Retry::No, _) | (_, None) => outcome,
            (_, Some(None)) => Self { retry: Retry::No, ..outcome },
            (_, Some(Some(pause))) => Self { retry: Retry::Again(Duration::from_millis(pause)), ..outcome },
        }
    }

    fn of_status(code: Code, meta: &HeaderMap) -> Self {
        match code {
            Code::Unavailable if is_refusal(meta, ErrorReason::Draining) => Self::refused(code, Retry::Elsewhere),
            Code::Unavailable => Self::new(code, Verdict::Failed, Retry::Again(Duration::ZERO)),
            Code::ResourceExhausted if is_refusal(meta, ErrorReason::QueueFull) => {
                Self::refused(code, Retry::Elsewhere)
            }
            code => Self::new(code, verdict(code), Retry::No),
        }
    }
}

/// What a status says about the instance that sent it.
pub fn verdict(code: Code) -> Verdict {
    match code {
        Code::Unknown | Code::Internal | Code::DataLoss | Code::Cancelled | Code::Unavailable => Verdict::Failed,
        Code::DeadlineExceeded => Verdict::TimedOut,
        _ => Verdict::Answered,
    }
}

fn is_refusal(meta: &HeaderMap, reason: ErrorReason) -> bool {
    let details = Status::from_header_map(meta).and_then(|status| status.get_details_error_info());
    details.is_some_and(|info| info.reason == reason.as_str_name())
}
