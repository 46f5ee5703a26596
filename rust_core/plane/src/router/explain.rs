//! Where a call would go and why, without sending it there: the same decisions, by copies that count nothing.

use std::{sync::Arc, time::Instant};

use waypost_decide::route::State;

use super::{
    Plane,
    envelope::Asked,
    features::{Features, Mode, Subject},
    hops,
    methods::{METHODS, Method, Shape},
    models::{self, Contender, Wanted},
    plan::{Hop, Plan, Sources},
    policies::Policy,
    replicas::Candidate,
    routes::Route,
    tenants::Tenant,
};
use crate::{
    deadline::Deadline,
    error::Error,
    hints,
    proto::v1::{self, Task, generate_request::Input},
};

/// The answer to Explain, for a call of `tenant`.
pub async fn explain(
    plane: &Plane,
    tenant: &Tenant,
    request: &v1::ExplainRequest,
) -> Result<v1::ExplainResponse, Error> {
    let (method, asked) = asked(request)?;
    let wanted = match policy(plane, &asked).await {
        Ok(policy) => wanted(plane, tenant, (method, asked), policy, request),
        Err(error) => return Ok(v1::ExplainResponse { error: error.to_string(), ..Default::default() }),
    };
    match wanted.features.as_ref().map(|features| features.check(tenant.guard)) {
        Some(Err(error)) => Ok(v1::ExplainResponse { error: error.to_string(), ..thought(&wanted) }),
        _ if is_answered(plane, &wanted) => Ok(thought(&wanted)),
        _ => Ok(explained(plane, &wanted)),
    }
}

/// What is known before models are looked at.
fn thought(wanted: &Wanted) -> v1::ExplainResponse {
    v1::ExplainResponse {
        features: wanted.features.as_ref().map(v1::PromptFeatures::from),
        policy: policy_of(wanted).map(v1::PolicyMatch::from),
        ..Default::default()
    }
}

fn policy_of(wanted: &Wanted) -> Option<&Policy> {
    wanted.features.as_ref()?.policy.as_deref()
}

/// By a policy, so that no model is asked.
fn is_answered(plane: &Plane, wanted: &Wanted) -> bool {
    policy_of(wanted).is_some_and(|policy| policy.reply(plane, wanted.method.shape, &wanted.asked).is_some())
}

async fn policy(plane: &Plane, asked: &Asked) -> Result<Option<Arc<Policy>>, Error> {
    let Some(policies) = &plane.policies else { return Ok(None) };
    policies.look(plane, asked, Deadline::after(Instant::now(), plane.config.default_timeout)).await.1
}

fn explained(plane: &Plane, wanted: &Wanted) -> v1::ExplainResponse {
    let (snapshot, now) = (plane.registry.snapshot(), plane.clock.now());
    let sources = Sources { snapshot: &snapshot, rollouts: &plane.rollouts, routes: &plane.routes, now };
    let mut response = v1::ExplainResponse { models: candidates(plane, wanted), ..thought(wanted) };
    let mut plan = match Plan::new(&sources, wanted, &plane.chooser.weights(), 0) {
        Ok(plan) => plan,
        Err(error) => return v1::ExplainResponse { error: error.to_string(), ..response },
    };
    response.route = plan.route().to_string();
    let hops = match &plan {
        Plan::Chained(chained) => looked(plane, wanted, chained.route()),
        _ => listed(&mut plan, wanted),
    };
    if let Some(first) = hops.first() {
        response.instances = plane.chooser.look(&first.model, wanted).into_iter().map(Into::into).collect();
        let costs = first.model.replicas.iter().map(|replica| wanted.cost(&replica.served));
        response.cost_usd = costs.fold(0.0, f64::max);
    }
    response.hops = hops.into_iter().map(Into::into).collect();
    response
}

fn asked(request: &v1::ExplainRequest) -> Result<(&'static Method, Asked), Error> {
    let task = match request.task() {
        Task::Unspecified => Task::Generate,
        task => task,
    };
    let method = method(task).ok_or_else(|| Error::InvalidField {
        field: "task".into(),
        actual: task.as_str_name().into(),
        expected: "one that is routed".into(),
    })?;
    let route = request.route.clone().unwrap_or_default();
    hints::check(&route)?;
    let prompt = (task == Task::Generate).then(|| super::envelope::Prompt {
        input: Some(Input::Raw(request.text.clone())),
        max_tokens: request.max_tokens,
        free: true,
        no_store: route.no_store,
        ..Default::default()
    });
    Ok((method, Asked { model: request.model.clone(), head: request.head.clone(), route, prompt }))
}

