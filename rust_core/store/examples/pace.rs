//! What does it cost to reserve and settle?
//!
//! ```text
//! cargo run --release -p waypost-store --example pace -- sqlite:pace.db 1 16 64
//! ```
//!
//! For each number of clients at once: pairs of reserve and settle per second, how long a pair takes, and the CPU that
//! this process (not Redis) used per pair, from Linux's own count.  The store is kept: run it again to see a full one.

use std::{
    env, fs,
    time::{Duration, Instant, SystemTime},
};

use tokio::{runtime::Builder, task::JoinSet};
use waypost_store::{Ask, Caps, Money, Month, Outcome, Place, Store};

const TIME: Duration = Duration::from_secs(3);

fn main() {
    let mut arguments = env::args().skip(1);
    let place = arguments.next().expect("name a place, such as memory:");
    let place = Place::parse(&place).expect("it is a place");
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts");
    let store = runtime.block_on(Store::open(&place, "pace")).expect("it opens");
    println!("{:>7} {:>8} {:>9} {:>9} {:>9} {:>9}", "clients", "settled", "pairs/s", "p50 us", "p99 us", "CPU us");
    for clients in arguments {
        let clients = clients.parse().expect("it is a number of clients");
        for soon in [false, true] {
            runtime.block_on(measure(&store, clients, soon));
        }
    }
}

async fn measure(store: &Store, clients: usize, soon: bool) {
    let (begin, cpu) = (Instant::now(), cpu_time());
    let tasks = (0..clients).map(|client| pairs(store.clone(), client, begin + TIME, soon));
    let mut times: Vec<_> = tasks.collect::<JoinSet<_>>().join_all().await.into_iter().flatten().collect();
    let (took, cpu) = (begin.elapsed(), cpu_time() - cpu);
    times.sort_unstable();
    let rate = times.len() as f64 / took.as_secs_f64();
    let at = |share: usize| times[times.len() * share / 100].as_micros();
    let each = cpu.as_secs_f64() * 1e6 / times.len() as f64;
    let settled = if soon { "soon" } else { "awaited" };
    println!("{clients:>7} {settled:>8} {rate:>9.0} {:>9} {:>9} {each:>9.1}", at(50), at(99));
}

async fn pairs(store: Store, client: usize, end: Instant, soon: bool) -> Vec<Duration> {
    let mut times = Vec::new();
    while Instant::now() < end {
        let begin = Instant::now();
        let (ticket, _) = store.reserve(ask(client)).await.expect("it fits");
        match soon {
            true => store.settle_soon(ticket, Money(700), Outcome::Served).expect("it is taken"),
            false => drop(store.settle(ticket, Money(700), Outcome::Served).await.expect("it answers")),
        }
        times.push(begin.elapsed());
    }
    times
}

fn ask(client: usize) -> Ask {
    let now = SystemTime::now();
    Ask {
        request_id: "0198f2a3-7c1e-7d52-9b64-1f0e8a6c5d3b".into(),
        tenant: format!("tenant-{}", client % 8),
        model: format!("model-{}", client % 4),
        month: Month::of(now),
        amount: Money(1_000),
        caps: Caps { mesh: Some(Money::MAX), tenant: Some(Money::MAX) },
        expires_at: now + Duration::from_secs(600),
    }
}

/// Of all threads, in user and kernel: fields 14 and 15, in hundredths of a second.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}
