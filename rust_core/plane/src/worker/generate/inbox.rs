//! Requests between the service, which admitted them, and the backend, which takes them one by one.
//!
//! It has no limit of its own: the permits of those admitted are its limit.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use super::job::Job;

/// One model's requests.
#[derive(Default)]
pub struct Inbox {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Inbox {
    /// Adds a request; one that comes after the end is dropped, which answers it.
    pub fn put(&self, job: Job) {
        let mut state = self.state.lock();
        if !state.closed {
            state.jobs.push_back(job);
        }
        drop(state);
        self.arrived.notify_one();
    }

    /// The next request that is still wanted; waits for one, at most for `patience` where there is one.  `None` once
    /// it is closed, or nothing came.
    pub fn take(&self, patience: Option<Duration>) -> Option<Job> {
        let until = patience.map(|patience| Instant::now() + patience);
        let mut state = self.state.lock();
        loop {
            while let Some(job) = state.jobs.pop_front() {
                let now = Instant::now();
                if !job.is_over(now) {
                    job.take(now);
                    return Some(job);
                }
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
