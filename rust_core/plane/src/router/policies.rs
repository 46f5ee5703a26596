//! Policies by example: what is done with prompts that mean the same as a document of a namespace.
//!
//! The prompt is looked up by its meaning among the documents, a few milliseconds before the call is routed; of those
//! that are near enough the nearest decides, by what its metadata says:
//!
//! | field | what it does |
//! |---|---|
//! | `route_model` | a model, or a route, for callers who name none |
//! | `route_tier` | a tier, for callers who ask for none |
//! | `route_tags` | capabilities the prompt calls for, instead of those that are read in it |
//! | `guard` | "allow", "annotate" or "block", whatever the guard's head says |
//! | `reason` | why, for those who are blocked |
//! | `answer` | the answer, instead of a model's |
//! | `threshold` | the cosine from which on this document counts |
//!
//! One that says nothing of these keeps its neighbours from being applied.  This is a nearest-neighbour classifier
//! whose training data are written by people and changed while the mesh runs; where there are thousands of examples
//! of one thing, a head that is trained on them is the better judge.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prost_types::{Struct, value::Kind};

use super::{Plane, ask, config, envelope::Asked, methods::Shape, reply::Reply, style};
use crate::{
    deadline::Deadline,
    error::Error,
    proto::v1::{
        self, DocumentQuery, FinishReason, GenerateResponse, GenerateStreamResponse, GenerateUsage,
        QueryDocumentsRequest, QueryDocumentsResponse, QueryMode, RouteHints, ServedBy, Tier, Truncation,
    },
};

/// So many of the nearest are looked at: those that cannot be read, or have a threshold of their own, are passed over.
const NEAREST: u32 = 4;
/// When a caller should try again whose prompt could not be looked up.
const PAUSE: Duration = Duration::from_millis(500);
/// Who answers, where no model does.
const ANSWERER: &str = "policy";

/// What the guard is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let it pass, whatever else is remarked.
    Allow,
    /// Say so.
    Annotate,
    /// Refuse the call.
    Block,
}

/// A document that a prompt is near to.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Of the document.
    pub id: String,
    /// How near the prompt is.
    pub cosine: f64,
    /// Model, or route, of callers who name none.
    pub model: Option<String>,
    /// Tier of callers who ask for none.
    pub tier: Option<Tier>,
    /// Capabilities it calls for.
    pub tags: Option<Vec<String>>,
    /// What the guard does.
    pub guard: Option<Verdict>,
    /// Why.
    pub reason: Option<String>,
    /// What is answered.
    pub answer: Option<String>,
}

/// What came of looking.
#[derive(Clone, Copy, Debug)]
pub struct Looked {
    /// When it began.
    pub begun: Instant,
    /// "applied", "none" (is near enough), "invalid" (one was, and could not be read), "failed" (or was late).
    pub result: &'static str,
}

/// Looks them up.
pub struct Policies(config::Policies);

impl Policies {
    /// As configured; none where there are none.
    pub fn new(config: &config::Policies) -> Option<Self> {
        (!config.model.is_empty()).then(|| Self(config.clone()))
    }

    /// The policy of a prompt; none where there is no prompt, or none is near.
    ///
    /// # Errors
    ///
    /// It could not be looked up, and nothing is to be answered without.
    pub async fn look(
        &self,
        plane: &Plane,
        asked: &Asked,
        deadline: Deadline,
    ) -> (Option<Looked>, Result<Option<Arc<Policy>>, Error>) {
        let Some(prompt) = asked.prompt.as_ref().filter(|prompt| !prompt.text().is_empty()) else {
            return (None, Ok(None));
        };
        let begun = Instant::now();
        let patience = self.0.timeout.min(deadline.left(begun));
        let request = self.request(prompt.text(), prompt.no_store);
        let reply = ask::model(plane, "/waypost.v1.RetrieveService/QueryDocuments", &request, patience).await;
        let (result, found) = match reply {
            Some(reply) => self.nearest(reply),
            None if self.0.required => ("failed", Err(unreachable(&self.0.model))),
            None => ("failed", Ok(None)),
        };
        (Some(Looked { begun, result }), found)
    }

    fn request(&self, text: &str, no_store: bool) -> QueryDocumentsRequest {
        QueryDocumentsRequest {
            model: self.0.model.clone(),
            route: Some(RouteHints { tenant: self.0.tenant.clone(), no_store, ..RouteHints::default() }),
            namespace: self.0.namespace.clone(),
            queries: vec![DocumentQuery { text: text.into(), vector: None }],
            top_k: NEAREST,
            mode: QueryMode::Dense.into(),
            without_text: true,
            truncation: Truncation::End.into(),
            ..QueryDocumentsRequest::default()
        }
    }

    fn nearest(&self, reply: QueryDocumentsResponse) -> (&'static str, Result<Option<Arc<Policy>>, Error>) {
        let mut invalid = false;
        for found in reply.results.into_iter().flat_map(|result| result.documents) {
            let (Some(document), Some(cosine)) = (found.document, found.cosine) else { continue };
            match self.read(document, cosine) {
                Some(Ok(policy)) => return ("applied", Ok(Some(Arc::new(policy)))),
                Some(Err(Unreadable)) => invalid = true,
                None => {}
            }
        }
        (if invalid { "invalid" } else { "none" }, Ok(None))
    }

