//! Requests that say no more than what they are about; the rest is set by `..`:
//!
//!     EmbedRequest { model: "minilm".into(), ..EmbedRequest::new(["hello"]) }

use prost_types::{Struct, Value};

use crate::v1::{
    ChatMessage, ClassifyRequest, DeleteDocumentsRequest, Document, DocumentQuery, EmbedRequest, FieldTest, Filter,
    GenerateRequest, Prompt, QueryDocumentsRequest, RerankRequest, UpsertDocumentsRequest, field_test, filter,
    generate_request,
};

impl EmbedRequest {
    pub fn new<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self { texts: strings(texts), ..Self::default() }
    }
}

impl ClassifyRequest {
    pub fn new<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self { texts: strings(texts), ..Self::default() }
    }
}

impl RerankRequest {
    pub fn new<T: Into<String>>(query: impl Into<String>, documents: impl IntoIterator<Item = T>) -> Self {
        Self { query: query.into(), documents: strings(documents), ..Self::default() }
    }
}

impl GenerateRequest {
    /// One message of a user.
    pub fn chat(message: impl Into<String>) -> Self {
        let said = ChatMessage { role: "user".into(), content: message.into(), ..ChatMessage::default() };
        Self { input: Some(generate_request::Input::Chat(Prompt { messages: vec![said] })), ..Self::default() }
    }

    /// A text given to the model as it is.
    pub fn raw(text: impl Into<String>) -> Self {
        Self { input: Some(generate_request::Input::Raw(text.into())), ..Self::default() }
    }
}

impl Document {
    pub fn new(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self { id: id.into(), text: text.into(), ..Self::default() }
    }

    /// The same with one more field of its metadata.
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.get_or_insert_with(Struct::default).fields.insert(field.into(), value.into());
        self
    }
}

impl Filter {
    /// Lets documents through whose field has this value.
    pub fn equals(field: impl Into<String>, value: impl Into<Value>) -> Self {
        let test = field_test::Test::Equals(value.into());
        Self { kind: Some(filter::Kind::Field(FieldTest { field: field.into(), test: Some(test) })) }
    }
}

impl UpsertDocumentsRequest {
    pub fn new(namespace: impl Into<String>, documents: impl IntoIterator<Item = Document>) -> Self {
        Self { namespace: namespace.into(), documents: documents.into_iter().collect(), ..Self::default() }
    }
}

impl QueryDocumentsRequest {
    /// One text.
    pub fn new(namespace: impl Into<String>, text: impl Into<String>) -> Self {
        let query = DocumentQuery { text: text.into(), ..DocumentQuery::default() };
        Self { namespace: namespace.into(), queries: vec![query], ..Self::default() }
    }
}

impl DeleteDocumentsRequest {
    /// By id.
    pub fn new<T: Into<String>>(namespace: impl Into<String>, ids: impl IntoIterator<Item = T>) -> Self {
        Self { namespace: namespace.into(), ids: strings(ids), ..Self::default() }
    }
}

fn strings<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Vec<String> {
    texts.into_iter().map(Into::into).collect()
}
