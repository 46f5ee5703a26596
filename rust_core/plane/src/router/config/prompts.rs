//! What the router reads in a prompt.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::parse::seconds;
use crate::proto::v1::Tier;

/// As in the contract's `Tier`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum TierName {
    Simple,
    Medium,
    High,
    Creative,
    Premium,
}

impl From<TierName> for Tier {
    fn from(name: TierName) -> Self {
        match name {
            TierName::Simple => Self::Simple,
            TierName::Medium => Self::Medium,
            TierName::High => Self::High,
            TierName::Creative => Self::Creative,
            TierName::Premium => Self::Premium,
        }
    }
}

/// How much model a prompt gets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tiers {
    /// Whether prompts are placed at all.
    pub enabled: bool,
    /// File of the head that judges them; none: their length does.
    pub head: Option<PathBuf>,
    /// Shares of the traffic that are aimed at.
    pub shares: Share,
    /// Prompts that the thresholds are taken from.
    pub window: usize,
    /// Thresholds move so often.
    #[serde(rename = "adjust_s", deserialize_with = "seconds")]
    pub adjust: Duration,
    /// A prompt less like the head's training data than this is placed by its length.
    pub min_coverage: f32,
}

impl Default for Tiers {
    fn default() -> Self {
        Self {
            enabled: true,
            head: None,
            shares: Share::default(),
            window: 2000,
            adjust: Duration::from_secs(5),
            min_coverage: 0.65,
        }
    }
}

/// Shares of the tiers; they sum to 1.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct Share {
    pub simple: f64,
    pub medium: f64,
    pub high: f64,
    pub premium: f64,
}

impl Default for Share {
    fn default() -> Self {
        Self { simple: 0.6, medium: 0.2, high: 0.15, premium: 0.05 }
    }
}

/// What is done about a prompt that the guard does not like.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum GuardMode {
    /// It is not looked at.
    #[default]
    Off,
    /// The trailers say so.
    Annotate,
    /// The call is refused.
    Block,
}

/// The same of one tenant.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum TenantGuard {
    #[default]
    Inherit,
    Off,
    Annotate,
    Block,
}

impl TenantGuard {
    /// What holds, where `inherited` holds for all.
    pub fn or(self, inherited: GuardMode) -> GuardMode {
        match self {
            Self::Inherit => inherited,
            Self::Off => GuardMode::Off,
            Self::Annotate => GuardMode::Annotate,
            Self::Block => GuardMode::Block,
        }
    }
}

/// The guard.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    /// What it does.
    pub mode: GuardMode,
    /// File of its head.
    pub head: Option<PathBuf>,
    /// The label that is not liked.
    pub label: String,
    /// From this score on.
    pub threshold: f32,
}

impl Default for Guard {
    fn default() -> Self {
        Self { mode: GuardMode::Off, head: None, label: "jailbreak".into(), threshold: 0.9 }
    }
}

/// What is done with prompts that mean the same as a document.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policies {
    /// Model that keeps the documents; empty: prompts are compared with nothing.
    pub model: String,
    /// Where they are,
    pub namespace: String,
    /// and whose that is.
    pub tenant: String,
    /// Cosine from which on one is applied.
    pub threshold: f64,
    /// A look-up may take so long.
    #[serde(rename = "timeout_s", deserialize_with = "seconds")]
    pub timeout: Duration,
    /// A prompt that could not be looked up is refused.
    pub required: bool,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            model: String::new(),
            namespace: "policies".into(),
            tenant: String::new(),
            threshold: 0.8,
            timeout: Duration::from_millis(500),
            required: false,
        }
    }
}

/// Capabilities read in the prompt.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tags {
    /// Whether they are looked for.
    pub detect: bool,
    /// Two that are so near each other call for the generalist.
    pub ambiguous: f64,
}

impl Default for Tags {
    fn default() -> Self {
        Self { detect: true, ambiguous: 0.15 }
    }
}

/// One voice for several models.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Style {
    /// A message from the system, put before each conversation; empty: none.
    pub prompt: String,
    /// Of these models; empty: of all.
    pub models: Vec<String>,
}
