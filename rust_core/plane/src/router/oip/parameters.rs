//! What a request says beside its tensors.
//!
//! Every parameter that is known is taken out; what is left at the end is refused, because a misspelt `max_tokens`
//! that goes unnoticed costs more than an error.  Values may be of any type that reads as what is wanted: 5, 5.0 and
//! "5" are the same.

use std::{collections::HashMap, str::FromStr, time::Duration};

use super::{invalid, tensor::quoted};
use crate::{
    error::Error,
    proto::{
        inference::{InferParameter, infer_parameter::ParameterChoice},
        v1::{Priority, RouteHints, Tier, Truncation},
    },
};

/// Said by clients of their own accord, and of no meaning here: a session needs no beginning and no end.
const IGNORED: [&str; 2] = ["sequence_start", "sequence_end"];
/// Prefix of names that are between a Triton client and its server.
const RESERVED: &str = "triton_";
/// Asks for a last response without tensors.
const EMPTY_FINAL: &str = "triton_enable_empty_final_response";

/// The parameters that were not taken yet.
#[derive(Debug, Default)]
pub struct Parameters {
    /// Where they stand in the request.
    place: String,
    left: HashMap<String, InferParameter>,
    known: Vec<&'static str>,
}

impl Parameters {
    /// Those at `place` of a request.
    pub fn new(place: impl Into<String>, left: HashMap<String, InferParameter>) -> Self {
        Self { place: place.into(), left, known: Vec::new() }
    }

    fn field(&self, name: &str) -> String {
        format!("{}.{name}", self.place)
    }

    /// Takes one that reads as `T`; `expected` says what that is.
    pub fn take<T: FromStr>(&mut self, name: &'static str, expected: &str) -> Result<Option<T>, Error> {
        self.known.push(name);
        let Some(text) = self.left.remove(name).and_then(text) else { return Ok(None) };
        let read = text.parse().map(Some);
        read.map_err(|_| invalid(self.field(name), quoted(&text), expected))
    }

    /// Takes a text.
    pub fn take_text(&mut self, name: &'static str) -> Result<Option<String>, Error> {
        self.take(name, "text")
    }

    /// Takes a list: a JSON list of texts, or one text.
    pub fn take_list(&mut self, name: &'static str) -> Result<Vec<String>, Error> {
        let Some(text) = self.take_text(name)? else { return Ok(Vec::new()) };
        Ok(serde_json::from_str(&text).unwrap_or_else(|_| vec![text]))
    }

    /// Takes what is so or not; absent: it is not.
    pub fn take_flag(&mut self, name: &'static str) -> Result<bool, Error> {
        Ok(self.take(name, "true or false")?.unwrap_or_default())
    }

    /// How long the caller waits: microseconds, 0 for as long as it takes.
    pub fn timeout(&mut self) -> Result<Option<Duration>, Error> {
        let micros = self.take("timeout", "a whole number of microseconds")?;
        Ok(micros.filter(|&micros| micros > 0).map(Duration::from_micros))
    }

    /// Whether the end of a stream is to be said by a response of its own.
    pub fn empty_final(&mut self) -> Result<bool, Error> {
        self.take_flag(EMPTY_FINAL)
    }

    /// What is done with texts that are too long.
    pub fn truncation(&mut self) -> Result<Truncation, Error> {
        let Some(text) = self.take_text("truncation")? else { return Ok(Truncation::Unspecified) };
        self.named("truncation", "TRUNCATION_", &text, Truncation::from_str_name)
    }

    /// Wishes about the route.
    pub fn route(&mut self) -> Result<RouteHints, Error> {
        Ok(RouteHints {
            required_tags: self.take_list("waypost_required_tags")?,
            optional_tags: self.take_list("waypost_optional_tags")?,
            tier: self.tier()?.into(),
            session: self.session()?,
            max_cost_usd: self.take("waypost_max_cost_usd", "US dollars")?.unwrap_or_default(),
            priority: self.priority()?.into(),
            tenant: self.take_text("waypost_tenant")?.unwrap_or_default(),
            no_cache: self.take_flag("waypost_no_cache")?,
            no_store: self.take_flag("waypost_no_store")?,
        })
    }

    fn tier(&mut self) -> Result<Tier, Error> {
        let Some(text) = self.take_text("waypost_tier")? else { return Ok(Tier::Unspecified) };
        self.named("waypost_tier", "TIER_", &text, Tier::from_str_name)
    }

