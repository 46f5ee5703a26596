use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::v1::ErrorReason;

/// A call failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code:?}: {message}")]
#[non_exhaustive]
pub struct Error {
    pub code: Code,
    /// Why; `Unspecified` where the failure is not Waypost's own (the network), or of a kind that is newer than this
    /// client.
    pub reason: ErrorReason,
    /// Path of the offending field, such as `texts[3]`; empty where no field is to blame.
    pub field: String,
    /// When the same call is worth another try, where the server said so.
    pub retry_after: Option<Duration>,
    /// The reason's own figures, such as `limit` and `actual`.
    pub metadata: BTreeMap<String, String>,
    pub message: String,
    /// The router's name for the call, to be found in its logs; empty where no router answered.
    pub request_id: String,
}

/// Who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The call cannot succeed as it is: `reason`, `field` and the message say what to change.
    Caller,
    /// Nothing is wrong with the call: try it again, not before `retry_after`.
    Nobody,
    /// The server is at fault.
    Server,
}

impl Error {
    pub fn blame(&self) -> Blame {
        match self.code {
            Code::Unavailable | Code::DeadlineExceeded => Blame::Nobody,
            Code::ResourceExhausted | Code::Aborted if self.is_passing() => Blame::Nobody,
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss | Code::Unimplemented => Blame::Server,
            _ => Blame::Caller,
        }
    }

    /// Of a quota, whether it is only the rate: then the server says when to come back.
    fn is_passing(&self) -> bool {
        match self.reason {
            ErrorReason::MessageTooLarge | ErrorReason::ChangedMeanwhile => false,
            ErrorReason::QuotaExceeded => self.retry_after.is_some(),
            _ => true,
        }
    }

    /// What the client was told to connect with does not hold together.
    pub(crate) fn unusable(error: tonic::transport::Error) -> Self {
        Self::invalid(causes(&error))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: ErrorReason::Unspecified,
            field: String::new(),
            retry_after: None,
            metadata: BTreeMap::new(),
            message: message.into(),
            request_id: String::new(),
        }
    }
}

/// For calls made with a generated client.
impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let (reason, metadata) = why(&details);
        Self {
            reason,
            metadata,
            field: fields(&details),
            request_id: request_id(&status),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            ..Self::new(code(&status), message(&status))
        }
    }
}

impl From<tonic::transport::Error> for Error {
    fn from(error: tonic::transport::Error) -> Self {
        Self::new(Code::Unavailable, causes(&error))
    }
}

/// The status code; a connection that is lost, or never was, is UNAVAILABLE, as in the other languages.
///
/// tonic gives such failures UNKNOWN, INTERNAL or CANCELLED by what lies beneath and by what else it is built with; what
/// a server says has no source.
pub(crate) fn code(status: &Status) -> Code {
    if status.source().is_some() { Code::Unavailable } else { status.code() }
}

fn why(details: &ErrorDetails) -> (ErrorReason, BTreeMap<String, String>) {
    let Some(info) = details.error_info() else { return (ErrorReason::Unspecified, BTreeMap::new()) };
    let reason = ErrorReason::from_str_name(&info.reason).unwrap_or_default();
    (reason, info.metadata.clone().into_iter().collect())
}

fn fields(details: &ErrorDetails) -> String {
    let Some(bad) = details.bad_request() else { return String::new() };
    bad.field_violations.iter().map(|violation| violation.field.as_str()).collect::<Vec<_>>().join(", ")
}

fn request_id(status: &Status) -> String {
    status.metadata().get("waypost-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_string()
}

fn message(status: &Status) -> String {
    match status.source() {
        Some(source) => format!("{}: {}", status.message(), causes(source)),
        None => status.message().to_string(),
    }
}

/// tonic's transport says no more than "transport error"; what lies beneath says which.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |&error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: Code, details: ErrorDetails) -> Error {
        Status::with_error_details(code, "no", details).into()
    }

    fn because(reason: &str) -> ErrorDetails {
        ErrorDetails::with_error_info(reason, "waypost", [("limit".to_string(), "16".to_string())])
    }

    #[test]
    fn details_are_read() {
        let mut details = because("ERROR_REASON_TOO_MANY_INPUTS");
        details.add_bad_request_violation("texts", "too many");
        let error = error(Code::InvalidArgument, details);
        assert_eq!((error.reason, error.field.as_str()), (ErrorReason::TooManyInputs, "texts"));
        assert_eq!(error.metadata["limit"], "16");
        assert_eq!(error.blame(), Blame::Caller);
    }

    #[test]
    fn a_spent_rate_passes_and_a_spent_budget_does_not() {
        let mut rate = because("ERROR_REASON_QUOTA_EXCEEDED");
        assert_eq!(error(Code::ResourceExhausted, rate.clone()).blame(), Blame::Caller);
        rate.set_retry_info(Some(Duration::from_secs(3)));
        let error = error(Code::ResourceExhausted, rate);
        assert_eq!((error.blame(), error.retry_after), (Blame::Nobody, Some(Duration::from_secs(3))));
    }

    #[test]
    fn a_reason_of_a_newer_server_does_not_hide_the_failure() {
        let error = error(Code::NotFound, because("ERROR_REASON_OF_TOMORROW"));
        assert_eq!((error.code, error.reason), (Code::NotFound, ErrorReason::Unspecified));
    }

    #[test]
    fn broken_details_do_not_hide_the_failure() {
        let error = Error::from(Status::with_details(Code::NotFound, "gone", vec![7].into()));
        assert_eq!((error.code, error.message.as_str()), (Code::NotFound, "gone"));
    }

    #[test]
    fn a_lost_connection_is_unavailable() {
        let error = Error::from(Status::from_error(std::io::Error::other("reset").into()));
        assert_eq!((error.code, error.blame()), (Code::Unavailable, Blame::Nobody));
    }
}
