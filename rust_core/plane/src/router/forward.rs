//! One hop: choosing a replica, sending the original bytes there, and trying once more elsewhere.
//!
//! A second attempt needs a reason, room in the budget and time before the deadline.  It is made only while the
//! client has seen nothing of the first, and only where doing the work twice does no harm or it was not begun.  A
//! hedge is a second attempt that does not wait for the first to fail: whichever answers well wins, the other is
//! cancelled.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use futures::future::{Either, select};
use http::{HeaderMap, HeaderValue};
use tonic::{Code, Status};
use waypost_decide::stats::Verdict;

use super::{
    call::Call,
    delivery::{Answer, Delivery, Parcel},
    events::Tried,
    instance::Instance,
    life::Waiting,
    methods::Shape,
    models::{RETRY_PAUSE, Wanted},
    money::{Price, Spending, Tokens, Told},
    outcome::{self, Outcome, Retry, Trouble},
    plan::Hop,
    registry::Model,
    replicas::{NoPick, Picked},
    reply::{Broken, Reply},
    style,
};
use crate::{
    error::Error,
    headers,
    proto::v1::{LifeState, ModelInfo},
};

/// How a hop ended.
pub struct Ended {
    /// What the client would get.
    pub answer: Result<Answer, Status>,
    /// Why another model should be asked.
    pub trouble: Option<Trouble>,
}

impl Ended {
    /// Without having been sent.
    pub fn refused(error: Error) -> Self {
        Self { trouble: Trouble::of_refusal(&error), answer: Err(error.into()) }
    }
}

impl Call {
    /// The answer of a replica of the hop's model.
    pub async fn forward(&mut self, hop: &Hop, wanted: &Wanted, message: &Bytes) -> Ended {
        self.plane.budget.deposit();
        let parcel = self.parcel(hop, wanted, message);
        let mut tried: Vec<Arc<Instance>> = Vec::new();
        let mut picked = match self.pick_first(&hop.model, wanted).await {
            Ok(picked) => picked,
            Err(error) => return Ended::refused(error),
        };
        loop {
            tried.push(picked.attempt.replica.instance.clone());
            let delivery = match self.begin(picked, wanted).await {
                Ok(delivery) => delivery,
                Err(error) => return Ended::refused(error),
            };
            let (delivery, result) = self.exchange(delivery, &parcel, hop, wanted, &mut tried).await;
            let reply = match result {
                Ok(Answer::Streamed(streamed)) => return self.stream(delivery, streamed),
                Ok(Answer::Whole(reply)) => Ok(reply),
                Err(broken) => Err(broken),
            };
            let outcome = self.judge(delivery, &reply, wanted);
            match self.pick_again(&hop.model, wanted, &tried, &outcome).await {
                Some(next) => {
                    picked = next;
                    self.record().note(|event| event.seen.retries += 1);
                }
                None => return self.ended(&hop.model, reply, outcome),
            }
        }
    }

    /// A replica that is there, or one that is asleep once it is there.
    async fn pick_first(&mut self, model: &Model, wanted: &Wanted) -> Result<Picked, Error> {
        let mut since = None;
        loop {
            let mut news = self.plane.registry.news();
            let snapshot = self.plane.registry.snapshot();
            let known = snapshot.model(&model.name).map_or(model, |known| known);
            match self.plane.chooser.pick(known, wanted, &[], self.deadline) {
                Ok(picked) => {
                    self.signature.waited = since.map(|since: Instant| since.elapsed()).or(self.signature.waited);
                    return Ok(picked);
                }
                Err(NoPick::None) => {}
                Err(why) => return Err(unpicked(model, why)),
            }
            let _waiting = self.wait_for(known, wanted)?;
            since.get_or_insert_with(Instant::now);
            // Fails only where the registry is gone, and the router with it.
            let _ = news.changed().await;
        }
    }

    /// Has an instance started that is asleep, and counts as one who waits for it.
    fn wait_for(&self, model: &Model, wanted: &Wanted) -> Result<Waiting, Error> {
        let asleep = wanted.met_by(&model.replicas).find(|replica| replica.instance.is_awaited());
        let Some(replica) = asleep else { return Err(unstarted(model, wanted)) };
        let (waiting, is_first) = replica.instance.life.wait(self.plane.config.limits.max_waiting)?;
        if is_first {
            self.plane.bell.ring();
        }
        Ok(waiting)
    }

    fn stream(&mut self, delivery: Delivery, streamed: super::stream::Streamed) -> Ended {
        self.delivery = Some(delivery);
        Ended { answer: Ok(Answer::Streamed(streamed)), trouble: None }
    }

    fn ended(&self, model: &Model, reply: Result<Reply, Broken>, outcome: Outcome) -> Ended {
        let answer = reply.map(Answer::Whole).map_err(|broken| self.explain(model, broken));
        Ended { answer, trouble: outcome.trouble }
    }

