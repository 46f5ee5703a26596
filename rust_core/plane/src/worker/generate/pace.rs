//! How long steps take, and so how much of a prompt may be read before those who write get their next tokens.

use std::time::{Duration, Instant};

use waypost_decide::chunk;

/// How long steps take.
#[derive(Default)]
pub struct Pace {
    planned: Option<Instant>,
    wrote: Option<Instant>,
    /// Of a prompt.
    token: Duration,
    step: Duration,
}

impl Pace {
    /// A step begins.
    pub fn planned(&mut self, now: Instant) {
        self.planned = Some(now);
    }

    /// A step was computed that read so many tokens of a prompt, or wrote.
    pub fn computed(&mut self, read: Option<usize>, now: Instant) {
        let took = self.planned.map_or(Duration::ZERO, |planned| now.saturating_duration_since(planned));
        match read {
            Some(tokens) => self.token = took / u32::try_from(tokens.max(1)).unwrap_or(u32::MAX),
            None => (self.step, self.wrote) = (took, Some(now)),
        }
    }

    /// Time for prompts before those who write should get their next tokens.
    pub fn left(&self, gap: Duration, now: Instant) -> Duration {
        let waited = self.wrote.map_or(Duration::ZERO, |wrote| now.saturating_duration_since(wrote));
        gap.saturating_sub(waited + self.step)
    }

    /// How long a chunk may be that is read in that time.
    pub fn chunk(&self, left: Duration, whole: usize) -> usize {
        chunk::within(left, self.token, whole)
    }

    /// Whether that suffices for so many tokens.
    pub fn suffices(&self, left: Duration, tokens: usize) -> bool {
        self.token.saturating_mul(u32::try_from(tokens).unwrap_or(u32::MAX)) <= left
    }
}
