//! A cap holds whoever asks at once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio::task::JoinSet;
use waypost_store::{Ask, Caps, Money, Outcome, ReserveError, Store};

use crate::common::{ask, everywhere, held_when_refused, mesh_cap, money, month, open, second};

const DOLLAR: i64 = 1_000_000_000;
/// The most that one call can cost: a hundredth of a cent to 0.2 cents.
const DEAREST: i64 = 2_000_000;
const CLIENTS: u64 = 64;

#[test]
fn a_dollar_under_64_clients_and_3_routers_is_spent_but_not_passed() {
    everywhere(async |place| {
        let routers = [open(&place).await, open(&place).await, open(&place).await];
        let over = Arc::new(AtomicBool::new(false));
        let watch = tokio::spawn(watch(open(&place).await, Arc::clone(&over)));
        let mut clients = JoinSet::new();
        for seed in 0..CLIENTS {
            clients.spawn(spend_all(routers[seed as usize % routers.len()].clone(), seed));
        }
        let ends = clients.join_all().await;
        over.store(true, Ordering::Relaxed);
        let seen = watch.await.expect("no panic");

        let (spent, reserved) = money(&routers[0]).await;
        let smallest = ends.iter().map(|end| end.refused).min().expect("there are clients");
        assert!(seen.most <= DOLLAR, "a dollar was passed: {}", Money(seen.most));
        assert!(spent <= DOLLAR && spent + smallest > DOLLAR, "{} of a dollar were spent", Money(spent));
        assert_eq!((reserved, spent), (0, ends.iter().map(|end| end.spent).sum()));
        assert_books_agree(&routers[1], spent, ends.iter().map(|end| end.calls).sum()).await;
    });
}

#[test]
fn a_reservation_whose_caller_leaves_is_given_back() {
    everywhere(async |place| {
        let store = open(&place).await;
        store.check().await.expect("it answers");
        for _ in 0..8 {
            let reserve = store.reserve(ask(40));
            // Once polled, it is sent; then the caller leaves, but for an answer that was quicker.
            let answered = tokio::select! { biased; reserved = reserve => Some(reserved), () = async {} => None };
            if let Some((ticket, _)) = answered.transpose().expect("it fits") {
                store.settle(ticket, Money(0), Outcome::Unused).await.expect("it answers");
            }
        }
        // Those that were sent have their place in the queue before this; what gives them back has not.
        while money(&store).await != (0, 0) {
            tokio::task::yield_now().await;
        }
        let models = store.spend_by_model(None, month()).await.expect("it answers");
        assert_eq!(models.iter().map(|model| model.calls).sum::<u64>(), 0);
    });
}

#[test]
fn a_call_is_swept_by_one_of_many_sweepers_and_settled_by_one_of_many() {
    everywhere(async |place| {
        let stores = [open(&place).await, open(&place).await];
        let mut tickets = Vec::new();
        for _ in 0..600 {
            tickets.push(stores[0].reserve(ask(10)).await.expect("it fits").0);
        }
        let sweeps = stores.iter().cloned().map(|store| async move { store.sweep(second(1)).await });
        let swept: u64 = sweeps.collect::<JoinSet<_>>().join_all().await.into_iter().map(Result::unwrap).sum();
        assert_eq!((swept, money(&stores[0]).await), (600, (6_000, 0)));

        let late = tickets.iter().flat_map(|ticket| stores.iter().map(|store| (store.clone(), ticket.clone())));
        let settle = late.map(|(store, ticket)| async move { store.settle(ticket, Money(3), Outcome::Served).await });
        settle.collect::<JoinSet<_>>().join_all().await.into_iter().for_each(|settled| assert!(settled.is_ok()));
        assert_eq!(money(&stores[1]).await, (1_800, 0));
    });
}

struct End {
    spent: i64,
    calls: u64,
    /// The amount that did not fit any more.
    refused: i64,
}

/// Calls until what it asks for does not fit though nothing is held.
async fn spend_all(store: Store, seed: u64) -> End {
    let mut random = SmallRng::seed_from_u64(seed);
    let (mut spent, mut calls, mut amount) = (0, 0, random.random_range(100_000..=DEAREST));
    loop {
        let asked = Ask { tenant: format!("tenant-{}", seed % 4), caps: mesh_cap(DOLLAR), ..ask(amount) };
        match store.reserve(asked).await {
            Ok((ticket, _)) => {
                let cost = random.random_range(0..=amount);
                store.settle(ticket, Money(cost), Outcome::Served).await.expect("it answers");
                (spent, calls, amount) = (spent + cost, calls + 1, random.random_range(100_000..=DEAREST));
            }
            Err(error) if held_when_refused(&error) == 0 => return End { spent, calls, refused: amount },
            Err(ReserveError::Exceeded { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

struct Seen {
    most: i64,
}

/// The most that was ever spent and reserved together.
async fn watch(store: Store, over: Arc<AtomicBool>) -> Seen {
    let mut most = 0;
    while !over.load(Ordering::Relaxed) {
        let (spent, reserved) = money(&store).await;
        most = most.max(spent + reserved);
    }
    Seen { most }
}

/// The ledger, the models and the tenants all add up to the month.
async fn assert_books_agree(store: &Store, spent: i64, calls: u64) {
    let ledger = store.ledger(month(), usize::MAX).await.expect("it answers");
    assert_eq!((ledger.len() as u64, ledger.iter().map(|call| call.cost.0).sum()), (calls, spent));
    let models = store.spend_by_model(None, month()).await.expect("it answers");
    let models = models.iter().fold((0, 0), |(calls, spent), model| (calls + model.calls, spent + model.spent.0));
    assert_eq!(models, (calls, spent));
    let mut tenants = 0;
    for index in 0..4 {
        let tenant = format!("tenant-{index}");
        tenants += store.standing(Some(&tenant), month(), Caps::default()).await.expect("it answers").spent.0;
    }
    assert_eq!(tenants, spent);
}
