//! A family of figures that are kept elsewhere and read when somebody asks.

use crate::proto::v1::{MetricFamily, MetricSeries, MetricType};

/// Collects its series.
#[derive(Debug)]
pub struct Reading(MetricFamily);

impl Reading {
    /// Of figures that go up and down.
    pub fn gauge<const N: usize>(name: &str, help: &str, labels: [&str; N]) -> Self {
        Self::new(name, help, MetricType::Gauge, &labels)
    }

    /// Of figures that only grow; `name` without `_total`.
    pub fn counter<const N: usize>(name: &str, help: &str, labels: [&str; N]) -> Self {
        Self::new(name, help, MetricType::Counter, &labels)
    }

    fn new(name: &str, help: &str, kind: MetricType, labels: &[&str]) -> Self {
        let labels = labels.iter().map(ToString::to_string).collect();
        Self(MetricFamily { name: name.into(), help: help.into(), r#type: kind.into(), labels, ..Default::default() })
    }

    /// With one more series.
    pub fn with(mut self, values: &[&str], value: f64) -> Self {
        self.put(values, value);
        self
    }

    /// One more series.
    pub fn put(&mut self, values: &[&str], value: f64) {
        debug_assert_eq!(values.len(), self.0.labels.len(), "{}", self.0.name);
        let values = values.iter().map(ToString::to_string).collect();
        self.0.series.push(MetricSeries { values, value, ..Default::default() });
    }

    /// The family.
    pub fn done(self) -> MetricFamily {
        self.0
    }
}
