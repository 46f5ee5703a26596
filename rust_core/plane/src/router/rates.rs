//! How many calls a second tenants may make, over all routers that hear each other.
//!
//! A call asks only this router's own buckets: nobody waits for another machine.  Every fifth of a second each router
//! tells the others what it let pass, and takes from its buckets what they did, as of when they did.  So over time no
//! more calls pass than at one router; at any moment the others' of the last fifth of a second may pass too many, and are
//! waited for afterwards.
//!
//! Routers hear each other through Redis.  When it does not answer, each goes on with its share of the rates, as one of
//! those it last heard of, and what they let pass meanwhile is told to nobody: their shares come to the whole.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use waypost_decide::rate::{Rate, RateLimiter};
use waypost_store::{Heard, Store, Told};

use super::{
    attempt::Clock,
    config::{self, RouterConfig},
};

const TOPIC: &str = "rates";
/// Tenants whose rate is remembered; of more, those idle longest start afresh.
const REMEMBERED: usize = 65_536;
/// Tenants that are told of at once; of more, the next time.
const TOLD: usize = 1000;
/// Who lets nothing pass says so, so often, to be counted.
const ALIVE: Duration = Duration::from_secs(1);
/// Who has said nothing for so long is not counted.
const SILENT: Duration = Duration::from_secs(5);

/// The buckets, and what was taken from them since it was last told.
struct Buckets {
    limiter: RateLimiter,
    taken: HashMap<String, u32>,
    /// Whether anybody is told.
    is_shared: bool,
}

/// The rates of all tenants.
pub struct Rates {
    buckets: Mutex<Buckets>,
    sync: Duration,
    routers: AtomicUsize,
}

impl Rates {
    /// None where nobody has a limit.
    pub fn new(config: &RouterConfig) -> Option<Self> {
        let rate = |calls_per_second, burst| Rate { calls_per_second, burst };
        let listed = config.tenants.iter().map(|each| (each.name.clone(), rate(each.calls_per_second, each.burst)));
        let listed: HashMap<_, _> = listed.collect();
        let config::TenantDefault { calls_per_second, burst, .. } = config.tenant_default;
        let others = rate(calls_per_second, burst);
        let limited = listed.values().chain([&others]).any(|rate| rate.calls_per_second > 0.0);
        let limiter = RateLimiter::new(others, listed, REMEMBERED);
        let buckets = Mutex::new(Buckets { limiter, taken: HashMap::new(), is_shared: false });
        limited.then(|| Self { buckets, sync: config.rates.sync, routers: AtomicUsize::new(1) })
    }

    /// Lets a call of `tenant` pass, or says how long it has to wait.
    pub fn admit(&self, tenant: &str, now: Duration) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock();
        buckets.limiter.try_take(tenant, now)?;
        if buckets.is_shared && buckets.limiter.is_limited(tenant) {
            buckets.note(tenant);
        }
        Ok(())
    }

    /// Routers that share the rates, this one too, as last heard.
    pub fn routers(&self) -> usize {
        self.routers.load(Relaxed)
    }

    /// Tells and hears, for as long as there is somebody who could.
    pub async fn share(&self, store: &Store, clock: Clock) {
        if !store.is_quick() {
            return;
        }
        self.buckets.lock().is_shared = true;
        let mut ticks = interval(self.sync.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut talk = Talk::default();
        loop {
            ticks.tick().await;
            self.exchange(&mut talk, store, clock).await;
        }
    }

    async fn exchange(&self, talk: &mut Talk, store: &Store, clock: Clock) {
        let text = talk.says(self.buckets.lock().take(), clock.now());
        let Some(heard) = store.tell(TOPIC, &text, &mut talk.heard).await else { return };
        let now = clock.now();
        match heard {
            Ok(told) => {
                talk.is_cut = false;
                told.iter().for_each(|told| talk.note(told, now));
                self.routers.store(talk.routers(now), Relaxed);
                self.hear(&told, now);
            }
            Err(_) => {
                talk.is_cut = true;
                self.buckets.lock().limiter.set_share(1.0 / self.routers() as f64);
            }
        }
    }

    fn hear(&self, told: &[Told], now: Duration) {
        let mut buckets = self.buckets.lock();
        buckets.limiter.set_share(1.0);
        for told in told {
            // What another version says that cannot be read is as if it were not said.
            let taken: HashMap<String, u32> = serde_json::from_str(&told.text).unwrap_or_default();
            let at = now.saturating_sub(told.ago);
            taken.iter().for_each(|(tenant, calls)| buckets.limiter.taken_elsewhere(tenant, *calls, at));
        }
    }
}

impl Buckets {
    fn note(&mut self, tenant: &str) {
        match self.taken.get_mut(tenant) {
            Some(calls) => *calls += 1,
            None => drop(self.taken.insert(tenant.to_owned(), 1)),
        }
    }

