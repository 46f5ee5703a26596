//! The second choice: which replica of the model.
//!
//! ```text
//! views ▶ fill in what is not known ▶ score ▶ leave the sick out ▶ and the full ▶ only one? session? else the policy
//! ```
//!
//! Only ready replicas count; of those the breaker and the exclusion by latency leave some out, never too
//! many ([`mod@crate::outlier`]).  Then those at their limit are out: beyond what can be served in time, waiting turns a
//! clear refusal into a late failure ([`CALLS_PER_SLOT`]).  When all that are well are full, that is the answer
//! ([`Nowhere::Full`]): calls are not sent to the sick because the well are busy.
//!
//! A session goes to its own replica, found by rendezvous hashing (Thaler and Ravishankar 1996): every router comes to
//! the same one without talking to the others, and when a replica leaves only its own sessions move.  All else is
//! for the policy ([`crate::pick`]), which counts what is in flight at the moment of choosing, this call included: keep
//! the [`Balancer`] locked from here until the call is counted in, or two calls see the same free place.
//!
//! Keep one [`Balancer`] per model: turns of [`Policy::RoundRobin`] that two models take from one counter are no turns.
use std::time::Duration;

use crate::{
    outlier::{self, Health},
    pick::{Load, Picker, Policy, Rival},
    score::{self, Candidate, Scored, Weights},
    stats::{Serving, Stats},
};

/// Calls at once at one instance for each of its slots, where nobody says otherwise.
///
/// One runs and two wait: with one waiting, half load with bursts and faults had 0.2 % of the calls refused, with two
/// none, and at 1.15 times the capacity both answered 87 % within a second.
pub const CALLS_PER_SLOT: u32 = 3;

/// A replica, as it is when a call is to be placed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// For the policy.  A latency of zero is unknown; [`Balancer::choose`] fills that in, and the score.
    pub load: Load,
    /// For leaving it out.
    pub health: Health,
    /// For the score; `queue_depth` is the calls there now, which the limit is compared with.
    pub candidate: Candidate,
    /// Its share under [`Policy::Weighted`].
    pub weight: f64,
    /// So many times as slow it counts, being fresh: 1 and up.
    pub freshness: f64,
    /// Share of its weight that the latency has left, 0 to 1: the rest goes to what is typical of the pool.
    pub recency: f64,
    /// Hash of session and replica; the highest is the session's home.
    pub home: u64,
    /// The most calls at once there; beyond it, it is not chosen.
    pub limit: u32,
}

/// What a view needs beside the figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offer {
    /// Size of the call, in units of work: 1 and up.
    pub units: u32,
    /// Capability match, 0 and up.
    pub fit: f64,
    /// Quality as the model's owner declares it.
    pub quality: f64,
    /// Connected, serving and not draining.
    pub ready: bool,
    /// As in [`View::weight`].
    pub weight: f64,
    /// As in [`View::home`].
    pub home: u64,
    /// As in [`View::limit`].
    pub limit: u32,
}

impl View {
    /// Of the model `serving` at the instance `stats`.
    pub fn of(stats: &mut Stats, serving: &Serving, offer: &Offer, now: Duration) -> Self {
        let success = stats.success(now);
        let (pace, recency) = serving.pace_left(now);
        let silence = stats.silence(now);
        let (latency, recency) = if silence > pace { (silence, 1.0) } else { (pace, recency) };
        // The policy adds one call to what is in flight; this call is `units` of them.
        let in_flight = stats.units.saturating_add(offer.units.max(1) - 1);
        Self {
            load: Load { latency, in_flight, success, score: 0.0 },
            health: stats.health(now, offer.ready),
            candidate: Candidate {
                p95: stats.p95(now),
                queue_depth: stats.in_flight,
                fit: offer.fit,
                uptime: success,
                quality: serving.quality(now, offer.quality),
            },
            weight: offer.weight,
            recency,
            freshness: stats.freshness(now),
            home: offer.home,
            limit: offer.limit,
        }
    }

    fn has_room(&self) -> bool {
        self.candidate.queue_depth < self.limit
    }

    fn rival(&self) -> Rival {
        Rival { load: self.load, freshness: self.freshness, weight: self.weight }
    }
}

/// Why a replica was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There was no other.
    Only,
    /// The session lives there.
    Session,
    /// The policy said so.
    Policy(Policy),
}

impl Reason {
    /// As it is logged.
    pub fn name(self) -> &'static str {
        match self {
            Self::Only => "only",
            Self::Session => "session",
            Self::Policy(policy) => policy.name(),
        }
    }
}

