//! What an attempt's end means: for the instance's record, and for trying elsewhere.
//!
//! An error that is the caller's own (INVALID_ARGUMENT, NOT_FOUND, …) is a good answer of a healthy instance.

use std::time::Duration;

use http::HeaderMap;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use waypost_decide::stats::Verdict;

use super::reply::{Broken, Reply};
use crate::{
    error::{BILLED, Error},
    proto::v1::ErrorReason,
};

/// A provider that failed and says so long is not to be asked meanwhile; less is its usual hiccup.
const LONG_PAUSE: Duration = Duration::from_secs(5);
/// How long a provider is left alone that does not say how long.
const PROVIDER_PAUSE: Duration = Duration::from_secs(30);

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

/// Why another model should be asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    /// It failed.
    Error,
    /// It has too much to do, or its provider wants a pause.
    Overloaded,
    /// It costs more than there is.
    Unaffordable,
    /// Its answer was poor: this good, 0 to 1.
    Poor(f64),
}

impl Trouble {
    /// What a refusal of our own says about another model's prospects.
    pub fn of_refusal(error: &Error) -> Option<Self> {
        match error {
            Error::QueueFull { .. } | Error::RateLimited { .. } => Some(Self::Overloaded),
            Error::NoInstance { .. } => Some(Self::Error),
            Error::BudgetExceeded { .. } | Error::LedgerUnreachable { .. } => Some(Self::Unaffordable),
            _ => None,
        }
    }

    fn of_code(code: Code) -> Option<Self> {
        match code {
            Code::Unavailable | Code::Internal | Code::Unknown | Code::DataLoss => Some(Self::Error),
            Code::ResourceExhausted => Some(Self::Overloaded),
            _ => None,
        }
    }
}

/// An attempt's end, judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Status code.
    pub code: Code,
    /// What it says about the instance.
    pub verdict: Verdict,
    /// What to do next.
    pub retry: Retry,
    /// No work was begun, so doing it again is no second time and costs nothing.
    pub untouched: bool,
    /// Whether another model should be asked.
    pub trouble: Option<Trouble>,
    /// A provider wants to be left alone for so long.
    pub cool: Option<Duration>,
}

impl Outcome {
    /// Of an attempt that ended with `result`.
    pub fn of(result: &Result<Reply, Broken>) -> Self {
        match result {
            Ok(reply) => Self::of_reply(reply),
            Err(Broken::Unsent) => Self::refused(Code::Unavailable, Retry::Elsewhere),
            Err(Broken::Lost) => Self::new(Code::Unavailable, Verdict::Failed, Retry::Elsewhere),
            Err(Broken::TooLarge(_)) => {
                Self { trouble: None, ..Self::new(Code::ResourceExhausted, Verdict::Answered, Retry::No) }
            }
        }
    }

    fn new(code: Code, verdict: Verdict, retry: Retry) -> Self {
        Self { code, verdict, retry, untouched: false, trouble: Trouble::of_code(code), cool: None }
    }

    fn refused(code: Code, retry: Retry) -> Self {
        Self { untouched: true, ..Self::new(code, Verdict::Refused, retry) }
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
            Code::Unavailable if is_refusal(meta, ErrorReason::ProviderFailed) => {
                let failed = Self::new(code, Verdict::Failed, Retry::Again(Duration::ZERO));
                Self { cool: retry_info(meta).filter(|pause| *pause >= LONG_PAUSE), ..failed }
            }
            Code::Unavailable => Self::new(code, Verdict::Failed, Retry::Again(Duration::ZERO)),
            Code::ResourceExhausted if is_refusal(meta, ErrorReason::QueueFull) => {
                Self::refused(code, Retry::Elsewhere)
            }
            Code::ResourceExhausted if is_refusal(meta, ErrorReason::RateLimited) => {
                let cool = retry_info(meta).unwrap_or(PROVIDER_PAUSE);
                Self { cool: Some(cool), ..Self::refused(code, Retry::Elsewhere) }
            }
            Code::ResourceExhausted if is_refusal(meta, ErrorReason::MessageTooLarge) => {
                Self { trouble: None, ..Self::new(code, Verdict::Answered, Retry::No) }
            }
            code => Self::new(code, verdict(code), Retry::No),
        }
    }
}

/// Whether a status says that nothing can have been billed.
pub fn is_unbilled(meta: &HeaderMap) -> bool {
    let (key, no) = BILLED;
    let details = Status::from_header_map(meta).and_then(|status| status.get_details_error_info());
    details.is_some_and(|info| info.metadata.get(key).is_some_and(|billed| billed == no))
}

/// What a status says about the instance that sent it.
pub fn verdict(code: Code) -> Verdict {
    match code {
        Code::Unknown | Code::Internal | Code::DataLoss | Code::Cancelled | Code::Unavailable => Verdict::Failed,
        Code::DeadlineExceeded => Verdict::TimedOut,
        _ => Verdict::Answered,
    }
}

fn retry_info(meta: &HeaderMap) -> Option<Duration> {
    Status::from_header_map(meta).and_then(|status| status.get_details_retry_info())?.retry_delay
}

fn is_refusal(meta: &HeaderMap, reason: ErrorReason) -> bool {
    let details = Status::from_header_map(meta).and_then(|status| status.get_details_error_info());
    details.is_some_and(|info| info.reason == reason.as_str_name())
}