    /// Everything that is the same wherever it goes.
    fn parcel(&self, hop: &Hop, wanted: &Wanted, message: &Bytes) -> Parcel {
        Parcel {
            path: self.path.clone(),
            headers: self.metadata(hop, wanted),
            message: style::apply(&self.plane.config.style, self.method, &hop.model.name, message),
            shape: self.method.shape,
            limit: self.plane.config.limits.max_receive_bytes,
        }
    }

    fn metadata(&self, hop: &Hop, wanted: &Wanted) -> HeaderMap {
        let mut metadata = self.headers.clone();
        self.deadline.write(&mut metadata, Instant::now());
        if wanted.asked.model != *hop.model.name {
            let name = hop.model.replicas.first().map(|replica| replica.served.model_header.clone());
            metadata.extend(name.map(|name| (http::HeaderName::from_static(headers::MODEL), name)));
        }
        if let Some(tenant) = self.tenant.as_ref().and_then(|tenant| tenant.header.clone()) {
            metadata.insert(headers::TENANT, tenant);
        }
        if let Some(name) = self.signature.answer_id.clone() {
            metadata.insert(headers::REQUEST_ID, name);
        }
        metadata
    }

    /// Counts it in, and holds what it may cost.
    async fn begin(&mut self, picked: Picked, wanted: &Wanted) -> Result<Delivery, Error> {
        let Picked { attempt, link, reason, candidates } = picked;
        let replica = attempt.replica.clone();
        let spending = self.reserve(wanted, &replica.served.info).await?;
        replica.instance.life.called(SystemTime::now());
        replica.served.called();
        self.signature.attempts += 1;
        self.signature.replica_reason = reason.name();
        let span = self.record().child();
        let row = self.record().note(|event| {
            event.chosen = Some(replica.served.instance.clone());
            if event.reason.is_none() {
                (event.reason, event.candidates) = (Some(reason.name()), candidates);
            }
            event.attempts.push(Tried::begun(replica.served.clone(), span));
            event.attempts.len() - 1
        });
        self.signature.replica = Some(replica);
        Ok(Delivery { attempt, link, spending, row: row.unwrap_or_default(), span })
    }

    async fn reserve(&self, wanted: &Wanted, info: &ModelInfo) -> Result<Option<Spending>, Error> {
        let price = wanted.price(info);
        let Some(tenant) = self.tenant.as_ref().filter(|_| !price.is_free()) else { return Ok(None) };
        let most = price.cost(Tokens::most(wanted, info, self.plane.config.style.prompt.len()));
        let left = self.deadline.left(Instant::now());
        self.plane.purse.reserve(tenant, &info.name, most, &self.request_id(), left).await.map(Some)
    }

    /// Sends it, and where that takes long sends it elsewhere too.
    async fn exchange(
        &mut self,
        first: Delivery,
        parcel: &Parcel,
        hop: &Hop,
        wanted: &Wanted,
        tried: &mut Vec<Arc<Instance>>,
    ) -> (Delivery, Result<Answer, Broken>) {
        let Some(delay) = self.hedge_after(&first) else { return first.send(parcel, &mut self.rest).await };
        let mut no_rest = None;
        let mut sending = Box::pin(first.send(parcel, &mut no_rest));
        if let Ok(done) = tokio::time::timeout(delay, &mut sending).await {
            return done;
        }
        let Some(second) = self.hedge(hop, wanted, tried).await else { return sending.await };
        let mut no_rest = None;
        let second = Box::pin(second.send(parcel, &mut no_rest));
        match select(sending, second).await {
            Either::Left((done, other)) => better(done, other).await,
            Either::Right((done, other)) => better(done, other).await,
        }
    }

    fn hedge_after(&self, first: &Delivery) -> Option<std::time::Duration> {
        let hedge = self.plane.hedge.as_ref()?;
        let suits = self.method.idempotent && self.method.shape == Shape::Unary && first.spending.is_none();
        if !suits {
            return None;
        }
        hedge.sent();
        let now = self.plane.clock.now();
        hedge.delay(first.attempt.replica.instance.stats.lock().latencies(), now)
    }

    async fn hedge(&mut self, hop: &Hop, wanted: &Wanted, tried: &mut Vec<Arc<Instance>>) -> Option<Delivery> {
        if !self.plane.hedge.as_ref()?.may_hedge() {
            return None;
        }
        let picked = self.plane.chooser.pick(&hop.model, wanted, tried, self.deadline).ok()?;
        tried.push(picked.attempt.replica.instance.clone());
        let delivery = self.begin(picked, wanted).await.ok()?;
        self.record().note(|event| event.seen.hedges += 1);
        Some(delivery)
    }

