//! Models in the words of the protocol: their tensors, and whether they can be asked.

use std::collections::HashMap;

use super::{generate, known::Known, rerank, tensor::BYTES, texts};
use crate::{
    health::model_name,
    proto::{
        inference::{
            DataType, ModelConfig, ModelInput, ModelMetadataResponse, ModelOutput, ModelParameter,
            ModelTransactionPolicy, ServerMetadataResponse, model_metadata_response::TensorMetadata,
            repository_index_response::ModelIndex,
        },
        v1::{HeadInfo, ModelInfo, Task},
    },
    router::{Plane, mesh},
};

/// Of Triton's extensions of the protocol, those that are served.
const EXTENSIONS: [&str; 6] =
    ["classification", "model_configuration", "model_repository", "parameters", "schedule_policy", "statistics"];
/// As many as the request has.
const ANY: i64 = -1;

/// This server.
pub fn server(plane: &Plane) -> ServerMetadataResponse {
    ServerMetadataResponse {
        name: "waypost".into(),
        version: plane.config.version.clone(),
        extensions: EXTENSIONS.map(String::from).into(),
    }
}

/// A tensor of a model.
struct Port {
    name: String,
    datatype: &'static str,
    shape: Vec<i64>,
}

fn port(name: impl Into<String>, datatype: &'static str, shape: &[i64]) -> Port {
    Port { name: name.into(), datatype, shape: shape.to_vec() }
}

fn inputs(tasks: &[Task]) -> Vec<Port> {
    let mut all = Vec::new();
    if tasks.contains(&Task::Embed) || tasks.contains(&Task::Classify) {
        all.push(port(texts::TEXT, BYTES, &[ANY]));
    }
    if tasks.contains(&Task::Rerank) {
        all.extend([port(rerank::QUERY, BYTES, &[1]), port(rerank::DOCUMENTS, BYTES, &[ANY])]);
    }
    if tasks.contains(&Task::Generate) {
        all.extend([port(generate::PROMPT, BYTES, &[1]), port(generate::MESSAGES, BYTES, &[1])]);
    }
    all
}

fn outputs(known: &Known, tasks: &[Task]) -> Vec<Port> {
    let mut all = Vec::new();
    if tasks.contains(&Task::Embed) {
        all.push(port(texts::EMBEDDING, "FP32", &[ANY, dimensions(known)]));
    }
    let heads = known.heads().into_iter();
    all.extend(heads.map(|head| port(&head.name, "FP32", &[ANY, head.labels.len() as i64])));
    if tasks.contains(&Task::Rerank) {
        all.extend([port(rerank::SCORE, "FP32", &[ANY]), port(rerank::RANKING, "INT32", &[ANY])]);
    }
    if tasks.contains(&Task::Generate) {
        all.extend([generate::TEXT, generate::FINISH_REASON].map(|name| port(name, BYTES, &[1])));
        all.extend([generate::PROMPT_TOKENS, generate::COMPLETION_TOKENS].map(|name| port(name, "UINT32", &[1])));
    }
    all
}

fn dimensions(known: &Known) -> i64 {
    known.infos().map(|info| i64::from(info.dimensions)).max().unwrap_or(ANY)
}

fn backend(known: &Known) -> String {
    known.infos().next().map(|info| info.backend.clone()).unwrap_or_default()
}

/// Its tensors, under the name it was asked for.
pub fn metadata(name: String, known: &Known) -> ModelMetadataResponse {
    let tasks = known.tasks();
    let tensor = |Port { name, datatype, shape }| TensorMetadata { name, datatype: datatype.into(), shape };
    ModelMetadataResponse {
        name,
        versions: known.versions(),
        platform: backend(known),
        inputs: inputs(&tasks).into_iter().map(tensor).collect(),
        outputs: outputs(known, &tasks).into_iter().map(tensor).collect(),
    }
}

/// The same as a configuration.  A request has the inputs of one task, so that none is obligatory where there are
/// several.
pub fn config(name: String, known: &Known) -> ModelConfig {
    let tasks = known.tasks();
    let inputs = inputs(&tasks);
    let optional = inputs.len() > 1;
    let input = |port: Port| {
        let data_type = data_type(port.datatype).into();
        ModelInput { name: port.name, data_type, dims: port.shape, optional }
    };
    let output =
        |port: Port| ModelOutput { name: port.name, data_type: data_type(port.datatype).into(), dims: port.shape };
    ModelConfig {
        name,
        platform: backend(known),
        backend: backend(known),
        max_batch_size: 0,
        input: inputs.into_iter().map(input).collect(),
        output: outputs(known, &tasks).into_iter().map(output).collect(),
        parameters: parameters(known, &tasks),
        model_transaction_policy: Some(ModelTransactionPolicy { decoupled: tasks.contains(&Task::Generate) }),
    }
}

fn data_type(name: &str) -> DataType {
    match name {
        "FP32" => DataType::TypeFp32,
        "INT32" => DataType::TypeInt32,
        "UINT32" => DataType::TypeUint32,
        _ => DataType::TypeString,
    }
}

/// What a configuration has no field for; `labels.HEAD` is a JSON list in the order of the scores.
fn parameters(known: &Known, tasks: &[Task]) -> HashMap<String, ModelParameter> {
    let tasks: Vec<_> =
        tasks.iter().map(|task| task.as_str_name().trim_start_matches("TASK_").to_lowercase()).collect();
    let mut all = HashMap::from([("tasks".to_string(), tasks.join(","))]);
    let labels = |head: &HeadInfo| (format!("labels.{}", head.name), serde_json::json!(head.labels).to_string());
    all.extend(known.heads().into_iter().map(labels));
    all.into_iter().map(|(name, string_value)| (name, ModelParameter { string_value })).collect()
}

/// Whether some instance takes calls for it.
pub fn is_ready(plane: &Plane, name: &str, version: &str) -> bool {
    let Some(known) = Known::find(plane, name) else { return false };
    known.check_version("version", version).is_ok() && plane.registry.is_serving(&model_name(&known.model.name))
}

/// Whether some model can be asked.
pub fn is_server_ready(plane: &Plane) -> bool {
    plane.registry.is_serving("")
}

/// Every version of every model.
pub fn index(plane: &Plane, ready_only: bool) -> Vec<ModelIndex> {
    let each = mesh::models(plane).into_iter().map(|info| entry(plane, info));
    each.filter(|entry| !ready_only || entry.state == "READY").collect()
}

fn entry(plane: &Plane, info: ModelInfo) -> ModelIndex {
    let (state, reason) = match (info.unloaded, plane.registry.is_serving(&model_name(&info.name))) {
        (true, _) => ("UNAVAILABLE", "unloaded by an operator"),
        (false, false) => ("UNAVAILABLE", "no instance takes calls now"),
        (false, true) => ("READY", ""),
    };
    ModelIndex { name: info.name, version: info.version, state: state.into(), reason: reason.into() }
}
