//! Every behaviour is shown on every database that can be had here.

use std::{
    env,
    future::Future,
    io::{self, BufRead, BufReader, Write},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::runtime::{Builder, Runtime};
use waypost_store::{Ask, Caps, Money, Month, Place, ReserveError, Settings, Standing, Store};

pub const TENANT: &str = "acme";
pub const MODEL: &str = "gpt";
/// Names a PostgreSQL server to the tests, as a superuser; `python -m tests.postgres run -- COMMAND` starts one.
const POSTGRES: &str = "WAYPOST_TEST_POSTGRES";

/// A Redis server of its own, which keeps nothing and ends with this.
pub struct RedisServer {
    process: Child,
    port: u16,
}

impl RedisServer {
    /// Starts it; where it is not installed, says so and gives nothing.
    pub fn start() -> Option<Self> {
        Self::start_at(free_port())
    }

    /// The place of its first database.
    pub fn place(&self) -> Place {
        Place::parse(&format!("redis://127.0.0.1:{}/0", self.port)).expect("it is a place")
    }

    /// Sends it a signal by name, such as STOP.
    pub fn signal(&self, name: &str) {
        let process = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &process]).status().expect("kill can be run");
        assert!(sent.success());
    }

    /// Has it do something, as another program would.
    pub fn command(&self, words: &[&str]) {
        let place = self.place().to_string();
        let client = redis::Client::open(place).expect("it is an address");
        let mut connection = client.get_connection().expect("it answers");
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(word);
        });
        command.exec(&mut connection).expect("it is done");
    }

    /// Ends it and starts an empty one in its place.
    pub fn replace(self) -> Self {
        let port = self.port;
        drop(self);
        Self::start_at(port).expect("it was started before")
    }

    fn start_at(port: u16) -> Option<Self> {
        let arguments = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/tmp", "--port"];
        let mut command = Command::new("redis-server");
        let mut process = match command.args(arguments).arg(port.to_string()).stdout(Stdio::piped()).spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return skipped("redis-server is not installed, so nothing was shown of Redis");
            }
            started => started.expect("redis-server starts"),
        };
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let ready = output.lines().map_while(Result::ok).any(|line| line.contains("Ready to accept connections"));
        assert!(ready, "redis-server ended at once: is port {port} taken?");
        Some(Self { process, port })
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The address of a new, empty database of the server that the environment names; where it names none, says so.
pub fn postgres() -> Option<String> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let Ok(server) = env::var(POSTGRES) else {
        return skipped(&format!("{POSTGRES} names no server, so nothing was shown of PostgreSQL"));
    };
    let name = format!("store_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    runtime().block_on(async {
        let (client, connection) = tokio_postgres::connect(&server, tokio_postgres::NoTls).await.expect("it answers");
        tokio::spawn(connection);
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("it can make a database");
    });
    let (root, _) = server.rsplit_once('/').expect("a database is named");
    Some(format!("{root}/{name}"))
}

/// Past the capture of the test harness, so that it is seen of a test that passes.
fn skipped<T>(why: &str) -> Option<T> {
    let _ = writeln!(io::stderr(), "SKIPPED: {why}");
    None
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port is free").port()
}

/// Shows the behaviour of an empty SQLite file, of an empty Redis and of an empty database of PostgreSQL.
pub fn everywhere<F, R>(behaviour: F)
where
    F: Fn(Place) -> R,
    R: Future<Output = ()>,
{
    let folder = tempfile::tempdir().expect("a folder can be made");
    runtime().block_on(behaviour(Place::Sqlite(folder.path().join("store.db"))));
    if let Some(server) = RedisServer::start() {
        runtime().block_on(behaviour(server.place()));
    }
    if let Some(url) = postgres() {
        runtime().block_on(behaviour(Place::Postgres(url)));
    }
}

pub fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts")
}

/// With more patience than routers have: a busy machine is no failure.
pub async fn open(place: &Place) -> Store {
    let settings = Settings { timeout: Duration::from_secs(60), ..Settings::default() };
    Store::open_with(place, "router", settings).await.expect("it opens")
}

pub fn month() -> Month {
    "2026-11".parse().expect("it is a month")
}

pub fn mesh_cap(cap: i64) -> Caps {
    Caps { mesh: Some(Money(cap)), tenant: None }
}

/// Seconds after 1970, for what expires.
pub fn second(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// For so much, with no caps, expiring in the first second.
pub fn ask(amount: i64) -> Ask {
    Ask {
        request_id: "request".into(),
        tenant: TENANT.into(),
        model: MODEL.into(),
        month: month(),
        amount: Money(amount),
        caps: Caps::default(),
        expires_at: second(1),
    }
}

pub async fn standing(store: &Store) -> Standing {
    store.standing(None, month(), Caps::default()).await.expect("it answers")
}

/// Spent and reserved of all tenants.
pub async fn money(store: &Store) -> (i64, i64) {
    let standing = standing(store).await;
    (standing.spent.0, standing.reserved.0)
}

/// What had been reserved where a cap refused.
pub fn held_when_refused(error: &ReserveError) -> i64 {
    match error {
        ReserveError::Exceeded { reserved, .. } => reserved.0,
        ReserveError::Store(error) => panic!("{error}"),
    }
}