    /// Takes note of an attempt's end, and settles what it cost.
    fn judge(&mut self, delivery: Delivery, reply: &Result<Reply, Broken>, wanted: &Wanted) -> Outcome {
        let outcome = Outcome::of(reply);
        // Of two that raced it is the one that came in.
        let replica = delivery.attempt.replica.clone();
        self.record().note(|event| event.chosen = Some(replica.served.instance.clone()));
        self.signature.replica = Some(replica);
        if let Some(pause) = outcome.cool {
            delivery.attempt.replica.served.cool(self.plane.clock.now(), pause);
        }
        if let (Some(traced), Ok(reply)) = (self.record().traced(), reply) {
            traced.answered(reply);
        }
        let told = reply.as_ref().map(|reply| told(reply, wanted)).unwrap_or_default();
        self.end(delivery, outcome.code, outcome.verdict, told);
        outcome
    }

    /// An attempt has ended, and this is what its reply says of it.
    pub fn end(&mut self, delivery: Delivery, code: Code, verdict: Verdict, told: Told) {
        let Delivery { attempt, spending, row, .. } = delivery;
        let info = &attempt.replica.served.info;
        let price = Price::of(info);
        let mut cost_usd = 0.0;
        if let Some(spending) = spending {
            let (usd, left) = match (verdict, told.tokens) {
                (Verdict::Refused, _) => {
                    spending.release();
                    (0.0, None)
                }
                (_, Some(used)) => {
                    let usd = price.cost(used);
                    (usd, spending.settle(usd))
                }
                (Verdict::Answered, None) if code != Code::Ok => (0.0, spending.settle(0.0)),
                // What is dropped unsettled is spent.
                (_, None) => (spending.most(), None),
            };
            cost_usd = usd;
            self.signature.spend(usd, left);
            self.record().note(|event| event.cost_usd += usd);
        }
        let latency = attempt.elapsed();
        attempt.end(verdict);
        self.record().note(|event| {
            if let Some(tried) = event.attempts.get_mut(row) {
                tried.end(code, latency, Instant::now());
                (tried.told, tried.cost_usd) = (told, cost_usd);
            }
        });
    }

    /// A place for the next attempt, where there is to be one.
    async fn pick_again(
        &self,
        model: &Model,
        wanted: &Wanted,
        tried: &[Arc<Instance>],
        outcome: &Outcome,
    ) -> Option<Picked> {
        if !self.may_retry(outcome, tried.len()) {
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
        self.plane.chooser.pick(snapshot.model(&model.name)?, wanted, tried, self.deadline).ok()
    }

    fn may_retry(&self, outcome: &Outcome, attempts: usize) -> bool {
        let harmless = self.method.idempotent || outcome.untouched;
        let unread = self.method.shape != Shape::Both || self.rest.is_some();
        let left = attempts < self.plane.config.retry.max_attempts as usize;
        outcome.retry != Retry::No && harmless && unread && left
    }

    fn explain(&self, model: &Model, broken: Broken) -> Status {
        match broken {
            Broken::TooLarge(actual) => {
                let limit = self.plane.config.limits.max_receive_bytes;
                Error::MessageTooLarge { limit, actual }.into()
            }
            Broken::Unsent | Broken::Lost => {
                let replica = self.signature.replica.as_ref();
                let instance = replica.map_or(&model.name, |replica| &replica.served.instance);
                Error::InstanceLost { instance: instance.to_string() }.into()
            }
        }
    }

    /// What the call is called in ledger and feedback.
    pub fn request_id(&self) -> String {
        let id = self.signature.answer_id.as_ref().map(HeaderValue::to_str);
        id.and_then(Result::ok).unwrap_or_default().to_string()
    }
}

/// What a reply says of its work.
fn told(reply: &Reply, wanted: &Wanted) -> Told {
    match reply.message() {
        Some(message) if reply.code() == Code::Ok => Told::of(wanted.method.task, &message),
        _ => Told { tokens: outcome::is_unbilled(reply.meta()).then(Tokens::default), queue: None },
    }
}

/// The first of two to be done, unless it went wrong and the other may not.
async fn better(
    done: (Delivery, Result<Answer, Broken>),
    other: impl Future<Output = (Delivery, Result<Answer, Broken>)>,
) -> (Delivery, Result<Answer, Broken>) {
    match &done.1 {
        Ok(Answer::Whole(reply)) if reply.code() == Code::Ok => done,
        _ => other.await,
    }
}

/// Why nobody is waited for.
fn unstarted(model: &Model, wanted: &Wanted) -> Error {
    let failed = wanted.met_by(&model.replicas).find(|replica| replica.instance.life.state() == LifeState::Failed);
    let Some(replica) = failed else { return unpicked(model, NoPick::None) };
    Error::LoadFailed {
        model: model.name.to_string(),
        instance: replica.served.instance.to_string(),
        why: replica.instance.life.told().error,
        retry_after: RETRY_PAUSE,
    }
}

fn unpicked(model: &Model, why: NoPick) -> Error {
    let model = model.name.to_string();
    match why {
        NoPick::None => Error::NoInstance { model, retry_after: RETRY_PAUSE },
        NoPick::Paused { left } => Error::RateLimited { model, retry_after: left },
        NoPick::Full { limit } => Error::QueueFull { limit: limit as usize, retry_after: RETRY_PAUSE },
    }
}
