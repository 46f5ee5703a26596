//! What the router reads in a prompt, in microseconds: how much model it needs, what it calls for, whether to stop it.
//!
//! A hash-feature head gives the prompt's complexity; where the prompt is too unlike what that head was trained on,
//! its length does, which was the better judge there.  The place of the score among the recent ones makes the tier.

use std::{borrow::Cow, fs, io, path::Path, sync::Arc, time::Duration};

use parking_lot::Mutex;
use waypost_decide::tier::{self, TierChooser, TierStatus};
use waypost_text::{LinearHead, cues};

use super::{
    config::{GuardMode, RouterConfig, TierName},
    envelope::Asked,
    policies::Policy,
    tenants::Tenant,
};
use crate::{error::Error, proto::v1::Tier};

/// Length in bytes at which the length prior says one half, where no head brings a prior of its own.
const HALF_BYTES: f32 = 400.0;
/// How sure a prompt's length is of what it needs.
const UNSURE: f32 = 0.5;

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// How likely it needs a strong model, 0 to 1.
    pub complexity: f64,
    /// The share of recent prompts that need less.
    pub quantile: f64,
    /// How sure that is, 0 to 1: the probability of the head's likeliest label, one half where length decides.
    pub confidence: f64,
    /// How much of it is like the head's training data.
    pub coverage: f64,
    /// How much model it gets.
    pub tier: Tier,
    /// Who says so: "hint", "policy", "head", "length", "budget".
    pub tier_reason: &'static str,
    /// Capabilities it calls for.
    pub tags: Vec<Cow<'static, str>>,
    /// What the guard remarks, with its score.
    pub guard: Option<(String, f32)>,
    /// The policy that applies.
    pub policy: Option<Arc<Policy>>,
}

/// What is to be read.
pub struct Subject<'a> {
    /// The prompt.
    pub text: &'a str,
    /// The tier that the caller asks for.
    pub hint: Tier,
    /// How its tenant's prompts are guarded.
    pub guard: GuardMode,
    /// The policy that applies to it.
    pub policy: Option<Arc<Policy>>,
    /// The highest tier that money allows.
    pub most: Option<TierName>,
}

impl<'a> Subject<'a> {
    /// What `asked` wants written; none where nothing is.
    pub fn of(asked: &'a Asked, tenant: &Tenant, policy: Option<Arc<Policy>>, most: Option<TierName>) -> Option<Self> {
        let text = asked.prompt.as_ref()?.text();
        Some(Self { text, hint: asked.route.tier(), guard: tenant.guard, policy, most })
    }

    /// The tier that is not for the router to choose, and who says so.
    fn settled(&self) -> (Tier, &'static str) {
        let policy = self.policy.as_ref().and_then(|policy| policy.tier).filter(|_| self.hint == Tier::Unspecified);
        policy.map_or((self.hint, "hint"), |tier| (tier, "policy"))
    }
}

/// Reads prompts.
pub struct Reader {
    head: Option<LinearHead>,
    tiers: Option<Mutex<TierChooser>>,
    min_coverage: f32,
    guard: Option<Guard>,
    detect: Option<f64>,
}

struct Guard {
    head: LinearHead,
    label: usize,
    name: String,
    threshold: f32,
}

impl Reader {
    /// With the heads of `config`.
    ///
    /// # Errors
    ///
    /// A head cannot be read.
    pub fn new(config: &RouterConfig) -> io::Result<Self> {
        let head = config.tiers.head.as_deref().map(load).transpose()?;
        let quantiles = head.as_ref().and_then(LinearHead::quantiles);
        let shares = config.tiers.shares;
        let aims = tier::TierConfig {
            shares: [shares.simple, shares.medium, shares.high, shares.premium],
            window: config.tiers.window,
            adjust: config.tiers.adjust,
        };
        Ok(Self {
            tiers: config.tiers.enabled.then(|| Mutex::new(TierChooser::new(aims, quantiles))),
            head,
            min_coverage: config.tiers.min_coverage,
            guard: Guard::new(config)?,
            detect: config.tags.detect.then_some(config.tags.ambiguous),
        })
    }

    /// Reads a prompt; `Mode::Look` leaves no trace.
    pub fn read(&self, subject: Subject, now: Duration, mode: Mode) -> Features {
        let Judged { complexity, coverage, confidence, by } = self.judge(subject.text);
        let (tier, tier_reason) = subject.settled();
        let mut features = Features {
            complexity: complexity.into(),
            quantile: 0.5,
            confidence: confidence.into(),
            coverage: coverage.into(),
            tier,
            tier_reason,
            tags: self.tags(&subject),
            guard: self.remark(&subject),
            policy: subject.policy,
        };
        if let Some(tiers) = &self.tiers {
            features.place(&mut tiers.lock(), now, by, mode);
        }
        if features.afford(tier, subject.most) && mode == Mode::Count {
            self.tiers.as_ref().inspect(|tiers| tiers.lock().lowered());
        }
        features
    }

