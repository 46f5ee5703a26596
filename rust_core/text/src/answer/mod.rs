//! Whether a generated answer is any good, without a model: what is wrong with it, and a score in `[0, 1]`.
//!
//! The score is a product: of what each fault leaves ([`Fault::leaves`]) and of the relevance the caller measured, if
//! any.  Every fault but one leaves less than [`FLOOR`], so one is enough to ask a better model; a cut answer alone is
//! not, because the limit was the caller's and a better model meets it too.  Faults multiply rather than add, so that
//! two halves of a suspicion never cancel a third.
//!
//! Detectors look for what weak models do wrong, and rather miss a fault than blame a good answer: a false alarm costs
//! the price of a dearer model on every such call, a miss costs one bad answer.  Whether an answer is *true* no
//! detector here can tell; relevance from a reranker or an encoder comes nearest.
mod brand;
mod echo;
mod format;
mod refusal;
mod relevance;
mod repetition;

use brand::Brand;
pub use relevance::relevance;

/// The score below which an answer is escalated by default.
pub const FLOOR: f64 = 0.75;

/// What an answer must keep to; the same for all calls of a route.
#[derive(Clone, Debug)]
pub struct RulesSpec {
    /// Whether refusals are faults.
    pub refusals: bool,
    /// Whether loops are faults.
    pub repetition: bool,
    /// Regular expressions that must not match.
    pub forbid: Vec<String>,
    /// Regular expressions that must match.
    pub require: Vec<String>,
    /// Characters an answer may have; 0 for any number.
    pub max_chars: usize,
    /// From which relevance on an answer is to the point, on the scale of whoever measures it; above 0.
    pub relevant: f32,
    /// How much an answer without any relevance loses: 0 nothing, 1 everything.
    pub relevance_weight: f64,
}

impl Default for RulesSpec {
    fn default() -> Self {
        Self {
            refusals: true,
            repetition: true,
            forbid: Vec::new(),
            require: Vec::new(),
            max_chars: 0,
            relevant: 0.5,
            relevance_weight: 0.6,
        }
    }
}

/// Why rules are unusable.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// An expression of the brand rules does not compile.
    #[error("{list}[{index}] {pattern:?} is no regular expression: {source}")]
    Pattern {
        /// `forbid` or `require`.
        list: &'static str,
        /// Its place in that list.
        index: usize,
        /// The expression.
        pattern: String,
        /// What is wrong with it.
        source: Box<regex::Error>,
    },
    /// A number is outside what it may be.
    #[error("{key} is {value}, it must be {must}")]
    Number {
        /// Its name in [`RulesSpec`].
        key: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        must: &'static str,
    },
}

/// One answer, and what it answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// What was asked; of a conversation, its last message.
    pub prompt: &'a str,
    /// What came back.
    pub answer: &'a str,
    /// The JSON schema the answer was to satisfy.
    pub schema: Option<&'a str>,
    /// How relevant the answer is to the prompt, `[0, 1]`, where somebody measured it.
    pub relevance: Option<f32>,
    /// Whether it ended because its length was spent.
    pub cut_off: bool,
    /// Whether it calls tools: it may then be without words.
    pub has_tool_calls: bool,
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No words at all.
    Empty,
    /// The model declines, or says that it cannot.
    Refusal,
    /// It says the same over and over.
    Repetition,
    /// It is not the JSON that was asked for.
    Format,
    /// It holds what brand rule `forbid[index]` forbids.
    Forbidden(usize),
    /// It lacks what brand rule `require[index]` requires.
    Lacking(usize),
    /// It is longer than the brand rules allow.
    TooLong,
    /// It says the prompt again, and little else.
    Echo,
    /// Its relevance is too low.
    Irrelevant,
    /// It ended in the middle.
    CutOff,
}

