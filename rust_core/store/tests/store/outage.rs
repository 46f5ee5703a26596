//! A store that cannot answer says so at once, and is right again when it can.

use std::time::{Duration, Instant, SystemTime};

use waypost_store::{Ask, Money, Outcome, Place, ReserveError, Settings, Store, StoreError, Ticket};

use crate::{
    common::{RedisServer, ask, money, postgres, runtime},
    proxy::{Flow, Proxy},
};

/// Longer than a server takes, shorter than anybody wants to wait.
const TIMEOUT: Duration = Duration::from_millis(300);

async fn open(place: &Place) -> Store {
    let settings = Settings { timeout: TIMEOUT, ..Settings::default() };
    Store::open_with(place, "router", settings).await.expect("it opens")
}

/// Once the server has been reached, which takes the first session longer than it may take here on a busy machine.
async fn reached(place: &Place) -> Store {
    let store = open(place).await;
    while store.sweep(SystemTime::UNIX_EPOCH).await.is_err() || store.reserve(ask(0)).await.is_err() {
        tokio::task::yield_now().await;
    }
    store
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
        let store = open(&server.place()).await;
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
        let store = open(&server.place()).await;
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
fn what_nobody_waits_for_is_settled_once_redis_is_back() {
    let Some(server) = RedisServer::start() else { return };
    runtime().block_on(async {
        let store = reached(&server.place()).await;
        let mut tickets = Vec::new();
        for _ in 0..20 {
            tickets.push(store.reserve(ask(40)).await.expect("it fits").0);
        }
        server.signal("STOP");
        assert_unreachable(&store).await;
        for ticket in tickets {
            store.settle_soon(ticket, Money(30), Outcome::Served).expect("it is taken");
        }
        server.signal("CONT");
        wait_for(&store, (600, 0)).await;
    });
}

#[test]
fn of_a_redis_that_does_not_answer_one_at_a_time_finds_out() {
    let Some(server) = RedisServer::start() else { return };
    runtime().block_on(async {
        let store = reached(&server.place()).await;
        server.signal("STOP");
        assert_unreachable(&store).await;
        let before = Instant::now();
        let tasks = (0..100).map(|_| store.clone()).map(|store| async move { store.reserve(ask(40)).await.map(drop) });
        let ends = tasks.collect::<tokio::task::JoinSet<_>>().join_all().await;
        let at_once = ends.iter().filter(|end| matches!(end, Err(ReserveError::Store(StoreError::Away)))).count();
        assert!(at_once >= 80 && before.elapsed() < 20 * TIMEOUT, "{at_once}");
        server.signal("CONT");
        wait_for(&store, (0, 0)).await;
        store.reserve(ask(40)).await.map(drop).expect("it answers again");
    });
}

#[test]
fn postgres_that_is_gone_is_an_error_until_it_is_back() {
    let Some(url) = postgres() else { return };
    runtime().block_on(async {
        let proxy = Proxy::start(&url).await;
        let store = reached(&proxy.place()).await;
        let (ticket, _) = store.reserve(ask(40)).await.expect("it fits");
        proxy.set(Flow::Cut);
        assert_unreachable(&store).await;
        assert!(store.check().await.is_err());
        assert!(matches!(
            store.settle(ticket.clone(), Money(30), Outcome::Served).await,
            Err(StoreError::Unreachable(_))
        ));

        proxy.set(Flow::Open);
        settle_at_last(&store, ticket).await;
        assert_eq!(money(&store).await, (30, 0));
    });
}

/// It may be that the commit arrived and its answer did not: who does not know settles again.
async fn settle_at_last(store: &Store, ticket: Ticket) {
    while store.settle(ticket.clone(), Money(30), Outcome::Served).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn what_nobody_waits_for_is_settled_once_postgres_is_back() {
    let Some(url) = postgres() else { return };
    runtime().block_on(async {
        let proxy = Proxy::start(&url).await;
        let store = reached(&proxy.place()).await;
        let (ticket, _) = store.reserve(ask(40)).await.expect("it fits");
        proxy.set(Flow::Cut);
        store.settle_soon(ticket, Money(30), Outcome::Served).expect("it is taken");
        assert_unreachable(&store).await;
        proxy.set(Flow::Open);
        wait_for(&store, (30, 0)).await;
    });
}

#[test]
fn what_a_stalled_postgres_reserves_too_late_is_given_back() {
    let Some(url) = postgres() else { return };
    runtime().block_on(async {
        let proxy = Proxy::start(&url).await;
        let store = reached(&proxy.place()).await;
        proxy.set(Flow::Stalled);
        assert_unreachable(&store).await;
        proxy.set(Flow::Open);
        wait_for(&store, (0, 0)).await;
        while store.reserve(ask(40)).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
}

/// Returns when so much is spent and reserved.
async fn wait_for(store: &Store, expected: (i64, i64)) {
    while store.check().await.is_err() || money(store).await != expected {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_text_that_postgres_cannot_keep_is_refused_alone() {
    let Some(url) = postgres() else { return };
    runtime().block_on(async {
        let store = reached(&Place::Postgres(url)).await;
        let refused = store.reserve(Ask { tenant: "a\0b".into(), ..ask(1) }).await;
        assert!(matches!(refused, Err(ReserveError::Store(StoreError::Failed(_)))), "{refused:?}");
    });
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let Some(url) = postgres() else { return };
    runtime().block_on(async {
        let place = Place::Postgres(url.clone());
        drop(reached(&place).await);
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("it answers");
        tokio::spawn(connection);
        client.batch_execute("UPDATE waypost.version SET number = 99").await.expect("it is written");
        let refused = crate::common::open(&place).await.check().await.expect_err("it is newer");
        assert!(refused.to_string().contains("schema 99, of a newer version"), "{refused}");
    });
}

#[test]
fn a_server_that_is_not_there_yet_can_be_named() {
    for place in ["redis://127.0.0.1:1/0", "postgresql://postgres@127.0.0.1:1/postgres"] {
        let place = Place::parse(place).expect("it is a place");
        runtime().block_on(async {
            let store = Store::open(&place, "router").await.expect("it does not connect yet");
            assert!(matches!(store.check().await, Err(StoreError::Unreachable(_))));
        });
    }
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
