//! A worker: so many slots, a queue before them, and a speed that changes.
use std::{collections::VecDeque, time::Duration};

use crate::profile::Profile;

/// A worker that is a black hole fails its calls so quickly: always the emptiest, and never of use.
pub const BREAKS_AFTER: Duration = Duration::from_millis(5);

/// What a worker is like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name in tables.
    pub kind: &'static str,
    /// Calls it works on at once.
    pub slots: usize,
    /// How fast each slot is.
    pub profile: Profile,
    /// It fails every call.
    pub breaks: bool,
    /// It is there from then on.
    pub joins: Duration,
}

impl Plan {
    /// Slots' worth of work it does on average until `end`.
    pub fn capacity(&self, end: Duration) -> f64 {
        if self.breaks { 0.0 } else { self.slots as f64 * self.profile.mean(end) }
    }
}

/// What became of a call that was sent there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It will fail it.
    Breaks,
    /// It waits in the queue.
    Waits,
    /// It runs, and is done then; never, where the worker stands still for good.
    Runs(Option<Duration>),
}

/// A worker at work.
#[derive(Clone, Debug)]
pub struct Worker {
    plan: Plan,
    running: usize,
    waiting: VecDeque<(usize, Duration)>,
}

impl Worker {
    /// Idle.
    pub fn new(plan: Plan) -> Self {
        Self { plan, running: 0, waiting: VecDeque::new() }
    }

    /// A call arrives.
    pub fn take(&mut self, now: Duration, call: usize, work: Duration) -> Taken {
        if self.plan.breaks {
            return Taken::Breaks;
        }
        if self.running == self.plan.slots {
            self.waiting.push_back((call, work));
            return Taken::Waits;
        }
        self.running += 1;
        Taken::Runs(self.plan.profile.finish(now, work))
    }

    /// A slot is free again: the next call that runs, and when it is done.
    pub fn free(&mut self, now: Duration) -> Option<(usize, Option<Duration>)> {
        let Some((call, work)) = self.waiting.pop_front() else {
            self.running -= 1;
            return None;
        };
        Some((call, self.plan.profile.finish(now, work)))
    }

    /// Its caller left: what waits is dropped, what runs runs on.
    pub fn drop_waiting(&mut self, call: usize) {
        self.waiting.retain(|(waiting, _)| *waiting != call);
    }

    /// Calls there.
    pub fn depth(&self) -> u32 {
        (self.running + self.waiting.len()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);
    const WORK: Duration = Duration::from_secs(1);
    const DONE: Taken = Taken::Runs(Some(Duration::from_secs(2)));

    fn worker(breaks: bool) -> Worker {
        Worker::new(Plan { kind: "sound", slots: 2, profile: Profile::steady(1.0), breaks, joins: Duration::ZERO })
    }

    #[test]
    fn as_many_run_as_there_are_slots_and_the_others_wait_in_turn() {
        let mut worker = worker(false);
        assert_eq!([0, 1, 2, 3].map(|call| worker.take(NOW, call, WORK)), [DONE, DONE, Taken::Waits, Taken::Waits]);
        assert_eq!(worker.depth(), 4);
        assert_eq!(worker.free(NOW).map(|(call, _)| call), Some(2));
        assert_eq!((worker.free(NOW).map(|(call, _)| call), worker.free(NOW)), (Some(3), None));
        assert_eq!(worker.depth(), 1);
    }

    #[test]
    fn what_waits_for_nobody_is_dropped() {
        let mut worker = worker(false);
        let _ = [0, 1, 2, 3].map(|call| worker.take(NOW, call, WORK));
        worker.drop_waiting(2);
        assert_eq!(worker.free(NOW).map(|(call, _)| call), Some(3));
    }

    #[test]
    fn a_black_hole_is_never_busy() {
        let mut worker = worker(true);
        assert_eq!((worker.take(NOW, 0, WORK), worker.depth()), (Taken::Breaks, 0));
    }
}
