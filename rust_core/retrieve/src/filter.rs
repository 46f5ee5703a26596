//! What documents must be like, by their metadata.
//!
//! Written as JSON by `services/retrieve/filters.py`: `{"all": […]}`, `{"one_of": {"field": …, "values": […]}}`, ….

use serde::Deserialize;

use crate::InputError;

/// A test of a document's metadata.
///
/// Fields of objects are named by dots, as in `author.name`.  Of a list one element that passes is enough; objects and
/// lists in lists are not looked into.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Filter {
    /// Every one passes; of none: everything does.
    All(Vec<Filter>),
    /// One passes at least; of none: nothing does.
    Any(Vec<Filter>),
    /// It does not pass.
    Not(Box<Filter>),
    /// A field has one of these values.
    OneOf {
        /// Its name.
        field: String,
        /// Any of them.
        values: Vec<Scalar>,
    },
    /// A field is a number within bounds.
    Between(Range),
    /// A field is there, or is not; null is as good as not there.
    Exists {
        /// Its name.
        field: String,
        /// Whether it must be.
        there: bool,
    },
}

/// A value that can be compared; those of different kinds are never equal.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// True or false.
    Truth(bool),
    /// As JSON and the contract have numbers.
    Number(f64),
    /// A string.
    Text(String),
}

/// Numbers of a field; without any bound, all.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Range {
    /// The field's name.
    pub field: String,
    /// Larger than this.
    pub above: Option<f64>,
    /// This or larger.
    pub at_least: Option<f64>,
    /// Smaller than this.
    pub below: Option<f64>,
    /// This or smaller.
    pub at_most: Option<f64>,
}

impl Filter {
    /// Reads one.
    pub fn parse(json: &str) -> Result<Self, InputError> {
        serde_json::from_str(json).map_err(|error| InputError::Filter(error.to_string()))
    }
}
