//! How much a process writes to its log: what operators set, on its way to Python, which writes it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use tonic::Status;

use crate::{error::Error, proto::v1::LogLevel, router::Ring};

/// Changes that wait; Python takes them at once.
const SIZE: usize = 64;

/// The level now, and its changes.
#[derive(Clone)]
pub struct Levels {
    now: Arc<AtomicI32>,
    changes: Ring<LogLevel>,
}

impl Levels {
    /// A process that starts with `level`.
    pub fn new(level: LogLevel) -> Self {
        Self { now: Arc::new(AtomicI32::new(level as i32)), changes: Ring::new(SIZE) }
    }

    /// The one that is in force.
    pub fn now(&self) -> LogLevel {
        LogLevel::try_from(self.now.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// Another one from now on.
    pub fn set(&self, level: LogLevel) {
        self.now.store(level as i32, Ordering::Relaxed);
        self.changes.put(level);
    }

    /// The name of the next one; waits up to `timeout` for it.  Blocks: not for the reactor's threads.
    pub fn next(&self, timeout: Duration) -> Option<&'static str> {
        self.changes.next(SIZE, timeout).last().copied().map(name)
    }
}

/// The level a request names.
pub fn asked(level: i32) -> Result<LogLevel, Status> {
    match LogLevel::try_from(level) {
        Ok(LogLevel::Unspecified) | Err(_) => {
            let expected = "LOG_LEVEL_DEBUG, _INFO, _WARNING or _ERROR".into();
            Err(Error::InvalidField { field: "level".into(), actual: level.to_string(), expected }.into())
        }
        Ok(level) => Ok(level),
    }
}

/// As a configuration has it.
pub fn named(name: &str) -> Option<LogLevel> {
    let all = [LogLevel::Debug, LogLevel::Info, LogLevel::Warning, LogLevel::Error];
    all.into_iter().find(|level| self::name(*level) == name)
}

fn name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Unspecified | LogLevel::Info => "info",
        LogLevel::Warning => "warning",
        LogLevel::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_changes_the_last_counts() {
        let levels = Levels::new(LogLevel::Info);
        levels.set(LogLevel::Debug);
        levels.set(LogLevel::Error);
        assert_eq!(levels.now(), LogLevel::Error);
        assert_eq!(levels.next(Duration::ZERO), Some("error"));
        assert_eq!(levels.next(Duration::ZERO), None);
    }

    #[test]
    fn what_is_no_level_is_refused() {
        assert!(asked(LogLevel::Unspecified as i32).is_err());
        assert!(asked(99).is_err());
        assert_eq!(asked(LogLevel::Debug as i32).ok(), Some(LogLevel::Debug));
    }
}