    /// None where it is not near enough.
    fn read(&self, document: v1::Document, cosine: f64) -> Option<Result<Policy, Unreadable>> {
        let fields = Fields(document.metadata.unwrap_or_default());
        let threshold = match fields.number("threshold") {
            Ok(own) => own.unwrap_or(self.0.threshold),
            Err(error) if cosine >= self.0.threshold => return Some(Err(error)),
            Err(_) => return None,
        };
        (cosine >= threshold).then(|| Policy::read(document.id, cosine, &fields))
    }
}

fn unreachable(model: &str) -> Error {
    Error::StoreUnreachable { why: format!("{model:?} did not say which policy applies"), retry_after: PAUSE }
}

/// A field that is not what it should be.
#[derive(Debug, PartialEq)]
struct Unreadable;

impl Policy {
    fn read(id: String, cosine: f64, fields: &Fields) -> Result<Self, Unreadable> {
        Ok(Self {
            id,
            cosine,
            model: fields.text("route_model")?,
            tier: fields.text("route_tier")?.map(|name| tier(&name).ok_or(Unreadable)).transpose()?,
            tags: fields.texts("route_tags")?,
            guard: fields.text("guard")?.map(|name| verdict(&name).ok_or(Unreadable)).transpose()?,
            reason: fields.text("reason")?,
            answer: fields.text("answer")?,
        })
    }

    /// What the guard remarks, with how near the prompt is.
    pub fn remark(&self) -> Option<(String, f32)> {
        let speaks = matches!(self.guard, Some(Verdict::Annotate | Verdict::Block));
        speaks.then(|| (self.reason.clone().unwrap_or_else(|| self.id.clone()), self.cosine as f32))
    }

    /// Refuses what it blocks; none where it says nothing about that.
    pub fn check(&self) -> Option<Result<(), Error>> {
        Some(match self.guard? {
            Verdict::Block => Err(Error::PolicyBlocks {
                policy: self.id.clone(),
                reason: self.reason.clone().unwrap_or_else(|| "prompts like this one are not answered".into()),
                cosine: self.cosine,
            }),
            Verdict::Allow | Verdict::Annotate => Ok(()),
        })
    }

