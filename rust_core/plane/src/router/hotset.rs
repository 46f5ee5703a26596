//! Models that are worth running before anybody asks, as all routers of a store know them.
//!
//! A model is hot that is pinned, or that is called often at any router: its calls are summed with weights that fade
//! within an hour, and the sum is the calls per hour.  Each router writes down what is hot with it, takes out what has
//! not been for long, and reads what the others wrote: a document, changed by compare-and-set.  Where the store is
//! Redis, the names are also the members of [`SET`], for other programs; a name that one of these puts there is hot as
//! long as it is there.
//!
//! While the store is away all stays as it was read last, and pins cannot be changed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use serde_json::json;
use waypost_store::{NewRoll, PutError, Roll, Store, StoreError};

use super::{config, registry::Snapshot};
use crate::error::Error;

const KEY: &str = "hotset";
const SET: &str = "model:hotset";
/// A call counts for less the longer it is ago: for 37 % after this.
const MEMORY: Duration = Duration::from_secs(3600);
/// What has faded to so little is forgotten.
const FADED: f64 = 0.01;
/// Of the time until a model is forgotten: so often it is written down that it is still hot.
const REFRESH: u32 = 8;
/// Others may write at the same moment.
const TRIES: usize = 8;
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// What is hot now.
#[derive(Debug, Default)]
pub struct Hot {
    /// Models that an operator wants to keep.
    pub pinned: BTreeSet<String>,
    /// These, and those that are called often.
    pub all: BTreeSet<String>,
}

/// As it is stored.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
struct Kept {
    #[serde(default)]
    pinned: BTreeSet<String>,
    #[serde(default)]
    called: BTreeMap<String, Called>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
struct Called {
    /// Seconds since 1970.
    at: u64,
    per_hour: f64,
}

impl Kept {
    fn names(&self) -> BTreeSet<&str> {
        self.pinned.iter().chain(self.called.keys()).map(String::as_str).collect()
    }

    /// After a router has said what it is asked for, in calls per hour.
    fn after(&self, calls: &HashMap<Arc<str>, f64>, rules: &config::Hotset, now: u64) -> Self {
        let mut next = self.clone();
        let stale = |called: &Called| now.saturating_sub(called.at) >= (rules.forget / REFRESH).as_secs();
        let often = |per_hour: f64| rules.calls_per_hour > 0.0 && per_hour >= rules.calls_per_hour;
        for (name, per_hour) in calls.iter().filter(|(_, per_hour)| often(**per_hour)) {
            if next.called.get(&**name).is_none_or(stale) {
                next.called.insert(name.to_string(), Called { at: now, per_hour: *per_hour });
            }
        }
        next.called.retain(|_, called| now.saturating_sub(called.at) < rules.forget.as_secs().max(1));
        while next.called.len() > rules.size {
            let least = next.called.iter().min_by(|a, b| a.1.per_hour.total_cmp(&b.1.per_hour));
            let Some(name) = least.map(|(name, _)| name.clone()) else { break };
            next.called.remove(&name);
        }
        next
    }

    fn with_pin(&self, name: &str, pinned: bool) -> Self {
        let mut next = self.clone();
        match pinned {
            true => next.pinned.insert(name.into()),
            false => next.pinned.remove(name),
        };
        next
    }
}

/// Calls of this router by model, with fading weights.
#[derive(Debug, Default)]
struct Tally {
    at: Duration,
    calls: HashMap<Arc<str>, f64>,
}

impl Tally {
    fn add(&mut self, snapshot: &Snapshot, now: Duration) {
        let faded = (-(now.saturating_sub(self.at).as_secs_f64()) / MEMORY.as_secs_f64()).exp();
        self.calls.values_mut().for_each(|calls| *calls *= faded);
        self.at = now;
        for model in snapshot.models.iter().chain(&snapshot.unloaded) {
            let fresh: u32 = model.replicas.iter().map(|replica| replica.served.take_calls()).sum();
            if fresh > 0 {
                *self.calls.entry(model.name.clone()).or_default() += f64::from(fresh);
            }
        }
        self.calls.retain(|_, calls| *calls > FADED);
    }
}

/// The hotset as one router knows and writes it.
pub struct Hotset {
    store: Store,
    rules: config::Hotset,
    tally: Mutex<Tally>,
    /// What was read last.
    kept: Mutex<Kept>,
    hot: RwLock<Arc<Hot>>,
}

impl Hotset {
    /// Empty until the store is read.
    pub fn new(store: Store, rules: &config::Hotset) -> Self {
        let (tally, kept, hot) = Default::default();
        Self { store, rules: rules.clone(), tally, kept, hot }
    }

