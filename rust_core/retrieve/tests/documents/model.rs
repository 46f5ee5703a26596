//! Whatever is done to a store, it answers as a list of documents would that is gone through each time.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};
use waypost_retrieve::{Documents, Entry, Filter, Kept, Millis, Parts, Question, Range, Scalar, Which};

use crate::common::{self, NOW, Place, SPACE, at, dense, ids, upsert};

const WORDS: [&str; 6] = ["amber", "birch", "cliff", "delta", "ember", "fjord"];
const IDS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "ä", "東", "zz"];

#[derive(Clone, Debug)]
enum Step {
    Upsert(Vec<Document>),
    DeleteIds(Vec<&'static str>),
    DeletePassing(Filter),
    SetRetention(Option<Millis>),
    Wait(Millis),
    Sweep,
    OpenAgain,
    Ask(Filter, Vec<&'static str>, [i8; 2]),
}

#[derive(Clone, Debug)]
struct Document {
    id: &'static str,
    words: Vec<&'static str>,
    metadata: Value,
    vector: [i8; 2],
    ttl: Option<Millis>,
}

/// What is there, with when it was stored and its own expiry.
#[derive(Default)]
struct Model {
    documents: BTreeMap<&'static str, (Document, Millis)>,
    retention: Option<Millis>,
}

impl Model {
    fn live(&self, now: Millis) -> impl Iterator<Item = &Document> {
        let until = move |(document, stored): &(Document, Millis)| {
            document.ttl.map(|ttl| stored + ttl).or(self.retention.map(|it| stored + it))
        };
        self.documents.values().filter(move |it| until(it).is_none_or(|until| until > now)).map(|it| &it.0)
    }

    fn passing(&self, filter: &Filter, now: Millis) -> Vec<&Document> {
        self.live(now).filter(|it| passes(filter, &it.metadata)).collect()
    }

    fn retain(&mut self, ids: &BTreeSet<&str>) {
        self.documents.retain(|id, _| ids.contains(id));
    }
}

fn passes(filter: &Filter, metadata: &Value) -> bool {
    match filter {
        Filter::All(filters) => filters.iter().all(|it| passes(it, metadata)),
        Filter::Any(filters) => filters.iter().any(|it| passes(it, metadata)),
        Filter::Not(inner) => !passes(inner, metadata),
        Filter::OneOf { field, values } => {
            elements(field, metadata).iter().any(|it| values.iter().any(|scalar| equal(scalar, it)))
        }
        Filter::Between(range) => elements(&range.field, metadata).iter().any(|it| within(range, it)),
        Filter::Exists { field, there } => value(field, metadata).is_some() == *there,
    }
}

fn value<'a>(field: &str, metadata: &'a Value) -> Option<&'a Value> {
    field.split('.').try_fold(metadata, |it, name| it.as_object()?.get(name)).filter(|it| !it.is_null())
}

fn elements<'a>(field: &str, metadata: &'a Value) -> Vec<&'a Value> {
    match value(field, metadata) {
        Some(Value::Array(elements)) => elements.iter().collect(),
        value => value.into_iter().collect(),
    }
}

fn equal(scalar: &Scalar, value: &Value) -> bool {
    match scalar {
        Scalar::Truth(truth) => value.as_bool() == Some(*truth),
        Scalar::Number(number) => value.as_f64() == Some(*number),
        Scalar::Text(text) => value.as_str() == Some(text),
    }
}

fn within(range: &Range, value: &Value) -> bool {
    value.as_f64().is_some_and(|it| {
        range.above.is_none_or(|bound| it > bound)
            && range.at_least.is_none_or(|bound| it >= bound)
            && range.below.is_none_or(|bound| it < bound)
            && range.at_most.is_none_or(|bound| it <= bound)
    })
}

/// Both at once.
struct Pair {
    place: Place,
    store: Option<Documents>,
    model: Model,
    now: Millis,
}

impl Pair {
    fn new() -> Self {
        let place = Place::new();
        let store = Some(place.open());
        Self { place, store, model: Model::default(), now: NOW }
    }

