//! Which model a call goes to, and which after that: the fallback chain of a route.
//!
//! A route lists its hops in the order of preference, a template that needs no model last.  A call begins at the
//! first hop, unless a condition of a later one holds before anything was sent (the prompt is complex, the first is
//! overloaded).  When a hop fails, the first later one whose conditions hold is next.  It never goes back, so a chain
//! ends after as many hops as it has.
//!
//! A hop may have a share of the calls it must not exceed: reasoning models are slow and dear, and a head that is
//! unsure of everything would send everything there.  The share is that of the last [`WINDOW`] calls, and strict: of
//! the first few calls after a start a hop with 15 % gets none.
use std::collections::VecDeque;
use std::fmt;

/// The calls over which shares are measured.
pub const WINDOW: u64 = 1000;

/// What must hold for a hop to be taken.  What is not known does not hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Condition {
    /// The hop before it (at the beginning: the first) has no room.
    Overloaded,
    /// The head is less sure than this of the prompt's complexity.
    Unsure(f64),
    /// More than this share of recent prompts need less.
    Complex(f64),
    /// Less than this of the prompt is like what the head was trained on.
    CoverageLow(f64),
    /// A soft threshold of the budget was crossed.
    BudgetLow,
    /// The hop before it gave no answer.
    Error,
    /// The answer of the hop before it was not good enough.
    Poor,
}

/// What a route's conditions are about.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    /// How sure the head is, 0 to 1.
    pub confidence: Option<f64>,
    /// The share of recent prompts that need less, 0 to 1.
    pub quantile: Option<f64>,
    /// How much of the prompt is like the training data, 0 to 1.
    pub coverage: Option<f64>,
    /// A soft threshold of the budget was crossed.
    pub budget_low: bool,
    /// The hop at hand has no room.  One that refused a call for that gave no answer either: set both.
    pub overloaded: bool,
    /// The hop at hand gave no answer.
    pub error: bool,
    /// The answer of the hop at hand was not good enough.
    pub poor: bool,
}

/// One model of a route.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// Its index among the models the caller keeps.
    pub model: usize,
    /// When it is taken; without any, after whatever went wrong before it.
    pub conditions: Vec<Condition>,
    /// Whether all conditions must hold; otherwise one is enough.
    pub all: bool,
    /// Of the calls, at most.
    pub max_share: Option<f64>,
}

/// Why a hop was taken: the conditions that held.  Written as `complex+unsure`, and as `first` where none was needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reason(u8);

/// A hop that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its index in the chain.
    pub hop: usize,
    /// [`Hop::model`].
    pub model: usize,
    /// Why it was chosen.
    pub reason: Reason,
}

/// The hops of a route and the calls that each got.
#[derive(Clone, Debug)]
pub struct Chain {
    hops: Vec<Hop>,
    shares: ShareMeter,
}

impl Chain {
    /// The hops in order of preference; none where the list is empty.
    pub fn new(hops: Vec<Hop>) -> Option<Self> {
        let shares = ShareMeter::new(hops.len());
        (!hops.is_empty()).then_some(Self { hops, shares })
    }

    /// The chain of a list of models nothing else is said of: the next one when one fails, is full, or answers badly.
    pub fn in_order(models: impl IntoIterator<Item = usize>) -> Option<Self> {
        let hop = |model| Hop { model, conditions: Vec::new(), all: false, max_share: None };
        Self::new(models.into_iter().map(hop).collect())
    }

    /// Where a call would begin; counts nothing.
    pub fn first(&self, state: &State) -> Step {
        self.look(1, state, self.shares.calls + 1).unwrap_or_else(|| self.step(0, Reason::default()))
    }

    /// Where a call would go that was at `hop`; counts nothing.
    pub fn next(&self, hop: usize, state: &State) -> Option<Step> {
        self.look(hop + 1, state, self.shares.calls)
    }

    /// Begins a call.
    pub fn begin(&mut self, state: &State) -> Step {
        let step = self.first(state);
        self.shares.begin(step.hop);
        step
    }

    /// Takes a call on from `hop`; none: there is nothing left to try.
    pub fn proceed(&mut self, hop: usize, state: &State) -> Option<Step> {
        let step = self.next(hop, state)?;
        self.shares.count(step.hop);
        Some(step)
    }

