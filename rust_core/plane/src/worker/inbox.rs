//! Requests between the service, which admitted them, and the backend, which takes them.
//!
//! It has no limit of its own: the permits of those admitted are its limit.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

/// What waits in an inbox; dropping it answers whoever waits for it.
pub trait Waiting {
    /// Nobody waits for the answer any more.
    fn is_over(&self, now: Instant) -> bool;
    /// The backend has it.
    fn take(&self, now: Instant);
    /// How much of what is taken at once it is.
    fn weight(&self) -> usize {
        1
    }
}

/// One model's requests.
pub struct Inbox<J> {
    state: Mutex<State<J>>,
    arrived: Condvar,
}

struct State<J> {
    jobs: VecDeque<J>,
    closed: bool,
}

impl<J> Default for Inbox<J> {
    fn default() -> Self {
        Self { state: Mutex::new(State { jobs: VecDeque::new(), closed: false }), arrived: Condvar::new() }
    }
}

impl<J: Waiting> Inbox<J> {
    /// Adds a request; one that comes after the end is dropped, which answers it.
    pub fn put(&self, job: J) {
        let mut state = self.state.lock();
        if !state.closed {
            state.jobs.push_back(job);
        }
        drop(state);
        self.arrived.notify_one();
    }

    /// The next request that is still wanted; waits for one, at most for `patience` where there is one.  `None` once
    /// it is closed, or nothing came.
    pub fn take(&self, patience: Option<Duration>) -> Option<J> {
        let until = patience.map(|patience| Instant::now() + patience);
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.next() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            match until {
                None => self.arrived.wait(&mut state),
                Some(until) if self.arrived.wait_until(&mut state, until).timed_out() => return None,
                Some(_) => {}
            }
        }
    }

    /// As many as are there at once, which weigh at most `most` unless it is the first that does; waits for that as
    /// `take` does.
    pub fn take_some(&self, most: usize, patience: Option<Duration>) -> Vec<J> {
        let Some(first) = self.take(patience) else { return Vec::new() };
        let mut room = most.saturating_sub(first.weight());
        let mut state = self.state.lock();
        let others = std::iter::from_fn(|| {
            let next = state.next_within(room)?;
            room -= next.weight();
            Some(next)
        });
        std::iter::once(first).chain(others).collect()
    }

    /// Drops those whose callers have left, which makes their room free.
    pub fn forget_abandoned(&self) {
        let now = Instant::now();
        self.state.lock().jobs.retain(|job| !job.is_over(now));
    }

    /// Lets the backend end; what still waits is dropped, which answers it.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let rest = std::mem::take(&mut state.jobs);
        drop(state);
        self.arrived.notify_all();
        drop(rest);
    }

    /// Whether nothing will come any more.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}

impl<J: Waiting> State<J> {
    /// The first that is still wanted.
    fn next(&mut self) -> Option<J> {
        self.next_within(usize::MAX)
    }

    /// The same, if it weighs no more than this.
    fn next_within(&mut self, room: usize) -> Option<J> {
        while self.jobs.front()?.weight() <= room {
            let job = self.jobs.pop_front()?;
            let now = Instant::now();
            if !job.is_over(now) {
                job.take(now);
                return Some(job);
            }
        }
        None
    }
}
