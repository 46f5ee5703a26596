//! The latest decisions, for those who look while the router runs; all of them are in its decision log.

use std::collections::VecDeque;

use super::events::Event;
use crate::proto::v1;

/// So many are kept.
const KEPT: usize = 1000;
/// So many are returned to those who name no number.
const USUAL: usize = 100;

/// The lines, numbered from 1.
#[derive(Default)]
pub struct Recent {
    lines: VecDeque<Kept>,
    count: u64,
}

struct Kept {
    number: u64,
    request_id: Box<[u8]>,
    json: String,
}

impl Recent {
    /// Takes in events with their lines.
    pub fn note(&mut self, events: &[Box<Event>], lines: &[String]) {
        let skipped = lines.len().saturating_sub(KEPT);
        self.count += skipped as u64;
        for (event, line) in events.iter().zip(lines).skip(skipped) {
            self.count += 1;
            let request_id = event.request_id().into();
            self.lines.push_back(Kept { number: self.count, request_id, json: line.clone() });
        }
        let over = self.lines.len().saturating_sub(KEPT);
        self.lines.drain(..over);
    }

    /// The latest that are asked for, oldest first.
    pub fn find(&self, asked: &v1::ListDecisionsRequest) -> Vec<v1::Decision> {
        let wanted = |kept: &&Kept| {
            let named = asked.request_id.is_empty() || *kept.request_id == *asked.request_id.as_bytes();
            kept.number > asked.after && named
        };
        let most = if asked.limit == 0 { USUAL } else { asked.limit as usize };
        let latest = self.lines.iter().rev().filter(wanted).take(most);
        let mut found: Vec<_> =
            latest.map(|kept| v1::Decision { number: kept.number, json: kept.json.clone() }).collect();
        found.reverse();
        found
    }
}