    fn store(&self) -> &Documents {
        self.store.as_ref().expect("it is open")
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Upsert(documents) => self.upsert(&documents),
            Step::DeleteIds(gone) => self.delete(Which::Ids(&gone), &gone.iter().copied().collect()),
            Step::DeletePassing(filter) => {
                let gone = self.model.passing(&filter, self.now).iter().map(|it| it.id).collect();
                self.delete(Which::Passing(&filter), &gone);
            }
            Step::SetRetention(retention) => {
                self.store().set_retention(SPACE, retention).expect("it is set");
                self.model.retention = retention;
            }
            Step::Wait(millis) => self.now += millis,
            Step::Sweep => self.sweep(),
            Step::OpenAgain => {
                self.store = None;
                self.store = Some(self.place.open());
            }
            Step::Ask(filter, words, vector) => self.ask(&filter, &words, vector),
        }
        assert_eq!(ids(self.store(), at(self.now)), sorted(self.model.live(self.now)));
        self.read_and_known();
    }

    /// What is read from the file is what is in memory, but for the text.
    fn read_and_known(&self) {
        let read = self.store().page(SPACE, "", usize::MAX, at(self.now)).expect("it answers");
        let rows: Vec<i64> = read.iter().map(|it| it.row).collect();
        let known = self.store().fetch(SPACE, &rows, Parts::default()).expect("it answers");
        assert_eq!(known, read.into_iter().map(|it| Kept { text: String::new(), ..it }).collect::<Vec<_>>());
    }

    fn upsert(&mut self, documents: &[Document]) {
        let columns: Vec<_> = documents.iter().map(columns).collect();
        let entries: Vec<_> = documents
            .iter()
            .zip(&columns)
            .map(|(Document { id, ttl, .. }, (text, metadata, vector))| Entry {
                id,
                text,
                metadata,
                vector,
                expires: ttl.map(|ttl| self.now + ttl),
            })
            .collect();
        let before: BTreeSet<_> = self.model.live(self.now).map(|it| it.id).collect();
        let given: BTreeSet<_> = documents.iter().map(|it| it.id).collect();
        let stored = self.store().upsert(SPACE, &entries, self.now).expect("it is stored");
        assert_eq!(stored.replaced, given.intersection(&before).count());
        assert_eq!(stored.added + stored.replaced, given.len());
        self.model.documents.extend(documents.iter().map(|it| (it.id, (it.clone(), self.now))));
    }

    fn delete(&mut self, which: Which<'_>, ids: &BTreeSet<&str>) {
        let gone = self.model.live(self.now).filter(|it| ids.contains(it.id)).count();
        assert_eq!(self.store().delete(SPACE, which, self.now).expect("it answers"), gone as u64);
        self.model.documents.retain(|id, _| !ids.contains(id));
    }

    fn sweep(&mut self) {
        let live: BTreeSet<_> = self.model.live(self.now).map(|it| it.id).collect();
        let expired = self.model.documents.len() - live.len();
        assert_eq!(self.store().sweep(self.now).expect("it sweeps"), expired as u64);
        self.model.retain(&live);
    }

    fn ask(&self, filter: &Filter, words: &[&str], vector: [i8; 2]) {
        let question = Question { filter: Some(filter), ..at(self.now) };
        let passing = self.model.passing(filter, self.now);
        assert_eq!(ids(self.store(), question), sorted(passing.iter().copied()));
        assert_eq!(self.count(question), passing.len() as u64);
        self.ask_words(question, &passing, words);
        self.ask_vector(question, &passing, vector);
    }

    fn count(&self, question: Question<'_>) -> u64 {
        self.store().select(SPACE, question).expect("it answers").map_or(0, |it| it.count())
    }

    fn ask_words(&self, question: Question<'_>, passing: &[&Document], words: &[&str]) {
        let mut found = common::words(self.store(), &words.join(" "), question);
        found.sort_unstable();
        let having = passing.iter().filter(|it| it.words.iter().any(|word| words.contains(word)));
        assert_eq!(found, sorted(having.copied()));
    }

    fn ask_vector(&self, question: Question<'_>, passing: &[&Document], vector: [i8; 2]) {
        const LIMIT: usize = 3;
        if self.model.documents.is_empty() {
            return;
        }
        let found = dense(self.store(), &vector.map(f32::from), LIMIT, question).expect("it answers");
        let mut best: Vec<f32> = passing.iter().map(|it| product(it.vector, vector)).collect();
        best.sort_by(|one, other| other.total_cmp(one));
        best.truncate(LIMIT);
        assert_eq!(found.scores, best);
    }
}

fn product(one: [i8; 2], other: [i8; 2]) -> f32 {
    (0..2).map(|at| f32::from(one[at]) * f32::from(other[at])).sum()
}

