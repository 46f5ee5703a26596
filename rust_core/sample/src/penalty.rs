//! Penalties on tokens that were said lately, and the caller's own bias.
//!
//! Repetition: Keskar et al. 2019, "CTRL": a positive logit is divided, a negative one multiplied.  Frequency and
//! presence are subtracted, as in OpenAI's API.

use std::collections::HashMap;

/// How what was said lately counts against being said again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Penalties {
    /// Divides positive logits, multiplies negative ones; 1 does nothing.
    pub repeat: f32,
    /// Subtracted once per appearance.
    pub frequency: f32,
    /// Subtracted once from what appeared at all.
    pub presence: f32,
    /// Tokens looked back at.
    pub last: usize,
}

impl Default for Penalties {
    fn default() -> Self {
        Self { repeat: 1.0, frequency: 0.0, presence: 0.0, last: 64 }
    }
}

impl Penalties {
    /// Whether they change anything.
    pub fn are_off(&self) -> bool {
        (self.repeat == 1.0 && self.frequency == 0.0 && self.presence == 0.0) || self.last == 0
    }

    /// Changes the logits of the last tokens of `history`.
    pub fn apply(&self, logits: &mut [f32], history: &[u32]) {
        if self.are_off() {
            return;
        }
        for (token, count) in counts(&history[history.len().saturating_sub(self.last)..]) {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = if *logit > 0.0 { *logit / self.repeat } else { *logit * self.repeat };
                *logit -= self.frequency * count as f32 + self.presence;
            }
        }
    }
}

fn counts(tokens: &[u32]) -> HashMap<u32, usize> {
    let mut counts = HashMap::new();
    for token in tokens {
        *counts.entry(*token).or_default() += 1;
    }
    counts
}

/// Adds to single logits; what is no token of the model is passed over.
pub fn bias(logits: &mut [f32], bias: &[(u32, f32)]) {
    for (token, value) in bias {
        if let Some(logit) = logits.get_mut(*token as usize) {
            *logit += value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_becomes_less_likely_whatever_its_sign() {
        let mut logits = [2.0, -2.0, 1.0];
        Penalties { repeat: 2.0, ..Default::default() }.apply(&mut logits, &[0, 1, 1]);
        assert_eq!(logits, [1.0, -4.0, 1.0]);
    }

    #[test]
    fn frequency_counts_every_time_and_presence_once() {
        let mut logits = [0.0, 0.0, 0.0];
        Penalties { frequency: 0.5, presence: 1.0, ..Default::default() }.apply(&mut logits, &[0, 1, 1]);
        assert_eq!(logits, [-1.5, -2.0, 0.0]);
    }

    #[test]
    fn only_the_last_tokens_count_and_unknown_ones_do_not() {
        let mut logits = [0.0, 0.0];
        Penalties { presence: 1.0, last: 2, ..Default::default() }.apply(&mut logits, &[0, 1, 99]);
        assert_eq!(logits, [0.0, -1.0]);
        bias(&mut logits, &[(0, 3.0), (99, 1.0)]);
        assert_eq!(logits, [3.0, -1.0]);
    }
}
