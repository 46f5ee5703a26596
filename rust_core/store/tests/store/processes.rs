//! Routers are processes, and processes are killed.

use std::{
    collections::HashMap,
    env,
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
    time::SystemTime,
};

use tokio::task::JoinSet;
use waypost_store::{Ask, Money, Outcome, Place, ReserveError, Store, Ticket};

use crate::common::{ask, everywhere, mesh_cap, money, month, open, runtime, second};

const CAP: i64 = 2_000_000;
const AMOUNT: i64 = 500;
const COST: i64 = 300;
/// Of each process.
const CLIENTS: i64 = 8;
/// Names the store to a process that is to spend.
const PLACE: &str = "WAYPOST_TEST_PLACE";
/// Settled calls after which the process is killed.
const BEFORE_DEATH: usize = 200;

#[test]
fn killed_routers_lose_neither_money_nor_lines() {
    everywhere(async |place| {
        let store = open(&place).await;
        let mut routers = [Router::start(&place), Router::start(&place), Router::start(&place)];
        let mut settled = Vec::new();
        for router in &mut routers[..2] {
            settled
                .extend(router.lines.by_ref().map_while(Result::ok).filter(|line| is_settled(line)).take(BEFORE_DEATH));
            router.process.kill().expect("it can be killed");
        }
        for router in &mut routers {
            settled.extend(router.lines.by_ref().map_while(Result::ok).filter(|line| is_settled(line)));
            router.process.wait().expect("it ends");
        }
        let (spent, reserved) = money(&store).await;
        let used = spent + reserved;
        assert!(used <= CAP && used + CLIENTS * AMOUNT > CAP, "{spent} + {reserved} of {CAP}");
        assert!(reserved >= 2 * AMOUNT, "each of the killed had a call under way");

        store.sweep(SystemTime::now()).await.expect("it answers");
        assert_eq!(money(&store).await, (used, 0));
        let ledger = store.ledger(month(), usize::MAX).await.expect("it answers");
        assert_eq!(ledger.iter().map(|call| call.cost.0).sum::<i64>(), used);
        let ends: HashMap<_, _> = ledger.into_iter().map(|call| (call.request_id, call.outcome)).collect();
        assert!(settled.iter().all(|line| ends.get(line) == Some(&Outcome::Served)), "a settled call has no line");
        let lost = ends.values().filter(|outcome| **outcome == Outcome::Lost).count();
        assert_eq!(lost as i64, reserved / AMOUNT);
    });
}

/// Not a test: what [`Router::start`] runs.
#[test]
#[ignore = "it is the process that another test starts"]
fn router() {
    let Ok(place) = env::var(PLACE) else { return };
    let place = Place::parse(&place).expect("it is a place");
    runtime().block_on(async {
        let store = open(&place).await;
        let _under_way = reserve(&store, format!("under way at {}", std::process::id())).await;
        (0..CLIENTS).map(|client| spend(store.clone(), client)).collect::<JoinSet<_>>().join_all().await;
    });
}

/// Calls, and says of which calls it knows that they are settled.
async fn spend(store: Store, client: i64) {
    for count in 0.. {
        let request = format!("settled-{}-{client}-{count}", std::process::id());
        let Some(ticket) = reserve(&store, request.clone()).await else { return };
        store.settle(ticket, Money(COST), Outcome::Served).await.expect("it answers");
        println!("\n{request}");
    }
}

/// A ticket, or nothing where the cap is reached.
async fn reserve(store: &Store, request_id: String) -> Option<Ticket> {
    match store.reserve(Ask { request_id, caps: mesh_cap(CAP), expires_at: second(1), ..ask(AMOUNT) }).await {
        Ok((ticket, _)) => Some(ticket),
        Err(ReserveError::Exceeded { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

struct Router {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Router {
    fn start(place: &Place) -> Self {
        let mut command = Command::new(env::current_exe().expect("this is a program"));
        let arguments = ["--exact", "processes::router", "--ignored", "--nocapture"];
        let mut process = command
            .args(arguments)
            .env(PLACE, whole(place))
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be started again");
        let lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        Self { process, lines }
    }
}

/// With the login that a place does not show.
fn whole(place: &Place) -> String {
    match place {
        Place::Postgres(url) => url.clone(),
        other => other.to_string(),
    }
}

fn is_settled(line: &str) -> bool {
    line.starts_with("settled-")
}
