//! One sequence's way from logits to tokens.

use crate::{
    draw,
    filter::{self, Candidate, Filters},
    penalty::{self, Penalties},
};

/// What a request says of how tokens are drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// See [`draw::uniform`].
    pub seed: u64,
    /// 0: the likeliest always.
    pub temperature: f32,
    /// See [`Filters`].
    pub filters: Filters,
    /// See [`Penalties`].
    pub penalties: Penalties,
    /// Added to logits by token.
    pub bias: Vec<(u32, f32)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            temperature: 0.8,
            filters: Filters::default(),
            penalties: Penalties::default(),
            bias: Vec::new(),
        }
    }
}

/// Draws the tokens of one sequence.
#[derive(Clone, Debug)]
pub struct Sampler {
    settings: Settings,
    drawn: u64,
}

impl Sampler {
    /// At the beginning of an answer.
    pub fn new(settings: Settings) -> Self {
        Self { settings, drawn: 0 }
    }

    /// The next token after `history`; `None` where no logit is a number.  `scratch` is memory to work in.
    pub fn draw(&mut self, logits: &[f32], history: &[u32], scratch: &mut Vec<f32>) -> Option<u32> {
        let logits = self.changed(logits, history, scratch);
        let found = match self.settings.temperature {
            0.0 => filter::likeliest(logits),
            temperature => draw::pick(&self.settings.filters.select(logits), temperature, self.point()),
        };
        self.drawn += 1;
        found.map(|each| each.token)
    }

    /// The likeliest tokens, best first, for a constraint to choose among; all of them for `count = 0`.
    pub fn candidates(&self, logits: &[f32], history: &[u32], count: usize, scratch: &mut Vec<f32>) -> Vec<Candidate> {
        let logits = self.changed(logits, history, scratch);
        filter::best(logits, if count == 0 { logits.len() } else { count })
    }

    /// The next token among those a constraint left, best first.
    pub fn draw_among(&mut self, allowed: Vec<Candidate>) -> Option<u32> {
        let found = match self.settings.temperature {
            0.0 => allowed.first().copied(),
            temperature => draw::pick(&self.settings.filters.cut(allowed), temperature, self.point()),
        };
        self.drawn += 1;
        found.map(|each| each.token)
    }

    fn point(&self) -> f64 {
        draw::uniform(self.settings.seed, self.drawn)
    }

    fn changed<'a>(&self, logits: &'a [f32], history: &[u32], scratch: &'a mut Vec<f32>) -> &'a [f32] {
        if self.settings.penalties.are_off() && self.settings.bias.is_empty() {
            return logits;
        }
        scratch.clear();
        scratch.extend_from_slice(logits);
        self.settings.penalties.apply(scratch, history);
        penalty::bias(scratch, &self.settings.bias);
        scratch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(settings: Settings, logits: &[f32], count: usize) -> Vec<u32> {
        let mut sampler = Sampler::new(settings);
        (0..count).filter_map(|_| sampler.draw(logits, &[], &mut Vec::new())).collect()
    }

    #[test]
    fn temperature_zero_takes_the_likeliest_always() {
        assert_eq!(drawn(Settings { temperature: 0.0, ..Default::default() }, &[0.0, 2.0, 1.9], 5), [1; 5]);
    }

    #[test]
    fn the_same_seed_gives_the_same_answer_and_another_does_not() {
        let logits: Vec<f32> = (0..50).map(|each| (each % 7) as f32 * 0.1).collect();
        let with = |seed| drawn(Settings { seed, temperature: 1.0, ..Default::default() }, &logits, 20);
        assert_eq!(with(1), with(1));
        assert_ne!(with(1), with(2));
    }

    #[test]
    fn a_bias_of_minus_a_hundred_forbids() {
        let settings = Settings { temperature: 0.0, bias: vec![(1, -100.0)], ..Default::default() };
        assert_eq!(drawn(settings, &[0.0, 2.0, 1.9], 1), [2]);
    }

    #[test]
    fn a_constraint_chooses_among_the_likeliest() {
        let mut sampler = Sampler::new(Settings { temperature: 0.0, ..Default::default() });
        let mut found = sampler.candidates(&[0.0, 2.0, 1.9], &[], 2, &mut Vec::new());
        found.retain(|each| each.token != 1);
        assert_eq!(sampler.draw_among(found), Some(2));
        assert_eq!(sampler.draw_among(Vec::new()), None);
    }
}
