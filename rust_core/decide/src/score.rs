//! The additive score of an instance, term by term.
//!
//! `score = W_latency·(1/p95) + W_queue·(1/(1+queue_depth)) + W_fit·fit + W_health·uptime + W_feedback·quality`,
//! each term divided by the best among the candidates, so that it lies in `[0, 1]` and the best has 1.  Dividing by
//! the best keeps ratios; stretching between worst and best instead would turn an uptime of 0.99 beside 1.00 into
//! 0 beside 1.
//!
//! It ranks models and tiers, and it is logged with every decision.  Between replicas of one model prefer
//! [`crate::pick::Policy::ExpectedCompletion`]: everybody who takes the best score takes the same instance, and the
//! score learns of it too late.
use std::time::Duration;

const FASTEST: Duration = Duration::from_micros(1);

/// How much each term counts; 1.0 each by default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Weight of `1 / p95`.
    pub latency: f64,
    /// Weight of `1 / (1 + queue_depth)`.
    pub queue: f64,
    /// Weight of the capability match.
    pub fit: f64,
    /// Weight of the uptime.
    pub health: f64,
    /// Weight of the quality reported by feedback.
    pub feedback: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { latency: 1.0, queue: 1.0, fit: 1.0, health: 1.0, feedback: 1.0 }
    }
}

/// What is known of an instance when it is scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Recent p95 latency; without one the instance counts as fast as the fastest, so that it gets tried.
    pub p95: Option<Duration>,
    /// Requests waiting or running there.
    pub queue_depth: u32,
    /// Capability match, 0 and up.
    pub fit: f64,
    /// Share of time or requests it was available, 0 to 1.
    pub uptime: f64,
    /// Quality from feedback, 0 and up.
    pub quality: f64,
}

/// The five terms, normalised, before weighting.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Terms {
    /// Fastest p95 over this one.
    pub latency: f64,
    /// Emptiness of the queue relative to the emptiest.
    pub queue: f64,
    /// Fit relative to the best.
    pub fit: f64,
    /// Uptime relative to the best.
    pub health: f64,
    /// Quality relative to the best.
    pub feedback: f64,
}

/// A candidate's score and how it came about.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scored {
    /// The weighted sum of the terms.
    pub total: f64,
    /// The terms.
    pub terms: Terms,
}

/// Scores all candidates together, in their order.  Negative and non-finite inputs count as 0.
pub fn score(candidates: &[Candidate], weights: &Weights) -> Vec<Scored> {
    score_all(candidates.iter(), weights)
}

/// The same where candidates are parts of something; they are gone through twice, and only the scores are allocated.
pub fn score_all<'a>(candidates: impl Iterator<Item = &'a Candidate> + Clone, weights: &Weights) -> Vec<Scored> {
    let best = candidates.clone().map(Terms::raw).fold(Terms::default(), |best, terms| best.zip(&terms, f64::max));
    candidates.map(|candidate| Scored::of(candidate, &best, weights)).collect()
}

impl Scored {
    fn of(candidate: &Candidate, best: &Terms, weights: &Weights) -> Self {
        let mut terms = Terms::raw(candidate).zip(best, share);
        if candidate.p95.is_none() {
            terms.latency = 1.0;
        }
        Self { total: terms.weighted(weights), terms }
    }
}

impl Terms {
    fn raw(candidate: &Candidate) -> Self {
        Self {
            latency: candidate.p95.map_or(0.0, |p95| p95.max(FASTEST).as_secs_f64().recip()),
            queue: (1.0 + f64::from(candidate.queue_depth)).recip(),
            fit: sane(candidate.fit),
            health: sane(candidate.uptime),
            feedback: sane(candidate.quality),
        }
    }

    fn zip(&self, other: &Self, f: fn(f64, f64) -> f64) -> Self {
        Self {
            latency: f(self.latency, other.latency),
            queue: f(self.queue, other.queue),
            fit: f(self.fit, other.fit),
            health: f(self.health, other.health),
            feedback: f(self.feedback, other.feedback),
        }
    }

    fn weighted(&self, weights: &Weights) -> f64 {
        weights.latency * self.latency
            + weights.queue * self.queue
            + weights.fit * self.fit
            + weights.health * self.health
            + weights.feedback * self.feedback
    }
}

