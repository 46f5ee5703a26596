//! What will happen, in order of time; what happens at the same time, in the order in which it was noted.
use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A call comes in.
    Arrival(usize),
    /// A worker has done a call's work.
    Done {
        /// Which worker,
        worker: usize,
        /// which call.
        call: usize,
    },
    /// A worker fails a call.
    Broke {
        /// Which call.
        call: usize,
    },
    /// A call's time is over.
    Deadline(usize),
    /// Workers tell how busy they are.
    Heartbeat,
}

/// Events to come.
#[derive(Debug, Default)]
pub struct Agenda {
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    noted: u64,
}

impl Agenda {
    /// At `at`, `event` will happen.
    pub fn note(&mut self, at: Duration, event: Event) {
        self.noted += 1;
        self.events.push(Reverse((at, self.noted, event)));
    }
}

/// What happens, and when.
impl Iterator for Agenda {
    type Item = (Duration, Event);

    fn next(&mut self) -> Option<Self::Item> {
        self.events.pop().map(|Reverse((at, _, event))| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_equals_in_the_order_they_were_noted() {
        let mut agenda = Agenda::default();
        for (second, call) in [(2, 0), (1, 5), (1, 3)] {
            agenda.note(Duration::from_secs(second), Event::Arrival(call));
        }
        let order: Vec<_> = agenda.map(|(_, event)| event).collect();
        assert_eq!(order, [Event::Arrival(5), Event::Arrival(3), Event::Arrival(0)]);
    }
}
