//! A conversation with whoever starts and ends instances: it says how they live, and hears how much they are wanted.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use tokio::time::{MissedTickBehavior, interval};
use tonic::{Status, Streaming};

use super::{
    Plane,
    life::{self, Told},
};
use crate::{
    address::Address,
    error::Error,
    proto::v1::{DescribeInstanceResponse, InstanceLife, SuperviseRequest, SuperviseResponse},
};

/// Demand is told so often where nobody begins to wait.
const PERIOD: Duration = Duration::from_secs(1);

/// What a supervisor hears.
pub type Demands = Pin<Box<dyn Stream<Item = Result<SuperviseResponse, Status>> + Send>>;

type Lives = HashMap<Address, (Told, Option<DescribeInstanceResponse>)>;

/// Who supervises: the one who came last.
#[derive(Default)]
pub struct Supervision(AtomicU64);

/// One conversation; with its end nobody is waited for any more, unless another has begun.
struct Turn {
    plane: Arc<Plane>,
    number: u64,
}

impl Turn {
    fn begin(plane: Arc<Plane>) -> Self {
        let number = plane.supervision.0.fetch_add(1, Relaxed) + 1;
        Self { plane, number }
    }

    fn is_last(&self) -> bool {
        self.plane.supervision.0.load(Relaxed) == self.number
    }

    fn told(&self, request: SuperviseRequest) -> Result<(), Status> {
        let lives = request.instances.into_iter().enumerate().map(read).collect::<Result<Lives, _>>()?;
        self.plane.registry.supervised(&lives);
        Ok(())
    }

    fn demands(&self) -> SuperviseResponse {
        let (instances, hot) = (self.plane.registry.instances(), self.plane.hotset.now());
        SuperviseResponse { instances: instances.iter().map(|instance| life::demand(instance, &hot)).collect() }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_last() {
            self.plane.registry.supervised(&Lives::new());
        }
    }
}

/// Hears `requests`, and answers as long as they come and nobody else supervises.
pub fn supervise(plane: Arc<Plane>, requests: Streaming<SuperviseRequest>) -> Demands {
    let (bell, leaving) = (plane.bell.clone(), plane.leaving.clone());
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let talk = (Turn::begin(plane), requests, ticks, bell);
    let answers = stream::unfold(talk, |(turn, mut requests, mut ticks, bell)| async move {
        let heard = tokio::select! {
            request = requests.message() => match request {
                Ok(Some(request)) => turn.told(request),
                Ok(None) | Err(_) => return None,
            },
            () = bell.rung() => Ok(()),
            _ = ticks.tick() => Ok(()),
        };
        if !turn.is_last() {
            return None;
        }
        let answer = heard.map(|()| turn.demands());
        Some((answer, (turn, requests, ticks, bell)))
    });
    Box::pin(answers.take_until(leaving.cancelled_owned()))
}

fn read((index, life): (usize, InstanceLife)) -> Result<(Address, (Told, Option<DescribeInstanceResponse>)), Error> {
    let wrong = |name: &str, actual: String, expected: &str| Error::InvalidField {
        field: format!("instances[{index}].{name}").into(),
        actual,
        expected: expected.into(),
    };
    let address = life.address.parse();
    let address = address.map_err(|_| wrong("address", format!("{:?}", life.address), "host:port or unix:/path"))?;
    let start = life.start.map(Duration::try_from).transpose();
    let start = start.map_err(|_| wrong("start", "negative".into(), "0 or longer"))?;
    let told = Told { state: life.state(), start, error: life.error };
    Ok((address, (told, life.described)))
}
