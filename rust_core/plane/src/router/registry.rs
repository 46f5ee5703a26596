//! Who is there and what they can do.
//!
//! The list of instances comes from outside ([`Registry::set_instances`]); each has a task that keeps it connected
//! and tells what it learns.  From that a [`Snapshot`] is made, which calls read without waiting for anybody.
//! Readiness is not in the snapshot but in the instance, so that a lost worker is out at once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use parking_lot::{Mutex, RwLock};
use tokio::{runtime::Handle, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    attempt::Clock,
    config::RouterConfig,
    connection::Keeper,
    instance::{Instance, Served},
    life::Told,
    methods::METHODS,
    models,
};
use crate::{
    address::Address,
    error::Error,
    health::{Health, ServingStatus, model_name},
    proto::v1::{DescribeInstanceResponse, InstanceState},
    tls::Connector,
};

/// What calls choose from.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Known models, by name.
    pub models: Vec<Arc<Model>>,
    /// Every instance has said what it has, and there is at least one.
    pub complete: bool,
    /// Models that an operator took out of service, by name.
    pub unloaded: Vec<Arc<Model>>,
}

/// A model and where it runs.
#[derive(Debug)]
pub struct Model {
    /// Its name.
    pub name: Arc<str>,
    /// Everywhere it is known to run, ready or not.
    pub replicas: Vec<Replica>,
}

impl Model {
    /// Its version, where all replicas are of one.
    pub fn version(&self) -> Option<&str> {
        let mut versions = self.replicas.iter().map(|replica| replica.served.info.version.as_str());
        let first = versions.next()?;
        versions.all(|version| version == first).then_some(first)
    }
}

/// A model on one instance.
#[derive(Clone, Debug)]
pub struct Replica {
    /// The worker.
    pub instance: Arc<Instance>,
    /// Its word about the model.
    pub served: Arc<Served>,
}

impl Snapshot {
    /// The model of this name.
    pub fn model(&self, name: &str) -> Option<&Arc<Model>> {
        let found = self.models.binary_search_by(|model| (*model.name).cmp(name)).ok()?;
        self.models.get(found)
    }

    /// The model of this name that is out of service.
    pub fn unloaded(&self, name: &str) -> Option<&Arc<Model>> {
        self.unloaded.iter().find(|model| *model.name == *name)
    }

    fn of(instances: &[Arc<Instance>], unloaded: &HashSet<String>) -> Self {
        let described: Vec<_> = instances.iter().filter_map(|i| Some((i, i.described()?))).collect();
        let mut models: HashMap<&str, Vec<Replica>> = HashMap::new();
        for (instance, served) in described.iter().flat_map(|(i, d)| d.models.iter().map(move |served| (*i, served))) {
            let replica = Replica { instance: instance.clone(), served: served.clone() };
            models.entry(&served.info.name).or_default().push(replica);
        }
        let mut models: Vec<_> =
            models.into_iter().map(|(name, replicas)| Arc::new(Model { name: name.into(), replicas })).collect();
        models.sort_by(|a, b| a.name.cmp(&b.name));
        let (unloaded, models) = models.into_iter().partition(|model| unloaded.contains(&*model.name));
        Self { models, unloaded, complete: !instances.is_empty() && described.len() == instances.len() }
    }
}

/// The instances, shared by all calls.
pub struct Registry {
    config: Arc<RouterConfig>,
    worker_tls: Option<Arc<Connector>>,
    health: Health,
    clock: Clock,
    members: Mutex<Members>,
    snapshot: RwLock<Arc<Snapshot>>,
    /// Counts what calls that wait may have waited for.
    news: watch::Sender<u64>,
    tasks: TaskTracker,
    runtime: Handle,
}

#[derive(Default)]
struct Members {
    /// In the order of the list.
    list: Vec<Member>,
    /// Models out of service.
    unloaded: HashSet<String>,
    /// Names whose health was reported.
    reported: HashSet<String>,
    /// Health stays as it is from now on.
    closed: bool,
}

struct Member {
    instance: Arc<Instance>,
    stop: CancellationToken,
}

impl Registry {
    /// Empty; `health` will say what its instances offer, connections will live in the current runtime.
    pub fn new(config: Arc<RouterConfig>, worker_tls: Option<Connector>, health: Health, clock: Clock) -> Self {
        Self {
            config,
            worker_tls: worker_tls.map(Arc::new),
            health,
            clock,
            members: Mutex::default(),
            snapshot: RwLock::default(),
            news: watch::Sender::default(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
        }
    }

    /// What calls choose from now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.read().clone()
    }

    /// The instances in the order of their list.
    pub fn instances(&self) -> Vec<Arc<Instance>> {
        self.members.lock().list.iter().map(|member| member.instance.clone()).collect()
    }

    /// Makes the instances these: the unchanged stay as they are, the missing finish what they have.
    pub fn set_instances(self: &Arc<Self>, addresses: Vec<Address>) {
        let mut members = self.members.lock();
        let mut old: HashMap<Address, Member> =
            members.list.drain(..).map(|member| (member.instance.address.clone(), member)).collect();
        let mut seen = HashSet::new();
        let unique = addresses.into_iter().filter(|address| seen.insert(address.clone()));
        members.list = unique.map(|address| old.remove(&address).unwrap_or_else(|| self.enlist(address))).collect();
        old.into_values().for_each(|member| member.stop.cancel());
        self.refresh(&mut members);
    }

