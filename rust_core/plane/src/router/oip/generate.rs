//! A prompt or a conversation in, text out: whole, or piece by piece.

use serde::Deserialize;
use tonic::Status;

use super::{
    Common,
    answered::Answered,
    inner::{Answer, Asking, Replies},
    invalid,
    outputs::Requested,
    parameters::Parameters,
    tensor::{Inputs, Tensor},
};
use crate::{
    error::Error,
    proto::v1::{
        ChatMessage, FinishReason, GenerateRequest, GenerateResponse, GenerateStreamRequest, GenerateStreamResponse,
        Prompt, Sampling, ServedBy, generate_request::Input,
    },
};

/// Text that the model reads as it is.
pub const PROMPT: &str = "prompt";
/// A conversation as JSON.
pub const MESSAGES: &str = "messages";
/// What was written.
pub const TEXT: &str = "text";
/// Why it ends there.
pub const FINISH_REASON: &str = "finish_reason";
/// Tokens read.
pub const PROMPT_TOKENS: &str = "prompt_tokens";
/// Tokens written.
pub const COMPLETION_TOKENS: &str = "completion_tokens";

const OUTPUTS: [&str; 4] = [TEXT, FINISH_REASON, PROMPT_TOKENS, COMPLETION_TOKENS];
const GENERATE: &str = "/waypost.v1.GenerateService/Generate";
const GENERATE_STREAM: &str = "/waypost.v1.GenerateService/GenerateStream";

/// What is to be written.
#[derive(Debug)]
pub struct Generate {
    request: GenerateRequest,
    outputs: Vec<&'static str>,
}

/// A turn of a conversation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    role: String,
    content: String,
}

impl Generate {
    /// Reads it off a request.
    pub fn read(
        inputs: &mut Inputs,
        requested: Requested,
        parameters: &mut Parameters,
        common: Common,
    ) -> Result<Self, Error> {
        let input = if inputs.has(PROMPT) { Input::Raw(inputs.one(PROMPT)?) } else { chat(&inputs.one(MESSAGES)?)? };
        let request = GenerateRequest {
            model: common.model,
            route: Some(common.route),
            input: Some(input),
            sampling: Some(sampling(parameters)?),
            max_tokens: parameters.take("max_tokens", "a count of tokens")?.unwrap_or_default(),
            stop: parameters.take_list("stop")?,
            json_schema: parameters.take_text("json_schema")?.unwrap_or_default(),
            grammar: parameters.take_text("grammar")?.unwrap_or_default(),
            adapter: parameters.take_text("adapter")?.unwrap_or_default(),
            truncation: common.truncation.into(),
            ..Default::default()
        };
        Ok(Self { request, outputs: requested.among(&OUTPUTS)? })
    }

    /// Asks for the whole.
    pub async fn answer(&self, asking: &Asking) -> Result<Answered, Status> {
        Ok(answered(&self.outputs, &asking.call(GENERATE, &self.request).await?))
    }

    /// Asks for it piece by piece.
    pub async fn stream(&self, asking: &Asking) -> Result<Pieces, Status> {
        let request = GenerateStreamRequest { request: Some(self.request.clone()) };
        let replies = asking.replies(GENERATE_STREAM, &request).await?;
        Ok(Pieces { replies, model: self.request.model.clone(), outputs: self.outputs.clone() })
    }
}

fn answered(outputs: &[&str], answer: &Answer<GenerateResponse>) -> Answered {
    let whole = &answer.message;
    let tensors = outputs.iter().map(|output| tensor(output, whole)).collect();
    Answered::new(answer, whole.served.clone(), whole.timings, tensors)
}

fn sampling(parameters: &mut Parameters) -> Result<Sampling, Error> {
    Ok(Sampling {
        seed: parameters.take("seed", "a whole number of at least 0")?,
        temperature: parameters.take("temperature", "a number")?,
        top_k: parameters.take("top_k", "a count of tokens")?,
        top_p: parameters.take("top_p", "a number")?,
        min_p: parameters.take("min_p", "a number")?,
        repeat_penalty: parameters.take("repeat_penalty", "a number")?,
        frequency_penalty: parameters.take("frequency_penalty", "a number")?,
        presence_penalty: parameters.take("presence_penalty", "a number")?,
        penalty_tokens: parameters.take("penalty_tokens", "a count of tokens")?,
        logit_bias: Default::default(),
    })
}

fn chat(json: &str) -> Result<Input, Error> {
    let expected = "a JSON list of {\"role\": …, \"content\": …}, both texts";
    let turns: Vec<Turn> =
        serde_json::from_str(json).map_err(|error| invalid(MESSAGES, format!("no such thing ({error})"), expected))?;
    let message = |Turn { role, content }| ChatMessage { role, content, ..Default::default() };
    Ok(Input::Chat(Prompt { messages: turns.into_iter().map(message).collect() }))
}

fn tensor(output: &str, whole: &GenerateResponse) -> Tensor {
    let usage = whole.usage.unwrap_or_default();
    match output {
        FINISH_REASON => Tensor::texts(FINISH_REASON, &[1], &[word(whole.finish_reason())]),
        PROMPT_TOKENS => Tensor::count(PROMPT_TOKENS, usage.prompt_tokens),
        COMPLETION_TOKENS => Tensor::count(COMPLETION_TOKENS, usage.completion_tokens),
        _ => Tensor::texts(TEXT, &[1], &[&whole.text]),
    }
}

/// Such as "stop".
fn word(reason: FinishReason) -> String {
    reason.as_str_name().trim_start_matches("FINISH_REASON_").to_ascii_lowercase()
}

/// What is being written.
pub struct Pieces {
    replies: Replies<GenerateStreamResponse>,
    model: String,
    outputs: Vec<&'static str>,
}

/// Some of it.
pub enum Piece {
    /// More text.
    Text(Answered),
    /// All the rest: why it ended, and what it came to.
    Last(Answered),
}

impl Pieces {
    /// The next one.
    pub async fn next(&mut self) -> Result<Piece, Status> {
        loop {
            let reply = self.replies.next().await?;
            let reply = reply.ok_or_else(|| self.cut())?;
            if let Some(mut whole) = reply.r#final {
                // Whoever writes fast sends the end of the text along with the summary.
                whole.text.insert_str(0, &reply.text);
                return self.finish(whole).await;
            }
            if !reply.text.is_empty() && self.outputs.contains(&TEXT) {
                let served = ServedBy { model: self.model.clone(), ..Default::default() };
                let tensors = vec![Tensor::texts(TEXT, &[1], &[reply.text])];
                return Ok(Piece::Text(Answered { served, tensors, ..Default::default() }));
            }
        }
    }

    fn cut(&self) -> Error {
        let why = "its answer ended without a last message".into();
        Error::ModelFailed { model: self.model.clone(), why }
    }

    /// It is the last only once the status says that all went well, and the trailers come with that.
    async fn finish(&mut self, message: GenerateResponse) -> Result<Piece, Status> {
        while self.replies.next().await?.is_some() {}
        let said = std::mem::take(&mut self.replies.said);
        Ok(Piece::Last(answered(&self.outputs, &Answer { message, said })))
    }
}
