//! Which documents have which values in their metadata: what filters are answered from.
//!
//! A document is a slot, its place in memory.  Text is looked up by value; numbers are kept in order, so that a range
//! is one walk.  Nothing is taken out when a document goes: its slot is no longer live, and what is not live is left out
//! of every answer until [`Postings::compacted`] forgets it.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

use roaring::RoaringBitmap;
use serde_json::{Map, Value};

use crate::filter::{Filter, Range, Scalar};

/// Of all fields.
#[derive(Debug, Default)]
pub struct Postings(HashMap<Box<str>, Field>);

#[derive(Debug, Default)]
struct Field {
    there: RoaringBitmap,
    texts: HashMap<Box<str>, Slots>,
    numbers: BTreeSet<(Number, u32)>,
    truths: [RoaringBitmap; 2],
}

/// Most texts are either rare, as an address is, or frequent, as a language is.
#[derive(Debug)]
enum Slots {
    One(u32),
    Many(Box<RoaringBitmap>),
}

/// A finite number with its order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Number(f64);

impl Postings {
    /// Notes what a document has.
    pub fn add(&mut self, slot: u32, metadata: &Map<String, Value>) {
        self.add_object(slot, "", metadata);
    }

    /// Of the `live` those that pass.
    pub fn passing(&self, filter: &Filter, live: &RoaringBitmap) -> RoaringBitmap {
        match filter {
            Filter::All(filters) => filters.iter().fold(live.clone(), |left, each| self.passing(each, &left)),
            Filter::Any(filters) => filters.iter().map(|each| self.passing(each, live)).fold(none(), |a, b| a | b),
            Filter::Not(inner) => live - self.passing(inner, live),
            Filter::OneOf { field, values } => live & self.of(field, |it| it.one_of(values)),
            Filter::Between(range) => live & self.of(&range.field, |it| it.numbers(range.from(), range.to())),
            Filter::Exists { field, there: true } => live & self.of(field, |it| it.there.clone()),
            Filter::Exists { field, there: false } => live - self.of(field, |it| it.there.clone()),
        }
    }

    /// With the slots that `renumber` gives; those it gives nothing are forgotten.
    pub fn compacted(&self, renumber: impl Fn(u32) -> Option<u32> + Copy) -> Self {
        let fields = self.0.iter().map(|(name, field)| (name.clone(), field.compacted(renumber)));
        Self(fields.filter(|(_, field)| !field.there.is_empty()).collect())
    }

    /// Bytes in memory, about.
    pub fn memory(&self) -> usize {
        self.0.iter().map(|(name, field)| name.len() + field.memory()).sum()
    }

    fn of(&self, field: &str, found: impl Fn(&Field) -> RoaringBitmap) -> RoaringBitmap {
        self.0.get(field).map_or_else(none, found)
    }

    fn add_object(&mut self, slot: u32, path: &str, object: &Map<String, Value>) {
        for (name, value) in object {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            self.add_value(slot, &path, value);
        }
    }

    fn add_value(&mut self, slot: u32, path: &str, value: &Value) {
        if value.is_null() {
            return;
        }
        let field = self.field(path);
        field.there.insert(slot);
        match value {
            Value::Array(elements) => elements.iter().for_each(|each| field.add(slot, each)),
            Value::Object(object) => self.add_object(slot, path, object),
            scalar => field.add(slot, scalar),
        }
    }

    fn field(&mut self, path: &str) -> &mut Field {
        // Names are few and documents many: no name is allocated that is there.
        if !self.0.contains_key(path) {
            self.0.insert(path.into(), Field::default());
        }
        self.0.get_mut(path).expect("it is there")
    }
}

impl Field {
    fn add(&mut self, slot: u32, scalar: &Value) {
        match scalar {
            Value::Bool(truth) => drop(self.truths[usize::from(*truth)].insert(slot)),
            Value::Number(number) => drop(number.as_f64().map(|it| self.numbers.insert((Number::new(it), slot)))),
            Value::String(text) => self.add_text(slot, text),
            Value::Null | Value::Array(_) | Value::Object(_) => {}
        }
    }

    fn add_text(&mut self, slot: u32, text: &str) {
        match self.texts.get_mut(text) {
            Some(slots) => slots.insert(slot),
            None => drop(self.texts.insert(text.into(), Slots::One(slot))),
        }
    }

