//! Which prompts a step reads, and how much of each, beside the tokens it generates.
//!
//! A prompt read whole would hold up everybody's next token for as long as it takes; so a step reads at most a chunk
//! while somebody is generating.  The shortest remainder goes first, which is best for the mean time to first token,
//! and ages, so that a long prompt is not passed by for ever (Schrage 1968; Sarathi-Serve, Agrawal et al. 2024, for
//! the chunks).

/// Tokens of its lead that a prompt gains by every step it was passed by.
const AGEING: usize = 16;

/// A prompt that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its slot.
    pub slot: usize,
    /// Tokens still to be read.
    pub left: usize,
    /// Steps in which it got nothing.
    pub passed_by: usize,
}

/// How many tokens of which slot the next step reads, at most `budget` together: `(slot, tokens)`, by slot.
pub fn share(mut reading: Vec<Reading>, mut budget: usize) -> Vec<(usize, usize)> {
    reading.sort_by_key(|each| (each.left.saturating_sub(each.passed_by * AGEING), each.slot));
    let mut shares = Vec::new();
    for each in reading {
        let tokens = each.left.min(budget);
        if tokens > 0 {
            shares.push((each.slot, tokens));
            budget -= tokens;
        }
    }
    shares.sort_unstable();
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reading(slot: usize, left: usize, passed_by: usize) -> Reading {
        Reading { slot, left, passed_by }
    }

    #[test]
    fn the_shortest_remainder_goes_first_and_the_rest_of_the_chunk_to_the_next() {
        assert_eq!(share(vec![reading(0, 500, 0), reading(1, 40, 0)], 64), [(0, 24), (1, 40)]);
    }

    #[test]
    fn a_long_prompt_is_not_passed_by_for_ever() {
        assert_eq!(share(vec![reading(0, 500, 40), reading(1, 40, 0)], 64), [(0, 64)]);
    }

    proptest! {
        #[test]
        fn a_step_reads_as_much_as_it_may(lefts in prop::collection::vec(1usize..300, 0..9), budget in 0usize..600) {
            let all: usize = lefts.iter().sum();
            let readings = lefts.iter().enumerate().map(|(slot, left)| reading(slot, *left, slot)).collect();
            let shares = share(readings, budget);
            prop_assert_eq!(shares.iter().map(|(_, tokens)| tokens).sum::<usize>(), all.min(budget));
            prop_assert!(shares.iter().all(|(slot, tokens)| *tokens <= lefts[*slot]));
            prop_assert!(shares.is_sorted());
        }
    }
}
