//! From model to model until an answer is good enough: the frame around [`super::forward`].
//!
//! The best answer seen is kept: where the last hop fails or is no better, a poor answer is more than none.  Nothing
//! is tried again once a byte has gone to the client, so a stream is judged afterwards and for the record only.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tonic::{Code, Status};
use waypost_decide::route::State;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    cache::{Found, Key, Lead},
    call::Call,
    delivery::Answer,
    events::HopLine,
    features::Features,
    forward::Ended,
    models::{RETRY_PAUSE, Wanted},
    outcome::Trouble,
    plan::{Hop, Plan, Sources},
    reply::Reply,
    semantic::{Near, Place},
};
use crate::error::Error;

/// Time that returning an answer in hand takes, amply.
const TO_RETURN: Duration = Duration::from_millis(50);

impl Call {
    /// The answer of whichever model gives one.
    pub async fn route(&mut self, wanted: &Wanted, message: &Bytes) -> Result<Answer, Status> {
        let mut plan = self.plan(wanted)?;
        let mut state = state(wanted.features.as_ref());
        let mut best = None;
        while let Some(hop) = plan.next(wanted, &mut state) {
            let Some(ended) = self.hop_in_time(&hop, wanted, message, best.as_ref()).await else { break };
            let trouble = ended.trouble;
            best = Some(better(best, ended));
            match trouble {
                Some(trouble) => note(&mut state, trouble),
                None => break,
            }
        }
        let model = wanted.asked.model.clone();
        let none = Error::NoInstance { model, retry_after: RETRY_PAUSE };
        best.map_or_else(|| Err(none.into()), |ended: Ended| ended.answer)
    }

    /// With an answer in hand, if a poor one, the next model may not use up the time to return it.
    async fn hop_in_time(
        &mut self,
        hop: &Hop,
        wanted: &Wanted,
        message: &Bytes,
        best: Option<&Ended>,
    ) -> Option<Ended> {
        let asked = self.deadline.sooner(TO_RETURN);
        match best.is_some_and(|ended| ended.answer.is_ok()) {
            true => asked.run("hop", self.hop(hop, wanted, message)).await.ok(),
            false => Some(self.hop(hop, wanted, message).await),
        }
    }

    fn plan(&mut self, wanted: &Wanted) -> Result<Plan, Error> {
        let plane = self.plane.clone();
        let (snapshot, now) = (plane.registry.snapshot(), plane.clock.now());
        let sources = Sources { snapshot: &snapshot, rollouts: &plane.rollouts, routes: &plane.routes, now };
        let plan = Plan::new(&sources, wanted, &plane.chooser.weights(), self.slice_key(wanted))?;
        self.record().note(|event| event.route = Some(plan.route().to_string()).filter(|name| !name.is_empty()));
        Ok(plan)
    }

    /// A session stays on its side of a slice; calls without one are spread.
    fn slice_key(&self, wanted: &Wanted) -> u64 {
        match wanted.asked.route.session.as_str() {
            "" => self.signature.answer_id.as_ref().map_or(0, |id| xxh3_64(id.as_bytes())),
            session => xxh3_64(session.as_bytes()),
        }
    }

    async fn hop(&mut self, hop: &Hop, wanted: &Wanted, message: &Bytes) -> Ended {
        self.signature.model_reason = hop.reason.clone();
        self.signature.hops.push(hop.model.name.clone());
        self.record().note(|event| {
            event.model = Some(hop.model.name.clone());
            event.model_reason = Some(hop.reason.clone());
            event.seen.capability = wanted.capability(&hop.model);
            event.hops.push(HopLine::asked(hop.model.name.clone(), hop.reason.clone()));
        });
        let plane = self.plane.clone();
        let lead = match self.cache_key(hop, wanted, message) {
            Some(key) if wanted.asked.route.no_store => match plane.cache.peek(key) {
                Some(reply) => return self.take_kept(hop, reply, "hit"),
                None => None,
            },
            Some(key) => match plane.cache.look(key).await {
                Found::Hit(reply) => return self.take_kept(hop, reply, "hit"),
                Found::Lead(lead) => match self.find_shared(key).await {
                    Some((reply, until)) => {
                        lead.keep_until(&reply, until);
                        return self.take_kept(hop, reply, "hit");
                    }
                    None => Some((key, lead)),
                },
            },
            None => None,
        };
        match self.look_near(hop, wanted, message).await {
            Some(Near::Hit(reply)) => self.take_kept(hop, reply, "near"),
            Some(Near::New(place, audited)) => {
                self.looked_up("miss");
                let ended = self.ask(hop, wanted, message, lead).await;
                self.keep_near(place, audited, &ended).await;
                ended
            }
            None => self.ask(hop, wanted, message, lead).await,
        }
    }

    fn cache_key(&self, hop: &Hop, wanted: &Wanted, message: &Bytes) -> Option<Key> {
        let tenant = self.tenant.as_deref()?;
        Key::of(&self.plane.cache, wanted, &hop.model, &tenant.name, message)
    }

    /// What another router had asked for.
    async fn find_shared(&self, key: Key) -> Option<(Reply, Instant)> {
        self.plane.answers.as_ref()?.find(key).await
    }

    async fn look_near(&self, hop: &Hop, wanted: &Wanted, message: &Bytes) -> Option<Near> {
        let (semantic, tenant) = (self.plane.semantic.as_ref()?, self.tenant.as_deref()?);
        semantic.look(&self.plane, wanted, &hop.model, &tenant.name, message).await
    }

