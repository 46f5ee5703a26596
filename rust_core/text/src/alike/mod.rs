//! Whether two prompts may share an answer.

/// Why two prompts may not share an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Difference {
    /// One says much more than the other, or both are too long to compare.
    Length,
    /// They are written in different scripts.
    Script,
    /// Code, quoted text or identifiers differ.
    Verbatim,
    /// Numbers, units or dates differ.
    Numbers,
    /// One denies, reverses or weakens what the other says.
    Polarity,
    /// They ask about different times.
    Time,
    /// They ask another kind of question.
    Question,
    /// They are about different names or things.
    Words,
    /// One asks for more: a language, a length, an audience.
    Constraint,
    /// The same words in other parts: from Paris to Rome, from Rome to Paris.
    Order,
}

impl Difference {
    /// Its name in events and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Script => "script",
            Self::Verbatim => "verbatim",
            Self::Numbers => "numbers",
            Self::Polarity => "polarity",
            Self::Time => "time",
            Self::Question => "question",
            Self::Words => "words",
            Self::Constraint => "constraint",
            Self::Order => "order",
        }
    }
}

/// Whether an answer to one prompt may be given to the other.
pub fn may_share(a: &str, b: &str) -> Result<(), Difference> {
    if a.trim() == b.trim() { Ok(()) } else { Err(Difference::Words) }
}
