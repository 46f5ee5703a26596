//! What the calls of the service have in common, and where they differ: one row each.

use prost::Message;

use crate::proto::v1;

/// Which errands wait for each other: what reads must not wait for what changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // their names say it
pub enum Lane {
    Read,
    Change,
}

/// A request that the backend answers.
pub trait Ask: Message {
    /// Its reply.
    type Answer: Answer;
    /// Name of the rpc, by which the backend knows what it got.
    const METHOD: &'static str;
    /// See [`Lane`].
    const LANE: Lane;
    /// The model it names.
    fn model(&self) -> &str;
    /// What it asks of the route.
    fn route(&self) -> Option<&v1::RouteHints>;
    /// The namespace it names; none where it is about all of them.
    fn namespace(&self) -> Option<&str>;
}

/// A reply that says who made it.
pub trait Answer: Message + Default {
    /// With this in it.
    fn served(self, served: Option<v1::ServedBy>, timings: Option<v1::Timings>) -> Self;
}

macro_rules! asks {
    ($($method:literal $request:ident $response:ident $lane:ident $($namespace:ident)? $(+ $timings:ident)?;)*) => {$(
        impl Ask for v1::$request {
            type Answer = v1::$response;
            const METHOD: &'static str = $method;
            const LANE: Lane = Lane::$lane;
            fn model(&self) -> &str {
                &self.model
            }
            fn route(&self) -> Option<&v1::RouteHints> {
                self.route.as_ref()
            }
            fn namespace(&self) -> Option<&str> {
                None$(.or(Some(self.$namespace.as_str())))?
            }
        }

        impl Answer for v1::$response {
            fn served(self, served: Option<v1::ServedBy>, _timings: Option<v1::Timings>) -> Self {
                Self { served, $($timings: _timings,)? ..self }
            }
        }
    )*};
}

asks! {
    "UpsertDocuments" UpsertDocumentsRequest UpsertDocumentsResponse Change namespace + timings;
    "QueryDocuments" QueryDocumentsRequest QueryDocumentsResponse Read namespace + timings;
    "GetDocuments" GetDocumentsRequest GetDocumentsResponse Read namespace;
    "ListDocuments" ListDocumentsRequest ListDocumentsResponse Read namespace;
    "DeleteDocuments" DeleteDocumentsRequest DeleteDocumentsResponse Change namespace;
    "SetNamespace" SetNamespaceRequest SetNamespaceResponse Change namespace;
    "GetNamespace" GetNamespaceRequest GetNamespaceResponse Read namespace;
    "ListNamespaces" ListNamespacesRequest ListNamespacesResponse Read;
    "DeleteNamespace" DeleteNamespaceRequest DeleteNamespaceResponse Change namespace;
}
