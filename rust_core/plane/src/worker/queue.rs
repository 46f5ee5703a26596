//! The texts that wait for a session of one model, most urgent first.
//!
//! Order: priority, then deadline (earliest first), then arrival.  A batch is formed when a session becomes free and
//! not before: so the most urgent text always goes next, and work whose caller left, or whose deadline has passed, is
//! dropped instead of run.  (Forming the next batch while one runs would save a few microseconds and fix the choice
//! milliseconds too early.)

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
#[derive(Default)]
pub struct Queue {
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
    /// Adds a call's texts.
    pub fn push(&self, items: Vec<Item>) {
        let mut state = self.state.lock();
        for item in items {
            let rank = (item.call.priority, Reverse(item.call.deadline), Reverse(state.arrivals));
            state.arrivals += 1;
            state.waiting.push(Entry { rank, item });
        }
        drop(state);
        self.arrived.notify_all();
    }

    /// The next run's texts; blocks while there are none, `None` once the queue is closed.
    pub fn take(&self, batching: Batching) -> Option<Vec<Item>> {
        let mut state = self.state.lock();
        loop {
            let batch = match batching {
                Batching::Single => state.pop(Instant::now()).into_iter().map(|entry| entry.item).collect(),
                Batching::Budget { token_budget, max_rows } => state.pop_batch(token_budget, max_rows),
            };
            match (batch.is_empty(), state.closed) {
                (false, _) => return Some(batch),
                (true, true) => return None,
                (true, false) => self.arrived.wait(&mut state),
            }
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

    /// The most urgent text with others of like length; what is looked at but not taken goes back.
    fn pop_batch(&mut self, tokens: u32, rows: u32) -> Vec<Item> {
        let now = Instant::now();
        let window: Vec<Entry> = std::iter::from_fn(|| self.pop(now)).take(rows as usize * WINDOW_BATCHES).collect();
        let lengths: Vec<u32> = window.iter().map(|entry| entry.item.input.ids.len() as u32).collect();
        let plan = batch::plan(&lengths, Budget { tokens, rows });
        let chosen = plan.into_iter().find(|indices| indices.contains(&0)).unwrap_or_default();
        let mut batch = Vec::with_capacity(chosen.len());
        for (index, entry) in window.into_iter().enumerate() {
            if chosen.contains(&index) { batch.push(entry.item) } else { self.waiting.push(entry) }
        }
        batch
    }
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