    fn enlist(self: &Arc<Self>, address: Address) -> Member {
        let instance = Arc::new(Instance::new(address, &self.config));
        let stop = CancellationToken::new();
        for lane in 0..self.config.connections.max(1) {
            let keeper = Keeper::new(lane, instance.clone(), self.clone(), self.config.clone(), stop.clone());
            self.tasks.spawn_on(keeper.keep(), &self.runtime);
        }
        Member { instance, stop }
    }

    /// Tells when an instance has come or gone, from now on.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// A supervisor has spoken of some instances; of those it left out nobody says anything any more.
    pub fn supervised(&self, lives: &HashMap<Address, (Told, Option<DescribeInstanceResponse>)>) {
        for instance in self.instances() {
            let (told, described) = lives.get(&instance.address).cloned().unwrap_or_default();
            if let Some(described) = described.filter(|_| instance.described().is_none()) {
                instance.describe(described);
            }
            if instance.life.tell(told) {
                instance.nudge();
            }
        }
        self.refresh(&mut self.members.lock());
    }

    /// An instance has told what it serves.
    pub fn described(&self, instance: &Instance, response: DescribeInstanceResponse) {
        instance.describe(response);
        self.refresh(&mut self.members.lock());
    }

    /// An instance has come or gone.
    pub fn changed(&self, instance: &Instance, state: InstanceState) {
        if instance.set_state(state, self.clock.now()) {
            self.report(&mut self.members.lock());
        }
    }

    /// The model of this name, in service or not.
    pub fn known(&self, name: &str) -> Result<Arc<Model>, Error> {
        let snapshot = self.snapshot();
        let model = snapshot.model(name).or(snapshot.unloaded(name)).cloned();
        model.ok_or_else(|| models::unknown(&snapshot, name))
    }

    /// Takes a model out of service, or back into it; it is the model then.
    pub fn set_loaded(&self, name: &str, loaded: bool) -> Result<Arc<Model>, Error> {
        let mut members = self.members.lock();
        let model = self.known(name)?;
        match loaded {
            true => members.unloaded.remove(name),
            false => members.unloaded.insert(name.to_string()),
        };
        self.refresh(&mut members);
        Ok(model)
    }

    /// The instance of this name.
    pub fn instance(&self, name: &str) -> Result<Arc<Instance>, Error> {
        let all = self.instances();
        all.iter().find(|instance| *instance.name() == *name).cloned().ok_or_else(|| {
            let known: Vec<_> = all.iter().map(|instance| instance.name()).collect();
            Error::InstanceNotFound { instance: name.into(), known: known.join(", ") }
        })
    }

    /// Takes an instance out of the choice, or back into it.
    pub fn set_drained(&self, name: &str, drained: bool) -> Result<Arc<Instance>, Error> {
        let instance = self.instance(name)?;
        instance.set_drained(drained, self.clock.now());
        self.report(&mut self.members.lock());
        Ok(instance)
    }

    /// The way to TCP workers, where it is by TLS.
    pub fn worker_tls(&self) -> Option<&Connector> {
        self.worker_tls.as_deref()
    }

    /// Whether health says that a name serves.
    pub fn is_serving(&self, name: &str) -> bool {
        self.health.is_serving(name)
    }

    /// Health stays as it is from now on: the router leaves.
    pub fn close(&self) {
        self.members.lock().closed = true;
    }

    /// Ends every connection and waits for their tasks.
    pub async fn stop(&self) {
        self.members.lock().list.iter().for_each(|member| member.stop.cancel());
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn refresh(&self, members: &mut Members) {
        let instances: Vec<_> = members.list.iter().map(|member| member.instance.clone()).collect();
        *self.snapshot.write() = Arc::new(Snapshot::of(&instances, &members.unloaded));
        self.report(members);
    }

    /// Tells health what is offered now, and takes back what no instance has any more.
    fn report(&self, members: &mut Members) {
        self.news.send_modify(|count| *count += 1);
        if members.closed {
            return;
        }
        let offered = offered(&self.snapshot());
        for gone in members.reported.iter().filter(|name| !offered.contains_key(*name)) {
            self.health.set(gone, ServingStatus::ServiceUnknown);
        }
        for (name, serving) in &offered {
            self.health.set(name, if *serving { ServingStatus::Serving } else { ServingStatus::NotServing });
        }
        members.reported = offered.into_keys().collect();
    }
}

/// Health names and whether an instance stands behind each that answers, if need be once it runs.
fn offered(snapshot: &Snapshot) -> HashMap<String, bool> {
    let mut offered = HashMap::from([(String::new(), false), ("waypost.v1.MeshService".to_string(), true)]);
    offered.extend(METHODS.iter().map(|method| (method.service.to_string(), false)));
    offered.extend(snapshot.unloaded.iter().map(|model| (model_name(&model.name), false)));
    for model in &snapshot.models {
        let ready =
            || model.replicas.iter().filter(|replica| replica.instance.is_ready() || replica.instance.is_wakeable());
        offered.insert(model_name(&model.name), ready().next().is_some());
        for method in METHODS.iter().filter(|method| ready().any(|replica| replica.served.does(method.task))) {
            offered.insert(method.service.to_string(), true);
            offered.insert(String::new(), true);
        }
    }
    offered
}