fn sorted<'a>(documents: impl Iterator<Item = &'a Document>) -> Vec<String> {
    documents.map(|it| it.id.to_owned()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Text, metadata and vector as a store takes them.
fn columns(document: &Document) -> (String, String, [f32; 2]) {
    (document.words.join(" "), document.metadata.to_string(), document.vector.map(f32::from))
}

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..3_i32).prop_map(Value::from),
        select(vec![0.5, -0.0, 1.0]).prop_map(Value::from),
        select(vec!["x", "y", "1", "true", ""]).prop_map(Value::from),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => scalars(),
        1 => vec(scalars(), 0..3).prop_map(Value::from),
        1 => scalars().prop_map(|it| json!({ "inner": it })),
    ]
}

fn metadata() -> impl Strategy<Value = Value> {
    vec((select(vec!["p", "q"]), values()), 0..3)
        .prop_map(|fields| Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

fn filters() -> impl Strategy<Value = Filter> {
    let field = || select(vec!["p", "q", "p.inner", "nowhere"]).prop_map(str::to_owned);
    let scalar = || scalars().prop_filter_map("null is no value", |it| serde_json::from_value(it).ok());
    let bound = || option::of(-2.0..3.0_f64).prop_map(|it| it.map(|it| (it * 2.0).round() / 2.0));
    let range = (field(), bound(), bound(), bound(), bound())
        .prop_map(|(field, above, at_least, below, at_most)| Range { field, above, at_least, below, at_most });
    let test = prop_oneof![
        (field(), vec(scalar(), 0..3)).prop_map(|(field, values)| Filter::OneOf { field, values }),
        range.prop_map(Filter::Between),
        (field(), any::<bool>()).prop_map(|(field, there)| Filter::Exists { field, there }),
    ];
    test.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Filter::All),
            vec(inner.clone(), 0..3).prop_map(Filter::Any),
            inner.prop_map(|it| Filter::Not(Box::new(it))),
        ]
    })
}

fn documents() -> impl Strategy<Value = Document> {
    let vector = [-3..4_i8, -3..4_i8];
    (select(&IDS[..]), vec(select(&WORDS[..]), 0..4), metadata(), vector, option::of(1..20_i64))
        .prop_map(|(id, words, metadata, vector, ttl)| Document { id, words, metadata, vector, ttl })
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => vec(documents(), 1..6).prop_map(Step::Upsert),
        1 => vec(select(&IDS[..]), 0..4).prop_map(Step::DeleteIds),
        1 => filters().prop_map(Step::DeletePassing),
        1 => option::of(1..20_i64).prop_map(Step::SetRetention),
        2 => (0..10_i64).prop_map(Step::Wait),
        1 => Just(Step::Sweep),
        1 => Just(Step::OpenAgain),
        4 => (filters(), vec(select(&WORDS[..]), 0..3), [-3..4_i8, -3..4_i8]).prop_map(|(a, b, c)| Step::Ask(a, b, c)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_answers_as_a_list_would(steps in vec(steps(), 1..30)) {
        let mut pair = Pair::new();
        steps.into_iter().for_each(|step| pair.take(step));
    }
}

/// Enough of them to have several blocks, and gaps that are closed.
#[test]
fn closing_gaps_changes_no_answer() {
    let place = Place::new();
    let store = place.open();
    let names: Vec<String> = (0..3_000).map(|it| format!("{it:04}")).collect();
    let vector = |at: usize| [at as f32, 1.0];
    let vectors: Vec<_> = (0..3_000).map(vector).collect();
    let even: Vec<_> = (0..3_000).map(|it| format!("{{\"even\": {}, \"at\": {it}}}", it % 2 == 0)).collect();
    let entries: Vec<_> = (0..3_000)
        .map(|at| Entry { id: &names[at], text: "word", metadata: &even[at], vector: &vectors[at], expires: None })
        .collect();
    upsert(&store, &entries);
    let odd = Filter::parse(r#"{"one_of": {"field": "even", "values": [false]}}"#).expect("it is a filter");
    let late = Filter::parse(r#"{"between": {"field": "at", "at_least": 2990}}"#).expect("it is a filter");
    let answers = || {
        let (rows, _) = store.vectors(SPACE, 700, 3).expect("it answers");
        let best = dense(&store, &[1.0, 0.0], 3, at(NOW)).expect("it answers");
        (rows, best, ids(&store, Question { filter: Some(&late), ..at(NOW) }))
    };
    assert_eq!(store.delete(SPACE, Which::Passing(&odd), NOW).expect("it answers"), 1_500);
    let (before, bytes) = (answers(), || store.figures(SPACE, NOW).expect("it answers").expect("it is there"));
    let full = bytes().memory_bytes;
    store.sweep(NOW).expect("it sweeps");
    assert_eq!(answers(), before);
    assert!(bytes().memory_bytes < full * 3 / 4, "{} of {full}", bytes().memory_bytes);
}
