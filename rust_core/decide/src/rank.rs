//! Where a score stands among the recent ones.
//!
//! The last scores are kept in the order they came and in the order of size.  Keeping the sorted list up to date moves
//! some kilobytes, a fraction of a microsecond; in return quantiles are exact, and so is which scores tie, wherever a
//! head puts them (a histogram would have to know that: many heads put most prompts between 0.97 and 0.99).
use std::collections::VecDeque;

/// Smaller windows are noise; in larger ones a score takes more than a microsecond to insert.
const WINDOWS: std::ops::RangeInclusive<usize> = 200..=16_384;

/// The last scores of a head.
#[derive(Clone, Debug)]
pub struct RecentScores {
    window: usize,
    recent: VecDeque<f32>,
    sorted: Vec<f32>,
}

impl RecentScores {
    /// Keeps the last `window` scores, 200 to 16384.  `quantiles` of the training scores, or else scores spread evenly
    /// over 0 to 1, stand for traffic until it comes: they count as that many prompts.
    pub fn new(window: usize, quantiles: Option<&[f32]>) -> Self {
        let window = window.clamp(*WINDOWS.start(), *WINDOWS.end());
        let even: Vec<f32> = (0..=100).map(|percent| percent as f32 / 100.0).collect();
        let usable =
            |given: &&[f32]| (1..=window).contains(&given.len()) && given.iter().all(|score| score.is_finite());
        let mut sorted = quantiles.filter(usable).unwrap_or(&even).to_vec();
        sorted.sort_unstable_by(f32::total_cmp);
        Self { window, recent: in_turns(&sorted), sorted }
    }

    /// How many scores are kept.
    pub fn window(&self) -> usize {
        self.window
    }

    /// Takes in a score; what is no number says nothing.
    pub fn push(&mut self, score: f32) {
        if !score.is_finite() {
            return;
        }
        let oldest = if self.recent.len() < self.window { None } else { self.recent.pop_front() };
        match oldest {
            Some(oldest) => self.exchange(oldest, score),
            None => self.sorted.insert(self.below(score), score),
        }
        self.recent.push_back(score);
    }

    /// The share of the scores that are lower, those that tie counted half; of what is no number a half.
    pub fn quantile(&self, score: f32) -> f64 {
        if !score.is_finite() {
            return 0.5;
        }
        let below = self.below(score);
        let ties = self.sorted[below..].partition_point(|other| *other == score);
        (2 * below + ties) as f64 / (2 * self.sorted.len()) as f64
    }

    /// The score at a quantile.
    pub fn at(&self, quantile: f64) -> f32 {
        let index = (quantile * self.sorted.len() as f64) as usize;
        self.sorted[index.min(self.sorted.len() - 1)]
    }

    /// The score that is seen most often, and its share.
    pub fn most_common(&self) -> (f32, f64) {
        let runs = self.sorted.chunk_by(|a, b| a == b);
        let longest = runs.max_by_key(|run| run.len()).unwrap_or(&self.sorted);
        (longest[0], longest.len() as f64 / self.sorted.len() as f64)
    }

    // Moves only what lies between the two.
    fn exchange(&mut self, old: f32, new: f32) {
        let (hole, place) = (self.below(old), self.below(new));
        if hole < place {
            self.sorted.copy_within(hole + 1..place, hole);
            self.sorted[place - 1] = new;
        } else {
            self.sorted.copy_within(place..hole, place + 1);
            self.sorted[place] = new;
        }
    }

    fn below(&self, score: f32) -> usize {
        self.sorted.partition_point(|other| *other < score)
    }
}

// Small and large in turns, so that while they leave one by one those that remain are still spread alike.
fn in_turns(sorted: &[f32]) -> VecDeque<f32> {
    const STRIDE: usize = 7;
    (0..STRIDE).flat_map(|offset| sorted.iter().skip(offset).step_by(STRIDE)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_traffic_the_training_quantiles_stand_for_it() {
        let training: Vec<f32> = (0..=100).map(|percent| 0.9 + percent as f32 / 1000.0).collect();
        let scores = RecentScores::new(2000, Some(&training));
        assert!((scores.quantile(0.95) - 0.5).abs() < 0.01);
        assert!((scores.at(0.6) - 0.96).abs() < 0.001);
    }

    #[test]
    fn quantiles_that_cannot_be_used_are_not() {
        for given in [&[][..], &[f32::NAN, 0.5][..], &[0.5; 5000][..]] {
            assert!((RecentScores::new(2000, Some(given)).at(0.25) - 0.25).abs() < 0.01);
        }
    }

    #[test]
    fn traffic_replaces_what_stood_for_it() {
        let mut scores = RecentScores::new(200, None);
        (0..200).for_each(|_| scores.push(7.0));
        assert_eq!((scores.at(0.0), scores.at(1.0)), (7.0, 7.0));
    }

    #[test]
    fn what_ties_is_in_the_middle_of_itself() {
        let mut scores = RecentScores::new(200, None);
        (0..100).for_each(|_| scores.push(1.0));
        (0..100).for_each(|_| scores.push(2.0));
        assert_eq!((scores.quantile(1.0), scores.quantile(2.0)), (0.25, 0.75));
        assert_eq!(scores.most_common().1, 0.5);
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_last_scores(
            pushed in prop::collection::vec(0u8..20, 200..600),
            score in 0u8..20,
        ) {
            let mut scores = RecentScores::new(200, None);
            pushed.iter().for_each(|score| scores.push(f32::from(*score)));
            let last = &pushed[pushed.len() - 200..];
            let lower = last.iter().filter(|other| **other < score).count();
            let ties = last.iter().filter(|other| **other == score).count();
            let exact = (lower as f64 + ties as f64 / 2.0) / 200.0;
            prop_assert_eq!(scores.quantile(f32::from(score)), exact);
        }
    }
}