    fn one_of(&self, values: &[Scalar]) -> RoaringBitmap {
        values.iter().map(|value| self.equal(value)).fold(none(), |a, b| a | b)
    }

    fn equal(&self, value: &Scalar) -> RoaringBitmap {
        match value {
            Scalar::Truth(truth) => self.truths[usize::from(*truth)].clone(),
            Scalar::Number(number) => {
                let number = Number::new(*number);
                self.numbers(Bound::Included((number, 0)), Bound::Included((number, u32::MAX)))
            }
            Scalar::Text(text) => self.texts.get(text.as_str()).map_or_else(none, Slots::bitmap),
        }
    }

    fn numbers(&self, from: End, to: End) -> RoaringBitmap {
        if is_empty(from, to) {
            return none();
        }
        let mut slots: Vec<u32> = self.numbers.range((from, to)).map(|(_, slot)| *slot).collect();
        slots.sort_unstable();
        slots.into_iter().collect()
    }

    fn compacted(&self, renumber: impl Fn(u32) -> Option<u32> + Copy) -> Self {
        let bitmap = |slots: &RoaringBitmap| slots.iter().filter_map(renumber).collect::<RoaringBitmap>();
        let texts = self.texts.iter().filter_map(|(text, slots)| Some((text.clone(), slots.compacted(renumber)?)));
        let numbers = self.numbers.iter().filter_map(|(number, slot)| Some((*number, renumber(*slot)?)));
        Self {
            there: bitmap(&self.there),
            texts: texts.collect(),
            numbers: numbers.collect(),
            truths: [bitmap(&self.truths[0]), bitmap(&self.truths[1])],
        }
    }

    fn memory(&self) -> usize {
        /// Of an entry beside its content: hash table, pointers, spare room.
        const ENTRY: usize = 48;
        let texts: usize = self.texts.iter().map(|(text, slots)| text.len() + slots.memory() + ENTRY).sum();
        let bitmaps =
            self.there.serialized_size() + self.truths.iter().map(RoaringBitmap::serialized_size).sum::<usize>();
        texts + bitmaps + self.numbers.len() * ENTRY / 2
    }
}

impl Slots {
    fn insert(&mut self, slot: u32) {
        match self {
            Self::One(first) => *self = Self::Many(Box::new([*first, slot].into_iter().collect())),
            Self::Many(slots) => drop(slots.insert(slot)),
        }
    }

    fn bitmap(&self) -> RoaringBitmap {
        match self {
            Self::One(slot) => RoaringBitmap::from_iter([*slot]),
            Self::Many(slots) => (**slots).clone(),
        }
    }

    fn compacted(&self, renumber: impl Fn(u32) -> Option<u32>) -> Option<Self> {
        let left: RoaringBitmap = self.bitmap().iter().filter_map(renumber).collect();
        match left.len() {
            0 => None,
            1 => left.min().map(Self::One),
            _ => Some(Self::Many(Box::new(left))),
        }
    }

    fn memory(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Many(slots) => size_of::<RoaringBitmap>() + slots.serialized_size(),
        }
    }
}

impl Number {
    fn new(value: f64) -> Self {
        // Minus zero is zero.
        Self(value + 0.0)
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

type End = Bound<(Number, u32)>;

impl Range {
    /// The stricter of both lower bounds.
    fn from(&self) -> End {
        let open = self.above.map(|above| (Number::new(above), u32::MAX));
        let closed = self.at_least.map(|least| (Number::new(least), 0));
        match (open, closed) {
            (Some(open), Some(closed)) if open < closed => Bound::Included(closed),
            (Some(open), _) => Bound::Excluded(open),
            (None, Some(closed)) => Bound::Included(closed),
            (None, None) => Bound::Unbounded,
        }
    }

    /// The stricter of both upper bounds.
    fn to(&self) -> End {
        let open = self.below.map(|below| (Number::new(below), 0));
        let closed = self.at_most.map(|most| (Number::new(most), u32::MAX));
        match (open, closed) {
            (Some(open), Some(closed)) if open > closed => Bound::Included(closed),
            (Some(open), _) => Bound::Excluded(open),
            (None, Some(closed)) => Bound::Included(closed),
            (None, None) => Bound::Unbounded,
        }
    }
}

/// Ranges that end before they begin are a mistake to a tree, and mean nothing here.
fn is_empty(from: End, to: End) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => from >= to,
    }
}

fn none() -> RoaringBitmap {
    RoaringBitmap::new()
}
