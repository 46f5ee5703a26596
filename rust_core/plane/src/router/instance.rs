//! One worker as the router knows it: where it is, whether it takes calls, what it serves, how it fares.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
    },
    time::Duration,
};

use http::HeaderValue;
use parking_lot::Mutex;
use tokio::sync::Notify;
use waypost_decide::stats::{Serving, Stats};

use super::{
    config::RouterConfig,
    life::Life,
    link::{self, Control, Link},
};
use crate::{
    address::Address,
    proto::v1::{
        self, DescribeInstanceResponse, InstanceState, LifeState, ModelInfo, mesh_service_client::MeshServiceClient,
    },
};

/// One worker.
#[derive(Debug)]
pub struct Instance {
    /// Where it listens; its identity here.
    pub address: Address,
    /// How it fares.
    pub stats: Mutex<Stats>,
    /// How it lives, where somebody starts it when it is wanted.
    pub life: Life,
    state: AtomicU8,
    /// An operator took it out of the choice.
    drained: AtomicBool,
    links: Mutex<Links>,
    /// It may be there now.
    nudged: Notify,
    described: Mutex<Option<Arc<Described>>>,
}

/// Its connections; calls take them in turn.
#[derive(Debug)]
struct Links {
    open: Vec<Option<Link>>,
    turn: usize,
}

impl Links {
    fn next(&mut self) -> Option<Link> {
        self.turn = self.turn.wrapping_add(1);
        let count = self.open.len();
        (0..count).find_map(|step| self.open[(self.turn.wrapping_add(step)) % count].clone())
    }
}

/// What a worker said of itself.
#[derive(Debug)]
pub struct Described {
    /// Its name.
    pub name: Arc<str>,
    /// Its models, in its order.
    pub models: Vec<Arc<Served>>,
}

/// One model of one worker.
#[derive(Debug)]
pub struct Served {
    /// Name of the worker,
    pub instance: Arc<str>,
    /// and the same for a header.
    pub instance_header: HeaderValue,
    /// Name of the model, for a header.
    pub model_header: HeaderValue,
    /// As the worker describes it.
    pub info: ModelInfo,
    /// How it fares there.
    pub serving: Mutex<Serving>,
    /// Calls to it there.
    pub in_flight: AtomicU32,
    /// Calls that nobody has taken down yet.
    calls: AtomicU32,
    /// Until then its provider wants to be left alone.
    cool_until: Mutex<Duration>,
}

impl Instance {
    /// A worker nobody has spoken to yet.
    pub fn new(address: Address, config: &RouterConfig) -> Self {
        Self {
            address,
            stats: Mutex::new(Stats::new(&config.stats())),
            life: Life::default(),
            state: AtomicU8::new(InstanceState::Starting as u8),
            drained: AtomicBool::new(false),
            links: Mutex::new(Links { open: vec![None; config.connections.max(1)], turn: 0 }),
            nudged: Notify::new(),
            described: Mutex::new(None),
        }
    }

    /// As connection and operator see it; never EJECTED, which is for [`Stats::is_ejected`] to say.
    pub fn state(&self) -> InstanceState {
        let state = i32::from(self.state.load(Ordering::Acquire));
        match InstanceState::try_from(state).unwrap_or(InstanceState::Unspecified) {
            InstanceState::Ready if self.is_drained() || self.life.is_leaving() => InstanceState::Draining,
            away @ (InstanceState::Starting | InstanceState::Down) => match self.life.state() {
                LifeState::Asleep => InstanceState::Asleep,
                LifeState::Waking | LifeState::Leaving => InstanceState::Waking,
                _ => away,
            },
            state => state,
        }
    }

    /// Whether an operator took it out of the choice.
    pub fn is_drained(&self) -> bool {
        self.drained.load(Ordering::Acquire)
    }

    /// Takes it out of the choice, or back into it, where its share grows again as that of a newcomer.
    pub fn set_drained(&self, drained: bool, now: Duration) {
        match (self.drained.swap(drained, Ordering::AcqRel), drained) {
            (false, true) => self.stats.lock().vanish(now),
            (true, false) => self.stats.lock().appear(now),
            _ => {}
        }
    }

    /// Whether it takes new calls.
    pub fn is_ready(&self) -> bool {
        self.state() == InstanceState::Ready
    }

    /// Whether it is not there and would be, were it wanted.
    pub fn is_wakeable(&self) -> bool {
        self.life.can_wake() && !self.is_drained()
    }

