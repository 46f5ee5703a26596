//! What a generate request may say, checked before anything is queued.
//!
//! What only the model can judge (its context, a grammar, an adapter's name) is the backend's to check.

use super::super::{config::Limits, shell::invalid};
use crate::{
    error::Error,
    proto::v1::{self, generate_request, generate_service_count_tokens_request as count},
};

const MAX_STOPS: usize = 32;
const MAX_STOP_BYTES: usize = 256;
const MAX_TOP_LOGPROBS: u32 = 20;
const MAX_TOOLS: usize = 128;
const MAX_BIASES: usize = 1024;
const MAX_PENALTY_TOKENS: u32 = 8192;
const ROLES: [&str; 4] = ["system", "user", "assistant", "tool"];

/// A whole request.
pub fn request(request: &v1::GenerateRequest, limits: &Limits) -> Result<(), Error> {
    match &request.input {
        Some(generate_request::Input::Chat(chat)) => messages(&chat.messages, limits)?,
        Some(generate_request::Input::Raw(text)) => raw(text, limits)?,
        None => return Err(Error::EmptyInput { field: "input" }),
    }
    request.sampling.as_ref().map_or(Ok(()), sampling)?;
    stops(&request.stop)?;
    tools(&request.tools, limits)?;
    constraints(request, limits)?;
    let top = request.top_logprobs.unwrap_or(0);
    within("top_logprobs", top, 0..=MAX_TOP_LOGPROBS)?;
    v1::Truncation::try_from(request.truncation)
        .map(|_| ())
        .map_err(|_| invalid("truncation", request.truncation, "a value of waypost.v1.Truncation"))
}

/// A prompt to be counted.
pub fn count(request: &v1::GenerateServiceCountTokensRequest, limits: &Limits) -> Result<(), Error> {
    match &request.input {
        Some(count::Input::Chat(chat)) => messages(&chat.messages, limits)?,
        Some(count::Input::Raw(text)) => raw(text, limits)?,
        None => return Err(Error::EmptyInput { field: "input" }),
    }
    tools(&request.tools, limits)
}

fn raw(text: &str, limits: &Limits) -> Result<(), Error> {
    if text.is_empty() {
        return Err(Error::EmptyInput { field: "raw" });
    }
    limits.check_size(|| "raw".into(), text)
}

fn messages(messages: &[v1::ChatMessage], limits: &Limits) -> Result<(), Error> {
    if messages.is_empty() {
        return Err(Error::EmptyInput { field: "chat.messages" });
    }
    if messages.len() > limits.max_texts {
        let (limit, actual) = (limits.max_texts, messages.len());
        return Err(Error::TooManyInputs { field: "chat.messages", limit, actual });
    }
    messages.iter().enumerate().try_for_each(|(index, message)| {
        if !ROLES.contains(&message.role.as_str()) {
            let field = format!("chat.messages[{index}].role");
            return Err(invalid(field, format!("{:?}", message.role), format!("one of {}", ROLES.join(", "))));
        }
        limits.check_size(|| format!("chat.messages[{index}].content"), &message.content)
    })
}

fn stops(stops: &[String]) -> Result<(), Error> {
    if stops.len() > MAX_STOPS {
        return Err(Error::TooManyInputs { field: "stop", limit: MAX_STOPS, actual: stops.len() });
    }
    let fits = |(index, stop): (usize, &String)| match stop.len() {
        1..=MAX_STOP_BYTES => Ok(()),
        bytes => Err(invalid(format!("stop[{index}]"), format!("{bytes} bytes"), "of 1 to 256 bytes")),
    };
    stops.iter().enumerate().try_for_each(fits)
}

fn tools(tools: &[v1::Tool], limits: &Limits) -> Result<(), Error> {
    if tools.len() > MAX_TOOLS {
        return Err(Error::TooManyInputs { field: "tools", limit: MAX_TOOLS, actual: tools.len() });
    }
    tools.iter().enumerate().try_for_each(|(index, tool)| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if tool.name.is_empty() || tool.name.len() > 64 || !tool.name.chars().all(fits) {
            let expected = "1 to 64 letters, digits, underscores and dashes";
            return Err(invalid(format!("tools[{index}].name"), format!("{:?}", tool.name), expected));
        }
        if tools[..index].iter().any(|before| before.name == tool.name) {
            return Err(invalid(format!("tools[{index}].name"), format!("{:?}", tool.name), "a name of its own"));
        }
        limits.check_size(|| format!("tools[{index}].description"), &tool.description)?;
        limits.check_size(|| format!("tools[{index}].parameters_json"), &tool.parameters_json)
    })
}

/// Of the ways to constrain an answer only one can hold.
fn constraints(request: &v1::GenerateRequest, limits: &Limits) -> Result<(), Error> {
    limits.check_size(|| "json_schema".into(), &request.json_schema)?;
    limits.check_size(|| "grammar".into(), &request.grammar)?;
    let choice = v1::ToolChoice::try_from(request.tool_choice)
        .map_err(|_| invalid("tool_choice", request.tool_choice, "a value of waypost.v1.ToolChoice"))?;
    let required = choice == v1::ToolChoice::Required;
    if required && request.tools.is_empty() {
        return Err(invalid("tool_choice", choice.as_str_name(), "given together with tools"));
    }
    let given = [!request.json_schema.is_empty(), !request.grammar.is_empty(), required];
    if given.into_iter().filter(|each| *each).count() > 1 {
        let expected = "the only constraint: json_schema, grammar and TOOL_CHOICE_REQUIRED exclude each other";
        let field = if request.grammar.is_empty() { "tool_choice" } else { "grammar" };
        return Err(invalid(field, "one of several", expected));
    }
    Ok(())
}

