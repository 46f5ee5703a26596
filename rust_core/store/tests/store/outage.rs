//! A store that cannot answer says so at once, and is right again when it can.

use std::time::{Duration, Instant};

use waypost_store::{Money, Outcome, Place, ReserveError, Settings, Store, StoreError};

use crate::common::{RedisServer, ask, money, runtime};

/// Longer than a server takes, shorter than anybody wants to wait.
const TIMEOUT: Duration = Duration::from_millis(300);

async fn open(server: &RedisServer) -> Store {
    let settings = Settings { timeout: TIMEOUT, ..Settings::default() };
    Store::open_with(&server.place(), "router", settings).await.expect("it opens")
}

/// Reserves in vain, and not for long.
async fn assert_unreachable(store: &Store) {
    let before = Instant::now();
    match store.reserve(ask(40)).await {
        Err(ReserveError::Store(StoreError::Unreachable(_))) => {}
        other => panic!("{other:?}"),
    }
    assert!(before.elapsed() < 5 * TIMEOUT);
}

#[test]
fn a_server_that_is_gone_is_an_error_until_it_is_back() {
    let Some(server) = RedisServer::start() else { return };
    runtime().block_on(async {
        let store = open(&server).await;
        let (ticket, _) = store.reserve(ask(40)).await.expect("it fits");
        server.signal("KILL");
        assert_unreachable(&store).await;
        assert!(store.check().await.is_err());

        let _server = server.replace();
        // It came back empty: what a call cost is booked all the same.
        store.settle(ticket, Money(30), Outcome::Served).await.expect("it answers again");
        assert_eq!(money(&store).await, (30, 0));
    });
}

#[test]
fn what_a_stalled_server_reserves_too_late_is_given_back() {
    let Some(server) = RedisServer::start() else { return };
    runtime().block_on(async {
        let store = open(&server).await;
        store.check().await.expect("it answers");
        server.signal("STOP");
        assert_unreachable(&store).await;
        server.signal("CONT");
        while store.check().await.is_err() || money(&store).await != (0, 0) {
            tokio::task::yield_now().await;
        }
        store.reserve(ask(40)).await.map(drop).expect("it answers again");
    });
}

#[test]
fn a_server_that_is_not_there_yet_can_be_named() {
    let place = Place::parse("redis://127.0.0.1:1/0").expect("it is a place");
    runtime().block_on(async {
        let store = Store::open(&place, "router").await.expect("it does not connect yet");
        assert!(matches!(store.check().await, Err(StoreError::Unreachable(_))));
    });
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let place = Place::parse("sqlite:/nowhere/at/all.db").expect("it is a place");
    let refused = runtime().block_on(Store::open(&place, "router")).map(drop).expect_err("there is no such folder");
    assert!(refused.to_string().starts_with("no store can be opened at sqlite:/nowhere/at/all.db: "), "{refused}");
}

#[test]
fn more_than_may_wait_for_a_file_is_refused_at_once() {
    let settings = Settings { queue: 1, ..Settings::default() };
    runtime().block_on(async {
        let store = Store::open_with(&Place::Memory, "router", settings).await.expect("it opens");
        let (mut held, mut full) = (0, 0);
        let tasks = (0..2_000).map(|_| store.clone()).map(|store| async move { store.reserve(ask(1)).await.map(drop) });
        for end in tasks.collect::<tokio::task::JoinSet<_>>().join_all().await {
            match end {
                Ok(()) => held += 1,
                Err(ReserveError::Store(StoreError::Full(1))) => full += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(held > 0 && held + full == 2_000);
        assert_eq!(money(&store).await, (0, held));
    });
}
