//! Choosing a replica, sending the original bytes there, and trying once more elsewhere.
//!
//! A second attempt needs a reason, room in the budget and time before the deadline.  It is made only while the
//! client has seen nothing of the first, and only where doing the work twice does no harm or it was not begun.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::HeaderMap;
use tonic::Status;

use super::{
    call::{Answer, Call},
    instance::Instance,
    link::{Link, ReplyBody},
    methods::Shape,
    models::{RETRY_PAUSE, Wanted},
    outcome::{Outcome, Retry},
    registry::Model,
    replicas::Picked,
    reply::{self, Broken, Reply},
    stream::{Pump, Streamed},
};
use crate::{error::Error, headers};

impl Call {
    /// The answer of a replica of `model`.
    pub async fn forward(&mut self, wanted: &Wanted, model: &Model, message: Bytes) -> Result<Answer, Status> {
        self.plane.budget.deposit();
        let mut tried: Vec<Arc<Instance>> = Vec::new();
        let mut picked = self.plane.chooser.pick(model, wanted, &tried).ok_or_else(|| no_instance(model))?;
        loop {
            tried.push(picked.attempt.replica.instance.clone());
            let link = self.begin(picked, wanted);
            let result = match self.send(link, wanted, message.clone()).await {
                Ok(Answer::Whole(reply)) => Ok(reply),
                Ok(streamed) => return Ok(streamed),
                Err(broken) => Err(broken),
            };
            let outcome = self.judge(&result);
            match self.pick_again(model, wanted, &tried, outcome).await {
                Some(next) => picked = next,
                None => return result.map(Answer::Whole).map_err(|broken| self.explain(model, broken)),
            }
        }
    }

    fn begin(&mut self, picked: Picked, wanted: &Wanted) -> Option<Link> {
        let Picked { attempt, link, reason, candidates } = picked;
        let replica = attempt.replica.clone();
        self.attempts += 1;
        self.replica_reason = reason.as_str();
        self.record().note(|event| {
            event.chosen = Some(replica.served.instance.clone());
            event.cost_usd += wanted.cost(&replica.served);
            if event.reason.is_none() {
                (event.reason, event.candidates) = (Some(reason.as_str()), candidates);
            }
        });
        self.attempt = Some(attempt);
        self.replica = Some(replica);
        link
    }

    async fn send(&mut self, link: Option<Link>, wanted: &Wanted, message: Bytes) -> Result<Answer, Broken> {
        let mut link = link.ok_or(Broken::Unsent)?;
        let headers = self.metadata(wanted);
        let (response, mut stream) = link.open(self.path.clone(), headers).map_err(|_| Broken::Unsent)?;
        stream.send_data(message, self.method.shape != Shape::Both)?;
        let pump = match self.method.shape {
            Shape::Both => self.rest.take().map(|rest| Pump::start(rest, stream)),
            _ => None,
        };
        let response = response.await?.map(ReplyBody);
        if self.method.shape == Shape::Unary || reply::is_status_only(response.headers()) {
            let limit = self.plane.config.limits.max_receive_bytes;
            return Reply::collect(response, limit).await.map(Answer::Whole);
        }
        Ok(Answer::Streamed(Streamed { response, pump }))
    }

    fn metadata(&self, wanted: &Wanted) -> HeaderMap {
        let mut metadata = self.headers.clone();
        self.deadline.write(&mut metadata, Instant::now());
        if let Some(replica) = self.replica.as_ref().filter(|_| wanted.asked.model.is_empty()) {
            metadata.insert(headers::MODEL, replica.served.model_header.clone());
        }
        metadata
    }

    fn judge(&mut self, result: &Result<Reply, Broken>) -> Outcome {
        let outcome = Outcome::of(result);
        self.end_attempt(outcome.code, outcome.verdict);
        outcome
    }

    /// A place for the next attempt, where there is to be one.
    async fn pick_again(
        &self,
        model: &Model,
        wanted: &Wanted,
        tried: &[Arc<Instance>],
        outcome: Outcome,
    ) -> Option<Picked> {
        if !self.may_retry(outcome) {
            return None;
        }
        let next = match (self.pick(model, wanted, tried), outcome.retry) {
            (None, Retry::Again(pause)) => {
                tokio::time::sleep(pause).await;
                self.pick(model, wanted, &[])
            }
            (elsewhere, _) => elsewhere,
        };
        next.filter(|_| outcome.untouched || self.plane.budget.withdraw())
    }

    /// Among the replicas there are by now: a worker that was lost may have been replaced.
    fn pick(&self, model: &Model, wanted: &Wanted, tried: &[Arc<Instance>]) -> Option<Picked> {
        let snapshot = self.plane.registry.snapshot();
        self.plane.chooser.pick(snapshot.model(&model.name)?, wanted, tried)
    }

    fn may_retry(&self, outcome: Outcome) -> bool {
        let harmless = self.method.idempotent || outcome.untouched;
        let unread = self.method.shape != Shape::Both || self.rest.is_some();
        let left = self.attempts < self.plane.config.retry.max_attempts as usize;
        outcome.retry != Retry::No && harmless && unread && left
    }

    fn explain(&self, model: &Model, broken: Broken) -> Status {
        match broken {
            Broken::TooLarge(actual) => {
                let limit = self.plane.config.limits.max_receive_bytes;
                Error::MessageTooLarge { limit, actual }.into()
            }
            Broken::Unsent | Broken::Lost => {
                let instance = self.replica.as_ref().map_or(&model.name, |replica| &replica.served.instance);
                Error::InstanceLost { instance: instance.to_string() }.into()
            }
        }
    }
}

fn no_instance(model: &Model) -> Status {
    Error::NoInstance { model: model.name.to_string(), retry_after: RETRY_PAUSE }.into()
}