    /// Whether calls for it may wait until it is there.
    pub fn is_awaited(&self) -> bool {
        self.life.is_awaited() && !self.is_drained()
    }

    /// Returns whether that was news.
    pub fn set_state(&self, state: InstanceState, now: Duration) -> bool {
        let before = self.state.swap(state as u8, Ordering::AcqRel);
        if before == state as u8 {
            return false;
        }
        match (before == InstanceState::Ready as u8, state) {
            (_, InstanceState::Ready) => self.stats.lock().appear(now),
            (true, _) => self.stats.lock().vanish(now),
            _ => {}
        }
        true
    }

    /// Connecting is worth a try.
    pub fn nudge(&self) {
        self.nudged.notify_waiters();
    }

    /// Returns when connecting may be worth a try: after `pause`, or as soon as somebody says so.
    pub async fn worth_a_try(&self, pause: Duration) {
        let nudged = self.nudged.notified();
        match self.life.state() {
            LifeState::Asleep => nudged.await,
            // Whether it was too early does not matter: the next try comes soon.
            _ => drop(tokio::time::timeout(pause, nudged).await),
        }
    }

    /// A connection for a call.
    pub fn link(&self) -> Option<Link> {
        self.links.lock().next()
    }

    /// For the router's own calls, while it is connected.
    pub fn control(&self) -> Option<MeshServiceClient<Control>> {
        Some(link::control(self.link()?))
    }

    /// Puts a new connection in the place of an old one, or none.
    pub fn set_link(&self, lane: usize, link: Option<Link>) {
        self.links.lock().open[lane] = link;
    }

    /// What it said of itself when it was last connected.
    pub fn described(&self) -> Option<Arc<Described>> {
        self.described.lock().clone()
    }

    /// Takes in what it says of itself.
    pub fn describe(&self, response: DescribeInstanceResponse) {
        *self.described.lock() = Some(Arc::new(Described::new(&self.address, response)));
    }

    /// Its name, or its address as long as it has said none.
    pub fn name(&self) -> Arc<str> {
        self.described().map_or_else(|| self.address.to_string().into(), |described| described.name.clone())
    }
}

impl Described {
    fn new(address: &Address, response: DescribeInstanceResponse) -> Self {
        let name: Arc<str> = match response.instance.as_str() {
            "" => address.to_string().into(),
            name => name.into(),
        };
        let models = response.models.into_iter().filter_map(|info| Served::new(&name, info)).map(Arc::new).collect();
        Self { name, models }
    }
}

impl Served {
    /// None where a name cannot stand in a header, for then calls could not be sent there.
    fn new(instance: &Arc<str>, info: ModelInfo) -> Option<Self> {
        Some(Self {
            instance: instance.clone(),
            instance_header: HeaderValue::from_str(instance).ok()?,
            model_header: HeaderValue::from_str(&info.name).ok()?,
            info,
            serving: Mutex::default(),
            in_flight: AtomicU32::new(0),
            calls: AtomicU32::new(0),
            cool_until: Mutex::default(),
        })
    }

    /// A call is for it.
    pub fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls since this was last asked.
    pub fn take_calls(&self) -> u32 {
        self.calls.swap(0, Ordering::Relaxed)
    }

    /// Its provider wants to be left alone for so long.
    pub fn cool(&self, now: Duration, pause: Duration) {
        let mut until = self.cool_until.lock();
        *until = (*until).max(now + pause);
    }

    /// How long that still is.
    pub fn pause(&self, now: Duration) -> Option<Duration> {
        self.cool_until.lock().checked_sub(now).filter(|left| !left.is_zero())
    }

    /// How good its answers are: as declared, corrected by what was said of them lately.
    pub fn quality(&self, now: Duration) -> f64 {
        self.serving.lock().quality(now, self.info.quality)
    }

    /// Whether it does this kind of work.
    pub fn does(&self, task: v1::Task) -> bool {
        self.info.tasks.contains(&task.into())
    }

    /// Whether it carries all of these tags.
    pub fn carries(&self, tags: &[String]) -> bool {
        tags.iter().all(|tag| self.info.tags.contains(tag))
    }

    /// Whether it has this label set; every model has the unnamed one.
    pub fn has_head(&self, head: &str) -> bool {
        head.is_empty() || self.info.heads.iter().any(|known| known.name == head)
    }
}