impl Fault {
    /// Its name in events and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Refusal => "refusal",
            Self::Repetition => "repetition",
            Self::Format => "format",
            Self::Forbidden(_) => "brand_forbidden",
            Self::Lacking(_) => "brand_lacking",
            Self::TooLong => "brand_too_long",
            Self::Echo => "echo",
            Self::Irrelevant => "irrelevant",
            Self::CutOff => "cut_off",
        }
    }

    /// The share of the score that it leaves.
    ///
    /// An answer off brand is still an answer, a broken one is none.  Relevance takes its share by itself.
    pub fn leaves(self) -> f64 {
        match self {
            Self::Empty => 0.0,
            Self::Format => 0.2,
            Self::Refusal | Self::Repetition => 0.3,
            Self::Echo => 0.4,
            Self::Forbidden(_) | Self::Lacking(_) | Self::TooLong => 0.6,
            Self::CutOff => 0.85,
            Self::Irrelevant => 1.0,
        }
    }
}

/// How good an answer is.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// 0 for none, 1 for an answer nothing is to be said against.
    pub score: f64,
    /// What is wrong with it, in the order of [`Fault`].
    pub faults: Vec<Fault>,
}

/// Rules, ready to judge by.
#[derive(Debug)]
pub struct Rules {
    refusals: bool,
    repetition: bool,
    brand: Brand,
    relevant: f64,
    relevance_weight: f64,
}

impl Rules {
    /// Compiles a specification.
    pub fn new(spec: RulesSpec) -> Result<Self, RulesError> {
        let relevant = f64::from(spec.relevant);
        within("relevant", relevant, relevant > 0.0 && relevant <= 1.0, "above 0 and at most 1")?;
        let weight = spec.relevance_weight;
        within("relevance_weight", weight, (0.0..=1.0).contains(&weight), "between 0 and 1")?;
        Ok(Self {
            refusals: spec.refusals,
            repetition: spec.repetition,
            brand: Brand::new(&spec.forbid, &spec.require, spec.max_chars)?,
            relevant,
            relevance_weight: weight,
        })
    }

    /// The score of an answer and what is wrong with it.
    pub fn judge(&self, subject: &Subject) -> Quality {
        let relevance = self.relevance_leaves(subject.relevance);
        let mut faults = self.faults_of_text(subject);
        faults.extend((relevance < FLOOR).then_some(Fault::Irrelevant));
        faults.extend(subject.cut_off.then_some(Fault::CutOff));
        let score = faults.iter().fold(relevance, |score, fault| score * fault.leaves());
        Quality { score, faults }
    }

    fn faults_of_text(&self, subject: &Subject) -> Vec<Fault> {
        let answer = subject.answer.trim();
        if answer.is_empty() {
            return if subject.has_tool_calls { Vec::new() } else { vec![Fault::Empty] };
        }
        let mut faults = Vec::new();
        let mut note = |wrong: bool, fault: Fault| faults.extend(wrong.then_some(fault));
        let broken = !subject.has_tool_calls && format::is_broken(subject.schema, answer);
        // JSON that is whole has come to an end, however alike its items are.
        let whole = subject.schema.is_some() && !broken;
        note(self.refusals && !subject.has_tool_calls && refusal::is(subject.prompt, answer), Fault::Refusal);
        note(self.repetition && !whole && repetition::is(answer), Fault::Repetition);
        note(broken, Fault::Format);
        self.brand.check(answer, &mut note);
        note(echo::is(subject.prompt, answer), Fault::Echo);
        faults
    }

    // Below what counts as relevant the loss is linear; a NaN counts as not measured.
    fn relevance_leaves(&self, relevance: Option<f32>) -> f64 {
        let Some(relevance) = relevance.filter(|value| !value.is_nan()) else { return 1.0 };
        let share = (f64::from(relevance) / self.relevant).clamp(0.0, 1.0);
        1.0 - self.relevance_weight * (1.0 - share)
    }
}

fn within(key: &'static str, value: f64, holds: bool, must: &'static str) -> Result<(), RulesError> {
    if holds { Ok(()) } else { Err(RulesError::Number { key, value, must }) }
}
