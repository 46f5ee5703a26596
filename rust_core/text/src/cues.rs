//! Capabilities that a prompt calls for, by its wording.

/// How strongly a prompt calls for each specialist, `[0, 1]`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cues {
    /// Writing, reading or repairing programs.
    pub code: f64,
    /// Proofs, calculations, puzzles, plans.
    pub reasoning: f64,
    /// A picture that comes with the prompt.
    pub vision: f64,
}

impl Cues {
    /// The tag of the clear winner; empty, for the generalist, where there is none.
    pub fn tags(&self, _ambiguous: f64) -> Vec<&'static str> {
        Vec::new()
    }
}

/// What a prompt calls for.
pub fn find(_text: &str) -> Cues {
    Cues::default()
}
