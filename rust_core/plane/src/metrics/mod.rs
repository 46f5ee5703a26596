//! What a process counts and measures, in Prometheus' terms.
//!
//! A [`Meter`] makes families ([`Counters`], [`Amounts`], [`Gauges`], [`Histograms`]), each one name with a fixed list
//! of labels; the values of the labels pick a series.  Recording is wait-free and allocates nothing once its series is
//! there: see [`table`].  No family grows beyond [`SERIES`], whatever callers send: further label values count as
//! "other", so that sums stay right.
//!
//! What is known elsewhere is not counted twice: such a figure is read when it is asked for, with a [`Reading`].
//! The crates `prometheus` and `metrics` take a lock for every series that is looked up by labels, and know no
//! exemplars or no bound.

mod cell;
mod merge;
pub mod process;
mod reading;
mod table;

use std::{sync::Arc, time::SystemTime};

use parking_lot::Mutex;

use crate::proto::v1::{self, MetricType};

pub use cell::TraceId;
use cell::{Amount, Cell, Level, Spread, Whole};
pub use merge::merge;
pub use reading::Reading;
use table::Table;

/// Most series of one family.
pub const SERIES: usize = 1000;
/// Seconds that whole calls take: upper ends of the buckets, 1-2-5 from half a millisecond to a minute.
pub const CALLS: &[f64] =
    &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0];
/// Seconds that parts of calls take: the same from ten microseconds to ten seconds.
pub const PARTS: &[f64] = &[
    0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0,
    5.0, 10.0,
];
/// Sizes: powers of two.
pub const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Makes families and reads them all; clones share them.
#[derive(Clone)]
pub struct Meter(Option<Arc<Mutex<Vec<Shared>>>>);

type Shared = Arc<dyn Collect>;

impl Meter {
    /// One that is not `enabled` makes families that record nothing.
    pub fn new(enabled: bool) -> Self {
        Self(enabled.then(Arc::default))
    }

    /// Whether anything is recorded.
    pub fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Of whole numbers that only grow; `name` without `_total`.
    pub fn counters<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Counters<N> {
        Counters(self.family(About { name, help, labels, kind: MetricType::Counter, bounds: &[] }))
    }

    /// Of sums that only grow; `name` without `_total`.
    pub fn amounts<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Amounts<N> {
        Amounts(self.family(About { name, help, labels, kind: MetricType::Counter, bounds: &[] }))
    }

    /// Of figures that go up and down.
    pub fn gauges<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Gauges<N> {
        Gauges(self.family(About { name, help, labels, kind: MetricType::Gauge, bounds: &[] }))
    }

    /// Of values spread over buckets with these upper ends.
    pub fn histograms<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
        bounds: &'static [f64],
    ) -> Histograms<N> {
        Histograms(self.family(About { name, help, labels, kind: MetricType::Histogram, bounds }))
    }

    /// Every family that has a series, in the order they were made.
    pub fn families(&self) -> Vec<v1::MetricFamily> {
        let Some(families) = &self.0 else { return Vec::new() };
        let families = families.lock().clone();
        families.iter().map(|family| family.collect()).filter(|family| !family.series.is_empty()).collect()
    }

    fn family<const N: usize, C: Cell>(&self, about: About<N>) -> Option<Arc<Family<N, C>>> {
        let families = self.0.as_ref()?;
        let family = Arc::new(Family { about, table: Table::new(SERIES) });
        families.lock().push(family.clone());
        Some(family)
    }
}

/// Whole numbers that only grow.
#[derive(Clone)]
pub struct Counters<const N: usize>(Option<Arc<Family<N, Whole>>>);

impl<const N: usize> Counters<N> {
    /// One more of these.
    pub fn inc(&self, values: [&str; N]) {
        self.add(values, 1);
    }

    /// So many more of these.
    pub fn add(&self, values: [&str; N], more: u64) {
        if let Some(family) = &self.0 {
            family.cell(values).add(more);
        }
    }

    /// Hands over each series.
    pub fn each(&self, mut to: impl FnMut([&str; N], u64)) {
        for series in self.0.iter().flat_map(|family| family.table.iter()) {
            to(series.values(), series.cell.get());
        }
    }
}

/// Sums that only grow.
#[derive(Clone)]
pub struct Amounts<const N: usize>(Option<Arc<Family<N, Amount>>>);

impl<const N: usize> Amounts<N> {
    /// So much more of these; what is not more is left out.
    pub fn add(&self, values: [&str; N], more: f64) {
        if let Some(family) = self.0.as_ref().filter(|_| more > 0.0) {
            family.cell(values).add(more);
        }
    }

    /// Hands over each series.
    pub fn each(&self, mut to: impl FnMut([&str; N], f64)) {
        for series in self.0.iter().flat_map(|family| family.table.iter()) {
            to(series.values(), series.cell.get());
        }
    }
}

/// Figures that go up and down.
#[derive(Clone)]
pub struct Gauges<const N: usize>(Option<Arc<Family<N, Level>>>);

impl<const N: usize> Gauges<N> {
    /// It is this now.
    pub fn set(&self, values: [&str; N], value: f64) {
        if let Some(family) = &self.0 {
            family.cell(values).set(value);
        }
    }
}

/// Values spread over buckets.
#[derive(Clone)]
pub struct Histograms<const N: usize>(Option<Arc<Family<N, Spread>>>);

impl<const N: usize> Histograms<N> {
    /// One more value; that of a traced call may become its bucket's exemplar.
    pub fn observe(&self, values: [&str; N], value: f64, trace: Option<TraceId>) {
        if let Some(family) = &self.0 {
            family.cell(values).observe(value, family.about.bounds, trace);
        }
    }

    /// Hands over the buckets of each series.
    pub fn each(&self, mut to: impl FnMut([&str; N], Vec<u64>)) {
        for series in self.0.iter().flat_map(|family| family.table.iter()) {
            to(series.values(), series.cell.buckets());
        }
    }
}

struct About<const N: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    kind: MetricType,
    bounds: &'static [f64],
}

/// One name.
struct Family<const N: usize, C> {
    about: About<N>,
    table: Table<N, C>,
}

impl<const N: usize, C: Cell> Family<N, C> {
    fn cell(&self, values: [&str; N]) -> &C {
        &self.table.get(values, || C::new(self.about.bounds)).cell
    }
}

/// A family that can be read.
trait Collect: Send + Sync {
    fn collect(&self) -> v1::MetricFamily;
}

impl<const N: usize, C: Cell> Collect for Family<N, C> {
    fn collect(&self) -> v1::MetricFamily {
        let series = self.table.iter().map(|series| v1::MetricSeries {
            values: series.values().map(String::from).to_vec(),
            created: Some(series.created.into()),
            ..series.cell.read()
        });
        v1::MetricFamily {
            name: self.about.name.into(),
            help: self.about.help.into(),
            r#type: self.about.kind.into(),
            labels: self.about.labels.map(String::from).to_vec(),
            bounds: self.about.bounds.to_vec(),
            series: series.collect(),
        }
    }
}

fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests;
