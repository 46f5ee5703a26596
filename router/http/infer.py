"""POST /models/infer: any model, any task, one shape."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from router.http import chat, chat_ask, classify, embeddings, rerank, shape
from router.http.exchange import Exchange
from router.http.failure import Failure, invalid
from router.http.models import known
from router.http.shape import Ask, Model
from waypost.results import ModelInfo

NAMES = {
    "texts": "input",
    "chat": "input",
    "query": "input.query",
    "documents": "input.documents",
    "route": "options.waypost",
}


Task = Literal["embed", "classify", "rerank", "generate"]


class Pair(Ask):
    """What is ranked."""

    query: str
    documents: Annotated[list[str | rerank.Document], Field(min_length=1)]


class Options(Ask):
    """The task, and the fields of that task's own endpoint beside model and input."""

    model_config = ConfigDict(extra="allow")
    task: Task | None = None
    """Absent: what such input is for, or else what the model does first."""


class InferRequest(Ask):
    """Input for a model, whatever it does."""

    model_id: Model = ""
    input: (
        str | Annotated[list[str], Field(min_length=1)] | Annotated[list[chat_ask.Message], Field(min_length=1)] | Pair
    )
    """A text, several texts, a conversation, or a query with documents."""
    options: Options | None = None


class InferReply(TypedDict):
    """The answer, in the form of the task's own endpoint."""

    model_id: str
    task: Task
    output: Any
    usage: dict[str, Any]


Kind = tuple[type[Ask], Callable[[Exchange, Any], Awaitable[Any]], str]

KINDS: dict[str, Kind] = {
    "embed": (embeddings.EmbeddingsRequest, embeddings.embeddings, "data"),
    "classify": (classify.ClassifyRequest, classify.classify, "data"),
    "rerank": (rerank.RerankRequest, rerank.rerank, "results"),
    "generate": (chat_ask.ChatRequest, chat.chat, "choices"),
}
"""What each task's own endpoint reads, does, and calls its output."""


async def infer(exchange: Exchange, ask: InferRequest) -> InferReply:
    """Any task of any model."""
    options = dict(ask.options.model_extra or {}) if ask.options else {}
    task = (ask.options and ask.options.task) or await _task(exchange, ask)
    if options.get("stream"):
        raise invalid("options.stream", "options.stream: streams are for /v1/chat/completions")
    kind, handler, output = KINDS[task]
    request = _read(kind, {**options, "model": ask.model_id, **_input(task, ask)})
    answer = await handler(exchange, request)
    return {"model_id": answer["model"], "task": task, "output": answer[output], "usage": answer["usage"]}


async def _task(exchange: Exchange, ask: InferRequest) -> Task:
    """What the input can be for, or else what the model does first."""
    if isinstance(ask.input, Pair):
        return "rerank"
    if not isinstance(ask.input, str) and not isinstance(ask.input[0], str):
        return "generate"
    for each in await known(exchange):
        if each.name == ask.model_id:
            return _first(each)
    if not ask.model_id:
        raise invalid("options.task", "options.task is missing, and no model is named whose task it could be")
    raise Failure(404, f"no instance has a model {ask.model_id!r}", "model_not_found", "model_id")


def _first(of: ModelInfo) -> Task:
    """What the model does first, of what there is an endpoint for."""
    for task in of.tasks:
        if task in KINDS:
            return cast("Task", task)
    raise invalid("options.task", f"options.task is missing, and {of.name} does nothing that it could be")


def _input(task: str, ask: InferRequest) -> dict[str, Any]:
    """The input, under the names that the task's own endpoint has for it."""
    given = ask.input
    if task == "rerank":
        if not isinstance(given, Pair):
            raise invalid("input", "input: rerank reads an object with query and documents")
        return given.model_dump()
    if isinstance(given, Pair):
        raise invalid("input", f"input: {task} reads texts, not an object")
    texts = isinstance(given, str) or isinstance(given[0], str)
    if task == "generate":
        return {"messages": _messages(given)}
    if not texts:
        raise invalid("input", f"input: {task} reads texts, not messages")
    return {"input": given}


def _messages(given: Any) -> list[dict[str, Any]]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if isinstance(given[0], str):
        raise invalid("input", "input: generate reads one text or a list of messages")
    return [each.model_dump(exclude_none=True) for each in given]


def _read(kind: type[Ask], body: dict[str, Any]) -> Any:
    try:
        return shape.read_python(kind, body)
    except Failure as failure:
        inside = failure.param and failure.param.partition(".")[0].partition("[")[0] not in (
            "input",
            "query",
            "documents",
            "messages",
        )
        failure.param = f"options.{failure.param}" if inside else failure.param
        raise