    /// The hops.
    pub fn hops(&self) -> &[Hop] {
        &self.hops
    }

    /// The share of the last [`WINDOW`] calls that each hop got; a call that went to several counts for each.
    pub fn shares(&self) -> Vec<f64> {
        (0..self.hops.len()).map(|hop| self.shares.share(hop)).collect()
    }

    fn look(&self, from: usize, state: &State, calls: u64) -> Option<Step> {
        let later = self.hops.iter().enumerate().skip(from);
        let mut open = later.filter(|(index, hop)| self.shares.has_room(*index, hop.max_share, calls));
        open.find_map(|(index, hop)| Some(self.step(index, hop.reason(state)?)))
    }

    fn step(&self, hop: usize, reason: Reason) -> Step {
        Step { hop, model: self.hops[hop].model, reason }
    }
}

impl Hop {
    fn reason(&self, state: &State) -> Option<Reason> {
        const WHATEVER: [Condition; 3] = [Condition::Error, Condition::Overloaded, Condition::Poor];
        if self.conditions.is_empty() {
            return held(&WHATEVER, false, state);
        }
        held(&self.conditions, self.all, state)
    }
}

fn held(conditions: &[Condition], all: bool, state: &State) -> Option<Reason> {
    let mut holding = conditions.iter().filter(|condition| condition.holds(state)).peekable();
    let enough = if all { holding.clone().count() == conditions.len() } else { holding.peek().is_some() };
    enough.then(|| holding.fold(Reason::default(), |reason, condition| reason.and(condition)))
}

impl Condition {
    /// Whether it holds.
    pub fn holds(&self, state: &State) -> bool {
        match self {
            Self::Overloaded => state.overloaded,
            Self::Unsure(below) => state.confidence.is_some_and(|confidence| confidence < *below),
            Self::Complex(above) => state.quantile.is_some_and(|quantile| quantile > *above),
            Self::CoverageLow(below) => state.coverage.is_some_and(|coverage| coverage < *below),
            Self::BudgetLow => state.budget_low,
            Self::Error => state.error,
            Self::Poor => state.poor,
        }
    }

    fn kind(&self) -> usize {
        match self {
            Self::Overloaded => 0,
            Self::Unsure(_) => 1,
            Self::Complex(_) => 2,
            Self::CoverageLow(_) => 3,
            Self::BudgetLow => 4,
            Self::Error => 5,
            Self::Poor => 6,
        }
    }
}

impl Reason {
    const WORDS: [&str; 7] = ["overloaded", "unsure", "complex", "coverage_low", "budget_low", "error", "poor"];

    fn and(self, condition: &Condition) -> Self {
        Self(self.0 | 1 << condition.kind())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = Self::WORDS.iter().enumerate().filter(|(kind, _)| self.0 >> kind & 1 == 1);
        let words: Vec<&str> = held.map(|(_, word)| *word).collect();
        f.write_str(if words.is_empty() { "first" } else { "" })?;
        f.write_str(&words.join("+"))
    }
}

// Of each hop, when it was taken, as the number of calls begun until then: what is older than the window drops out at
// the front, so a share is exact and costs no pass over the window.
#[derive(Clone, Debug)]
struct ShareMeter {
    calls: u64,
    taken: Vec<VecDeque<u64>>,
}

impl ShareMeter {
    fn new(hops: usize) -> Self {
        Self { calls: 0, taken: vec![VecDeque::new(); hops] }
    }

    fn begin(&mut self, hop: usize) {
        self.calls += 1;
        self.count(hop);
    }

    fn count(&mut self, hop: usize) {
        let expired = self.expired(hop, self.calls);
        self.taken[hop].drain(..expired);
        self.taken[hop].push_back(self.calls);
    }

    fn has_room(&self, hop: usize, most: Option<f64>, calls: u64) -> bool {
        let Some(most) = most else { return true };
        let taken = self.taken[hop].len() - self.expired(hop, calls);
        (taken + 1) as f64 <= most * calls.min(WINDOW) as f64
    }

