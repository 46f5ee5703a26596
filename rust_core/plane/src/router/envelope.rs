//! What the router reads of a request: the model, the hints, the head.  The rest passes as the bytes it came in.
//!
//! The contract gives every inference request `model = 1` and `route = 2`, so one small message decodes them all;
//! protobuf skips what it does not know in a few nanoseconds a field.  Texts are not looked at (whether they are valid
//! UTF-8 is for the worker to say, which reads them anyway), but for what is to be written: there the router thinks
//! about the prompt.

use bytes::{Buf, Bytes};
use prost::Message;
use tonic::Status;

use super::methods::{Method, Shape};
use crate::{
    error::Error,
    hints,
    proto::v1::{RouteHints, Sampling, Task, ToolChoice, generate_request::Input},
};

/// Bytes before each message: a flag and a length.
pub const PREFIX: usize = 5;

/// What a caller asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// Model by name, or empty.
    pub model: String,
    /// Label set by name, or empty; of Classify only.
    pub head: String,
    /// Wishes about the route.
    pub route: RouteHints,
    /// What is to be written, of Generate only.
    pub prompt: Option<Prompt>,
}

/// What is to be written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    /// Conversation or text.
    pub input: Option<Input>,
    /// Most tokens of the answer; 0: the model's default.
    pub max_tokens: u32,
    /// Asked again, the answer would be the same.
    pub deterministic: bool,
    /// JSON schema of the answer, or empty.
    pub schema: String,
    /// Any text is an answer: neither schema, nor grammar, nor a tool that must be called.
    pub free: bool,
    /// Nobody may keep it.
    pub no_store: bool,
}

impl Prompt {
    /// What the router judges: the last word of the user, or the whole text.
    pub fn text(&self) -> &str {
        match &self.input {
            Some(Input::Raw(text)) => text,
            Some(Input::Chat(chat)) => {
                let last = chat.messages.iter().rev().find(|message| message.role == "user");
                last.or(chat.messages.last()).map_or("", |message| &message.content)
            }
            None => "",
        }
    }

    /// Messages, each of which the template adds some tokens to.
    pub fn messages(&self) -> usize {
        match &self.input {
            Some(Input::Chat(chat)) => chat.messages.len(),
            _ => 1,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(string, tag = "1")]
    model: String,
    #[prost(message, optional, tag = "2")]
    route: Option<RouteHints>,
}

#[derive(Clone, PartialEq, Message)]
struct ClassifyEnvelope {
    #[prost(string, tag = "1")]
    model: String,
    #[prost(message, optional, tag = "2")]
    route: Option<RouteHints>,
    #[prost(string, tag = "5")]
    head: String,
}

#[derive(Clone, PartialEq, Message)]
struct GenerateEnvelope {
    #[prost(string, tag = "1")]
    model: String,
    #[prost(message, optional, tag = "2")]
    route: Option<RouteHints>,
    #[prost(oneof = "Input", tags = "3, 4")]
    input: Option<Input>,
    #[prost(message, optional, tag = "5")]
    sampling: Option<Sampling>,
    #[prost(uint32, tag = "6")]
    max_tokens: u32,
    #[prost(string, tag = "8")]
    schema: String,
    #[prost(string, tag = "9")]
    grammar: String,
    #[prost(enumeration = "ToolChoice", tag = "11")]
    tool_choice: i32,
}

#[derive(Clone, PartialEq, Message)]
struct StreamEnvelope {
    #[prost(message, optional, tag = "1")]
    request: Option<Envelope>,
}

#[derive(Clone, PartialEq, Message)]
struct GenerateStreamEnvelope {
    #[prost(message, optional, tag = "1")]
    request: Option<GenerateEnvelope>,
}

impl From<Envelope> for Asked {
    fn from(Envelope { model, route }: Envelope) -> Self {
        Self { model, route: route.unwrap_or_default(), ..Self::default() }
    }
}

impl From<GenerateEnvelope> for Asked {
    fn from(envelope: GenerateEnvelope) -> Self {
        let free =
            envelope.schema.is_empty() && envelope.grammar.is_empty() && envelope.tool_choice() != ToolChoice::Required;
        let GenerateEnvelope { model, route, input, sampling, max_tokens, schema, .. } = envelope;
        let deterministic =
            sampling.is_some_and(|sampling| sampling.temperature == Some(0.0) || sampling.seed.is_some());
        let route = route.unwrap_or_default();
        let prompt = Prompt { input, max_tokens, deterministic, schema, free, no_store: route.no_store };
        Self { model, route, prompt: Some(prompt), ..Self::default() }
    }
}

impl From<ClassifyEnvelope> for Asked {
    fn from(ClassifyEnvelope { model, route, head }: ClassifyEnvelope) -> Self {
        Self { model, route: route.unwrap_or_default(), head, prompt: None }
    }
}

/// Decodes the message of `method` at the start of `frame`, after its prefix.
pub fn decode(method: &Method, frame: &Bytes) -> Result<Asked, Status> {
    let end = frame_length(frame, usize::MAX)?.unwrap_or_default().min(frame.len());
    let message = frame.get(PREFIX..end).unwrap_or_default();
    let asked = match (method.shape, method.task) {
        (Shape::Unary, Task::Classify) => ClassifyEnvelope::decode(message).map(Asked::from),
        (Shape::Unary, Task::Generate) if method.works => GenerateEnvelope::decode(message).map(Asked::from),
        (Shape::Unary, _) => Envelope::decode(message).map(Asked::from),
        (_, Task::Generate) => GenerateStreamEnvelope::decode(message).map(|e| e.request.unwrap_or_default().into()),
        _ => StreamEnvelope::decode(message).map(|e| e.request.unwrap_or_default().into()),
    };
    let asked: Asked = asked.map_err(|error| Error::Malformed { why: error.to_string() })?;
    hints::check(&asked.route)?;
    Ok(asked)
}

/// Length of the first message with its prefix, once the prefix is there.
pub fn frame_length(start: &[u8], limit: usize) -> Result<Option<usize>, Status> {
    let Some((&flag, mut rest)) = start.split_first() else { return Ok(None) };
    if flag != 0 {
        return Err(Status::unimplemented("compressed requests are not taken here: send them as they are"));
    }
    if rest.len() < PREFIX - 1 {
        return Ok(None);
    }
    let length = rest.get_u32() as usize;
    if length > limit {
        return Err(Error::MessageTooLarge { limit, actual: length }.into());
    }
    Ok(Some(PREFIX + length))
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};