    /// What is hot now.
    pub fn now(&self) -> Arc<Hot> {
        self.hot.read().clone()
    }

    /// Reads what the others wrote and writes what is hot here, once in a while.
    pub async fn poll(&self, snapshot: &Snapshot, now: Duration) {
        self.tally.lock().add(snapshot, now);
        // A store that is away leaves everything as it is; who lost a race writes the next time.
        let _ = self.change(|kept, hotset| kept.after(&hotset.tally.lock().calls, &hotset.rules, today())).await;
    }

    /// Pins a model at all routers, or lets it go.
    pub async fn set_pinned(&self, name: &str, pinned: bool) -> Result<(), Error> {
        for _ in 0..TRIES {
            match self.change(|kept, _| kept.with_pin(name, pinned)).await {
                Err(PutError::Conflict { .. }) => {}
                done => return done.map_err(|error| away(&error)),
            }
        }
        Err(Error::StoreUnreachable { why: "others write all the time".into(), retry_after: STORE_PAUSE })
    }

    async fn change(&self, how: impl Fn(&Kept, &Self) -> Kept) -> Result<(), PutError> {
        let Roll { document, members } = self.store.roll(KEY, SET).await?;
        let (revision, stored) = match &document {
            Some(document) => (document.revision, read(&document.text)?),
            None => (0, Kept::default()),
        };
        // A store that came back empty learns of what it had told.
        let known = if document.is_some() { stored.clone() } else { self.kept.lock().clone() };
        let next = how(&known, self);
        if next == stored {
            self.show(next, members);
            return Ok(());
        }
        match self.write(&next, &stored, revision).await {
            Ok(_) => {
                let members = members.map(|members| after(members, &stored, &next));
                self.show(next, members);
                Ok(())
            }
            Err(error) => {
                if revision > 0 {
                    self.show(stored, members);
                }
                Err(error)
            }
        }
    }

    async fn write(&self, next: &Kept, before: &Kept, expected: u64) -> Result<u64, PutError> {
        let (text, names) = (json!(next).to_string(), next.names());
        let gone: Vec<_> = before.names().difference(&names).copied().collect();
        let names: Vec<_> = names.into_iter().collect();
        let roll = NewRoll { key: KEY, set: SET, expected, text: &text, names: &names, gone: &gone };
        self.store.put_roll(&roll).await
    }

    /// Redis' set says what is hot, where there is one.
    fn show(&self, kept: Kept, members: Option<BTreeSet<String>>) {
        let names = members.unwrap_or_else(|| kept.called.keys().cloned().collect());
        let all = names.into_iter().chain(kept.pinned.iter().cloned()).collect();
        *self.hot.write() = Arc::new(Hot { pinned: kept.pinned.clone(), all });
        *self.kept.lock() = kept;
    }
}

/// What the set has then.
fn after(members: BTreeSet<String>, before: &Kept, next: &Kept) -> BTreeSet<String> {
    let before = before.names();
    let theirs = members.into_iter().filter(|name| !before.contains(name.as_str()));
    theirs.chain(next.names().into_iter().map(str::to_string)).collect()
}

/// What a newer version wrote is left alone.
fn read(text: &str) -> Result<Kept, PutError> {
    serde_json::from_str(text).map_err(|error| StoreError::Failed(format!("the hotset cannot be read: {error}")).into())
}

fn away(error: &PutError) -> Error {
    Error::StoreUnreachable { why: error.to_string(), retry_after: STORE_PAUSE }
}

fn today() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(size: usize) -> config::Hotset {
        config::Hotset { calls_per_hour: 10.0, forget: Duration::from_secs(100), size, ..Default::default() }
    }