    fn share(&self, hop: usize) -> f64 {
        let taken = self.taken[hop].len() - self.expired(hop, self.calls);
        taken as f64 / self.calls.clamp(1, WINDOW) as f64
    }

    fn expired(&self, hop: usize, calls: u64) -> usize {
        self.taken[hop].partition_point(|at| at + WINDOW <= calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CALM: State = State {
        confidence: Some(0.9),
        quantile: Some(0.3),
        coverage: Some(0.9),
        budget_low: false,
        overloaded: false,
        error: false,
        poor: false,
    };
    const HARD: State = State { confidence: Some(0.4), quantile: Some(0.95), ..CALM };
    const FAILED: State = State { error: true, ..CALM };
    const FULL: State = State { overloaded: true, error: true, ..CALM };

    fn hop(model: usize, conditions: &[Condition]) -> Hop {
        Hop { model, conditions: conditions.to_vec(), all: false, max_share: None }
    }

    // General, its alternate, reasoning, retrieval, template: the chain of the specification.
    fn chain() -> Chain {
        Chain::new(vec![
            hop(10, &[]),
            hop(11, &[Condition::Overloaded]),
            Hop { all: true, max_share: Some(0.15), ..hop(12, &[Condition::Complex(0.85), Condition::Unsure(0.6)]) },
            hop(13, &[Condition::CoverageLow(0.2)]),
            hop(14, &[Condition::Error]),
        ])
        .unwrap()
    }

    fn warm() -> Chain {
        let mut chain = chain();
        (0..100).for_each(|_| assert_eq!(chain.begin(&CALM).hop, 0));
        chain
    }

    fn went(step: Option<Step>) -> Option<(usize, String)> {
        step.map(|step| (step.model, step.reason.to_string()))
    }

    fn to(model: usize, reason: &str) -> Option<(usize, String)> {
        Some((model, reason.to_owned()))
    }

    #[test]
    fn a_calm_call_begins_at_the_first_hop() {
        assert_eq!(went(Some(chain().first(&CALM))), to(10, "first"));
    }

    #[test]
    fn a_condition_that_holds_before_anything_was_sent_chooses_its_hop() {
        let chain = warm();
        assert_eq!(went(Some(chain.first(&State { overloaded: true, ..CALM }))), to(11, "overloaded"));
        assert_eq!(went(Some(chain.first(&HARD))), to(12, "unsure+complex"));
        assert_eq!(went(Some(chain.first(&State { coverage: Some(0.1), ..CALM }))), to(13, "coverage_low"));
    }

    #[test]
    fn a_hop_that_needs_all_its_conditions_is_not_taken_for_one() {
        assert_eq!(warm().first(&State { confidence: Some(0.9), ..HARD }).hop, 0);
        assert_eq!(warm().first(&State { quantile: Some(0.5), ..HARD }).hop, 0);
    }

    #[test]
    fn what_is_not_known_does_not_hold() {
        assert_eq!(warm().first(&State::default()).hop, 0);
    }

    #[test]
    fn a_failure_goes_to_the_first_later_hop_whose_condition_holds() {
        let chain = warm();
        assert_eq!(went(chain.next(0, &FAILED)), to(14, "error"));
        assert_eq!(went(chain.next(0, &FULL)), to(11, "overloaded"));
        assert_eq!(went(chain.next(1, &FULL)), to(14, "error"));
        assert_eq!(chain.next(0, &State { poor: true, ..CALM }), None);
        assert_eq!(chain.next(4, &FULL), None);
    }

    #[test]
    fn models_nothing_is_said_of_are_tried_in_their_order() {
        let chain = Chain::in_order([3, 5, 4]).unwrap();
        assert_eq!(went(Some(chain.first(&HARD))), to(3, "first"));
        assert_eq!(went(chain.next(0, &FAILED)), to(5, "error"));
        assert_eq!(went(chain.next(1, &State { poor: true, ..CALM })), to(4, "poor"));
        assert_eq!(chain.next(1, &CALM), None);
        assert!(Chain::in_order([]).is_none());
    }

    #[test]
    fn a_hop_over_its_share_is_passed_over() {
        let mut chain = chain();
        let reasoning = (0..10_000).filter(|_| chain.begin(&HARD).model == 12).count();
        assert_eq!(reasoning, 1500);
        assert_eq!(chain.shares()[2], 0.15);
    }

    #[test]
    fn looking_counts_nothing() {
        let chain = warm();
        (0..100).for_each(|_| assert_eq!(chain.first(&HARD).model, 12));
        assert_eq!(chain.shares()[2], 0.0);
    }

    #[test]
    fn a_later_hop_counts_towards_its_share_too() {
        let capped = Hop { max_share: Some(0.5), ..hop(1, &[Condition::Error]) };
        let mut chain = Chain::new(vec![hop(0, &[]), capped, hop(2, &[Condition::Error])]).unwrap();
        let mut models = Vec::new();
        for _ in 0..4 {
            chain.begin(&CALM);
            models.extend(chain.proceed(0, &FAILED).map(|step| step.model));
        }
        assert_eq!(models, [2, 1, 2, 1]);
        assert_eq!(chain.shares(), [1.0, 0.5, 0.5]);
    }

    #[test]
    fn old_calls_leave_the_window() {
        let mut chain = warm();
        (0..10).for_each(|_| assert_eq!(chain.begin(&HARD).model, 12));
        (0..WINDOW).for_each(|_| assert_eq!(chain.begin(&CALM).model, 10));
        assert_eq!(chain.shares()[2], 0.0);
        assert_eq!(chain.shares()[0], 1.0);
    }

    prop_compose! {
        fn condition()(kind in 0usize..7, bound in 0.0f64..1.0) -> Condition {
            match kind {
                0 => Condition::Overloaded,
                1 => Condition::Unsure(bound),
                2 => Condition::Complex(bound),
                3 => Condition::CoverageLow(bound),
                4 => Condition::BudgetLow,
                5 => Condition::Error,
                _ => Condition::Poor,
            }
        }
    }

    prop_compose! {
        fn any_hop()(
            model in 0usize..5,
            conditions in prop::collection::vec(condition(), 0..4),
            all: bool,
            max_share in prop::option::of(0.0f64..1.0),
        ) -> Hop {
            Hop { model, conditions, all, max_share }
        }
    }

    prop_compose! {
        fn any_state()(
            confidence in prop::option::of(0.0f64..1.0),
            quantile in prop::option::of(0.0f64..1.0),
            coverage in prop::option::of(0.0f64..1.0),
            flags in prop::array::uniform4(any::<bool>()),
        ) -> State {
            let [budget_low, overloaded, error, poor] = flags;
            State { confidence, quantile, coverage, budget_low, overloaded, error, poor }
        }
    }

    proptest! {
        #[test]
        fn a_call_ends_and_no_hop_is_taken_twice(
            hops in prop::collection::vec(any_hop(), 1..8),
            states in prop::collection::vec(any_state(), 1..50),
        ) {
            let mut chain = Chain::new(hops).unwrap();
            for first in &states {
                let mut taken = vec![chain.begin(first).hop];
                for state in &states {
                    taken.extend(taken.last().and_then(|hop| chain.proceed(*hop, state)).map(|step| step.hop));
                }
                prop_assert!(taken.is_sorted_by(|a, b| a < b));
            }
        }

        #[test]
        fn no_share_is_exceeded_at_any_time(
            hops in prop::collection::vec(any_hop(), 2..6),
            states in prop::collection::vec(any_state(), 1..200),
        ) {
            let mut chain = Chain::new(hops).unwrap();
            for state in states {
                let begun = chain.begin(&state);
                chain.proceed(begun.hop, &state);
                for (hop, share) in chain.hops().iter().zip(chain.shares()).skip(1) {
                    prop_assert!(share <= hop.max_share.unwrap_or(1.0) + 1e-12);
                }
            }
        }

        #[test]
        fn a_later_hop_is_taken_only_for_conditions_that_hold(
            hops in prop::collection::vec(any_hop(), 1..8),
            state in any_state(),
        ) {
            let chain = Chain::new(hops).unwrap();
            let step = chain.first(&state);
            prop_assert!(step.hop == 0 || step.reason != Reason::default());
            prop_assert!(step.hop == 0 || chain.hops()[step.hop].reason(&state) == Some(step.reason));
        }
    }
}
