//! Sending times that are kept to some tens of microseconds.
//!
//! tokio's timer ticks once a millisecond, so the calls of several clients would fall together and the server would be
//! measured under bursts that nobody asked for.  Here a thread of its own sleeps by the system's clock and lets one
//! call go each time one is due.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, TryAcquireError};

/// When calls are due: `rate` a second, from `started`.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The first call's time.
    pub started: Instant,
    /// Calls per second.
    pub rate: f64,
    /// Calls in all.
    pub calls: usize,
}

impl Schedule {
    fn due(&self, call: usize) -> Instant {
        self.started + Duration::from_secs_f64(call as f64 / self.rate)
    }
}

/// Hands out the turns of a schedule.
pub struct Pace {
    schedule: Schedule,
    turns: Arc<Semaphore>,
    taken: AtomicUsize,
}

impl Pace {
    /// Starts the clock for so many clients.
    ///
    /// Raises an error when the system gives no thread.
    pub fn start(schedule: Schedule, clients: usize) -> io::Result<Self> {
        let turns = Arc::new(Semaphore::new(0));
        let clock = turns.clone();
        thread::Builder::new().name("pace".into()).spawn(move || {
            for call in 0..schedule.calls {
                thread::sleep(schedule.due(call).saturating_duration_since(Instant::now()));
                clock.add_permits(1);
            }
            // One more for each client, to learn that there are none left.
            clock.add_permits(clients);
        })?;
        Ok(Self { schedule, turns, taken: AtomicUsize::new(0) })
    }

    /// When the next call counts as begun; `None` after the last.
    ///
    /// A client that had to wait begins when it wakes: the way there is not the server's doing.  One that is late for
    /// its call began when that was due.
    pub async fn turn(&self) -> Option<Instant> {
        let waited = matches!(self.turns.try_acquire().map(|turn| turn.forget()), Err(TryAcquireError::NoPermits));
        if waited {
            self.turns.acquire().await.ok()?.forget();
        }
        let call = self.taken.fetch_add(1, Ordering::Relaxed);
        let due = (call < self.schedule.calls).then(|| self.schedule.due(call))?;
        Some(if waited { Instant::now() } else { due })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_call_has_a_turn_not_before_it_is_due() {
        let schedule = Schedule { started: Instant::now(), rate: 2000.0, calls: 40 };
        let pace = Pace::start(schedule, 1).expect("a thread");
        let mut turns = 0;
        while let Some(begun) = pace.turn().await {
            assert!(Instant::now() >= schedule.due(turns));
            assert!(begun >= schedule.due(turns));
            turns += 1;
        }
        assert_eq!(turns, 40);
    }

    #[tokio::test]
    async fn a_late_client_counts_from_when_its_call_was_due() {
        let started = Instant::now() - Duration::from_secs(1);
        let schedule = Schedule { started, rate: 100.0, calls: 3 };
        let pace = Pace::start(schedule, 1).expect("a thread");
        while pace.turns.available_permits() < 4 {
            tokio::task::yield_now().await;
        }
        for call in 0..3 {
            assert_eq!(pace.turn().await, Some(schedule.due(call)));
        }
        assert_eq!(pace.turn().await, None);
    }
}
