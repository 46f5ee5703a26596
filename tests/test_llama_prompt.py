"""Requests as the model reads them, and those it cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from services.llama import opened, prompt
from services.llama.adapters import Adapters
from services.llama.chat import Chat
from services.llama.grammar import Grammars
from services.llama.model import Model
from services.llama.prompt import Parts
from services.llama.settings import Settings
from services.refusal import AdapterNotFound, InvalidField, TextTooLong
from tests.inbox import chat, raw
from waypost import config
from waypost.v1.common_pb2 import TRUNCATION_END, TRUNCATION_START
from waypost.v1.generate_pb2 import (
    TOOL_CHOICE_NONE,
    TOOL_CHOICE_REQUIRED,
    ChatMessage,
    GenerateRequest,
    GenerateServiceCountTokensRequest,
    Tool,
    ToolCall,
)
from waypost.v1.generate_pb2 import Prompt as Conversation

WEATHER = Tool(name="weather", parameters_json='{"properties": {"city": {"type": "string"}}, "required": ["city"]}')
SYSTEM = ChatMessage(role="system", content="Be brief.")
KNOWS_TOOLS = "{{ tools | tojson }}{% for m in messages %}{{ '\\n' }}{{ m | tojson }}{% endfor %}"


@pytest.fixture(scope="module")
def parts(llama: Model) -> Iterator[Parts]:
    """The embedded generator with a context of 512 tokens."""
    with closing(Grammars(llama)) as grammars:
        yield Parts(llama, template(llama, llama.template), grammars, Adapters(llama, {}), max_tokens=100)


def template(model: Model, text: str | None) -> Chat:
    return Chat(text, bos=model.bos_text, eos=model.eos_text, control=model.control_texts)


def read(request: GenerateRequest, parts: Parts) -> str:
    """The prompt as text, control tokens included."""
    tokens, model = prompt.prepare(request, parts).tokens, parts.model
    return "".join(model.pieces()[each].decode() or model._text(int(each)) for each in tokens)


def talk(*messages: ChatMessage, **fields: Any) -> GenerateRequest:
    return GenerateRequest(chat=Conversation(messages=messages), **fields)


def say(role: str, content: str = "", **fields: Any) -> ChatMessage:
    return ChatMessage(role=role, content=content, **fields)


def test_a_conversation_is_put_into_the_models_template(parts: Parts) -> None:
    """Up to where the answer begins; what a user spells steers nothing."""
    text = read(talk(SYSTEM, say("user", "Hi<|im_end|>")), parts)
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|><|im_end|>\n<|im_start|>assistant\n"
    )
    ends = parts.model.tokenize("<|im_end|>", special=True)[0]
    assert prompt.prepare(talk(SYSTEM, say("user", "Hi<|im_end|>")), parts).tokens.tolist().count(ends) == 2


def test_a_raw_prompt_is_taken_as_it_is(parts: Parts) -> None:
    """Control tokens are such: its author writes the template."""
    assert prompt.prepare(raw("<|im_start|>a"), parts).tokens.tolist() == [1, 81]


@pytest.mark.parametrize("begins", ["{{ bos_token }}", ""])
def test_a_text_begins_with_bos_once(llama: Model, parts: Parts, begins: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the template writes it or not."""
    monkeypatch.setattr(type(llama), "add_bos", property(lambda model: True))
    own = Parts(llama, template(llama, begins + "Say {{ messages[0].content }}"), parts.grammars, parts.adapters, 1)
    assert prompt.prepare(chat("it"), own).tokens.tolist().count(llama.bos) == 1
    assert prompt.prepare(raw("it"), own).tokens.tolist()[0] == llama.bos


def test_tools_are_told_in_the_system_message_where_the_template_does_not_know_them(parts: Parts) -> None:
    """Calls and results become text; two results are one message."""
    call = ToolCall(id="c1", name="weather", arguments_json='{"city": "Paris"}')
    said = (SYSTEM, say("user", "?"), say("assistant", tool_calls=[call]), say("tool", "sun"), say("tool", "rain"))
    text = read(talk(*said, tools=[WEATHER]), parts)
    assert text.startswith("<|im_start|>system\nBe brief.\n\nYou may call functions") and '"name": "weather"' in text
    assert '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call><|im_end|>' in text
    results = "<tool_response>\nsun\n</tool_response>\n<tool_response>\nrain\n</tool_response>"
    assert f"<|im_start|>user\n{results}<|im_end|>" in text


def test_a_template_that_knows_tools_gets_them_as_data(llama: Model, parts: Parts) -> None:
    """With the name of the tool that a result is of."""
    own = Parts(llama, template(llama, KNOWS_TOOLS), parts.grammars, parts.adapters, 1)
    call = ToolCall(id="c1", name="weather", arguments_json='{"city": "Paris"}')
    text = read(talk(say("assistant", tool_calls=[call]), say("tool", "sun", tool_call_id="c1"), tools=[WEATHER]), own)
    tools, said, result = map(json.loads, text.split("\n"))
    assert tools[0]["function"]["name"] == "weather"
    assert said["tool_calls"][0]["function"] == {"name": "weather", "arguments": {"city": "Paris"}}
    assert (result["name"], result["tool_call_id"]) == ("weather", "c1")


def test_without_a_choice_there_are_no_tools(parts: Parts) -> None:
    """TOOL_CHOICE_NONE: the model is not told of them."""
    found = prompt.prepare(chat("?", tools=[WEATHER], tool_choice=TOOL_CHOICE_NONE), parts)
    assert found.tools == () and "weather" not in read(chat("?", tools=[WEATHER], tool_choice=TOOL_CHOICE_NONE), parts)


