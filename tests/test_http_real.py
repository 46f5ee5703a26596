"""OpenAI's client against `waypost up` with the embedded default: real models, end to end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import numpy as np
import openai
import pytest

ASK: Any = [{"role": "user", "content": "Which is the capital of France? Answer in one sentence."}]
ORDER = {
    "type": "object",
    "required": ["dish", "count"],
    "properties": {
        "dish": {"enum": ["pizza", "salad", "soup"]},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
    },
}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "required": ["city"], "properties": {"city": {"enum": ["Rome", "Oslo"]}}},
    },
}


@pytest.fixture(scope="module")
def client(default_http: str) -> Iterator[openai.OpenAI]:
    """OpenAI's own."""
    with openai.OpenAI(base_url=f"{default_http}/v1", api_key="unused", max_retries=0, timeout=60) as made:
        yield made


def test_a_stream_says_what_the_whole_says(client: openai.OpenAI) -> None:
    """Token by token, with the usage at its end."""
    options: Any = {"model": "smollm2", "messages": ASK, "temperature": 0, "max_tokens": 24, "seed": 1}
    whole = client.chat.completions.create(**options)
    usage = {"include_usage": True}
    chunks = list(client.chat.completions.create(**options, stream=True, stream_options=usage))
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole.choices[0].message.content
    assert "Paris" in text
    assert len(chunks) > 5
    assert whole.usage
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens > 0


def test_an_answer_of_a_schema(client: openai.OpenAI) -> None:
    """Always; of any object where only JSON is asked for."""
    messages: Any = [{"role": "user", "content": "Two pizzas, please."}]
    named: Any = {"type": "json_schema", "json_schema": {"name": "order", "schema": ORDER, "strict": True}}
    made = client.chat.completions.create(model="smollm2", messages=messages, response_format=named, temperature=0)
    jsonschema_rs.validate(ORDER, json.loads(made.choices[0].message.content or ""))


def test_a_tool_that_must_be_called(client: openai.OpenAI) -> None:
    """Is, with arguments of its schema; its answer goes back in the same conversation."""
    messages: Any = [{"role": "user", "content": "How is the weather in Rome?"}]
    named: Any = {"type": "function", "function": {"name": "weather"}}
    chats = client.chat.completions
    (choice,) = chats.create(
        model="smollm2", messages=messages, tools=[WEATHER], tool_choice=named, temperature=0
    ).choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert json.loads(call.function.arguments)["city"] in ("Rome", "Oslo")
    messages += [choice.message, {"role": "tool", "tool_call_id": call.id, "content": "sunny, 24 degrees"}]
    told = chats.create(model="smollm2", messages=messages, tools=[WEATHER], max_tokens=8, temperature=0)
    assert told.choices[0].message.content or told.choices[0].message.tool_calls


def test_log_probabilities(client: openai.OpenAI) -> None:
    """Of the likeliest, it is the first of those beside it."""
    made = client.chat.completions.create(
        model="smollm2", messages=ASK, temperature=0, max_tokens=4, logprobs=True, top_logprobs=2
    )
    assert made.choices[0].logprobs
    tokens = made.choices[0].logprobs.content or []
    assert "".join(each.token for each in tokens) == made.choices[0].message.content
    assert [each.top_logprobs[0].token for each in tokens] == [each.token for each in tokens]


def test_a_text_goes_on(client: openai.OpenAI) -> None:
    """Without a chat."""
    made = client.completions.create(model="smollm2", prompt="1, 2, 3, 4,", max_tokens=6, temperature=0)
    assert "5" in made.choices[0].text


def test_vectors_of_meanings(client: openai.OpenAI) -> None:
    """In base64, as the client asks for them by itself."""
    texts = ["a man plays the guitar", "somebody makes music", "the report is due"]
    one, two, three = (each.embedding for each in client.embeddings.create(model="minilm", input=texts).data)
    assert len(one) == 384
    assert np.dot(one, two) > np.dot(one, three) + 0.2


def test_a_model_that_is_not_there(client: openai.OpenAI) -> None:
    """As OpenAI says it."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-9", messages=ASK)
    assert caught.value.code == "model_not_found"