    /// Triton's numbers go down from 1, the most urgent; names are ours.
    fn priority(&mut self) -> Result<Priority, Error> {
        let Some(text) = self.take_text("priority")? else { return Ok(Priority::Unspecified) };
        match text.parse::<u64>() {
            Ok(0) => Ok(Priority::Unspecified),
            Ok(1) => Ok(Priority::High),
            Ok(2) => Ok(Priority::Normal),
            Ok(_) => Ok(Priority::Low),
            Err(_) => self.named("priority", "PRIORITY_", &text, Priority::from_str_name),
        }
    }

    /// Calls of one sequence go to one instance; Triton's 0 and "" are none.
    fn session(&mut self) -> Result<String, Error> {
        Ok(self.take_text("sequence_id")?.filter(|id| id != "0").unwrap_or_default())
    }

    /// A value of an enumeration of the contract, with or without the prefix of its name.
    fn named<T>(&self, name: &str, prefix: &str, text: &str, value: fn(&str) -> Option<T>) -> Result<T, Error> {
        let upper = text.to_ascii_uppercase();
        let full = if upper.starts_with(prefix) { upper } else { format!("{prefix}{upper}") };
        value(&full).ok_or_else(|| invalid(self.field(name), quoted(text), format!("the end of a {prefix}…")))
    }

    /// Refuses what nobody took.
    pub fn finish(mut self) -> Result<(), Error> {
        self.left.retain(|name, _| !IGNORED.contains(&name.as_str()) && !name.starts_with(RESERVED));
        let Some(unknown) = self.left.keys().min() else { return Ok(()) };
        self.known.sort_unstable();
        let expected = format!("one of {}", self.known.join(", "));
        Err(invalid(self.field(unknown), "not known here", expected))
    }
}

/// As it would be written.
fn text(parameter: InferParameter) -> Option<String> {
    Some(match parameter.parameter_choice? {
        ParameterChoice::BoolParam(value) => value.to_string(),
        ParameterChoice::Int64Param(value) => value.to_string(),
        ParameterChoice::StringParam(value) => value,
        ParameterChoice::DoubleParam(value) => value.to_string(),
        ParameterChoice::Uint64Param(value) => value.to_string(),
    })
}

/// Metadata for a response.
pub fn string(value: impl Into<String>) -> InferParameter {
    InferParameter { parameter_choice: Some(ParameterChoice::StringParam(value.into())) }
}

/// The same of what is so or not.
pub fn flag(value: bool) -> InferParameter {
    InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(all: impl IntoIterator<Item = (&'static str, ParameterChoice)>) -> Parameters {
        let each =
            all.into_iter().map(|(name, choice)| (name.to_string(), InferParameter { parameter_choice: Some(choice) }));
        Parameters::new("parameters", each.collect())
    }

    #[test]
    fn numbers_are_read_whatever_their_type() {
        for choice in [
            ParameterChoice::Int64Param(5),
            ParameterChoice::Uint64Param(5),
            ParameterChoice::DoubleParam(5.0),
            ParameterChoice::StringParam("5".into()),
        ] {
            let mut parameters = parameters([("max_tokens", choice)]);
            assert_eq!(parameters.take("max_tokens", "a number"), Ok(Some(5_u32)));
        }
    }

    #[test]
    fn what_does_not_read_as_it_should_is_refused_by_name() {
        let mut parameters = parameters([("seed", ParameterChoice::Int64Param(-1))]);
        let error = parameters.take::<u64>("seed", "a whole number").expect_err("is negative");
        assert_eq!(error.to_string(), "parameters.seed is \"-1\": it must be a whole number");
    }

    #[test]
    fn hints_are_read_and_tritons_priority_is_turned() {
        let mut parameters = parameters([
            ("priority", ParameterChoice::Uint64Param(1)),
            ("sequence_id", ParameterChoice::Int64Param(7)),
            ("waypost_tier", ParameterChoice::StringParam("high".into())),
            ("waypost_required_tags", ParameterChoice::StringParam("[\"code\", \"fast\"]".into())),
        ]);
        let route = parameters.route().expect("is valid");
        assert_eq!((route.priority(), route.tier()), (Priority::High, Tier::High));
        assert_eq!((route.session.as_str(), route.required_tags), ("7", vec!["code".to_string(), "fast".to_string()]));
        assert_eq!(parameters.finish(), Ok(()));
    }

    #[test]
    fn what_nobody_knows_is_refused_with_what_is_known() {
        let mut parameters = parameters([
            ("temprature", ParameterChoice::Int64Param(1)),
            ("triton_x", ParameterChoice::BoolParam(true)),
        ]);
        let _: Option<f32> = parameters.take("temperature", "a number").expect("is absent");
        let error = parameters.finish().expect_err("is misspelt");
        assert_eq!(error.to_string(), "parameters.temprature is not known here: it must be one of temperature");
    }
}
