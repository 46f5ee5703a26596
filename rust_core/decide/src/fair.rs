//! Who is served next: by priority, and within one priority in turns by tenant.
//!
//! Start-time fair queueing (Goyal, Vin, Cheng 1996): a request's tag is where its tenant's last one ended, or the
//! present of the queue if that is later, and the smallest tag goes first.  A tenant who sends a hundred requests
//! waits behind its own hundred; one who sends now and then is served at once.  Costs are in any unit, such as tokens.
//! Where there is one tenant this is first come, first served.

use std::collections::{BTreeMap, HashMap};

/// Place of a waiting request; smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Higher priority first.
    priority: std::cmp::Reverse<i32>,
    tag: u64,
    arrival: u64,
}

/// Requests that wait.
#[derive(Debug)]
pub struct FairQueue<T> {
    waiting: BTreeMap<Place, T>,
    /// End of each tenant's last request; those in the past are forgotten.
    ends: HashMap<String, u64>,
    present: u64,
    arrivals: u64,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), ends: HashMap::new(), present: 0, arrivals: 0 }
    }
}

impl<T> FairQueue<T> {
    /// Adds a request that will cost so much.
    pub fn push(&mut self, tenant: &str, priority: i32, cost: u64, request: T) {
        let tag = self.ends.get(tenant).copied().unwrap_or(0).max(self.present);
        self.ends.insert(tenant.to_string(), tag.saturating_add(cost.max(1)));
        self.arrivals += 1;
        self.waiting.insert(Place { priority: std::cmp::Reverse(priority), tag, arrival: self.arrivals }, request);
    }

    /// The waiting requests, next first.
    pub fn iter(&self) -> impl Iterator<Item = (Place, &T)> {
        self.waiting.iter().map(|(place, request)| (*place, request))
    }

    /// The request at a place.
    pub fn get(&self, place: Place) -> Option<&T> {
        self.waiting.get(&place)
    }

    /// Takes one out to be served.
    pub fn take(&mut self, place: Place) -> Option<T> {
        let request = self.waiting.remove(&place)?;
        self.present = self.present.max(place.tag);
        let present = self.present;
        self.ends.retain(|_, end| *end > present);
        Some(request)
    }

    /// Drops those that are no longer wanted.
    pub fn retain(&mut self, mut wanted: impl FnMut(&T) -> bool) {
        self.waiting.retain(|_, request| wanted(request));
    }

    /// Takes all out, next first.
    pub fn drain(&mut self) -> Vec<T> {
        std::mem::take(&mut self.waiting).into_values().collect()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn next<T>(queue: &mut FairQueue<T>) -> Option<T> {
        let place = queue.iter().next()?.0;
        queue.take(place)
    }

    fn served(queue: &mut FairQueue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| next(queue)).collect()
    }

    #[test]
    fn one_tenant_is_served_in_order_of_arrival() {
        let mut queue = FairQueue::default();
        ["a", "b", "c"].into_iter().for_each(|each| queue.push("", 2, 10, each));
        assert_eq!(served(&mut queue), ["a", "b", "c"]);
    }

    #[test]
    fn a_tenant_with_many_requests_does_not_push_back_one_with_few() {
        let mut queue = FairQueue::default();
        ["x1", "x2", "x3", "x4"].into_iter().for_each(|each| queue.push("x", 2, 10, each));
        ["y1", "y2"].into_iter().for_each(|each| queue.push("y", 2, 10, each));
        assert_eq!(served(&mut queue), ["x1", "y1", "x2", "y2", "x3", "x4"]);
    }

    #[test]
    fn costly_requests_count_for_more() {
        let mut queue = FairQueue::default();
        ["x1", "x2"].into_iter().for_each(|each| queue.push("x", 2, 30, each));
        ["y1", "y2", "y3", "y4"].into_iter().for_each(|each| queue.push("y", 2, 10, each));
        assert_eq!(served(&mut queue), ["x1", "y1", "y2", "y3", "x2", "y4"]);
    }

    #[test]
    fn a_higher_priority_goes_first_whoever_sends_it() {
        let mut queue = FairQueue::default();
        queue.push("x", 1, 1, "low");
        queue.push("x", 3, 1, "high");
        queue.push("x", 2, 1, "normal");
        assert_eq!(served(&mut queue), ["high", "normal", "low"]);
    }

    #[test]
    fn a_tenant_that_was_away_has_saved_nothing_up_and_owes_nothing() {
        let mut queue = FairQueue::default();
        queue.push("x", 2, 1000, "x1");
        assert_eq!(next(&mut queue), Some("x1"));
        queue.push("y", 2, 10, "y1");
        queue.push("x", 2, 10, "x2");
        assert_eq!(served(&mut queue), ["y1", "x2"]);
        assert!(queue.ends.len() <= 2);
    }

    proptest! {
        #[test]
        fn every_request_is_served_once(requests in prop::collection::vec((0u8..4, 1i32..4, 1u64..50), 0..60)) {
            let mut queue = FairQueue::default();
            for (index, (tenant, priority, cost)) in requests.iter().enumerate() {
                queue.push(&tenant.to_string(), *priority, *cost, index);
            }
            let mut seen: Vec<usize> = std::iter::from_fn(|| next(&mut queue)).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..requests.len()).collect::<Vec<_>>());
        }
    }
}
