//! Which tokens are likely enough to be drawn.

/// A token that may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Its id.
    pub token: u32,
    /// Its logit.
    pub logit: f32,
}

/// Which share of the likeliest tokens stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filters {
    /// The so many likeliest; 0: all.
    pub top_k: usize,
    /// The likeliest that together reach this probability (Holtzman et al. 2020).
    pub top_p: f32,
    /// Those at least this share as likely as the likeliest.
    pub min_p: f32,
}

impl Default for Filters {
    fn default() -> Self {
        Self { top_k: 40, top_p: 0.95, min_p: 0.05 }
    }
}

impl Filters {
    /// The candidates among all of a model's tokens, best first; at least one where any logit is a number.
    pub fn select(&self, logits: &[f32]) -> Vec<Candidate> {
        let found = match self.top_k {
            0 => likely(logits, self.floor(logits)),
            k => best(logits, k),
        };
        self.cut(found)
    }

    /// Of candidates that are best first, those that stay.
    pub fn cut(&self, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
        if self.top_k > 0 {
            candidates.truncate(self.top_k);
        }
        candidates.truncate(self.nucleus(&candidates));
        let Some(first) = candidates.first() else { return candidates };
        let least = first.logit + self.min_p.ln();
        let kept = candidates.iter().take_while(|each| each.logit >= least).count();
        candidates.truncate(kept.max(1));
        candidates
    }

    /// How many reach `top_p` together.
    fn nucleus(&self, candidates: &[Candidate]) -> usize {
        let Some(first) = candidates.first().filter(|_| self.top_p < 1.0) else { return candidates.len() };
        let weight = |each: &Candidate| f64::from(each.logit - first.logit).exp();
        let enough = f64::from(self.top_p) * candidates.iter().map(weight).sum::<f64>();
        let mut reached = 0.0;
        let short = |each: &Candidate| {
            let before = reached;
            reached += weight(each);
            before < enough
        };
        candidates.iter().map(short).take_while(|is_short| *is_short).count().max(1)
    }

    /// Without top-k a whole vocabulary would be sorted; what min-p drops, or is e^-30 as likely, need not be.
    fn floor(&self, logits: &[f32]) -> f32 {
        maximum(logits) + self.min_p.ln().max(-30.0)
    }
}

/// The likeliest token; the first among equals.
pub fn likeliest(logits: &[f32]) -> Option<Candidate> {
    let most = maximum(logits);
    let token = logits.iter().position(|logit| *logit == most).filter(|_| most > f32::NEG_INFINITY)?;
    Some(Candidate { token: token as u32, logit: most })
}

/// Largest number, in lanes that the compiler keeps in one register: a vocabulary is looked through for every token.
fn maximum(logits: &[f32]) -> f32 {
    const LANES: usize = 8;
    let larger = |most: f32, logit: f32| if logit > most { logit } else { most };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = logits.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, logit) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, *logit);
        }
    }
    lanes.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, larger)
}

/// The `k` likeliest tokens, best first, equals by id.
pub fn best(logits: &[f32], k: usize) -> Vec<Candidate> {
    let mut kept: Vec<Candidate> = Vec::with_capacity(2 * k);
    let mut bar = f32::NEG_INFINITY;
    for each in numbered(logits) {
        if each.logit > bar || kept.len() < k {
            kept.push(each);
        }
        // Halving now and then beats keeping order at every step: few tokens of a vocabulary pass the bar.
        if kept.len() == 2 * k.max(1) {
            kept.select_nth_unstable_by(k, order);
            kept.truncate(k);
            bar = kept.iter().map(|each| each.logit).fold(f32::INFINITY, f32::min);
        }
    }
    kept.sort_unstable_by(order);
    kept.truncate(k);
    kept
}

fn likely(logits: &[f32], floor: f32) -> Vec<Candidate> {
    let mut kept: Vec<Candidate> = numbered(logits).filter(|each| each.logit >= floor).collect();
    kept.sort_unstable_by(order);
    kept
}

fn order(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.logit.total_cmp(&a.logit).then(a.token.cmp(&b.token))
}

fn numbered(logits: &[f32]) -> impl Iterator<Item = Candidate> + '_ {
    let each = |(token, &logit): (usize, &f32)| Candidate { token: token as u32, logit };
    logits.iter().enumerate().filter(|(_, logit)| **logit > f32::NEG_INFINITY).map(each)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(found: &[Candidate]) -> Vec<u32> {
        found.iter().map(|each| each.token).collect()
    }

    const ALL: Filters = Filters { top_k: 0, top_p: 1.0, min_p: 0.0 };

    #[test]
    fn top_p_takes_the_fewest_that_reach_it() {
        let logits = [0.5_f32, 0.3, 0.15, 0.05].map(f32::ln);
        assert_eq!(tokens(&Filters { top_p: 0.7, ..ALL }.select(&logits)), [0, 1]);
        assert_eq!(tokens(&Filters { top_p: 0.01, ..ALL }.select(&logits)), [0]);
    }

    #[test]
    fn min_p_is_a_share_of_the_likeliest() {
        let logits = [0.5_f32, 0.3, 0.15, 0.05].map(f32::ln);
        assert_eq!(tokens(&Filters { min_p: 0.25, ..ALL }.select(&logits)), [0, 1, 2]);
    }

    #[test]
    fn what_is_no_number_or_forbidden_is_never_a_candidate() {
        let logits = [f32::NEG_INFINITY, f32::NAN, 1.0];
        assert_eq!(tokens(&ALL.select(&logits)), [2]);
        assert_eq!(likeliest(&logits).map(|each| each.token), Some(2));
        assert_eq!(likeliest(&[f32::NEG_INFINITY]), None);
    }

    proptest! {
        #[test]
        fn the_best_k_are_those_of_a_full_sort(logits in prop::collection::vec(-9.0f32..9.0, 1..300), k in 1usize..40) {
            let mut sorted: Vec<u32> = (0..logits.len() as u32).collect();
            sorted.sort_by(|a, b| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b)));
            sorted.truncate(k);
            prop_assert_eq!(tokens(&best(&logits, k)), sorted);
        }

        #[test]
        fn every_filter_leaves_the_likeliest(
            logits in prop::collection::vec(-9.0f32..9.0, 1..99), top_k in 0usize..9, top_p in 0.01f32..1.0, min_p in 0f32..1.0,
        ) {
            let found = Filters { top_k, top_p, min_p }.select(&logits);
            prop_assert_eq!(found.first().copied(), likeliest(&logits));
        }
    }
}
