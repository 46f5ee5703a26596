//! The texts that wait for a session of one model, most urgent first.
//!
//! Order: priority, then deadline (earliest first, those far ahead alike), then arrival.  A batch is formed when a
//! session becomes free and not before: so the most urgent text always goes next, and work whose caller left, or whose
//! deadline has passed, is dropped instead of run.  (Forming the next batch while one runs would save a few microseconds
//! and fix the choice milliseconds too early.)

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    time::Instant,
};

use parking_lot::{Condvar, Mutex};
use waypost_decide::batch::{self, Budget};

use super::{call::Item, config::Batching};
use crate::{deadline::Deadline, error::Error};

/// How many batches' worth of texts are looked at to find ones of like length.
const WINDOW_BATCHES: usize = 4;

/// One model's queue.
pub struct Queue {
    batching: Batching,
    sessions: usize,
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    waiting: BinaryHeap<Entry>,
    arrivals: u64,
    closed: bool,
}

struct Entry {
    rank: (i32, Reverse<Deadline>, Reverse<u64>),
    item: Item,
}

impl Queue {
    /// A queue for so many sessions.
    pub fn new(batching: Batching, sessions: usize) -> Self {
        Self { batching, sessions, state: Mutex::default(), arrived: Condvar::new() }
    }

    /// Adds a call's texts.
    pub fn push(&self, items: Vec<Item>) {
        let mut state = self.state.lock();
        for item in items {
            let rank = (item.call.priority, Reverse(item.call.due()), Reverse(state.arrivals));
            state.arrivals += 1;
            state.waiting.push(Entry { rank, item });
        }
        drop(state);
        self.arrived.notify_all();
    }

    /// The next run's texts; blocks while there are none, `None` once the queue is closed.
    pub fn take(&self) -> Option<Vec<Item>> {
        let mut state = self.state.lock();
        loop {
            let batch = self.pop(&mut state);
            match (batch.is_empty(), state.closed) {
                (false, _) => return Some(batch),
                (true, true) => return None,
                (true, false) => self.arrived.wait(&mut state),
            }
        }
    }

    /// At most a session's share of what waits: a batch must not leave the other cores idle.
    fn pop(&self, state: &mut State) -> Vec<Item> {
        let share = state.waiting.len().div_ceil(self.sessions) as u32;
        let budget = |tokens, rows: u32| Budget { tokens, rows: rows.min(share) };
        match self.batching {
            Batching::Single => state.pop(Instant::now()).into_iter().map(|entry| entry.item).collect(),
            Batching::Equal { token_budget, max_rows } => {
                state.pop_batch(budget(token_budget, max_rows), batch::equals)
            }
            Batching::Budget { token_budget, max_rows } => state.pop_batch(budget(token_budget, max_rows), with_first),
        }
    }

    /// Lets the sessions end once nothing waits.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.arrived.notify_all();
    }
}

impl State {
    /// The most urgent text that is still wanted.
    fn pop(&mut self, now: Instant) -> Option<Entry> {
        while let Some(entry) = self.waiting.pop() {
            let call = &entry.item.call;
            if call.abandoned() {
                continue;
            }
            if call.deadline.passed(now) {
                call.fail(Error::Deadline { stage: "queue" });
                continue;
            }
            return Some(entry);
        }
        None
    }

    /// The most urgent text with those that `choose` puts beside it; what is looked at but not taken goes back.
    fn pop_batch(&mut self, budget: Budget, choose: fn(&[u32], Budget) -> Vec<usize>) -> Vec<Item> {
        let now = Instant::now();
        let window = budget.rows.max(1) as usize * WINDOW_BATCHES;
        let window: Vec<Entry> = std::iter::from_fn(|| self.pop(now)).take(window).collect();
        let lengths: Vec<u32> = window.iter().map(|entry| entry.item.input.ids.len() as u32).collect();
        let chosen = choose(&lengths, budget);
        let mut batch = Vec::with_capacity(chosen.len());
        for (index, entry) in window.into_iter().enumerate() {
            if chosen.contains(&index) { batch.push(entry.item) } else { self.waiting.push(entry) }
        }
        batch
    }
}

/// The padded batch that the first text falls into.
fn with_first(lengths: &[u32], budget: Budget) -> Vec<usize> {
    batch::plan(lengths, budget).into_iter().find(|indices| indices.contains(&0)).unwrap_or_default()
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank)
    }
}
