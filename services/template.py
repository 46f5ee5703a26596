"""Backend `template`: deterministic answers from a Jinja2 template, where no model is there; marked as such.

`source` is a file; without one a built-in template says that no model can be asked.  A template sees

    messages    the conversation: each with `role` and `content`
    prompt      the last message of the user, or the raw prompt
    system      the first message of the system, or ""
    tools       names of the tools that were offered
    json_schema the schema as an object, or none

It runs in Jinja's immutable sandbox, where a name that does not exist is an error; callers' texts are values, never
templates.  An answer satisfies `json_schema`, ends before the first stop string and holds `max_tokens`, at four bytes a
token, as if a model had written it; what else only a model can do is refused.  Sampling settings are met by any answer
that is always the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from jinja2 import DictLoader, Environment, FileSystemLoader, StrictUndefined, Template, TemplateSyntaxError, meta
from jinja2.exceptions import TemplateNotFound
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.backend import Generator, ModelUnusable
from services.openai_wire.spent import BYTES_A_TOKEN, estimated, estimated_prompt
from services.refusal import AdapterNotFound, ModelFailed, NotCapable, Refused
from services.schemas import Schema
from waypost._core import Inbox, Job
from waypost.config import Model
from waypost.v1 import generate_pb2
from waypost.v1.generate_pb2 import GenerateRequest

BUILT_IN = "No model can answer now. Please try again later."
NAMES = ("messages", "prompt", "system", "tools", "json_schema")


def load(model: Model, sessions: int) -> Generator:
    """See `services.backend.Backend`."""
    sandbox, name = _sandbox(model.source)
    template, source = _checked(sandbox, name, model.source or name)
    return Generator(
        version=hashlib.sha256(source.encode()).hexdigest()[:12],
        context=0,
        slots=model.generate.slots,
        answer=partial(_answer, Writer(template, model.generate.max_tokens)),
        tags=("generate", "chat", "template"),
    )


def _sandbox(source: str | None) -> tuple[Environment, str]:
    """Where the template is loaded from; it may include others of its folder."""
    path = Path(source or "built-in.j2")
    loader = FileSystemLoader(path.parent) if source else DictLoader({path.name: BUILT_IN})
    strict = ImmutableSandboxedEnvironment(
        loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False
    )
    return strict, path.name


def _checked(sandbox: Environment, name: str, shown: str) -> tuple[Template, str]:
    """The template and its text, once all of its names are known.

    Raises:
        ModelUnusable: it cannot be read, is no template, or uses a name that it will not see.
    """
    assert sandbox.loader
    try:
        source, _, _ = sandbox.loader.get_source(sandbox, name)
        unknown = meta.find_undeclared_variables(sandbox.parse(source, name)) - {*NAMES, *sandbox.globals}
        template = sandbox.get_template(name)
    except TemplateSyntaxError as error:
        raise ModelUnusable(f"{shown}, line {error.lineno}: {error.message}") from None
    except (TemplateNotFound, OSError, UnicodeDecodeError):
        raise ModelUnusable(f"{shown} cannot be read: it must be a file with UTF-8 text") from None
    if unknown:
        raise ModelUnusable(f"{shown} uses {', '.join(sorted(unknown))}: a template sees {', '.join(NAMES)}")
    return template, source


@dataclass(frozen=True)
class Writer:
    """A template at work."""

    template: Template
    max_tokens: int

    def work(self, job: Job) -> None:
        """Finishes one job."""
        try:
            if job.kind == "count":
                raise NotCapable("a template has no tokens to count")
            self._generate(job)
        except Refused as refused:
            job.fail(refused.as_json())

    def _generate(self, job: Job) -> None:
        request = GenerateRequest.FromString(job.request)
        _refuse_what_takes_a_model(request)
        text, reason = _cut(self._rendered(request), request.stop, request.max_tokens or self.max_tokens)
        job.begin()
        if text:
            job.push(text, estimated(text))
        job.finish(
            reason,
            prompt_tokens=estimated_prompt(request),
            completion_tokens=estimated(text),
            from_template=True,
        )

    def _rendered(self, request: GenerateRequest) -> str:
        schema = Schema.parsed(request.json_schema, "json_schema") if request.json_schema else None
        try:
            text = self.template.render(_values(request, schema))
        except Exception as error:  # the template is the operator's program: it may raise anything
            raise ModelFailed(f"its template fails: {type(error).__name__}: {error}") from None
        if schema and (wrong := schema.problem_of_text(text)):
            raise NotCapable(f"its template's answer does not satisfy json_schema: {wrong}")
        return text


def _answer(writer: Writer, inbox: Inbox) -> None:
    """One job after another: each is done at once."""
    while job := inbox.take():
        if not job.cancelled:
            writer.work(job)


def _values(request: GenerateRequest, schema: Schema | None) -> dict[str, Any]:
    messages = [{"role": each.role, "content": each.content} for each in request.chat.messages]
    users = [each["content"] for each in messages if each["role"] == "user"]
    return {
        "messages": messages,
        "prompt": request.raw or (users[-1] if users else ""),
        "system": next((each["content"] for each in messages if each["role"] == "system"), ""),
        "tools": [tool.name for tool in request.tools],
        "json_schema": schema.value if schema else None,
    }


def _cut(text: str, stops: Sequence[str], max_tokens: int) -> tuple[str, Literal["stop", "length"]]:
    """As a model would have ended it."""
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    written = text[: min(found, default=len(text))].encode()
    room = max_tokens * BYTES_A_TOKEN
    return written[:room].decode(errors="ignore"), "stop" if len(written) <= room else "length"


def _refuse_what_takes_a_model(request: GenerateRequest) -> None:
    if request.adapter:
        raise AdapterNotFound(request.adapter, "none")
    if request.tool_choice == generate_pb2.TOOL_CHOICE_REQUIRED:
        raise NotCapable("a template calls no tools")
    if request.grammar or request.HasField("top_logprobs"):
        raise NotCapable("a template knows no grammar and no probabilities")