/// A replica was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Which of the views.
    pub index: usize,
    /// Why.
    pub reason: Reason,
    /// Scores of all views, in their order.
    pub scored: Vec<Scored>,
    /// Those that could have been chosen, ascending.
    pub admitted: Vec<usize>,
    /// With which probability each view would have been chosen as things stood; 0 for those not admitted.
    pub propensities: Vec<f64>,
}

/// No replica was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nowhere {
    /// None is ready.
    Nobody,
    /// All that may be chosen have as many calls as they take: come again soon.
    Full,
}

/// Chooses replicas by one policy.
#[derive(Clone, Debug)]
pub struct Balancer {
    picker: Picker,
    weights: Weights,
    panic_share: f64,
    rivals: Vec<Rival>,
}

impl Balancer {
    /// `weights` are of the score; below `panic_share` of healthy replicas all ready ones are used; the same seed and
    /// the same views give the same choices.
    pub fn new(policy: Policy, weights: Weights, panic_share: f64, seed: u64) -> Self {
        Self { picker: Picker::new(policy, seed), weights, panic_share, rivals: Vec::new() }
    }

    /// By what it chooses.
    pub fn policy(&self) -> Policy {
        self.picker.policy()
    }

    /// Other weights of the score from now on.
    pub fn set_weights(&mut self, weights: Weights) {
        self.weights = weights;
    }

    /// Where a call goes, `session` saying whether it belongs to one.  The views are filled in where they know too
    /// little: the score, and the latency of newcomers.
    pub fn choose(&mut self, views: &mut [View], session: bool, now: Duration) -> Result<Choice, Nowhere> {
        let mut admitted = outlier::admit(views.iter().map(|view| &view.health), now, self.panic_share);
        if admitted.is_empty() {
            return Err(Nowhere::Nobody);
        }
        admitted.retain(|index| views[*index].has_room());
        fill_in(views);
        let scored = self.score(views);
        let mut propensities = vec![0.0; views.len()];
        let (index, reason) = self.pick(views, &admitted, session, &mut propensities).ok_or(Nowhere::Full)?;
        Ok(Choice { index, reason, scored, admitted, propensities })
    }

    fn score(&self, views: &mut [View]) -> Vec<Scored> {
        let scored = score::score_all(views.iter().map(|view| &view.candidate), &self.weights);
        views.iter_mut().zip(&scored).for_each(|(view, scored)| view.load.score = scored.total);
        scored
    }

    fn pick(
        &mut self,
        views: &[View],
        admitted: &[usize],
        session: bool,
        propensities: &mut [f64],
    ) -> Option<(usize, Reason)> {
        let certain = match admitted {
            [only] => Some((*only, Reason::Only)),
            _ if session => home(views, admitted).map(|index| (index, Reason::Session)),
            _ => None,
        };
        if let Some((index, _)) = certain {
            propensities[index] = 1.0;
            return certain;
        }
        self.rivals.clear();
        self.rivals.extend(admitted.iter().map(|index| views[*index].rival()));
        let (position, odds) = self.picker.draw(&self.rivals)?;
        admitted.iter().zip(odds).for_each(|(index, share)| propensities[*index] = *share);
        Some((admitted[position], Reason::Policy(self.picker.policy())))
    }
}

fn home(views: &[View], admitted: &[usize]) -> Option<usize> {
    admitted.iter().copied().max_by_key(|index| views[*index].home)
}

