//! Which outputs a request wants.

use super::{
    invalid,
    parameters::Parameters,
    tensor::{listed, quoted},
};
use crate::{error::Error, proto::inference::model_infer_request::InferRequestedOutputTensor};

/// A parameter of protocols that may send tensors as JSON; here they never are.
const BINARY: &str = "binary_data";

/// The outputs that were asked for, in their order; none: all of the task.
#[derive(Debug, Default)]
pub struct Requested(Vec<Output>);

/// One of them.
#[derive(Debug)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// So many of the best labels as text, in place of all scores.
    pub classification: Option<u32>,
    index: usize,
}

impl Requested {
    /// As the request has them.
    pub fn read(outputs: Vec<InferRequestedOutputTensor>) -> Result<Self, Error> {
        let mut requested = Self::default();
        for (index, output) in outputs.into_iter().enumerate() {
            let output = Output::read(index, output)?;
            if requested.0.iter().any(|known| known.name == output.name) {
                return Err(output.misnamed("no name that was there"));
            }
            requested.0.push(output);
        }
        Ok(requested)
    }

    /// Each of them.
    pub fn all(self) -> Vec<Output> {
        self.0
    }

    /// Their names, where only these are offered; all of these where none was asked for.
    pub fn among(self, offered: &[&'static str]) -> Result<Vec<&'static str>, Error> {
        if self.0.is_empty() {
            return Ok(offered.to_vec());
        }
        let find = |output: Output| {
            let found = offered.iter().find(|name| **name == output.name);
            let found = found.ok_or_else(|| output.misnamed(format!("one of {}", listed(offered))))?;
            output.without_classification().map(|()| *found)
        };
        self.0.into_iter().map(find).collect()
    }
}

impl Output {
    fn read(index: usize, output: InferRequestedOutputTensor) -> Result<Self, Error> {
        if output.parameters.contains_key("shared_memory_region") {
            return Err(Error::NotImplemented { method: format!("outputs[{index}] in shared memory") });
        }
        let mut parameters = Parameters::new(format!("outputs[{index}].parameters"), output.parameters);
        let count: Option<u32> = parameters.take("classification", "a count of labels")?;
        parameters.take_text(BINARY)?;
        parameters.finish()?;
        Ok(Self { name: output.name, classification: count.filter(|&count| count > 0), index })
    }

    /// Refuses its name.
    pub fn misnamed(&self, expected: impl Into<String>) -> Error {
        invalid(format!("outputs[{}].name", self.index), quoted(&self.name), expected)
    }

    /// Refuses labels where there are none.
    pub fn without_classification(&self) -> Result<(), Error> {
        let Some(count) = self.classification else { return Ok(()) };
        let field = format!("outputs[{}].parameters.classification", self.index);
        Err(invalid(field, count.to_string(), format!("absent: `{}` has no labels", self.name)))
    }
}
