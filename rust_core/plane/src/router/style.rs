//! One voice for several models: a message from the system in front of each conversation.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use super::{
    config::Style,
    envelope::PREFIX,
    methods::{Method, Shape},
};
use crate::proto::v1::{ChatMessage, GenerateRequest, GenerateStreamRequest, Prompt, Task, generate_request::Input};

/// The message as `model` is to read it; the same where nothing is to be changed.
pub fn apply(style: &Style, method: &Method, model: &str, message: &Bytes) -> Bytes {
    let all = style.models.is_empty();
    let meant = !style.prompt.is_empty() && (all || style.models.iter().any(|each| each == model));
    if !meant || method.task != Task::Generate {
        return message.clone();
    }
    // What cannot be read goes on as it is: the worker says what is wrong with it.
    rewritten(style, method.shape, message).unwrap_or_else(|| message.clone())
}

fn rewritten(style: &Style, shape: Shape, message: &Bytes) -> Option<Bytes> {
    let body = message.get(PREFIX..)?;
    if shape == Shape::Unary {
        let mut request = GenerateRequest::decode(body).ok()?;
        return put_before(style, &mut request).then(|| framed(&request));
    }
    let mut request = GenerateStreamRequest::decode(body).ok()?;
    put_before(style, request.request.as_mut()?).then(|| framed(&request))
}

/// A raw prompt has no place for it.
fn put_before(style: &Style, request: &mut GenerateRequest) -> bool {
    let Some(Input::Chat(Prompt { messages })) = &mut request.input else { return false };
    match messages.first_mut().filter(|first| first.role == "system") {
        Some(first) => first.content = format!("{}\n\n{}", style.prompt, first.content),
        None => {
            let (role, content) = ("system".into(), style.prompt.clone());
            messages.insert(0, ChatMessage { role, content, ..ChatMessage::default() });
        }
    }
    true
}

/// With the prefix of gRPC.
pub fn framed(message: &impl Message) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX + message.encoded_len());
    frame.put_u8(0);
    frame.put_u32(message.encoded_len() as u32);
    // Fails only for want of room, of which a growing buffer has enough.
    let _ = message.encode(&mut frame);
    frame.freeze()
}