    async fn keep_near(&self, place: Place, audited: Option<Reply>, ended: &Ended) {
        let (Some(semantic), Ok(Answer::Whole(reply)), None) = (&self.plane.semantic, &ended.answer, ended.trouble)
        else {
            return;
        };
        match audited {
            Some(kept) => semantic.audit(&self.plane, &kept, reply).await,
            None => semantic.keep(place, reply),
        }
    }

    /// Only of one version an answer is kept.
    fn take_kept(&mut self, hop: &Hop, reply: Reply, how: &'static str) -> Ended {
        self.looked_up(how);
        self.record().note(|event| event.version = hop.model.version().map(Into::into));
        Ended { answer: Ok(Answer::Whole(reply)), trouble: None }
    }

    /// What came of looking: "hit", "near" or "miss".
    fn looked_up(&mut self, how: &'static str) {
        self.signature.cache = Some(how);
        self.record().note(|event| event.cache = Some(how));
    }

    /// Asks the model itself; what it answers well is kept by whoever leads.
    async fn ask(&mut self, hop: &Hop, wanted: &Wanted, message: &Bytes, lead: Option<(Key, Lead<'_>)>) -> Ended {
        if lead.is_some() {
            self.looked_up("miss");
        }
        let mut ended = self.forward(hop, wanted, message).await;
        ended = self.weigh(hop, wanted, ended).await;
        self.served(hop, wanted, &ended);
        if let (Some((key, lead)), Ok(Answer::Whole(reply)), None) = (lead, &ended.answer, ended.trouble)
            && reply.code() == Code::Ok
        {
            lead.keep(reply);
            if let Some(answers) = &self.plane.answers {
                answers.keep(key, reply);
            }
        }
        self.shadow(hop, wanted, message, &ended);
        ended
    }

    /// Judges a whole answer.
    async fn weigh(&mut self, hop: &Hop, wanted: &Wanted, mut ended: Ended) -> Ended {
        let plane = self.plane.clone();
        let (Some(judge), Some(prompt)) = (&plane.judge, &wanted.asked.prompt) else { return ended };
        let Ok(Answer::Whole(reply)) = &ended.answer else { return ended };
        let Some(message) = reply.message().filter(|_| reply.code() == Code::Ok) else { return ended };
        let begun = Instant::now();
        let Some(quality) = judge.weigh(&plane, prompt, &message).await else { return ended };
        self.signature.quality = Some(quality.score);
        self.record().note(|event| {
            if let Some(line) = event.hops.last_mut() {
                line.judged = Some([begun, Instant::now()]);
                line.quality = Some(quality.score);
                line.faults = quality.faults.iter().map(|fault| fault.as_str()).collect();
            }
        });
        if let Some(replica) = &self.signature.replica {
            replica.served.serving.lock().opine(plane.clock.now(), quality.score);
        }
        if let Some(arm) = &hop.arm {
            arm.judged(quality.score);
        }
        if quality.score < judge.floor() {
            ended.trouble = Some(Trouble::Poor(quality.score));
        }
        ended
    }

    /// Tells those who count: the tiers' shares, the rollout's sides, those who may send feedback.
    fn served(&mut self, hop: &Hop, wanted: &Wanted, ended: &Ended) {
        let now = self.plane.clock.now();
        if let Some(arm) = &hop.arm {
            let failed = matches!(ended.trouble, Some(Trouble::Error));
            arm.ended(self.record().elapsed(), failed, now);
        }
        let Some(replica) = self.signature.replica.clone().filter(|_| ended.answer.is_ok()) else { return };
        if wanted.features.is_some() && ended.trouble.is_none() {
            self.plane.reader.served(replica.served.info.tier());
        }
        let tenant = self.tenant.as_ref().map(|tenant| tenant.name.clone()).unwrap_or_default();
        self.plane.feedback.remember(&self.request_id(), replica, hop.arm.clone(), tenant);
    }

    fn shadow(&self, hop: &Hop, wanted: &Wanted, message: &Bytes, ended: &Ended) {
        let (Some(arm), Ok(Answer::Whole(reply))) = (&hop.arm, &ended.answer) else { return };
        self.plane.rollouts.shadow(&self.plane, self, arm, wanted, message, reply);
    }
}

/// What is known before anybody is asked.
pub fn state(features: Option<&Features>) -> State {
    match features {
        Some(features) => State {
            confidence: Some(features.confidence),
            quantile: Some(features.quantile),
            coverage: Some(features.coverage),
            budget_low: features.tier_reason == "budget",
            ..State::default()
        },
        None => State::default(),
    }
}

/// What the last hop came to decides the next; troubles of earlier ones are past.
fn note(state: &mut State, trouble: Trouble) {
    (state.error, state.overloaded, state.poor) = (false, false, false);
    match trouble {
        Trouble::Error => state.error = true,
        Trouble::Overloaded => state.overloaded = true,
        Trouble::Unaffordable => state.budget_low = true,
        Trouble::Poor(_) => state.poor = true,
    }
}

/// An answer before none, and of two poor ones the better; else what came last.
fn better(best: Option<Ended>, last: Ended) -> Ended {
    match (best, last.trouble) {
        (Some(best), Some(trouble)) if rank(best.trouble) > rank(Some(trouble)) => best,
        _ => last,
    }
}

fn rank(trouble: Option<Trouble>) -> f64 {
    match trouble {
        None => f64::INFINITY,
        Some(Trouble::Poor(quality)) => quality,
        Some(_) => -1.0,
    }
}
