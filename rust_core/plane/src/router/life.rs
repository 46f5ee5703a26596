//! Instances that are started when they are wanted.
//!
//! Whoever starts and ends them, the supervisor, tells which are asleep and what they would serve.  A call for one of
//! these waits, as one of so many, and the supervisor hears of it; when the instance is there, those who waited go on.
//! Where nobody supervises, nobody is waited for.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{hotset::Hot, instance::Instance};
use crate::{
    error::Error,
    proto::v1::{InstanceDemand, LifeState},
};

/// How long a caller is told to stay away whose instance is not said how long it takes to start.
const USUAL_START: Duration = Duration::from_secs(5);

/// What a supervisor said of an instance, and how much that is wanted.
#[derive(Debug, Default)]
pub struct Life {
    told: Mutex<Told>,
    waiting: Arc<AtomicU32>,
    calls: AtomicU64,
    /// Milliseconds since 1970; 0: never.
    last_call: AtomicU64,
}

/// A supervisor's word.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Unspecified: nobody supervises it.
    pub state: LifeState,
    /// How long it takes to start.
    pub start: Option<Duration>,
    /// Why it could not be started.
    pub error: String,
}

/// A call that waits; it counts until this is dropped.
#[derive(Debug)]
pub struct Waiting(Arc<AtomicU32>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Life {
    /// The last word.
    pub fn told(&self) -> Told {
        self.told.lock().clone()
    }

    /// A new word; whether it changes how the instance lives.
    pub fn tell(&self, told: Told) -> bool {
        let mut last = self.told.lock();
        let news = last.state != told.state;
        *last = told;
        news
    }

    /// How it lives.
    pub fn state(&self) -> LifeState {
        self.told.lock().state
    }

    /// Whether a call may wait for it: somebody sees to it that it will be there, or is there and will be connected.
    pub fn is_awaited(&self) -> bool {
        self.can_wake() || self.state() == LifeState::Awake
    }

    /// Whether it is not there and would be, were it wanted.
    pub fn can_wake(&self) -> bool {
        matches!(self.state(), LifeState::Asleep | LifeState::Waking | LifeState::Leaving)
    }

    /// Whether it is about to be ended.
    pub fn is_leaving(&self) -> bool {
        self.state() == LifeState::Leaving
    }

    /// A call is for it.
    pub fn called(&self, now: SystemTime) {
        self.calls.fetch_add(1, Relaxed);
        let millis = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        self.last_call.fetch_max(millis, Relaxed);
    }

    /// A call waits for it, if there are not `most` already; whether it is the first, and must be told of.
    pub fn wait(&self, most: u32) -> Result<(Waiting, bool), Error> {
        let more = |waiting: u32| (waiting < most).then_some(waiting + 1);
        match self.waiting.fetch_update(Relaxed, Relaxed, more) {
            Ok(before) => Ok((Waiting(self.waiting.clone()), before == 0)),
            Err(full) => {
                let start = self.told.lock().start.unwrap_or(USUAL_START);
                Err(Error::QueueFull { limit: full as usize, retry_after: start })
            }
        }
    }

    fn last_call(&self) -> Option<SystemTime> {
        let millis = self.last_call.load(Relaxed);
        (millis > 0).then(|| SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
    }
}

/// How much `instance` is wanted.
pub fn demand(instance: &Instance, hot: &Hot) -> InstanceDemand {
    let (life, described) = (&instance.life, instance.described());
    let any = |names: &BTreeSet<String>| {
        described.iter().flat_map(|each| &each.models).any(|served| names.contains(&served.info.name))
    };
    InstanceDemand {
        address: instance.address.to_string(),
        waiting: life.waiting.load(Relaxed),
        in_flight: instance.stats.lock().in_flight,
        calls: life.calls.load(Relaxed),
        last_call: life.last_call().map(Into::into),
        pinned: any(&hot.pinned),
        hot: any(&hot.all),
    }
}

/// Who is told when somebody begins to wait.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Somebody waits.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Returns when somebody does.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asleep() -> Life {
        let life = Life::default();
        life.tell(Told { state: LifeState::Asleep, start: Some(Duration::from_secs(3)), ..Told::default() });
        life
    }

    #[test]
    fn only_so_many_wait_and_the_next_hears_how_long_a_start_takes() {
        let life = asleep();
        let (first, is_first) = life.wait(2).expect("there is room");
        let (_second, is_second) = life.wait(2).expect("there is room");
        assert!(is_first && !is_second);
        let full = life.wait(2).expect_err("there is none");
        assert_eq!(full, Error::QueueFull { limit: 2, retry_after: Duration::from_secs(3) });
        drop(first);
        assert!(life.wait(2).is_ok(), "one has left");
    }

    #[test]
    fn nobody_waits_for_what_cannot_run_or_is_nobody_s() {
        let life = asleep();
        assert!(life.can_wake() && life.is_awaited());
        for (state, awaited) in [(LifeState::Awake, true), (LifeState::Failed, false), (LifeState::Unspecified, false)]
        {
            assert!(life.tell(Told { state, ..Told::default() }), "that is news");
            assert!(!life.can_wake());
            assert_eq!(life.is_awaited(), awaited);
        }
        assert!(!life.tell(Told::default()), "said before");
    }

    #[test]
    fn the_last_call_is_the_latest() {
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let life = asleep();
        assert_eq!(life.last_call(), None);
        [at(9), at(5)].into_iter().for_each(|time| life.called(time));
        assert_eq!((life.last_call(), life.calls.load(Relaxed)), (Some(at(9)), 2));
    }
}
