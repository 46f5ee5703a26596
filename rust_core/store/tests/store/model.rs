//! All databases against the rules written down in the simplest way.

use std::{cell::Cell, time::Duration};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::runtime::Runtime;
use waypost_store::{Ask, Caps, Money, Month, Outcome, Place, ReserveError, Settings, Store, Ticket};

use crate::common::{RedisServer, ask, postgres, runtime, second};

const TENANTS: [&str; 2] = ["a", "b"];
const MODELS: [&str; 2] = ["x", "y"];
const OUTCOMES: [Outcome; 5] = [Outcome::Served, Outcome::Failed, Outcome::Cancelled, Outcome::Unused, Outcome::Lost];
const CAPS: Caps = Caps { mesh: Some(Money(150)), tenant: Some(Money(100)) };

#[derive(Clone, Debug)]
enum Step {
    Reserve { tenant: usize, model: usize, month: usize, amount: i64, expires: u64 },
    Settle { call: usize, cost: i64, outcome: usize },
    Sweep { now: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let reserve = (0..2usize, 0..2usize, 0..2usize, 0..60i64, 0..9u64)
        .prop_map(|(tenant, model, month, amount, expires)| Step::Reserve { tenant, model, month, amount, expires });
    let settle =
        (0..20usize, 0..80i64, 0..5usize).prop_map(|(call, cost, outcome)| Step::Settle { call, cost, outcome });
    let sweep = (0..9u64).prop_map(|now| Step::Sweep { now });
    vec(prop_oneof![4 => reserve, 4 => settle, 1 => sweep], 1..40)
}

#[test]
fn a_file_keeps_the_rules() {
    let runtime = runtime();
    check(|steps| {
        let store = runtime.block_on(Store::open(&Place::Memory, "router")).expect("it opens");
        follow(&runtime, &store, &steps);
    });
}

#[test]
fn redis_keeps_the_rules() {
    let Some(server) = RedisServer::start() else { return };
    check_server(&server.place());
}

#[test]
fn postgres_keeps_the_rules() {
    let Some(url) = postgres() else { return };
    check_server(&Place::Postgres(url));
}

/// Each case has its own part of the server.
fn check_server(place: &Place) {
    let (runtime, cases) = (runtime(), Cell::new(0));
    check(|steps| {
        cases.set(cases.get() + 1);
        let settings = Settings {
            prefix: format!("case-{}", cases.get()),
            timeout: Duration::from_secs(60),
            ..Settings::default()
        };
        let store = runtime.block_on(Store::open_with(place, "router", settings)).expect("it opens");
        follow(&runtime, &store, &steps);
    });
}

fn check(case: impl Fn(Vec<Step>)) {
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    let same = runner.run(&steps(), |steps| {
        case(steps);
        Ok(())
    });
    same.expect("the same steps come to the same");
}

fn follow(runtime: &Runtime, store: &Store, steps: &[Step]) {
    let mut model = Model::default();
    let mut tickets = Vec::new();
    for step in steps {
        let refused = runtime.block_on(take(store, &mut tickets, step));
        assert_eq!(refused, model.take(step), "{step:?}");
        runtime.block_on(compare(store, &model));
    }
}

/// Does the step; whether it was refused.
async fn take(store: &Store, tickets: &mut Vec<Ticket>, step: &Step) -> bool {
    match step {
        Step::Reserve { tenant, model, month, amount, expires } => {
            let asked = Ask {
                tenant: TENANTS[*tenant].into(),
                model: MODELS[*model].into(),
                month: month_of(*month),
                caps: CAPS,
                expires_at: second(*expires),
                ..ask(*amount)
            };
            match store.reserve(asked).await {
                Ok((ticket, _)) => tickets.push(ticket),
                Err(ReserveError::Exceeded { .. }) => return true,
                Err(error) => panic!("{error}"),
            }
        }
        Step::Settle { call, cost, outcome } => {
            if let Some(ticket) = tickets.get(*call).cloned() {
                store.settle(ticket, Money(*cost), OUTCOMES[*outcome]).await.expect("it answers");
            }
        }
        Step::Sweep { now } => drop(store.sweep(second(*now)).await.expect("it answers")),
    }
    false
}

async fn compare(store: &Store, model: &Model) {
    for month in 0..2 {
        for (tenant, name) in TENANTS.iter().enumerate() {
            let standing = store.standing(Some(name), month_of(month), CAPS).await.expect("it answers");
            assert_eq!((standing.spent.0, standing.reserved.0), model.totals(month, Some(tenant)));
            let spend = store.spend_by_model(Some(name), month_of(month)).await.expect("it answers");
            let spend = spend.iter().filter(|it| (it.calls, it.spent.0) != (0, 0));
            let mut spend: Vec<_> = spend.map(|it| (it.model.clone(), it.calls, it.spent.0)).collect();
            spend.sort();
            assert_eq!(spend, model.by_model(month, tenant));
        }
        let standing = store.standing(None, month_of(month), CAPS).await.expect("it answers");
        assert_eq!((standing.spent.0, standing.reserved.0), model.totals(month, None));
        assert_eq!(store.ledger(month_of(month), 100).await.expect("it answers").len(), model.ended(month));
    }
}

fn month_of(index: usize) -> Month {
    ["2026-11", "2026-12"][index].parse().expect("it is a month")
}

/// All calls in a list, counted anew for each question.
#[derive(Default)]
struct Model(Vec<Call>);

struct Call {
    tenant: usize,
    model: usize,
    month: usize,
    amount: i64,
    expires: u64,
    end: Option<(i64, Outcome)>,
}

impl Model {
    fn take(&mut self, step: &Step) -> bool {
        match *step {
            Step::Reserve { tenant, model, month, amount, expires } => {
                let used = |tenant| self.totals(month, tenant).0 + self.totals(month, tenant).1;
                if used(None) + amount > 150 || used(Some(tenant)) + amount > 100 {
                    return true;
                }
                self.0.push(Call { tenant, model, month, amount, expires, end: None });
            }
            Step::Settle { call, cost, outcome } => {
                let call = self.0.get_mut(call).filter(|call| call.end.is_none_or(|(_, it)| it == Outcome::Lost));
                call.into_iter().for_each(|call| call.end = Some((cost, OUTCOMES[outcome])));
            }
            Step::Sweep { now } => {
                let overdue = self.0.iter_mut().filter(|call| call.end.is_none() && call.expires <= now);
                overdue.for_each(|call| call.end = Some((call.amount, Outcome::Lost)));
            }
        }
        false
    }

    fn totals(&self, month: usize, tenant: Option<usize>) -> (i64, i64) {
        let calls = self.0.iter().filter(|call| call.month == month && tenant.is_none_or(|it| it == call.tenant));
        calls.fold((0, 0), |(spent, reserved), call| match call.end {
            Some((cost, _)) => (spent + cost, reserved),
            None => (spent, reserved + call.amount),
        })
    }

    fn by_model(&self, month: usize, tenant: usize) -> Vec<(String, u64, i64)> {
        let spend = |model: usize| {
            let calls = self.0.iter().filter(|it| (it.month, it.tenant, it.model) == (month, tenant, model));
            let ends = calls.filter_map(|call| call.end);
            ends.fold((0, 0), |(calls, spent), (cost, outcome)| {
                (calls + u64::from(outcome != Outcome::Unused), spent + cost)
            })
        };
        let all = (0..2).map(|model| (MODELS[model].to_owned(), spend(model).0, spend(model).1));
        all.filter(|(_, calls, spent)| (*calls, *spent) != (0, 0)).collect()
    }

    fn ended(&self, month: usize) -> usize {
        self.0.iter().filter(|call| call.month == month && call.end.is_some()).count()
    }
}