    /// Its answer to a call, where it has one and the caller takes any text.
    pub fn reply(&self, plane: &Plane, shape: Shape, asked: &Asked) -> Option<Reply> {
        let text = self.answer.clone().filter(|_| asked.prompt.as_ref().is_some_and(|prompt| prompt.free))?;
        let served =
            ServedBy { model: ANSWERER.into(), version: self.id.clone(), instance: plane.config.instance.clone() };
        let whole = GenerateResponse {
            served: Some(served),
            finish_reason: FinishReason::Stop.into(),
            usage: Some(GenerateUsage::default()),
            from_template: true,
            ..GenerateResponse::default()
        };
        Some(Reply::made(match shape {
            Shape::Unary => vec![style::framed(&GenerateResponse { text, ..whole })],
            Shape::Replies | Shape::Both => vec![
                style::framed(&GenerateStreamResponse { text, ..GenerateStreamResponse::default() }),
                style::framed(&GenerateStreamResponse { r#final: Some(whole), ..GenerateStreamResponse::default() }),
            ],
        }))
    }
}

impl From<&Policy> for v1::PolicyMatch {
    fn from(policy: &Policy) -> Self {
        Self { id: policy.id.clone(), cosine: policy.cosine }
    }
}

/// Metadata of a document; null is as if it were not there.
struct Fields(Struct);

impl Fields {
    fn kind(&self, name: &str) -> Option<&Kind> {
        self.0.fields.get(name)?.kind.as_ref().filter(|kind| !matches!(kind, Kind::NullValue(_)))
    }

    fn text(&self, name: &str) -> Result<Option<String>, Unreadable> {
        self.kind(name).map(text).transpose()
    }

    /// One text is as good as a list of one.
    fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Unreadable> {
        let Some(kind) = self.kind(name) else { return Ok(None) };
        let Kind::ListValue(list) = kind else { return Ok(Some(vec![text(kind)?])) };
        let each = list.values.iter().map(|value| value.kind.as_ref().ok_or(Unreadable).and_then(text));
        each.collect::<Result<_, _>>().map(Some)
    }

    fn number(&self, name: &str) -> Result<Option<f64>, Unreadable> {
        match self.kind(name) {
            None => Ok(None),
            Some(Kind::NumberValue(number)) => Ok(Some(*number)),
            Some(_) => Err(Unreadable),
        }
    }
}

fn text(kind: &Kind) -> Result<String, Unreadable> {
    match kind {
        Kind::StringValue(text) if !text.is_empty() => Ok(text.clone()),
        _ => Err(Unreadable),
    }
}

/// As configurations have it.
fn tier(name: &str) -> Option<Tier> {
    let all = [Tier::Simple, Tier::Medium, Tier::High, Tier::Creative, Tier::Premium];
    all.into_iter().find(|tier| super::signature::tier_name(*tier) == name)
}

fn verdict(name: &str) -> Option<Verdict> {
    match name {
        "allow" => Some(Verdict::Allow),
        "annotate" => Some(Verdict::Annotate),
        "block" => Some(Verdict::Block),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost_types::{ListValue, Value};

    use super::*;

    fn text(text: &str) -> Kind {
        Kind::StringValue(text.into())
    }

    fn fields(all: impl IntoIterator<Item = (&'static str, Kind)>) -> Struct {
        Struct { fields: all.into_iter().map(|(name, kind)| (name.into(), Value { kind: Some(kind) })).collect() }
    }

    fn scored(id: &str, cosine: f64, metadata: Struct) -> v1::ScoredDocument {
        let document = v1::Document { id: id.into(), metadata: Some(metadata), ..Default::default() };
        v1::ScoredDocument { document: Some(document), cosine: Some(cosine), ..Default::default() }
    }

    fn among(documents: Vec<v1::ScoredDocument>) -> (&'static str, Option<Arc<Policy>>) {
        let policies = Policies(config::Policies { threshold: 0.8, ..Default::default() });
        let results = vec![v1::QueryResult { documents }];
        let (result, found) = policies.nearest(QueryDocumentsResponse { results, ..Default::default() });
        (result, found.expect("was looked up"))
    }

    #[test]
    fn the_nearest_that_is_near_enough_is_applied() {
        let both = vec![scored("a", 0.9, fields([])), scored("b", 0.85, fields([("answer", text("b"))]))];
        let (result, found) = among(both);
        assert_eq!((result, found.map(|policy| policy.id.clone())), ("applied", Some("a".into())));
        assert_eq!(among(vec![scored("a", 0.79, fields([]))]), ("none", None));
        assert_eq!(among(vec![]), ("none", None));
    }

    #[test]
    fn a_document_may_ask_for_more_nearness_or_for_less() {
        let asks = |threshold| fields([("threshold", Kind::NumberValue(threshold))]);
        assert_eq!(among(vec![scored("strict", 0.9, asks(0.95))]).0, "none");
        assert_eq!(among(vec![scored("lax", 0.6, asks(0.5))]).0, "applied");
    }

    #[test]
    fn one_that_cannot_be_read_is_passed_over_and_told() {
        let wrong = [
            ("guard", text("perhaps")),
            ("route_tier", text("huge")),
            ("answer", Kind::NumberValue(1.0)),
            ("answer", text("")),
            ("threshold", text("high")),
            ("route_tags", Kind::ListValue(ListValue { values: vec![Value { kind: Some(Kind::BoolValue(true)) }] })),
        ];
        for (name, kind) in wrong {
            let broken = scored("broken", 0.99, fields([(name, kind)]));
            assert_eq!(among(vec![broken.clone()]), ("invalid", None), "{name}");
            let (result, found) = among(vec![broken, scored("next", 0.9, fields([]))]);
            assert_eq!((result, found.map(|policy| policy.id.clone())), ("applied", Some("next".into())), "{name}");
        }
    }

    #[test]
    fn everything_that_a_document_says_is_read() {
        let tags = Kind::ListValue(ListValue { values: vec![Value { kind: Some(text("code")) }] });
        let said = fields([
            ("route_model", text("large")),
            ("route_tier", text("high")),
            ("route_tags", tags),
            ("guard", text("annotate")),
            ("reason", text("a topic")),
            ("answer", text("no")),
            ("else", Kind::NullValue(0)),
        ]);
        let (_, found) = among(vec![scored("a", 0.9, said)]);
        let policy = found.expect("is near");
        assert_eq!((policy.model.as_deref(), policy.tier), (Some("large"), Some(Tier::High)));
        assert_eq!(policy.tags, Some(vec!["code".into()]));
        assert_eq!(policy.remark(), Some(("a topic".into(), 0.9)));
        assert_eq!((policy.check(), policy.answer.as_deref()), (Some(Ok(())), Some("no")));
    }

    proptest! {
        #[test]
        fn what_is_applied_is_readable_near_enough_and_no_other_is_before_it(
            all in prop::collection::vec((0.0_f64..1.0, any::<bool>()), 0..5),
        ) {
            let mut all = all;
            all.sort_by(|a, b| b.0.total_cmp(&a.0));
            let broken = || fields([("guard", text("?"))]);
            let documents = all.iter().enumerate().map(|(row, (cosine, good))| {
                scored(&row.to_string(), *cosine, if *good { fields([]) } else { broken() })
            });
            let expected = all.iter().position(|(cosine, good)| *good && *cosine >= 0.8);
            let found = among(documents.collect()).1.map(|policy| policy.id.parse().expect("is a row"));
            prop_assert_eq!(found, expected);
        }
    }
}