    fn tags(&self, subject: &Subject) -> Vec<Cow<'static, str>> {
        if let Some(tags) = subject.policy.as_ref().and_then(|policy| policy.tags.as_ref()) {
            return tags.iter().cloned().map(Cow::Owned).collect();
        }
        let found = self.detect.map(|ambiguous| cues::find(subject.text).tags(ambiguous)).unwrap_or_default();
        found.into_iter().map(Cow::Borrowed).collect()
    }

    /// A policy that speaks up goes before the head.
    fn remark(&self, subject: &Subject) -> Option<(String, f32)> {
        let head = || self.guard.as_ref().filter(|_| subject.guard != GuardMode::Off)?.remark(subject.text);
        subject.policy.as_ref().and_then(|policy| policy.remark()).or_else(head)
    }

    fn judge(&self, text: &str) -> Judged {
        let Some(head) = &self.head else { return Judged::by_length(text, None, 1.0) };
        let coverage = head.coverage(text).unwrap_or(1.0);
        let scores = head.score(None, text).ok().filter(|_| coverage >= self.min_coverage);
        let Some(scores) = scores else { return Judged::by_length(text, head.length_prior(text), coverage) };
        let confidence = scores.probabilities.iter().copied().fold(0.0, f32::max);
        Judged { complexity: head.complexity(&scores), coverage, confidence, by: "head" }
    }

    /// A call went to a model of this tier in the end.
    pub fn served(&self, tier: Tier) {
        if let (Some(tiers), Some(tier)) = (&self.tiers, to_decide(tier)) {
            tiers.lock().served(tier);
        }
    }

    /// How the shares of the tiers fare.
    pub fn status(&self, now: Duration) -> Option<TierStatus> {
        self.tiers.as_ref().map(|tiers| tiers.lock().status(now))
    }
}

struct Judged {
    complexity: f32,
    coverage: f32,
    confidence: f32,
    by: &'static str,
}

impl Judged {
    /// Length tells something, but nothing surely.
    fn by_length(text: &str, prior: Option<f32>, coverage: f32) -> Self {
        let length = text.len() as f32;
        let complexity = prior.unwrap_or(length / (length + HALF_BYTES));
        Self { complexity, coverage, confidence: UNSURE, by: "length" }
    }
}

/// Whether reading counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A call: it moves the thresholds.
    Count,
    /// A question what would be.
    Look,
}

impl Features {
    fn place(&mut self, tiers: &mut TierChooser, now: Duration, by: &'static str, mode: Mode) {
        let score = self.complexity as f32;
        let placed = match mode {
            Mode::Count => tiers.choose(now, score),
            Mode::Look => tiers.place(score),
        };
        self.quantile = placed.quantile;
        match to_decide(self.tier) {
            Some(hinted) if mode == Mode::Count => tiers.hinted(hinted),
            Some(_) => {}
            None => (self.tier, self.tier_reason) = (from_decide(placed.tier), by),
        }
    }

    /// Money moves what the router chose itself, never what the caller did; whether it did.
    fn afford(&mut self, hint: Tier, most: Option<TierName>) -> bool {
        let most = most.map(Tier::from).filter(|most| hint == Tier::Unspecified && self.tier as i32 > *most as i32);
        let Some(most) = most else { return false };
        (self.tier, self.tier_reason) = (most, "budget");
        true
    }

    /// Refuses what a policy blocks, or else the guard where the tenant has it block.
    pub fn check(&self, guard: GuardMode) -> Result<(), Error> {
        if let Some(decided) = self.policy.as_ref().and_then(|policy| policy.check()) {
            return decided;
        }
        match &self.guard {
            Some((label, score)) if guard == GuardMode::Block => {
                Err(Error::Blocked { label: label.clone(), score: *score })
            }
            _ => Ok(()),
        }
    }
}

impl Guard {
    fn new(config: &RouterConfig) -> io::Result<Option<Self>> {
        let Some(path) = &config.guard.head else { return Ok(None) };
        let head = load(path)?;
        let name = config.guard.label.clone();
        let label = head.labels().iter().position(|label| *label == name);
        let unknown = || io::Error::other(format!("{}: no label {name:?}, but {:?}", path.display(), head.labels()));
        let label = label.ok_or_else(unknown)?;
        Ok(Some(Self { head, label, name, threshold: config.guard.threshold }))
    }

    fn remark(&self, text: &str) -> Option<(String, f32)> {
        let score = self.head.score(None, text).ok()?.probabilities[self.label];
        (score >= self.threshold).then(|| (self.name.clone(), score))
    }
}

fn load(path: &Path) -> io::Result<LinearHead> {
    let broken = |why: String| io::Error::other(format!("{}: {why}", path.display()));
    let head = LinearHead::load(&fs::read(path).map_err(|error| broken(error.to_string()))?);
    let head = head.map_err(|error| broken(error.to_string()))?;
    match head.needs_vector() {
        None => Ok(head),
        Some(_) => Err(broken("it reads vectors, and the router has no encoder: take one of hashed features".into())),
    }
}

/// As the pure crate has it.
pub fn to_decide(tier: Tier) -> Option<tier::Tier> {
    match tier {
        Tier::Unspecified => None,
        Tier::Simple => Some(tier::Tier::Simple),
        Tier::Medium => Some(tier::Tier::Medium),
        Tier::High => Some(tier::Tier::High),
        Tier::Creative => Some(tier::Tier::Creative),
        Tier::Premium => Some(tier::Tier::Premium),
    }
}

fn from_decide(tier: tier::Tier) -> Tier {
    match tier {
        tier::Tier::Simple => Tier::Simple,
        tier::Tier::Medium => Tier::Medium,
        tier::Tier::High => Tier::High,
        tier::Tier::Creative => Tier::Creative,
        tier::Tier::Premium => Tier::Premium,
    }
}
