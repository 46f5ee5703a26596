//! Requests that say no more than what they are about; the rest is set by `..`:
//!
//!     EmbedRequest { model: "minilm".into(), ..EmbedRequest::new(["hello"]) }

use crate::v1::{ChatMessage, ClassifyRequest, EmbedRequest, GenerateRequest, Prompt, RerankRequest, generate_request};

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

fn strings<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Vec<String> {
    texts.into_iter().map(Into::into).collect()
}
