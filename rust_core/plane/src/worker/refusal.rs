//! Why a backend did not answer, as it says it (`services/refusal.py`), and the [`Error`] that is.

use std::time::Duration;

use serde::Deserialize;

use crate::error::Error;

/// Pause suggested to a caller whose documents' database does not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// A backend's refusal.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs)] // named as in the errors
pub enum Refusal {
    InvalidField {
        field: String,
        actual: String,
        expected: String,
    },
    TextTooLong {
        field: String,
        limit: usize,
        actual: usize,
    },
    AdapterNotFound {
        adapter: String,
        known: String,
    },
    NotCapable {
        why: String,
    },
    RateLimited {
        retry_after_s: f64,
    },
    ProviderFailed {
        why: String,
        retry_after_s: f64,
        #[serde(default)]
        unbilled: bool,
    },
    ModelFailed {
        why: String,
        #[serde(default)]
        unbilled: bool,
    },
    NamespaceNotFound {
        namespace: String,
    },
    StoreFull {
        limit: u64,
    },
    StoreUnreachable {
        why: String,
    },
    Deadline {},
}

impl Refusal {
    /// The error of `model`'s caller.
    pub fn of(self, model: &str) -> Error {
        let model = model.to_string();
        match self {
            Self::InvalidField { field, actual, expected } => {
                Error::InvalidField { field: field.into(), actual, expected }
            }
            Self::TextTooLong { field, limit, actual } => Error::TextTooLong { field, limit, actual },
            Self::AdapterNotFound { adapter, known } => Error::AdapterNotFound { model, adapter, known },
            Self::NotCapable { why } => Error::NotCapable { why },
            Self::RateLimited { retry_after_s } => Error::RateLimited { model, retry_after: pause(retry_after_s) },
            Self::ProviderFailed { why, retry_after_s, unbilled } => {
                billed(!unbilled, Error::ProviderFailed { model, why, retry_after: pause(retry_after_s) })
            }
            Self::ModelFailed { why, unbilled } => billed(!unbilled, Error::ModelFailed { model, why }),
            Self::NamespaceNotFound { namespace } => Error::NamespaceNotFound { namespace },
            Self::StoreFull { limit } => Error::StoreFull { limit },
            Self::StoreUnreachable { why } => Error::StoreUnreachable { why, retry_after: STORE_PAUSE },
            Self::Deadline {} => Error::Deadline { stage: "the backend" },
        }
    }
}

fn billed(maybe: bool, error: Error) -> Error {
    if maybe { error } else { Error::Unbilled(Box::new(error)) }
}

/// A provider may say anything; a day is for ever.
fn pause(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.min(86_400.0)).unwrap_or_default()
}
