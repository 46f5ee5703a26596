"""What a request may choose of the engine beside its prompt: an adapter, and calls of tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.llama.adapters import Adapters
from services.llama.model import Model
from services.llama.settings import Settings
from tests.inbox import chat
from tests.llama_files import lora
from tests.test_llama_engine import Running, greedy
from waypost.v1.generate_pb2 import (
    FINISH_REASON_STOP,
    FINISH_REASON_TOOL_CALLS,
    TOOL_CHOICE_REQUIRED,
    ChatMessage,
    Sampling,
    Tool,
)

pytest.importorskip("gguf", reason="NOT RUN: gguf is not installed: pip install --group llama")
pytestmark = pytest.mark.timeout(300)
CITY = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]}
WEATHER = Tool(name="weather", description="The weather of a city", parameters_json=json.dumps(CITY))
GREEDY = Sampling(temperature=0.0)


@pytest.fixture(scope="module")
def running(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The embedded generator with two adapters."""
    folder = tmp_path_factory.mktemp("e")
    with closing(Model(smollm2, Settings(threads=2), 4, 512)) as model:
        adapters = Adapters(model, {name: lora(folder / name, seed=seed) for seed, name in enumerate(("one", "two"))})
        with closing(Running(model, folder, adapters)) as running:
            yield running


def test_requests_with_other_adapters_do_not_disturb_each_other(running: Running) -> None:
    """Each says what it says alone, in turns on the same slots, with nothing of another's cache."""
    text = "Once upon a time there was"
    requests = {name: greedy(text, 8, adapter=name) for name in ("", "one", "two")}
    alone = {name: running.all([request])[0].text for name, request in requests.items()}
    assert len(set(alone.values())) == 3
    order = ["one", "", "two", "", "one", "two", "two", ""]
    together = running.all([requests[name] for name in order])
    assert [reply.text for reply in together] == [alone[name] for name in order]
    assert running.idle()


def test_a_forced_call_is_a_call(running: Running) -> None:
    """Valid, with an id, and no text beside it; its result is read in the next turn."""
    asked = chat("What is the weather in Paris?", tools=[WEATHER], max_tokens=60, sampling=GREEDY)
    asked.tool_choice = TOOL_CHOICE_REQUIRED
    (reply,) = running.all([asked])
    (call,) = reply.tool_calls
    assert (reply.finish_reason, reply.text, call.name) == (FINISH_REASON_TOOL_CALLS, "", "weather")
    assert isinstance(json.loads(call.arguments_json)["city"], str)
    asked.chat.messages.append(ChatMessage(role="assistant", tool_calls=[call]))
    asked.chat.messages.append(ChatMessage(role="tool", content="Sunny", tool_call_id=call.id))
    asked.tool_choice = 0
    (after,) = running.all([asked])
    assert after.usage.prompt_tokens > reply.usage.prompt_tokens and after.usage.cached_tokens > 64


def test_a_text_where_a_call_was_possible_is_a_text(running: Running) -> None:
    """Nothing of it is lost while it is not sure what it becomes."""
    asked = chat("Say hello.", tools=[WEATHER], max_tokens=12, sampling=GREEDY, grammar='root ::= "{hello} there"')
    (reply,) = running.all([asked])
    assert (reply.text, list(reply.tool_calls), reply.finish_reason) == ("{hello} there", [], FINISH_REASON_STOP)