/// Fills in what is not known of a replica's latency, and what is no longer.
///
/// A newcomer counts as quick as the quickest known: it is tried, and not swamped.  Silence makes a replica neither
/// quick nor slow but typical of its pool: an estimate that faded to nothing would send calls to whoever was not
/// heard for longest, and among many routers, of which each hears little, that is the slow and the hung.  One that
/// has only ever failed counts as slow as the slowest.
fn fill_in(views: &mut [View]) {
    let known = || views.iter().map(|view| view.load.latency).filter(|latency| !latency.is_zero());
    let (Some(quickest), Some(slowest)) = (known().min(), known().max()) else { return };
    // The harmonic mean, which a few slow ones do not move.
    let rates: f64 = known().map(|latency| latency.as_secs_f64().recip()).sum();
    let typical = known().count() as f64 / rates;
    for View { load, recency, .. } in views {
        load.latency = match load.latency {
            Duration::ZERO if load.success == 1.0 => quickest,
            Duration::ZERO => slowest,
            latency => Duration::from_secs_f64(latency.as_secs_f64() * *recency + typical * (1.0 - *recency)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{StatsConfig, Verdict};
    use proptest::prelude::*;

    const NOW: Duration = Duration::from_secs(100);
    const PANIC: f64 = 0.5;
    const WELL: Health = Health { excluded_until: None, breaker_allows: true, ready: true };
    const BROKEN: Health = Health { breaker_allows: false, ..WELL };
    const GONE: Health = Health { ready: false, ..WELL };
    const IDLE: View = View {
        load: Load { latency: Duration::from_millis(10), in_flight: 0, success: 1.0, score: 0.0 },
        health: WELL,
        candidate: Candidate {
            p95: Some(Duration::from_millis(20)),
            queue_depth: 0,
            fit: 1.0,
            uptime: 1.0,
            quality: 1.0,
        },
        weight: 1.0,
        freshness: 1.0,
        recency: 1.0,
        home: 0,
        limit: 8,
    };

    fn balancer(policy: Policy) -> Balancer {
        Balancer::new(policy, Weights::default(), PANIC, 7)
    }

    fn choose(views: &[View]) -> Result<Choice, Nowhere> {
        balancer(Policy::ExpectedCompletion).choose(&mut views.to_vec(), false, NOW)
    }

    fn latency(view: View, millis: u64) -> View {
        View { load: Load { latency: Duration::from_millis(millis), ..view.load }, ..view }
    }

    fn full(view: View) -> View {
        View { candidate: Candidate { queue_depth: view.limit, ..view.candidate }, ..view }
    }

    #[test]
    fn where_none_is_ready_there_is_nobody() {
        assert_eq!(choose(&[]), Err(Nowhere::Nobody));
        assert_eq!(choose(&[View { health: GONE, ..IDLE }]), Err(Nowhere::Nobody));
    }

    #[test]
    fn the_only_one_is_chosen_for_that_reason() {
        let choice = choose(&[View { health: GONE, ..IDLE }, IDLE]).unwrap();
        assert_eq!((choice.index, choice.reason), (1, Reason::Only));
        assert_eq!(choice.propensities, [0.0, 1.0]);
    }

    #[test]
    fn at_its_limit_a_replica_is_no_candidate() {
        let choice = choose(&[full(latency(IDLE, 1)), latency(IDLE, 500), latency(IDLE, 900)]).unwrap();
        assert_eq!((choice.index, choice.admitted), (1, vec![1, 2]));
    }

    #[test]
    fn when_the_well_are_full_the_sick_are_not_asked_instead() {
        let sick = View { health: BROKEN, ..IDLE };
        assert_eq!(choose(&[full(IDLE), full(IDLE), sick]), Err(Nowhere::Full));
        assert!(choose(&[full(IDLE), IDLE, sick]).is_ok_and(|choice| choice.index == 1));
    }

    #[test]
    fn most_being_sick_all_that_have_room_are_asked() {
        let sick = View { health: BROKEN, ..IDLE };
        assert_eq!(choose(&[full(IDLE), sick, sick]).unwrap().admitted, [1, 2]);
    }

    #[test]
    fn a_session_lives_where_its_hash_is_highest_and_moves_only_while_it_must() {
        let mut views = [5, 9, 7].map(|home| View { home, ..IDLE });
        let mut balancer = balancer(Policy::RoundRobin);
        let mut at = |views: &mut [View]| {
            let choice = balancer.choose(views, true, NOW).unwrap();
            (choice.index, choice.reason)
        };
        assert_eq!(at(&mut views), (1, Reason::Session));
        assert_eq!(at(&mut [views[0], full(views[1]), views[2]]), (2, Reason::Session));
        assert_eq!(at(&mut views), (1, Reason::Session));
    }

    #[test]
    fn a_newcomer_counts_as_quick_as_the_quickest_known() {
        let mut views = [latency(IDLE, 30), latency(IDLE, 0), latency(IDLE, 20)];
        let choice = balancer(Policy::ExpectedCompletion).choose(&mut views, false, NOW).unwrap();
        assert_eq!(views[1].load.latency, Duration::from_millis(20));
        assert_eq!(choice.propensities, [0.0, 0.5, 0.5]);
    }

    #[test]
    fn one_that_only_ever_failed_is_no_newcomer_but_as_slow_as_the_slowest() {
        let failed = View { load: Load { success: 0.9, latency: Duration::ZERO, ..IDLE.load }, ..IDLE };
        let mut views = [latency(IDLE, 30), failed, latency(IDLE, 20)];
        balancer(Policy::ExpectedCompletion).choose(&mut views, false, NOW).unwrap();
        assert_eq!(views[1].load.latency, Duration::from_millis(30));
    }

    #[test]
    fn silence_makes_a_replica_typical_neither_quick_nor_slow() {
        let silent = |view| View { recency: 0.0, ..view };
        let mut views = [silent(latency(IDLE, 10)), silent(latency(IDLE, 9000)), latency(IDLE, 40)];
        balancer(Policy::ExpectedCompletion).choose(&mut views, false, NOW).unwrap();
        let millis = views.map(|view| view.load.latency.as_millis());
        assert_eq!(millis, [23, 23, 40]);
    }

    #[test]
    fn a_fresh_one_takes_less_than_its_share() {
        let fresh = View { freshness: 4.0, ..IDLE };
        let mut counts = [0u32; 2];
        for _ in 0..100 {
            let views = [0, 1].map(|index| {
                let view = if index == 0 { fresh } else { IDLE };
                View { load: Load { in_flight: counts[index], ..view.load }, ..view }
            });
            counts[choose(&views).unwrap().index] += 1;
        }
        assert_eq!(counts, [20, 80]);
    }

    #[test]
    fn all_being_fresh_nobody_is_behind() {
        let fresh = View { freshness: 10.0, ..IDLE };
        assert_eq!(choose(&[fresh, fresh]).unwrap().propensities, [0.5, 0.5]);
    }

    #[test]
    fn scores_are_of_all_also_of_those_left_out() {
        let choice = choose(&[IDLE, View { health: BROKEN, ..IDLE }, IDLE]).unwrap();
        assert_eq!((choice.scored.len(), choice.admitted), (3, vec![0, 2]));
        assert_eq!(choice.scored[1].total, 5.0);
    }

    #[test]
    fn a_view_counts_the_call_by_its_size_and_the_waiting_as_latency() {
        let mut stats = Stats::new(&StatsConfig::default());
        let mut serving = Serving::default();
        serving.heard(NOW, Duration::from_millis(40), 4);
        stats.enter(NOW, 3);
        let offer = Offer { units: 4, fit: 1.0, quality: 0.8, ready: true, weight: 2.0, home: 5, limit: 8 };
        let view = View::of(&mut stats, &serving, &offer, NOW);
        assert_eq!((view.load.in_flight, view.candidate.queue_depth), (6, 1));
        assert_eq!(view.load.latency, Duration::from_millis(10));
        let later = NOW + Duration::from_secs(3);
        assert_eq!(View::of(&mut stats, &serving, &offer, later).load.latency, Duration::from_secs(3));
        stats.leave_unheard(later, 3, Verdict::Abandoned, Duration::from_secs(3));
    }

    prop_compose! {
        fn view()(
            millis in 0u64..1000,
            queue_depth in 0u32..10,
            success in 0.0f64..=1.0,
            excluded in prop::option::of(90u64..110),
            breaker_allows in any::<bool>(),
            ready in any::<bool>(),
            weight in 0.0f64..10.0,
            freshness in 1.0f64..10.0,
            home in any::<u64>(),
        ) -> View {
            View {
                load: Load { latency: Duration::from_millis(millis), in_flight: queue_depth, success, score: 0.0 },
                health: Health { excluded_until: excluded.map(Duration::from_secs), breaker_allows, ready },
                candidate: Candidate { queue_depth, uptime: success, ..IDLE.candidate },
                weight,
                freshness,
                recency: 1.0,
                home,
                limit: 8,
            }
        }
    }

    const ALL: [Policy; 7] = [
        Policy::ExpectedCompletion,
        Policy::PowerOfTwo,
        Policy::Score,
        Policy::RoundRobin,
        Policy::Weighted,
        Policy::LeastLoaded,
        Policy::BestScore,
    ];

    proptest! {
        #[test]
        fn whatever_the_views_the_choice_is_ready_has_room_and_had_a_chance(
            views in prop::collection::vec(view(), 0..20),
            policy in prop::sample::select(ALL.to_vec()),
            session in any::<bool>(),
        ) {
            let ready = views.iter().any(|view| view.health.ready);
            match balancer(policy).choose(&mut views.clone(), session, NOW) {
                Err(Nowhere::Nobody) => prop_assert!(!ready),
                Err(Nowhere::Full) => prop_assert!(views.iter().any(|view| view.health.ready && !view.has_room())),
                Ok(choice) => {
                    let chosen = &views[choice.index];
                    prop_assert!(chosen.health.ready && chosen.has_room());
                    prop_assert!(choice.propensities[choice.index] > 0.0);
                    prop_assert!((choice.propensities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                    let chances = (0..views.len()).filter(|index| choice.propensities[*index] > 0.0);
                    prop_assert!(chances.into_iter().all(|index| choice.admitted.contains(&index)));
                }
            }
        }
    }
}