    use super::*;
    use crate::{proto::v1, router::methods};

    fn framed(message: &impl Message) -> Bytes {
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(message.encoded_len() as u32);
        message.encode(&mut frame).expect("fits");
        frame.freeze()
    }

    fn read(path: &str, message: &impl Message) -> Asked {
        decode(methods::find(path).expect("is in the table"), &framed(message)).expect("is valid")
    }

    fn hints() -> RouteHints {
        RouteHints { required_tags: vec!["fast".into()], session: "s".into(), ..Default::default() }
    }

    #[test]
    fn every_kind_of_request_tells_its_model_and_hints() {
        let embed = v1::EmbedRequest {
            model: "m".into(),
            route: Some(hints()),
            texts: vec!["long".repeat(1000)],
            dimensions: 384,
            ..Default::default()
        };
        let classify = v1::ClassifyRequest {
            model: "m".into(),
            route: Some(hints()),
            head: "intent".into(),
            threshold: f32::NAN,
            ..Default::default()
        };
        let wanted = Asked { model: "m".into(), route: hints(), ..Asked::default() };
        assert_eq!(read("/waypost.v1.EmbedService/Embed", &embed), wanted);
        let stream = v1::EmbedStreamRequest { request: Some(embed) };
        assert_eq!(read("/waypost.v1.EmbedService/EmbedStream", &stream), wanted);
        let wanted = Asked { head: "intent".into(), ..wanted };
        assert_eq!(read("/waypost.v1.ClassifyService/Classify", &classify), wanted);
    }

    #[test]
    fn bytes_that_are_no_message_are_the_callers_fault() {
        let method = methods::find("/waypost.v1.EmbedService/Embed").expect("is in the table");
        let status = decode(method, &Bytes::from_static(b"\0\0\0\0\x02\x0a\xff")).expect_err("is cut short");
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
    }

    #[test]
    fn a_frame_is_refused_by_its_prefix_alone() {
        assert_eq!(frame_length(&[], 10).expect("may still come"), None);
        assert_eq!(frame_length(&[0, 0, 0], 10).expect("may still come"), None);
        assert_eq!(frame_length(&[0, 0, 0, 0, 10], 10).expect("fits"), Some(15));
        let code = |start: &[u8]| frame_length(start, 10).expect_err("is refused").code();
        assert_eq!(code(&[0, 0, 0, 0, 11]), tonic::Code::ResourceExhausted);
        assert_eq!(code(&[1]), tonic::Code::Unimplemented);
    }
}
