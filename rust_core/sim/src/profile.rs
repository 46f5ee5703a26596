//! How fast a worker is at which time: a line of steps.
//!
//! Slowness, decline, recovery and standing still are all the same thing here, a speed that changes, so that one
//! integral says when work is done.
use std::time::Duration;

/// Speed over time: 1 does a second's work in a second, 0 stands still.
#[derive(Clone, Debug)]
pub struct Profile {
    steps: Vec<(Duration, f64)>,
}

impl Profile {
    /// Always the same.
    pub fn steady(speed: f64) -> Self {
        Self { steps: vec![(Duration::ZERO, speed)] }
    }

    /// From `at` on it is this; times ascend.
    pub fn then(mut self, at: Duration, speed: f64) -> Self {
        debug_assert!(self.steps.last().is_some_and(|(last, _)| *last <= at));
        self.steps.push((at, speed));
        self
    }

    /// The speed at `now`.
    pub fn at(&self, now: Duration) -> f64 {
        self.steps[self.step(now)].1
    }

    /// When work begun at `start` is done; never, where it stands still for good.
    pub fn finish(&self, start: Duration, work: Duration) -> Option<Duration> {
        let (mut now, mut left) = (start, work.as_secs_f64());
        for index in self.step(start)..self.steps.len() {
            let speed = self.steps[index].1;
            let until = self.steps.get(index + 1).map(|step| step.0);
            let done = until.map_or(f64::INFINITY, |until| speed * (until - now).as_secs_f64());
            if speed > 0.0 && done >= left {
                return Some(now + Duration::from_secs_f64(left / speed));
            }
            (now, left) = (until?, left - done);
        }
        None
    }

    /// Average speed from the beginning to `end`.
    pub fn mean(&self, end: Duration) -> f64 {
        let ends = self.steps.iter().skip(1).map(|step| step.0).chain([end]);
        let work = self
            .steps
            .iter()
            .zip(ends)
            .map(|((from, speed), to)| speed * (to.min(end).saturating_sub(*from)).as_secs_f64());
        work.sum::<f64>() / end.as_secs_f64()
    }

    fn step(&self, now: Duration) -> usize {
        self.steps.partition_point(|(from, _)| *from <= now).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn s(value: f64) -> Duration {
        Duration::from_secs_f64(value)
    }

    #[test]
    fn half_the_speed_takes_twice_the_time() {
        assert_eq!(Profile::steady(0.5).finish(s(1.0), s(2.0)), Some(s(5.0)));
    }

    #[test]
    fn work_waits_while_it_stands_still() {
        let profile = Profile::steady(1.0).then(s(10.0), 0.0).then(s(12.0), 1.0);
        assert_eq!(profile.finish(s(9.0), s(3.0)), Some(s(14.0)));
        assert_eq!(profile.finish(s(11.0), s(1.0)), Some(s(13.0)));
    }

    #[test]
    fn work_is_never_done_where_it_stands_still_for_good() {
        assert_eq!(Profile::steady(1.0).then(s(1.0), 0.0).finish(s(0.5), s(1.0)), None);
    }

    #[test]
    fn the_mean_is_over_time() {
        assert_eq!(Profile::steady(1.0).then(s(5.0), 0.2).mean(s(10.0)), 0.6);
        assert_eq!(Profile::steady(1.0).then(s(50.0), 0.2).mean(s(10.0)), 1.0);
    }

    proptest! {
        #[test]
        fn what_begins_later_is_not_done_earlier(
            steps in prop::collection::vec((1u64..5, 0u8..4), 0..10),
            starts in (0u64..30_000, 0u64..30_000),
            work in 1u64..5000,
        ) {
            let (mut profile, mut at) = (Profile::steady(1.0), 0);
            for (gap, speed) in steps {
                at += gap;
                profile = profile.then(Duration::from_secs(at), f64::from(speed));
            }
            profile = profile.then(Duration::from_secs(at + 1), 1.0);
            let done = |start: u64| profile.finish(Duration::from_millis(start), Duration::from_millis(work)).unwrap();
            let (one, other) = (starts.0.min(starts.1), starts.0.max(starts.1));
            prop_assert!(done(one) <= done(other) + Duration::from_nanos(10));
        }
    }
}
