//! Which prompt a step reads, and how much of it.
//!
//! A prompt read whole would hold up everybody's next token for as long as it takes; so it is read in chunks, between
//! which those who write get their tokens.  The shortest remainder goes first, which is best for the mean time to first
//! token, and ages, so that a long prompt is not passed by for ever (Schrage 1968; Sarathi-Serve, Agrawal et al. 2024,
//! for the chunks).  One prompt a step: on CPUs a chunk costs the same per token from 64 tokens on, whosever they are,
//! and chunks of different lengths side by side cost more.

use std::time::Duration;

/// Chunks are multiples of this: of fewer tokens each costs much more.
const GRAIN: usize = 16;

/// Tokens of its lead that a prompt gains by every chunk of others.
const AGEING: usize = 16;

/// A prompt that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its slot.
    pub slot: usize,
    /// Tokens still to be read, at least one.
    pub left: usize,
    /// Chunks that others got instead.
    pub passed_by: usize,
}

/// The slot whose prompt is read next, and how many tokens: a chunk, or up to half as many more where that is the rest.
pub fn next(reading: impl IntoIterator<Item = Reading>, chunk: usize) -> Option<(usize, usize)> {
    let urgency = |each: &Reading| (each.left.saturating_sub(each.passed_by * AGEING), each.slot);
    let next = reading.into_iter().min_by_key(urgency)?;
    Some((next.slot, if next.left <= most(chunk) { next.left } else { chunk }))
}

/// How long a chunk may be that is read in `time`, where a token took `token` lately: the whole `chunk`, or less on a slow
/// machine or deep in a long prompt, but never nothing.
pub fn within(time: Duration, token: Duration, chunk: usize) -> usize {
    let fitting = time.as_nanos() / token.as_nanos().max(1);
    let grains = usize::try_from(fitting).unwrap_or(usize::MAX) / GRAIN;
    chunk.min(grains.max(1).saturating_mul(GRAIN))
}

/// Most tokens that a step reads.
pub fn most(chunk: usize) -> usize {
    chunk + chunk / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reading(slot: usize, left: usize, passed_by: usize) -> Reading {
        Reading { slot, left, passed_by }
    }

    #[test]
    fn the_shortest_remainder_goes_first() {
        assert_eq!(next([reading(0, 500, 0), reading(1, 40, 0)], 64), Some((1, 40)));
    }

    #[test]
    fn a_long_prompt_is_read_in_chunks_and_is_not_passed_by_for_ever() {
        assert_eq!(next([reading(0, 500, 40), reading(1, 40, 0)], 64), Some((0, 64)));
    }

    #[test]
    fn a_small_rest_is_not_left_for_a_step_of_its_own() {
        assert_eq!(next([reading(0, 96, 0)], 64), Some((0, 96)));
        assert_eq!(next([reading(0, 97, 0)], 64), Some((0, 64)));
        assert_eq!(next([], 64), None);
    }

    #[test]
    fn a_chunk_is_as_long_as_the_time_for_it() {
        let ms = Duration::from_millis;
        assert_eq!(within(ms(400), ms(2), 64), 64);
        assert_eq!(within(ms(400), ms(10), 64), 32);
        assert_eq!(within(ms(0), ms(10), 64), 16);
        assert_eq!(within(ms(400), ms(0), 64), 64);
        assert_eq!(within(ms(0), ms(10), 8), 8);
    }

    proptest! {
        #[test]
        fn everyone_is_read_to_the_end(lefts in prop::collection::vec(1usize..300, 1..9), chunk in 1usize..100) {
            let mut readings: Vec<Reading> = lefts.iter().enumerate().map(|(slot, left)| reading(slot, *left, 0)).collect();
            let mut steps = 0;
            while let Some((slot, tokens)) = next(readings.iter().copied().filter(|each| each.left > 0), chunk) {
                prop_assert!(0 < tokens && tokens <= most(chunk));
                readings[slot].left -= tokens;
                steps += 1;
            }
            prop_assert!(steps <= lefts.iter().map(|left| left.div_ceil(chunk)).sum::<usize>());
        }
    }
}
