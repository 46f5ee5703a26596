//! Who changed what, and who was refused: one JSON line each, for whoever keeps the record.

use std::time::{Duration, SystemTime};

use serde_json::json;
use tonic::{Code, Status};

use super::{auth::Caller, events::code_text, ring::Ring};
use crate::{error::Error, peer::Peer};

/// Lines that wait to be written; beyond it they are counted and lost.
const SIZE: usize = 65_536;

const METHOD_LENGTH: usize = 128;

/// The lines.
#[derive(Clone)]
pub struct Audit(Ring<String>);

impl Default for Audit {
    fn default() -> Self {
        Self(Ring::new(SIZE))
    }
}

impl Audit {
    /// Somebody was not let in, or may not do what they asked for.
    pub fn refused(&self, peer: &Peer, caller: Option<&Caller>, method: &str, why: &Error) {
        let status = Status::from(why.clone());
        self.put(peer, caller, method, status.code(), status.message());
    }

    /// A change was asked for, and this came of it.
    pub fn changed<T>(&self, caller: &Caller, method: &str, detail: &str, result: &Result<T, Error>) {
        match result.as_ref().map_err(|error| Status::from(error.clone())) {
            Ok(_) => self.put(&caller.peer, Some(caller), method, Code::Ok, detail),
            Err(status) => {
                let detail = format!("{detail}: {}", status.message());
                self.put(&caller.peer, Some(caller), method, status.code(), &detail);
            }
        }
    }

    fn put(&self, peer: &Peer, caller: Option<&Caller>, method: &str, outcome: Code, detail: &str) {
        let timestamp = prost_types::Timestamp::from(SystemTime::now()).to_string();
        let line = json!({"event": "audit", "timestamp": timestamp, "from": peer.name, "door": peer.door.as_str(),
            "who": who(caller), "method": cut(method), "outcome": code_text(outcome), "detail": detail});
        self.0.put(line.to_string());
    }

    /// Up to `max` lines; waits up to `timeout` for the first.  Blocks: not for the reactor's threads.
    pub fn next(&self, max: usize, timeout: Duration) -> Vec<String> {
        self.0.next(max, timeout)
    }

    /// Lines lost because nobody fetched them in time.
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }
}

/// Of a method that nobody knows the name may be anything.
fn cut(method: &str) -> &str {
    method.char_indices().nth(METHOD_LENGTH).map_or(method, |(at, _)| &method[..at])
}

fn who(caller: Option<&Caller>) -> serde_json::Value {
    match caller {
        None => json!(null),
        Some(caller) => json!({"tenant": caller.tenant.as_ref().map(|tenant| &*tenant.name),
            "role": caller.role.as_str(), "token": caller.token.as_deref()}),
    }
}
