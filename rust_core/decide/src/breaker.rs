//! A circuit breaker: after some failures in a row, leave an instance alone, then let one request try it.
//!
//! ```text
//! Closed --failures in a row--> Open --time--> HalfOpen --success--> Closed
//!                                ^                 |
//!                                +-----failure-----+
//! ```
//!
//! Call [`Breaker::acquire`] when a request is about to go there, and then exactly one of [`Breaker::record`] and
//! [`Breaker::forget`], the latter when the request was cancelled and says nothing about the instance.  A drop guard
//! around the request is the place for it: a half-open breaker whose probe never reports admits nobody.
use std::time::Duration;

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All requests pass.
    Closed {
        /// Failures since the last success.
        failures: u32,
    },
    /// No request passes.
    Open {
        /// When a probe may pass.
        until: Duration,
    },
    /// One request passes as a probe.
    HalfOpen {
        /// Whether it is under way.
        probe_in_flight: bool,
    },
}

/// Circuit breaker of one instance.
#[derive(Clone, Debug)]
pub struct Breaker {
    failures: u32,
    open_for: Duration,
    state: State,
}

impl Breaker {
    /// Opens for `open_for` after `failures` failures in a row; 0 counts as 1.
    pub fn new(failures: u32, open_for: Duration) -> Self {
        Self { failures: failures.max(1), open_for, state: State::Closed { failures: 0 } }
    }

    /// The state at `now`: an open breaker whose time is over is half-open.
    pub fn state(&self, now: Duration) -> State {
        match self.state {
            State::Open { until } if until <= now => State::HalfOpen { probe_in_flight: false },
            state => state,
        }
    }

    /// Whether a request could pass at `now`; takes nothing, so candidates can be filtered by it.
    pub fn allows(&self, now: Duration) -> bool {
        matches!(self.state(now), State::Closed { .. } | State::HalfOpen { probe_in_flight: false })
    }

    /// Lets a request pass at `now`, or not; in the half-open state the one that passes is the probe.
    pub fn acquire(&mut self, now: Duration) -> bool {
        let allowed = self.allows(now);
        if let State::HalfOpen { .. } = self.state(now) {
            self.state = State::HalfOpen { probe_in_flight: true };
        }
        allowed
    }

    /// Takes in the outcome of a request that ended at `now`.
    pub fn record(&mut self, now: Duration, ok: bool) {
        self.state = match self.state {
            State::Closed { .. } | State::HalfOpen { .. } if ok => State::Closed { failures: 0 },
            State::Closed { failures } if failures + 1 < self.failures => State::Closed { failures: failures + 1 },
            State::Closed { .. } | State::HalfOpen { .. } => State::Open { until: now.saturating_add(self.open_for) },
            // A straggler from before it opened: neither news nor a reason to stay open longer.
            open @ State::Open { .. } => open,
        }
    }

    /// A request that passed was cancelled: frees the probe, judges nothing.
    pub fn forget(&mut self) {
        if let State::HalfOpen { .. } = self.state {
            self.state = State::HalfOpen { probe_in_flight: false };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OPEN_FOR: Duration = Duration::from_secs(1);
    const START: Duration = Duration::from_secs(100);
    const LATER: Duration = Duration::from_secs(101);

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(3, OPEN_FOR);
        (0..3).for_each(|_| breaker.record(START, false));
        breaker
    }

    #[test]
    fn closed_it_lets_everything_pass() {
        let mut breaker = Breaker::new(3, OPEN_FOR);
        assert!((0..100).all(|_| breaker.acquire(START)));
        assert_eq!(breaker.state(START), State::Closed { failures: 0 });
    }

    #[test]
    fn failures_in_a_row_open_it() {
        assert_eq!(opened().state(START), State::Open { until: LATER });
        assert!(!opened().allows(START) && !opened().acquire(START));
    }

    #[test]
    fn a_success_between_failures_keeps_it_closed() {
        let mut breaker = Breaker::new(3, OPEN_FOR);
        for ok in [false, false, true, false, false] {
            breaker.record(START, ok);
        }
        assert_eq!(breaker.state(START), State::Closed { failures: 2 });
    }

    #[test]
    fn when_its_time_is_over_exactly_one_probe_passes() {
        let mut breaker = opened();
        assert_eq!(breaker.state(LATER), State::HalfOpen { probe_in_flight: false });
        assert!(breaker.acquire(LATER));
        assert!(!breaker.allows(LATER) && !breaker.acquire(LATER));
    }

    #[test]
    fn asking_takes_nothing() {
        let breaker = opened();
        assert!(breaker.allows(LATER) && breaker.allows(LATER));
    }

    #[test]
    fn a_probe_that_succeeds_closes_it() {
        let mut breaker = opened();
        breaker.acquire(LATER);
        breaker.record(LATER, true);
        assert_eq!(breaker.state(LATER), State::Closed { failures: 0 });
    }

    #[test]
    fn a_probe_that_fails_opens_it_again_from_now() {
        let mut breaker = opened();
        breaker.acquire(LATER);
        breaker.record(LATER, false);
        assert_eq!(breaker.state(LATER), State::Open { until: LATER + OPEN_FOR });
    }

    #[test]
    fn a_cancelled_probe_makes_room_for_another() {
        let mut breaker = opened();
        breaker.acquire(LATER);
        breaker.forget();
        assert!(breaker.acquire(LATER));
    }

    #[test]
    fn stragglers_from_before_it_opened_neither_close_nor_prolong_it() {
        let mut breaker = opened();
        breaker.record(START + OPEN_FOR / 2, true);
        breaker.record(START + OPEN_FOR / 2, false);
        breaker.forget();
        assert_eq!(breaker.state(START), State::Open { until: LATER });
    }

    #[test]
    fn zero_failures_count_as_one() {
        let mut breaker = Breaker::new(0, OPEN_FOR);
        assert!(breaker.allows(START));
        breaker.record(START, false);
        assert!(!breaker.allows(START));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Wait(u64),
        Acquire,
        Record(bool),
        Forget,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0u64..700).prop_map(Step::Wait),
            Just(Step::Acquire),
            any::<bool>().prop_map(Step::Record),
            Just(Step::Forget),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_acquire_agrees_with_allows_and_an_open_breaker_ends(
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let (mut breaker, mut now) = (Breaker::new(3, OPEN_FOR), START);
            for step in steps {
                match step {
                    Step::Wait(millis) => now += Duration::from_millis(millis),
                    Step::Acquire => prop_assert_eq!(breaker.allows(now), breaker.acquire(now)),
                    Step::Record(ok) => breaker.record(now, ok),
                    Step::Forget => breaker.forget(),
                }
                if let State::Open { until } = breaker.state(now) {
                    prop_assert!(until > now && until <= now + OPEN_FOR);
                    prop_assert!(breaker.allows(until));
                }
                if let State::Closed { failures } = breaker.state(now) {
                    prop_assert!(failures < 3);
                }
            }
        }
    }
}