fn wanted(
    plane: &Plane,
    tenant: &Tenant,
    (method, asked): (&'static Method, Asked),
    policy: Option<Arc<Policy>>,
    request: &v1::ExplainRequest,
) -> Wanted {
    let subject = Subject::of(&asked, tenant, policy, plane.purse.most());
    let features = subject.map(|subject| plane.reader.read(subject, plane.clock.now(), Mode::Look));
    Wanted { method, asked, bytes: request.text.len(), features }
}

/// The plainest call of a task.
fn method(task: Task) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.task == task && method.shape == Shape::Unary)
}

/// As if every model failed the one after the other.
fn listed(plan: &mut Plan, wanted: &Wanted) -> Vec<Hop> {
    let mut state = hops::state(wanted.features.as_ref());
    let mut all = Vec::new();
    while let Some(hop) = plan.next(wanted, &mut state) {
        all.push(hop);
        state.error = true;
    }
    all
}

/// The same of a configured chain, which is not to count it.
fn looked(plane: &Plane, wanted: &Wanted, route: &Route) -> Vec<Hop> {
    let snapshot = plane.registry.snapshot();
    let mut state = hops::state(wanted.features.as_ref());
    let mut all = Vec::new();
    let mut step = Some(route.look(&state));
    while let Some(at) = step {
        if let Ok(model) = models::named(&snapshot, wanted, route.model(at)) {
            all.push(Hop { model, reason: at.reason.to_string().into(), arm: None });
        }
        state = State { error: true, ..state };
        step = route.look_on(at.hop, &state);
    }
    all
}

/// Models that do the work, best first, and those that would but for a condition.
fn candidates(plane: &Plane, wanted: &Wanted) -> Vec<v1::ModelCandidate> {
    let (snapshot, now) = (plane.registry.snapshot(), plane.clock.now());
    let fit = models::contenders(&snapshot, wanted, &plane.chooser.weights(), now);
    let mut all: Vec<v1::ModelCandidate> = fit.iter().map(Into::into).collect();
    let able = snapshot.models.iter().filter(|model| {
        let unfit = fit.iter().all(|contender| contender.model.name != model.name);
        unfit && model.replicas.iter().any(|replica| replica.served.does(wanted.method.task))
    });
    all.extend(able.map(|model| v1::ModelCandidate {
        model: model.name.to_string(),
        tier: model.replicas.first().map_or(0, |replica| replica.served.info.tier),
        excluded: models::why_not(&snapshot, &model.name, &model.replicas, wanted).to_string(),
        ..Default::default()
    }));
    all
}

impl From<&Contender> for v1::ModelCandidate {
    fn from(contender: &Contender) -> Self {
        Self {
            model: contender.model.name.to_string(),
            tier: contender.tier.into(),
            score: contender.scored.total,
            terms: Some(contender.scored.terms.into()),
            excluded: if contender.ready { String::new() } else { "no instance takes calls now".into() },
        }
    }
}

impl From<Candidate> for v1::InstanceCandidate {
    fn from(candidate: Candidate) -> Self {
        Self {
            instance: candidate.instance.to_string(),
            score: candidate.scored.total,
            terms: Some(candidate.scored.terms.into()),
            in_flight: candidate.in_flight,
            admitted: candidate.admitted,
            propensity: candidate.propensity,
        }
    }
}

impl From<waypost_decide::Terms> for v1::ScoreTerms {
    fn from(terms: waypost_decide::Terms) -> Self {
        let waypost_decide::Terms { latency, queue, fit, health, feedback } = terms;
        Self { latency, queue, fit, health, feedback }
    }
}

impl From<Hop> for v1::RouteHop {
    fn from(hop: Hop) -> Self {
        Self { model: hop.model.name.to_string(), reason: hop.reason.into_owned() }
    }
}

impl From<&Features> for v1::PromptFeatures {
    fn from(features: &Features) -> Self {
        let (guard, guard_score) = features.guard.clone().unwrap_or_default();
        Self {
            complexity: features.complexity,
            quantile: features.quantile,
            tier: features.tier.into(),
            confidence: features.confidence,
            coverage: features.coverage,
            tier_reason: features.tier_reason.into(),
            tags: features.tags.iter().map(ToString::to_string).collect(),
            guard,
            guard_score: guard_score.into(),
        }
    }
}
