//! Every way a call can fail, and the one table that maps causes to status codes.
//!
//! A status carries `google.rpc.ErrorInfo` with the reason of `proto/waypost/v1/error.proto`, and the details its
//! reason calls for: BadRequest names the field, RetryInfo says when to come back.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::proto::v1::ErrorReason;

const DOMAIN: &str = "waypost";
/// Metadata of errors that cannot have cost anything.
pub const BILLED: (&str, &str) = ("billed", "no");

/// A failed call.  The message says what was wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // the fields are what the messages name
pub enum Error {
    #[error("{field} is empty: send at least one")]
    EmptyInput { field: &'static str },
    #[error("{field} has {actual} elements, this server takes {limit} a call: split the call")]
    TooManyInputs { field: &'static str, limit: usize, actual: usize },
    #[error("{field} has {actual} bytes, this server takes {limit} a text: shorten it")]
    TextTooLarge { field: String, limit: usize, actual: usize },
    #[error("{field} has {actual} tokens, the model reads {limit}: shorten it, or ask for truncation (TRUNCATION_…)")]
    TextTooLong { field: String, limit: usize, actual: usize },
    #[error("{field} is {actual}: it must be {expected}")]
    InvalidField { field: Cow<'static, str>, actual: String, expected: String },
    #[error("the request is not the message of the contract: {why}")]
    Malformed { why: String },
    #[error("the request has {actual} bytes, this server receives {limit}: split the call")]
    MessageTooLarge { limit: usize, actual: usize },
    #[error("no instance has a model {model:?}; there is {known}: see MeshService.ListModels")]
    ModelNotFound { model: String, known: String },
    #[error("model {model:?} has no head {head:?}; it has {known}")]
    HeadNotFound { model: String, head: String, known: String },
    #[error("model {model:?} has no adapter {adapter:?}; it has {known}")]
    AdapterNotFound { model: String, adapter: String, known: String },
    #[error("nothing here does what was asked: {why}")]
    NotCapable { why: String },
    #[error("no instance of {model:?} can take the call now: try again in {retry_after:?}")]
    NoInstance { model: String, retry_after: Duration },
    #[error("the queue is full at {limit}: try again in {retry_after:?}")]
    QueueFull { limit: usize, retry_after: Duration },
    #[error("the deadline passed in {stage}: allow more time, or send less at once")]
    Deadline { stage: &'static str },
    #[error("instance {instance:?} is shutting down: send the call elsewhere")]
    Draining { instance: String },
    #[error("the connection to instance {instance:?} broke: send the call again")]
    InstanceLost { instance: String },
    #[error("model {model:?} failed: {why}")]
    ModelFailed { model: String, why: String },
    #[error("the provider of {model:?} wants a pause: try again in {retry_after:?}")]
    RateLimited { model: String, retry_after: Duration },
    #[error("the provider of {model:?} failed: {why}")]
    ProviderFailed { model: String, why: String, retry_after: Duration },
    /// The same, where nothing can be on a provider's bill.
    #[error(transparent)]
    Unbilled(Box<Error>),
    #[error("{subject} calls more often than it may: try again in {retry_after:?}")]
    RateExceeded { subject: String, retry_after: Duration },
    #[error(
        "{subject} has {left} US dollars left this month, this call may cost {asked}: ask for less, or raise the limit"
    )]
    BudgetExceeded { subject: String, left: String, asked: String },
    #[error("the ledger cannot be reached, so calls that cost money are refused: {why}")]
    LedgerUnreachable { why: String, retry_after: Duration },
    #[error("the store cannot be reached: {why}; try again in {retry_after:?}")]
    StoreUnreachable { why: String, retry_after: Duration },
    #[error("{why}: send metadata `authorization: Bearer KEY`")]
    Unauthenticated { why: &'static str },
    #[error("{why}: connect with a certificate that this server's client_ca issued")]
    Stranger { why: String },
    #[error("the role {role:?} may not do this: it takes the role {needs:?}")]
    RoleTooLow { role: &'static str, needs: &'static str },
    #[error("the call is for tenant {named:?}, and the key that was sent is not: leave the tenant out")]
    OtherTenant { named: String },
    #[error("model {model:?} was taken out of service: ask for another, or bring it back by MeshService.LoadModel")]
    ModelUnloaded { model: String },
    #[error("model {model:?} is pinned, so it cannot be taken out of service: MeshService.PinModel lets it go")]
    ModelPinned { model: String },
    #[error("there is no instance {instance:?} here; there is {known}: see MeshService.ListInstances")]
    InstanceNotFound { instance: String, known: String },
    #[error("{subject} has {limit} calls under way, as many as it may: try again in {retry_after:?}")]
    TenantFull { subject: String, limit: usize, retry_after: Duration },
    #[error("the guard takes the prompt for {label:?} ({score:.2}), which is blocked for this tenant: rephrase it")]
    Blocked { label: String, score: f32 },
    #[error("the policy {policy:?} stops prompts like this one ({cosine:.2}): {reason}")]
    PolicyBlocks { policy: String, reason: String, cosine: f64 },
    #[error("{name:?} is at revision {revision} by now: read it again, then decide again")]
    ChangedMeanwhile { name: String, revision: u64 },
    #[error("{what} {name:?} is not known here{hint}")]
    NotKnown { what: &'static str, name: String, hint: String },
    #[error("there is no namespace {namespace:?}: see RetrieveService.ListNamespaces")]
    NamespaceNotFound { namespace: String },
    #[error("the documents' store may take {limit} bytes and has no more room: delete some, or raise its limit")]
    StoreFull { limit: u64 },
    #[error("model {model:?} is loaded when it is wanted, and instance {instance:?} could not be started: {why}")]
    LoadFailed { model: String, instance: String, why: String, retry_after: Duration },
    #[error("{method} is in the contract but this build does not answer it")]
    NotImplemented { method: String },
}

/// Pause before a caller tries a server that was restarting or draining.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// One row of the table: code, reason, metadata.
type Row = (Code, ErrorReason, Vec<(&'static str, String)>);

impl Error {
    /// The table.
    fn row(&self) -> Row {
        use Error as E;
        use ErrorReason as R;
        match self {
            E::EmptyInput { field } => (Code::InvalidArgument, R::EmptyInput, vec![("field", field.to_string())]),
            E::TooManyInputs { field, limit, actual } => {
                (Code::InvalidArgument, R::TooManyInputs, over(field, *limit, *actual))
            }
            E::TextTooLarge { field, limit, actual } => {
                (Code::InvalidArgument, R::TextTooLarge, over(field, *limit, *actual))
            }
            E::TextTooLong { field, limit, actual } => {
                (Code::InvalidArgument, R::TextTooLong, over(field, *limit, *actual))
            }
            E::InvalidField { field, actual, .. } => {
                (Code::InvalidArgument, R::InvalidField, vec![("field", field.to_string()), ("actual", actual.clone())])
            }
            E::Malformed { .. } => (Code::InvalidArgument, R::MalformedRequest, vec![]),
            E::MessageTooLarge { limit, actual } => (
                Code::ResourceExhausted,
                R::MessageTooLarge,
                vec![("limit", limit.to_string()), ("actual", actual.to_string())],
            ),
            E::ModelNotFound { model, .. } => (Code::NotFound, R::ModelNotFound, vec![("model", model.clone())]),
            E::HeadNotFound { head, known, .. } => {
                (Code::NotFound, R::HeadNotFound, vec![("head", head.clone()), ("known", known.clone())])
            }
            E::AdapterNotFound { adapter, known, .. } => {
                (Code::NotFound, R::AdapterNotFound, vec![("adapter", adapter.clone()), ("known", known.clone())])
            }
            E::NotCapable { .. } => (Code::FailedPrecondition, R::NotCapable, vec![]),
            E::NoInstance { model, .. } => (Code::Unavailable, R::NoInstance, vec![("model", model.clone())]),
            E::QueueFull { limit, .. } => (Code::ResourceExhausted, R::QueueFull, vec![("limit", limit.to_string())]),
            E::Deadline { stage } => (Code::DeadlineExceeded, R::Deadline, vec![("stage", stage.to_string())]),
            E::Draining { instance } => (Code::Unavailable, R::Draining, vec![("instance", instance.clone())]),
            E::InstanceLost { instance } => (Code::Unavailable, R::InstanceLost, vec![("instance", instance.clone())]),
            E::ModelFailed { model, .. } => (Code::Internal, R::ModelFailed, vec![("model", model.clone())]),
            E::RateLimited { model, .. } => (Code::ResourceExhausted, R::RateLimited, vec![("model", model.clone())]),
            E::ProviderFailed { model, .. } => (Code::Unavailable, R::ProviderFailed, vec![("model", model.clone())]),
            E::Unbilled(error) => {
                let (code, reason, mut metadata) = error.row();
                metadata.push((BILLED.0, BILLED.1.to_string()));
                (code, reason, metadata)
            }
            E::RateExceeded { subject, .. } | E::BudgetExceeded { subject, .. } | E::TenantFull { subject, .. } => {
                (Code::ResourceExhausted, R::QuotaExceeded, vec![("subject", subject.clone())])
            }
            E::LedgerUnreachable { .. } => (Code::Unavailable, R::QuotaExceeded, vec![("subject", "ledger".into())]),
            E::StoreUnreachable { .. } => (Code::Unavailable, R::StoreUnavailable, vec![]),
            E::Unauthenticated { .. } | E::Stranger { .. } => (Code::Unauthenticated, R::Unauthenticated, vec![]),
            E::RoleTooLow { role, needs } => (
                Code::PermissionDenied,
                R::PermissionDenied,
                vec![("role", role.to_string()), ("needs", needs.to_string())],
            ),
            E::OtherTenant { named } => (Code::PermissionDenied, R::PermissionDenied, vec![("tenant", named.clone())]),
            E::ModelUnloaded { model } => (Code::FailedPrecondition, R::ModelUnloaded, vec![("model", model.clone())]),
            E::ModelPinned { model } => (Code::FailedPrecondition, R::ModelPinned, vec![("model", model.clone())]),
            E::InstanceNotFound { instance, known } => {
                (Code::NotFound, R::InstanceNotFound, vec![("instance", instance.clone()), ("known", known.clone())])
            }
            E::Blocked { label, score } => {
                (Code::PermissionDenied, R::Blocked, vec![("label", label.clone()), ("score", format!("{score:.2}"))])
            }
            E::PolicyBlocks { policy, cosine, .. } => {
                (Code::PermissionDenied, R::Blocked, vec![("label", policy.clone()), ("score", format!("{cosine:.2}"))])
            }
            E::ChangedMeanwhile { name, revision } => {
                (Code::Aborted, R::ChangedMeanwhile, vec![("name", name.clone()), ("revision", revision.to_string())])
            }
            E::NotKnown { what, name, .. } => (Code::NotFound, R::NotKnown, vec![(what, name.clone())]),
            E::NamespaceNotFound { namespace } => {
                (Code::NotFound, R::NamespaceNotFound, vec![("namespace", namespace.clone())])
            }
            E::StoreFull { limit } => (Code::ResourceExhausted, R::StoreFull, vec![("limit", limit.to_string())]),
            E::LoadFailed { model, instance, .. } => {
                (Code::Unavailable, R::LoadFailed, vec![("model", model.clone()), ("instance", instance.clone())])
            }
            E::NotImplemented { method } => (Code::Unimplemented, R::NotImplemented, vec![("method", method.clone())]),
        }
    }

    /// The field a BadRequest names.
    fn field(&self) -> Option<&str> {
        match self {
            Self::EmptyInput { field } | Self::TooManyInputs { field, .. } => Some(field),
            Self::InvalidField { field, .. } => Some(field),
            Self::TextTooLarge { field, .. } | Self::TextTooLong { field, .. } => Some(field),
            Self::Unbilled(error) => error.field(),
            _ => None,
        }
    }

    /// When to come back.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NoInstance { retry_after, .. } | Self::QueueFull { retry_after, .. } => Some(*retry_after),
            Self::RateLimited { retry_after, .. } | Self::ProviderFailed { retry_after, .. } => Some(*retry_after),
            Self::RateExceeded { retry_after, .. } | Self::LedgerUnreachable { retry_after, .. } => Some(*retry_after),
            Self::LoadFailed { retry_after, .. } => Some(*retry_after),
            Self::TenantFull { retry_after, .. } | Self::StoreUnreachable { retry_after, .. } => Some(*retry_after),
            Self::Draining { .. } | Self::InstanceLost { .. } => Some(RETRY_PAUSE),
            Self::Unbilled(error) => error.retry_after(),
            _ => None,
        }
    }
}

fn over(field: &str, limit: usize, actual: usize) -> Vec<(&'static str, String)> {
    vec![("field", field.to_string()), ("limit", limit.to_string()), ("actual", actual.to_string())]
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let (code, reason, metadata) = error.row();
        let metadata: HashMap<String, String> = metadata.into_iter().map(|(k, v)| (k.to_string(), v)).collect();
        let mut details = ErrorDetails::with_error_info(reason.as_str_name(), DOMAIN, metadata);
        if let Some(field) = error.field() {
            details.add_bad_request_violation(field, error.to_string());
        }
        if let Some(pause) = error.retry_after() {
            details.set_retry_info(Some(pause));
        }
        if let Error::RateExceeded { subject, .. }
        | Error::BudgetExceeded { subject, .. }
        | Error::TenantFull { subject, .. } = &error
        {
            details.add_quota_failure_violation(subject, error.to_string());
        }
        Status::with_error_details(code, error.to_string(), details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_names_reason_field_and_remedy() {
        let status = Status::from(Error::TextTooLong { field: "texts[3]".into(), limit: 256, actual: 611 });
        let details = status.get_error_details();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(details.error_info().map(|i| i.reason.as_str()), Some("ERROR_REASON_TEXT_TOO_LONG"));
        assert_eq!(details.bad_request().map(|b| b.field_violations[0].field.as_str()), Some("texts[3]"));
        assert!(status.message().contains("truncation"));
    }

    #[test]
    fn what_may_pass_says_when_to_come_back() {
        let lost = Status::from(Error::InstanceLost { instance: "a".into() });
        assert_eq!(lost.code(), Code::Unavailable);
        assert_eq!(lost.get_error_details().retry_info().and_then(|r| r.retry_delay), Some(RETRY_PAUSE));
    }
}