fn sampling(sampling: &v1::Sampling) -> Result<(), Error> {
    number("sampling.temperature", sampling.temperature, 0.0..=10.0)?;
    number("sampling.top_p", sampling.top_p, f32::MIN_POSITIVE..=1.0)?;
    number("sampling.min_p", sampling.min_p, 0.0..=1.0)?;
    number("sampling.repeat_penalty", sampling.repeat_penalty, 0.01..=10.0)?;
    number("sampling.frequency_penalty", sampling.frequency_penalty, -2.0..=2.0)?;
    number("sampling.presence_penalty", sampling.presence_penalty, -2.0..=2.0)?;
    within("sampling.penalty_tokens", sampling.penalty_tokens.unwrap_or(0), 0..=MAX_PENALTY_TOKENS)?;
    if sampling.logit_bias.len() > MAX_BIASES {
        let (limit, actual) = (MAX_BIASES, sampling.logit_bias.len());
        return Err(Error::TooManyInputs { field: "sampling.logit_bias", limit, actual });
    }
    let bias =
        |(token, bias): (&u32, &f32)| number(format!("sampling.logit_bias[{token}]"), Some(*bias), -100.0..=100.0);
    sampling.logit_bias.iter().try_for_each(bias)
}

fn number(
    field: impl Into<std::borrow::Cow<'static, str>>,
    value: Option<f32>,
    range: std::ops::RangeInclusive<f32>,
) -> Result<(), Error> {
    match value {
        Some(value) if !range.contains(&value) => {
            Err(invalid(field, value, format!("from {} to {}", range.start(), range.end())))
        }
        _ => Ok(()),
    }
}

fn within(field: &'static str, value: u32, range: std::ops::RangeInclusive<u32>) -> Result<(), Error> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(invalid(field, value, format!("from {} to {}", range.start(), range.end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_receive_bytes: 100, max_texts: 2, max_text_bytes: 30, queue_limit: 4 };

    fn hello() -> v1::GenerateRequest {
        let message = v1::ChatMessage { role: "user".into(), content: "hello".into(), ..Default::default() };
        let chat = v1::Prompt { messages: vec![message] };
        v1::GenerateRequest { input: Some(generate_request::Input::Chat(chat)), ..Default::default() }
    }

    fn field(change: impl FnOnce(&mut v1::GenerateRequest)) -> String {
        let mut asked = hello();
        change(&mut asked);
        match request(&asked, &LIMITS) {
            Ok(()) => String::new(),
            Err(Error::InvalidField { field, .. }) => field.into(),
            Err(Error::TextTooLarge { field, .. }) => field,
            Err(Error::TooManyInputs { field, .. } | Error::EmptyInput { field }) => field.into(),
            Err(other) => panic!("{other}"),
        }
    }

    fn sampled(change: impl FnOnce(&mut v1::Sampling)) -> String {
        field(|request| change(request.sampling.get_or_insert_default()))
    }

    #[test]
    fn a_plain_request_passes() {
        assert_eq!(field(|_| {}), "");
    }

    #[test]
    fn each_bad_field_is_named() {
        assert_eq!(field(|r| r.input = None), "input");
        assert_eq!(field(|r| r.input = Some(generate_request::Input::Raw(String::new()))), "raw");
        assert_eq!(field(|r| r.input = Some(generate_request::Input::Raw("x".repeat(31)))), "raw");
        assert_eq!(field(|r| r.stop = vec!["a".into(); 10_000]), "stop");
        assert_eq!(field(|r| r.stop = vec!["a".into(), String::new()]), "stop[1]");
        assert_eq!(field(|r| r.top_logprobs = Some(21)), "top_logprobs");
        assert_eq!(field(|r| r.truncation = 9), "truncation");
        assert_eq!(field(|r| r.tool_choice = v1::ToolChoice::Required as i32), "tool_choice");
        assert_eq!(field(|r| (r.json_schema, r.grammar) = ("{}".into(), "root ::= \"a\"".into())), "grammar");
        let named = |name: &str| v1::Tool { name: name.into(), ..Default::default() };
        assert_eq!(field(|r| r.tools = vec![named("a b")]), "tools[0].name");
        assert_eq!(field(|r| r.tools = vec![named("a"), named("a")]), "tools[1].name");
        let unknown = v1::ChatMessage { role: "robot".into(), ..Default::default() };
        let chat = v1::Prompt { messages: vec![unknown] };
        assert_eq!(field(|r| r.input = Some(generate_request::Input::Chat(chat))), "chat.messages[0].role");
    }

    #[test]
    fn sampling_outside_its_range_is_refused_nan_included() {
        assert_eq!(sampled(|s| s.temperature = Some(-0.1)), "sampling.temperature");
        assert_eq!(sampled(|s| s.temperature = Some(f32::NAN)), "sampling.temperature");
        assert_eq!(sampled(|s| s.top_p = Some(0.0)), "sampling.top_p");
        assert_eq!(sampled(|s| s.min_p = Some(1.1)), "sampling.min_p");
        assert_eq!(sampled(|s| s.repeat_penalty = Some(0.0)), "sampling.repeat_penalty");
        assert_eq!(sampled(|s| s.penalty_tokens = Some(9000)), "sampling.penalty_tokens");
        assert_eq!(sampled(|s| s.logit_bias = [(7, 101.0)].into()), "sampling.logit_bias[7]");
        assert_eq!(sampled(|s| (s.temperature, s.top_p) = (Some(0.0), Some(1.0))), "");
    }
}
