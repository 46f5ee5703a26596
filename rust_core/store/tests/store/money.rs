//! What becomes of money.

use std::time::{Duration, SystemTime};

use crate::common::{MODEL, TENANT, ask, everywhere, mesh_cap, money, month, open, second};
use waypost_store::{Ask, Caps, ModelSpend, Money, Outcome, ReserveError, Scope, StoreError};

#[test]
fn what_is_reserved_is_held_and_what_is_settled_is_spent() {
    everywhere(async |place| {
        let store = open(&place).await;
        let (ticket, standing) = store.reserve(Ask { caps: mesh_cap(100), ..ask(40) }).await.expect("it fits");
        assert_eq!((standing.spent, standing.reserved), (Money(0), Money(40)));
        assert_eq!((standing.remaining, standing.used_share), (Some(Money(60)), 0.4));
        let standing = store.settle(ticket, Money(30), Outcome::Served).await.expect("it answers");
        assert_eq!((standing.spent, standing.reserved, standing.remaining), (Money(30), Money(0), Some(Money(70))));
    });
}

#[test]
fn a_cap_can_be_reached_but_not_passed() {
    everywhere(async |place| {
        let store = open(&place).await;
        let asked = |amount| Ask { caps: mesh_cap(100), ..ask(amount) };
        let (ticket, _) = store.reserve(asked(90)).await.expect("it fits");
        store.settle(ticket, Money(60), Outcome::Served).await.expect("it answers");
        let _held = store.reserve(asked(30)).await.expect("it fits");
        match store.reserve(asked(11)).await {
            Err(ReserveError::Exceeded { scope, cap, spent, reserved, asked }) => {
                assert_eq!(scope, Scope::Mesh);
                assert_eq!([cap, spent, reserved, asked], [100, 60, 30, 11].map(Money));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(money(&store).await, (60, 30));
        let _all = store.reserve(asked(10)).await.expect("it is all there is");
    });
}

#[test]
fn a_tenant_is_limited_by_its_own_cap_and_by_everybodys() {
    everywhere(async |place| {
        let store = open(&place).await;
        let caps = Caps { mesh: Some(Money(100)), tenant: Some(Money(50)) };
        let asked = |tenant: &str, amount| Ask { tenant: tenant.into(), caps, ..ask(amount) };
        let refused = async |tenant, amount| match store.reserve(asked(tenant, amount)).await {
            Err(ReserveError::Exceeded { scope, .. }) => Some(scope),
            other => other.map(|_| None).expect("it answers"),
        };
        assert_eq!(refused("a", 51).await, Some(Scope::Tenant));
        assert_eq!(refused("a", 50).await, None);
        assert_eq!(refused("b", 40).await, None);
        assert_eq!(refused("c", 20).await, Some(Scope::Mesh));
        let standing = store.standing(Some("b"), month(), caps).await.expect("it answers");
        assert_eq!((standing.reserved, standing.remaining, standing.used_share), (Money(40), Some(Money(10)), 0.9));
    });
}

#[test]
fn settling_again_changes_nothing() {
    everywhere(async |place| {
        let store = open(&place).await;
        let (ticket, _) = store.reserve(ask(40)).await.expect("it fits");
        for (cost, outcome) in [(30, Outcome::Served), (35, Outcome::Failed), (0, Outcome::Unused), (40, Outcome::Lost)]
        {
            let standing = store.settle(ticket.clone(), Money(cost), outcome).await.expect("it answers");
            assert_eq!((standing.spent, standing.reserved), (Money(30), Money(0)));
        }
        let ledger = store.ledger(month(), 10).await.expect("it answers");
        assert_eq!(
            ledger.iter().map(|call| (call.cost, call.outcome)).collect::<Vec<_>>(),
            [(Money(30), Outcome::Served)]
        );
    });
}

#[test]
fn what_is_settled_soon_is_seen_by_others_without_being_waited_for() {
    everywhere(async |place| {
        let (store, other) = (open(&place).await, open(&place).await);
        let (ticket, _) = store.reserve(ask(40)).await.expect("it fits");
        store.settle_soon(ticket, Money(30), Outcome::Cancelled).expect("it is taken");
        while money(&other).await != (30, 0) {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn what_cost_more_than_was_held_is_booked_as_it_is() {
    everywhere(async |place| {
        let store = open(&place).await;
        let (ticket, _) = store.reserve(Ask { caps: mesh_cap(100), ..ask(40) }).await.expect("it fits");
        let standing = store.settle(ticket, Money(120), Outcome::Served).await.expect("it answers");
        assert_eq!((standing.spent, standing.remaining, standing.used_share), (Money(120), Some(Money(0)), 1.2));
    });
}

#[test]
fn a_call_whose_router_died_is_lost_at_all_that_it_held() {
    everywhere(async |place| {
        let dead = open(&place).await;
        let _ticket = dead.reserve(Ask { expires_at: second(10), ..ask(40) }).await.expect("it fits");
        drop(dead);

        let store = open(&place).await;
        assert_eq!(money(&store).await, (0, 40));
        assert_eq!(store.sweep(second(9)).await.expect("it answers"), 0);
        assert_eq!(store.sweep(second(10)).await.expect("it answers"), 1);
        assert_eq!(store.sweep(second(10)).await.expect("it answers"), 0);
        assert_eq!(money(&store).await, (40, 0));
        let ledger = store.ledger(month(), 10).await.expect("it answers");
        assert_eq!((ledger[0].cost, ledger[0].outcome), (Money(40), Outcome::Lost));
    });
}

#[test]
fn a_lost_call_that_is_settled_late_costs_what_it_did() {
    everywhere(async |place| {
        let store = open(&place).await;
        let (ticket, _) = store.reserve(ask(40)).await.expect("it fits");
        store.sweep(second(1)).await.expect("it answers");
        store.settle(ticket.clone(), Money(15), Outcome::Served).await.expect("it answers");
        store.settle(ticket, Money(20), Outcome::Served).await.expect("it answers");
        assert_eq!(money(&store).await, (15, 0));
        let ledger = store.ledger(month(), 10).await.expect("it answers");
        assert_eq!(
            ledger.iter().map(|call| (call.cost, call.outcome)).collect::<Vec<_>>(),
            [(Money(15), Outcome::Served)]
        );
        let models = store.spend_by_model(None, month()).await.expect("it answers");
        assert_eq!(models, [ModelSpend { model: MODEL.into(), calls: 1, spent: Money(15) }]);
    });
}

#[test]
fn what_was_never_sent_costs_nothing_and_is_no_call() {
    everywhere(async |place| {
        let store = open(&place).await;
        let (ticket, _) = store.reserve(ask(40)).await.expect("it fits");
        store.settle(ticket, Money(0), Outcome::Unused).await.expect("it answers");
        assert_eq!(money(&store).await, (0, 0));
        let models = store.spend_by_model(None, month()).await.expect("it answers");
        assert_eq!(models, [ModelSpend { model: MODEL.into(), calls: 0, spent: Money(0) }]);
    });
}

#[test]
fn a_call_counts_in_the_month_it_was_asked_for() {
    everywhere(async |place| {
        let store = open(&place).await;
        let december = "2026-12".parse().expect("it is a month");
        let (ticket, _) = store.reserve(Ask { caps: mesh_cap(50), ..ask(40) }).await.expect("it fits");
        let next = Ask { month: december, caps: mesh_cap(50), ..ask(50) };
        let (_held, standing) = store.reserve(next).await.expect("a new month is empty");
        assert_eq!(standing.reserved, Money(50));
        let standing = store.settle(ticket, Money(35), Outcome::Served).await.expect("it answers");
        assert_eq!((standing.spent, standing.reserved), (Money(35), Money(0)));
        assert_eq!(store.ledger(december, 10).await.expect("it answers"), []);
    });
}

#[test]
fn models_are_told_apart_the_dearest_first() {
    everywhere(async |place| {
        let store = open(&place).await;
        let names = [("a:", "gpt"), ("a", ":gpt"), ("a", "small"), ("b", "small")];
        for (cost, (tenant, model)) in names.into_iter().enumerate() {
            let asked = Ask { tenant: tenant.into(), model: model.into(), ..ask(100) };
            let (ticket, _) = store.reserve(asked).await.expect("it fits");
            store.settle(ticket, Money(cost as i64), Outcome::Served).await.expect("it answers");
        }
        let spend = |model: &str, calls, spent| ModelSpend { model: model.into(), calls, spent: Money(spent) };
        let all = store.spend_by_model(None, month()).await.expect("it answers");
        assert_eq!(all, [spend("small", 2, 5), spend(":gpt", 1, 1), spend("gpt", 1, 0)]);
        let one = store.spend_by_model(Some("a"), month()).await.expect("it answers");
        assert_eq!(one, [spend("small", 1, 2), spend(":gpt", 1, 1)]);
    });
}

#[test]
fn the_ledger_has_a_line_for_each_call_the_newest_first() {
    everywhere(async |place| {
        let store = open(&place).await;
        for name in ["first", "second", "third"] {
            let (ticket, _) = store.reserve(Ask { request_id: name.into(), ..ask(40) }).await.expect("it fits");
            store.settle(ticket, Money(30), Outcome::Failed).await.expect("it answers");
        }
        let ledger = store.ledger(month(), 2).await.expect("it answers");
        let mut names: Vec<_> = ledger.iter().map(|call| call.request_id.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names.len(), 2);
        let call = &ledger[0];
        assert_eq!((call.tenant.as_str(), call.model.as_str(), call.router.as_str()), (TENANT, MODEL, "router"));
        assert_eq!(
            (call.month, call.reserved, call.cost, call.outcome),
            (month(), Money(40), Money(30), Outcome::Failed)
        );
        assert!(call.begun_at <= call.ended_at);
    });
}

#[test]
fn purging_forgets_lines_but_no_money_and_nothing_under_way() {
    everywhere(async |place| {
        let store = open(&place).await;
        let (ticket, _) = store.reserve(ask(40)).await.expect("it fits");
        store.settle(ticket, Money(30), Outcome::Served).await.expect("it answers");
        let (open, _) = store.reserve(ask(5)).await.expect("it fits");
        let later = SystemTime::now() + Duration::from_secs(60);
        assert_eq!(store.purge(second(1)).await.expect("it answers"), 0);
        assert_eq!(store.purge(later).await.expect("it answers"), 1);
        assert_eq!(store.ledger(month(), 10).await.expect("it answers"), []);
        assert_eq!(money(&store).await, (30, 5));
        store.settle(open, Money(4), Outcome::Served).await.expect("it answers");
        assert_eq!(money(&store).await, (34, 0));
    });
}

#[test]
fn the_largest_amounts_are_counted_to_the_last() {
    everywhere(async |place| {
        let store = open(&place).await;
        let asked = |amount| Ask { caps: mesh_cap(Money::MAX.0), ..ask(amount) };
        let _most = store.reserve(asked(Money::MAX.0 - 1)).await.expect("it fits");
        assert!(matches!(store.reserve(asked(2)).await, Err(ReserveError::Exceeded { .. })));
        let _last = store.reserve(asked(1)).await.expect("it fits");
        assert!(matches!(store.reserve(asked(1)).await, Err(ReserveError::Exceeded { .. })));
    });
}

#[test]
fn what_is_no_price_is_refused() {
    everywhere(async |place| {
        let store = open(&place).await;
        let refused = store.reserve(ask(-1)).await;
        assert!(matches!(refused, Err(ReserveError::Store(StoreError::NoPrice(Money(-1))))));
        let (ticket, _) = store.reserve(ask(Money::MAX.0)).await.expect("there is no cap");
        let refused = store.settle(ticket, Money(i64::MAX), Outcome::Served).await;
        assert!(matches!(refused, Err(StoreError::NoPrice(_))));
    });
}