fn sane(value: f64) -> f64 {
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}

fn share(value: f64, best: f64) -> f64 {
    if best > 0.0 { value / best } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: Candidate =
        Candidate { p95: Some(Duration::from_millis(100)), queue_depth: 0, fit: 1.0, uptime: 1.0, quality: 0.8 };

    fn totals(candidates: &[Candidate]) -> Vec<f64> {
        score(candidates, &Weights::default()).iter().map(|scored| scored.total).collect()
    }

    #[test]
    fn the_terms_are_those_of_the_formula_over_the_best() {
        let slow = Candidate { p95: Some(Duration::from_millis(400)), queue_depth: 3, fit: 0.5, ..GOOD };
        let scored = score(&[GOOD, slow], &Weights::default());
        assert_eq!(scored[0].terms, Terms { latency: 1.0, queue: 1.0, fit: 1.0, health: 1.0, feedback: 1.0 });
        let terms = scored[1].terms;
        assert!((terms.latency - 0.25).abs() < 1e-12);
        assert_eq!((terms.queue, terms.fit, terms.health, terms.feedback), (0.25, 0.5, 1.0, 1.0));
    }

    #[test]
    fn the_total_is_the_weighted_sum() {
        let weights = Weights { latency: 2.0, queue: 3.0, fit: 5.0, health: 7.0, feedback: 11.0 };
        assert_eq!(score(&[GOOD], &weights)[0].total, 28.0);
    }

    #[test]
    fn an_instance_without_measurements_counts_as_the_fastest() {
        let unknown = Candidate { p95: None, ..GOOD };
        assert_eq!(score(&[GOOD, unknown], &Weights::default())[1].terms.latency, 1.0);
        assert_eq!(score(&[unknown], &Weights::default())[0].terms.latency, 1.0);
    }

    #[test]
    fn nobody_gets_credit_for_what_nobody_has() {
        let unfit = Candidate { fit: 0.0, ..GOOD };
        assert_eq!(score(&[unfit, unfit], &Weights::default())[0].terms.fit, 0.0);
    }

    #[test]
    fn nonsense_counts_as_nothing() {
        let nonsense =
            Candidate { p95: Some(Duration::ZERO), fit: f64::NAN, uptime: -1.0, quality: f64::INFINITY, ..GOOD };
        let terms = score(&[nonsense, GOOD], &Weights::default())[0].terms;
        assert_eq!((terms.fit, terms.health, terms.feedback), (0.0, 0.0, 0.0));
        assert_eq!(terms.latency, 1.0);
    }

    #[test]
    fn no_candidates_have_no_scores() {
        assert!(score(&[], &Weights::default()).is_empty());
    }

    prop_compose! {
        fn candidate()(
            p95 in prop::option::of(0u64..10_000),
            queue_depth in any::<u32>(),
            fit in 0.0..10.0,
            uptime in 0.0..1.0,
            quality in 0.0..1.0,
        ) -> Candidate {
            Candidate { p95: p95.map(Duration::from_millis), queue_depth, fit, uptime, quality }
        }
    }

    proptest! {
        #[test]
        fn every_term_is_between_zero_and_one(candidates in prop::collection::vec(candidate(), 0..20)) {
            for Scored { terms, .. } in score(&candidates, &Weights::default()) {
                for term in [terms.latency, terms.queue, terms.fit, terms.health, terms.feedback] {
                    prop_assert!((0.0..=1.0).contains(&term), "{term}");
                }
            }
        }

        #[test]
        fn the_order_of_candidates_does_not_matter(candidates in prop::collection::vec(candidate(), 0..20)) {
            let reversed: Vec<Candidate> = candidates.iter().rev().copied().collect();
            let mut scores = totals(&reversed);
            scores.reverse();
            prop_assert_eq!(scores, totals(&candidates));
        }

        #[test]
        fn a_longer_queue_never_raises_the_total(one in candidate(), other in candidate(), more in 1u32..100) {
            let busier = Candidate { queue_depth: one.queue_depth.saturating_add(more), ..one };
            prop_assert!(totals(&[busier, other])[0] <= totals(&[one, other])[0]);
        }
    }
}
