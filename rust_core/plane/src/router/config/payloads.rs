//! How much of what is said is kept.

use serde::Deserialize;

/// What is kept of a call's texts.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum PayloadMode {
    /// Nothing.
    #[default]
    Off,
    /// Whether two were the same.
    Hash,
    /// All but what is personal.
    Redacted,
    /// All.
    Full,
}

impl PayloadMode {
    /// As it is configured and logged.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Hash => "hash",
            Self::Redacted => "redacted",
            Self::Full => "full",
        }
    }
}

/// The same for a tenant, which may have it as all have.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // as in `PayloadMode`
pub enum TenantPayloads {
    #[default]
    Inherit,
    Off,
    Hash,
    Redacted,
    Full,
}

impl TenantPayloads {
    /// What holds, where `inherited` holds for all.
    pub fn or(self, inherited: PayloadMode) -> PayloadMode {
        match self {
            Self::Inherit => inherited,
            Self::Off => PayloadMode::Off,
            Self::Hash => PayloadMode::Hash,
            Self::Redacted => PayloadMode::Redacted,
            Self::Full => PayloadMode::Full,
        }
    }
}

/// What is kept of requests and replies until somebody writes it down.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Payloads {
    /// For tenants that have nothing of their own.
    pub mode: PayloadMode,
    /// Bytes of each direction of a stream; what comes after them is left out.
    pub max_text_bytes: usize,
    /// Bytes that wait to be written; beyond it calls are counted and lost.
    pub waiting_bytes: usize,
}

impl Default for Payloads {
    fn default() -> Self {
        Self { mode: PayloadMode::Off, max_text_bytes: 65_536, waiting_bytes: 64 << 20 }
    }
}
