//! What models said of one request.

use http::HeaderMap;

use super::{inner::Answer, parameters, tensor::Tensor};
use crate::proto::{
    inference::ModelInferResponse,
    v1::{ServedBy, Timings},
};

/// The outputs, and where they come from.
#[derive(Debug, Default)]
pub struct Answered {
    /// The model; of several calls, the first one's.
    pub served: ServedBy,
    /// In the order in which they were asked for.
    pub tensors: Vec<Tensor>,
    /// What the router said.
    pub said: HeaderMap,
    /// Where the time of each call went.
    pub timings: Vec<Timings>,
}

impl Answered {
    /// Of one call.
    pub fn new<T>(
        answer: &Answer<T>,
        served: Option<ServedBy>,
        timings: Option<Timings>,
        tensors: Vec<Tensor>,
    ) -> Self {
        let timings = vec![timings.unwrap_or_default()];
        Self { served: served.unwrap_or_default(), tensors, said: answer.said.clone(), timings }
    }

    /// Of calls side by side.
    pub fn join(parts: Vec<Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut whole = parts.next().unwrap_or_default();
        for part in parts {
            whole.tensors.extend(part.tensors);
            whole.timings.extend(part.timings);
            for (name, value) in &part.said {
                whole.said.append(name, value.clone());
            }
        }
        whole
    }

    /// As it is sent; what the router said is among the parameters, for clients that do not see trailers.
    pub fn into_response(self, id: String) -> ModelInferResponse {
        let (outputs, raw_output_contents) = self.tensors.into_iter().map(Tensor::into_parts).unzip();
        let said =
            self.said.keys().map(|name| (name.to_string(), parameters::string(joined(&self.said, name.as_str()))));
        ModelInferResponse {
            model_name: self.served.model,
            model_version: self.served.version,
            id,
            parameters: said.collect(),
            outputs,
            raw_output_contents,
        }
    }
}

/// All values under a name, as gRPC joins them.
fn joined(said: &HeaderMap, name: &str) -> String {
    let values: Vec<_> = said.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    values.join(",")
}