    fn calls(of: &[(&str, f64)]) -> HashMap<Arc<str>, f64> {
        of.iter().map(|(name, calls)| ((*name).into(), *calls)).collect()
    }

    fn names(kept: &Kept) -> Vec<&str> {
        kept.names().into_iter().collect()
    }

    #[test]
    fn what_is_called_often_is_hot_until_it_has_not_been_for_long() {
        let hot = Kept::default().after(&calls(&[("a", 10.0), ("b", 9.9)]), &rules(8), 1000);
        assert_eq!(names(&hot), ["a"]);
        let later = |now| hot.after(&calls(&[]), &rules(8), now);
        assert_eq!(names(&later(1099)), ["a"]);
        assert_eq!(names(&later(1100)), Vec::<&str>::new());
        let still = hot.after(&calls(&[("a", 10.0)]), &rules(8), 1050);
        assert_eq!(names(&still.after(&calls(&[]), &rules(8), 1149)), ["a"]);
    }

    #[test]
    fn nothing_is_learned_where_no_rate_is_set() {
        let off = config::Hotset { calls_per_hour: 0.0, ..rules(8) };
        assert_eq!(Kept::default().after(&calls(&[("a", 1e9)]), &off, 0), Kept::default());
    }

    #[test]
    fn it_is_not_written_again_and_again() {
        let hot = Kept::default().after(&calls(&[("a", 10.0)]), &rules(8), 1000);
        assert_eq!(hot.after(&calls(&[("a", 20.0)]), &rules(8), 1011), hot);
        assert_ne!(hot.after(&calls(&[("a", 20.0)]), &rules(8), 1012), hot);
    }

    #[test]
    fn those_called_most_stay_and_pins_beside_them() {
        let some = calls(&[("a", 30.0), ("b", 10.0), ("c", 20.0)]);
        let kept = Kept::default().with_pin("p", true).after(&some, &rules(2), 0);
        assert_eq!(names(&kept), ["a", "c", "p"]);
        assert_eq!(kept.after(&some, &rules(2), 1), kept, "who was left out does not come and go");
        assert_eq!(names(&kept.with_pin("p", false)), ["a", "c"]);
    }

    #[tokio::test]
    async fn a_pin_is_seen_by_all_and_survives_them() {
        let store = Store::open(&waypost_store::Place::Memory, "a").await.expect("it opens");
        let [one, two] = [(); 2].map(|()| Hotset::new(store.clone(), &rules(8)));
        one.set_pinned("m", true).await.expect("it is written");
        assert!(one.now().pinned.contains("m") && two.now().pinned.is_empty());
        two.poll(&Snapshot::default(), Duration::ZERO).await;
        assert!(two.now().pinned.contains("m") && two.now().all.contains("m"));
        two.set_pinned("m", false).await.expect("it is written");
        one.poll(&Snapshot::default(), Duration::ZERO).await;
        assert!(one.now().all.is_empty());
    }

    proptest! {
        #[test]
        fn no_more_are_learned_than_there_is_room_for(
            rounds in prop::collection::vec(prop::collection::hash_map("[a-f]", 0.0f64..50.0, 0..6), 1..20),
            size in 0usize..4,
        ) {
            let (mut kept, rules) = (Kept::default(), rules(size));
            for (round, calls) in rounds.into_iter().enumerate() {
                let calls = calls.into_iter().map(|(name, calls)| (name.into(), calls)).collect();
                kept = kept.after(&calls, &rules, 7 * round as u64);
                prop_assert!(kept.called.len() <= size);
                prop_assert!(kept.called.values().all(|called| called.per_hour >= rules.calls_per_hour));
            }
        }
    }
}