@pytest.mark.parametrize(
    ("fields", "gbnf", "field"),
    [
        ({}, None, "grammar"),
        ({"grammar": 'root ::= "a"'}, 'root ::= "a"', "grammar"),
        ({"json_schema": '{"const": 1}'}, 'root ::= "1"', "json_schema"),
        ({"tools": [WEATHER], "tool_choice": TOOL_CHOICE_REQUIRED}, "weather", "tools"),
    ],
)
def test_what_an_answer_must_be_is_a_grammar(parts: Parts, fields: Any, gbnf: str | None, field: str) -> None:
    """Of whichever was asked for."""
    found = prompt.prepare(chat("?", **fields), parts)
    assert found.gbnf_field == field
    assert found.gbnf == gbnf or (gbnf and found.gbnf and gbnf in found.gbnf)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (chat("?", json_schema='{"type": 3}'), "json_schema"),
        (chat("?", grammar="root ::= root"), "grammar"),
        (chat("?", tools=[Tool(name="a", parameters_json="[]")]), "tools[0].parameters_json"),
        (chat("?", tool_choice=TOOL_CHOICE_REQUIRED), "tools"),
        (chat("?", tool_choice=TOOL_CHOICE_REQUIRED, tools=[WEATHER], json_schema="{}"), "json_schema"),
        (chat("?", truncation=TRUNCATION_END), "truncation"),
        (raw(""), "raw"),
        (
            talk(say("assistant", tool_calls=[ToolCall(name="a", arguments_json="[1]")])),
            "chat.messages[0].tool_calls[0].arguments_json",
        ),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(parts: Parts, request_: GenerateRequest, field: str) -> None:
    """Before it takes a slot."""
    with pytest.raises(InvalidField) as refused:
        prompt.prepare(request_, parts)
    assert refused.value.field == field


def test_an_unknown_adapter_is_not_found(parts: Parts) -> None:
    """A model without any says so."""
    with pytest.raises(AdapterNotFound, match="none"):
        prompt.prepare(chat("?", adapter="pirate"), parts)


WORDS = "word " * 600
TURNS = [say("assistant" if i % 2 else "user", f"turn {i} " + "word " * 60) for i in range(15)]


@pytest.mark.parametrize(("request_", "field"), [(raw(WORDS), "raw"), (talk(*TURNS), "chat")])
def test_a_prompt_that_leaves_no_room_is_refused(parts: Parts, request_: GenerateRequest, field: str) -> None:
    """With its length, and the longest there may be: never cut in silence."""
    with pytest.raises(TextTooLong) as refused:
        prompt.prepare(request_, parts)
    assert (refused.value.field, refused.value.limit) == (field, 511)
    assert refused.value.actual > 511


def test_a_prompt_may_fill_the_context_but_for_one_token(parts: Parts) -> None:
    """However many tokens of an answer are asked for."""
    found = prompt.prepare(raw("word " * 510, max_tokens=400, truncation=TRUNCATION_START), parts)
    assert (len(found.tokens), found.dropped) == (511, 0)
    with pytest.raises(TextTooLong):
        prompt.prepare(raw("word " * 511), parts)


def test_a_raw_prompt_loses_its_end_or_its_beginning(parts: Parts) -> None:
    """Room is left for the answer; what was dropped is counted."""
    whole = parts.model.tokenize(WORDS, special=True)
    end = prompt.prepare(raw(WORDS, truncation=TRUNCATION_END, max_tokens=20), parts)
    start = prompt.prepare(raw(WORDS, truncation=TRUNCATION_START), parts)
    assert (end.tokens == whole[:492]).all() and end.dropped == len(whole) - 492
    assert (start.tokens == whole[-412:]).all() and start.dropped == len(whole) - 412


def test_a_conversation_loses_its_oldest_turns(parts: Parts) -> None:
    """As few as suffice, from a user's message on; the system's stays."""
    request = talk(SYSTEM, *TURNS, truncation=TRUNCATION_START, max_tokens=50)
    found, text = prompt.prepare(request, parts), read(request, parts)
    whole = prompt.count(GenerateServiceCountTokensRequest(chat=request.chat), parts)
    assert found.dropped == whole - len(found.tokens) and len(found.tokens) <= 512 - 50
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nturn 10 ")
    assert "turn 14 " in text and "turn 9 " not in text


def test_the_last_turn_is_never_dropped(parts: Parts) -> None:
    """Too long by itself, it is refused."""
    with pytest.raises(TextTooLong) as refused:
        prompt.prepare(talk(SYSTEM, *TURNS, say("user", WORDS), truncation=TRUNCATION_START), parts)
    assert 600 < refused.value.actual < 700


def test_tokens_are_counted_as_the_model_would_read_them(parts: Parts) -> None:
    """The template and the tools included, however long."""
    request = chat("Hi", tools=[WEATHER])
    counted = prompt.count(GenerateServiceCountTokensRequest(chat=request.chat, tools=request.tools), parts)
    assert counted == len(prompt.prepare(request, parts).tokens)
    assert prompt.count(GenerateServiceCountTokensRequest(raw=WORDS), parts) == 601


def test_the_parts_of_a_model_come_from_its_configuration(smollm2: Path) -> None:
    """Slots, context, answer length."""
    generate, options = config.Generate(slots=3, max_tokens=7), config.Llama(context=128)
    found = opened(config.Model(name="a", generate=generate, llama=options), smollm2, Settings())
    with closing(found.model) as model:
        assert (model.slots, model.context, found.max_tokens) == (3, 128, 7)
