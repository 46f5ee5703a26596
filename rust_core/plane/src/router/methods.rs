//! The calls that are forwarded; every other path is the router's own.

use crate::proto::v1::Task;

/// How many messages each side sends.  The message of a streaming request carries the real request as field 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One request, one reply.
    Unary,
    /// One request, a stream of replies.
    Replies,
    /// A stream both ways.
    Both,
}

/// One forwarded call.
#[derive(Debug)]
pub struct Method {
    /// Path of its HTTP request.
    pub path: &'static str,
    /// Service whose health it counts for.
    pub service: &'static str,
    /// What a model must be able to do.
    pub task: Task,
    /// See [`Shape`].
    pub shape: Shape,
    /// Doing it twice changes nothing: it may be tried elsewhere after an attempt of unknown outcome.
    pub idempotent: bool,
    /// The model is asked to work, which may have a price; counting tokens has none.
    pub works: bool,
}

const fn unary(path: &'static str, service: &'static str, task: Task) -> Method {
    Method { path, service, task, shape: Shape::Unary, idempotent: true, works: true }
}

const EMBED: &str = "waypost.v1.EmbedService";
const CLASSIFY: &str = "waypost.v1.ClassifyService";
const RERANK: &str = "waypost.v1.RerankService";
const GENERATE: &str = "waypost.v1.GenerateService";
const RETRIEVE: &str = "waypost.v1.RetrieveService";

impl Method {
    /// Whether its model writes an answer.
    pub fn writes(&self) -> bool {
        self.task == Task::Generate && self.works
    }
}

/// The table.
pub static METHODS: [Method; 18] = [
    unary("/waypost.v1.EmbedService/Embed", EMBED, Task::Embed),
    Method { works: false, ..unary("/waypost.v1.EmbedService/CountTokens", EMBED, Task::Embed) },
    Method { shape: Shape::Both, ..unary("/waypost.v1.EmbedService/EmbedStream", EMBED, Task::Embed) },
    unary("/waypost.v1.ClassifyService/Classify", CLASSIFY, Task::Classify),
    unary("/waypost.v1.RerankService/Rerank", RERANK, Task::Rerank),
    Method { idempotent: false, ..unary("/waypost.v1.GenerateService/Generate", GENERATE, Task::Generate) },
    Method {
        shape: Shape::Replies,
        idempotent: false,
        ..unary("/waypost.v1.GenerateService/GenerateStream", GENERATE, Task::Generate)
    },
    Method { works: false, ..unary("/waypost.v1.GenerateService/CountTokens", GENERATE, Task::Generate) },
    unary("/waypost.v1.RetrieveService/UpsertDocuments", RETRIEVE, Task::Retrieve),
    Method {
        shape: Shape::Both,
        ..unary("/waypost.v1.RetrieveService/UpsertDocumentsStream", RETRIEVE, Task::Retrieve)
    },
    unary("/waypost.v1.RetrieveService/QueryDocuments", RETRIEVE, Task::Retrieve),
    Method { works: false, ..unary("/waypost.v1.RetrieveService/GetDocuments", RETRIEVE, Task::Retrieve) },
    Method { works: false, ..unary("/waypost.v1.RetrieveService/ListDocuments", RETRIEVE, Task::Retrieve) },
    Method { works: false, ..unary("/waypost.v1.RetrieveService/DeleteDocuments", RETRIEVE, Task::Retrieve) },
    Method { works: false, ..unary("/waypost.v1.RetrieveService/SetNamespace", RETRIEVE, Task::Retrieve) },
    Method { works: false, ..unary("/waypost.v1.RetrieveService/GetNamespace", RETRIEVE, Task::Retrieve) },
    Method { works: false, ..unary("/waypost.v1.RetrieveService/ListNamespaces", RETRIEVE, Task::Retrieve) },
    Method { works: false, ..unary("/waypost.v1.RetrieveService/DeleteNamespace", RETRIEVE, Task::Retrieve) },
];

/// The row of a path.
pub fn find(path: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.path == path)
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::{FileDescriptorSet, MethodDescriptorProto, method_options::IdempotencyLevel};

    use super::*;
    use crate::proto;

    fn contract() -> Vec<(String, MethodDescriptorProto)> {
        let files = FileDescriptorSet::decode(proto::DESCRIPTORS).expect("is a descriptor set").file;
        let services = files.into_iter().filter(|file| file.package() == "waypost.v1").flat_map(|file| file.service);
        services
            .filter(|service| service.name() != "MeshService")
            .flat_map(|service| {
                let name = service.name().to_string();
                service.method.into_iter().map(move |m| (format!("/waypost.v1.{name}/{}", m.name()), m))
            })
            .collect()
    }

    #[test]
    fn the_table_has_every_call_of_the_contract_but_the_mesh_s_own() {
        let contract = contract();
        assert_eq!(contract.len(), METHODS.len());
        for (path, method) in contract {
            let row = find(&path).unwrap_or_else(|| panic!("{path} is not in the table"));
            let level = method.options.as_ref().map(|o| o.idempotency_level()).unwrap_or_default();
            let shape = match (method.client_streaming(), method.server_streaming()) {
                (false, false) => Shape::Unary,
                (false, true) => Shape::Replies,
                (true, _) => Shape::Both,
            };
            assert_eq!(row.idempotent, level != IdempotencyLevel::IdempotencyUnknown, "{path}");
            assert_eq!(row.shape, shape, "{path}");
            assert!(path.starts_with(&format!("/{}/", row.service)), "{path}");
        }
    }
}