    fn take(&mut self) -> HashMap<String, u32> {
        if self.taken.len() <= TOLD {
            return std::mem::take(&mut self.taken);
        }
        let some: Vec<_> = self.taken.keys().take(TOLD).cloned().collect();
        some.into_iter().filter_map(|name| self.taken.remove_entry(&name)).collect()
    }
}

/// What is known of the others.
#[derive(Default)]
struct Talk {
    heard: Heard,
    said: Option<Duration>,
    /// It was not answered the last time, and only listens until it is.  What passes meanwhile is told to nobody, since
    /// each has had its share; and a stalled server that goes on would write down everything it was told.
    is_cut: bool,
    /// When each was last heard.
    others: HashMap<String, Duration>,
}

impl Talk {
    /// Nothing, where there is nothing to say that they need to know.
    fn says(&mut self, taken: HashMap<String, u32>, now: Duration) -> String {
        let silent = taken.is_empty() && self.said.is_some_and(|said| now.saturating_sub(said) < ALIVE);
        if silent || self.is_cut {
            return String::new();
        }
        self.said = Some(now);
        serde_json::json!(taken).to_string()
    }

    fn note(&mut self, told: &Told, now: Duration) {
        if told.ago < SILENT {
            self.others.insert(told.router.clone(), now.saturating_sub(told.ago));
        }
    }

    fn routers(&mut self, now: Duration) -> usize {
        self.others.retain(|_, heard| now.saturating_sub(*heard) < SILENT);
        1 + self.others.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates() -> Rates {
        let config = serde_json::json!({
            "listen": "127.0.0.1:0", "instance": "r", "version": "1",
            "tenants": [{"name": "a", "calls_per_second": 10, "burst": 4}],
        });
        let config = serde_json::from_value(config).expect("is a configuration");
        Rates::new(&config).expect("somebody has a limit")
    }

    fn told(router: &str, text: &str, ago: u64) -> Told {
        Told { router: router.into(), text: text.into(), ago: Duration::from_millis(ago) }
    }

    const NOW: Duration = Duration::from_secs(100);

    fn passed(rates: &Rates, now: Duration) -> usize {
        (0..100).take_while(|_| rates.admit("a", now).is_ok()).count()
    }

    #[test]
    fn what_others_let_pass_is_not_let_pass_here() {
        let rates = rates();
        rates.hear(&[told("b", r#"{"a": 3, "z": 9}"#, 0), told("c", "what?", 0)], NOW);
        assert_eq!(passed(&rates, NOW), 1);
        rates.hear(&[told("b", r#"{"a": 40}"#, 10_000)], NOW + Duration::from_secs(6));
        assert_eq!(passed(&rates, NOW + Duration::from_secs(6)), 4, "they have had their time");
    }

    #[test]
    fn it_is_told_once_and_only_where_somebody_hears() {
        let rates = rates();
        passed(&rates, NOW);
        assert!(rates.buckets.lock().take().is_empty());
        rates.buckets.lock().is_shared = true;
        rates.admit("nobody", NOW).expect("has no limit");
        let later = NOW + Duration::from_secs(9);
        assert_eq!(passed(&rates, later), 4);
        assert_eq!(rates.buckets.lock().take(), HashMap::from([("a".into(), 4)]));
        assert!(rates.buckets.lock().take().is_empty());
    }

    #[test]
    fn who_is_silent_is_no_longer_counted() {
        let mut talk = Talk::default();
        [told("b", "{}", 0), told("c", "{}", 4900), told("d", "{}", 5000)].iter().for_each(|each| talk.note(each, NOW));
        assert_eq!(talk.routers(NOW), 3);
        assert_eq!(talk.routers(NOW + Duration::from_millis(4900)), 2);
    }

    #[test]
    fn who_is_not_answered_only_listens() {
        let mut talk = Talk { is_cut: true, ..Talk::default() };
        assert_eq!(talk.says(HashMap::from([("a".into(), 9)]), NOW), "");
        talk.is_cut = false;
        assert_eq!(talk.says(HashMap::new(), NOW), "{}");
    }

    #[test]
    fn who_lets_nothing_pass_says_that_it_is_there() {
        let (mut talk, one) = (Talk::default(), || HashMap::from([("a".to_string(), 1)]));
        assert_eq!(talk.says(HashMap::new(), NOW), "{}");
        assert_eq!(talk.says(HashMap::new(), NOW + ALIVE / 2), "");
        assert_eq!(talk.says(one(), NOW + ALIVE / 2), r#"{"a":1}"#);
        assert_eq!(talk.says(HashMap::new(), NOW + ALIVE), "");
        assert_eq!(talk.says(HashMap::new(), NOW + ALIVE * 2), "{}");
    }
}
