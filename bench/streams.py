"""Clients that read answers as they come, as light as can be: they run on the cores of what they measure.

Each asks for a fixed number of tokens, taking the likeliest and never ending early, and notes when pieces came.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import grpc.aio

from bench.llama_server import Server
from waypost.v1 import generate_pb2

PATH = "/waypost.v1.GenerateService/GenerateStream"
TIMEOUT_S = 600.0
EVENT = b"data: {"


@dataclass
class Answer:
    """When its pieces came; `tokens` as the server counted them."""

    asked: float
    pieces: list[float] = field(default_factory=list)
    tokens: int = 0

    @property
    def first_s(self) -> float:
        """Seconds to the first piece."""
        return self.pieces[0] - self.asked

    def tokens_until(self, end: float) -> float:
        """Tokens that had come by then."""
        return self.tokens * sum(piece <= end for piece in self.pieces) / len(self.pieces)

    def worst_gap_s(self, begin: float = 0.0, end: float = float("inf")) -> float:
        """The longest wait for a next piece that fell, in part at least, between two moments."""
        return max((after - before for before, after in pairwise(self.pieces) if after > begin and before < end))


Ask = Callable[[str, int, Answer], Coroutine[None, None, None]]
"""Fills the answer to a prompt, of so many tokens."""


def mesh(channel: grpc.aio.Channel, model: str, never: Sequence[int]) -> Ask:
    """Asks Waypost; `never`: tokens that would end the answer."""
    call = channel.unary_stream(PATH)

    async def ask(prompt: str, tokens: int, answer: Answer) -> None:
        request = generate_pb2.GenerateRequest(model=model, raw=prompt, max_tokens=tokens)
        request.sampling.temperature = 0
        request.sampling.logit_bias.update(dict.fromkeys(never, -100.0))
        stream = generate_pb2.GenerateStreamRequest(request=request).SerializeToString()
        last = b""
        async for piece in call(stream, timeout=TIMEOUT_S):
            last = piece
            answer.pieces.append(time.perf_counter())
        answer.pieces.pop()
        answer.tokens = generate_pb2.GenerateStreamResponse.FromString(last).final.usage.completion_tokens

    return ask


def llama(server: Server) -> Ask:
    """Asks llama-server."""

    async def ask(prompt: str, tokens: int, answer: Answer) -> None:
        body = {"prompt": prompt, "n_predict": tokens, "temperature": 0, "ignore_eos": True, "stream": True}
        last = await _events(server, "/completion", body, answer)
        answer.tokens = json.loads(last)["tokens_predicted"]

    return ask


def python(server: Server, never: Sequence[int]) -> Ask:
    """Asks `llama_cpp.server`, which does not count what it streams: a piece is a token or more."""

    async def ask(prompt: str, tokens: int, answer: Answer) -> None:
        body = {"prompt": prompt, "max_tokens": tokens, "temperature": 0, "stream": True}
        last = await _events(server, "/v1/completions", body | {"logit_bias": {str(n): -100 for n in never}}, answer)
        ended = json.loads(last)["choices"][0]["finish_reason"]
        answer.tokens = tokens if ended == "length" else len(answer.pieces)

    return ask


async def _events(server: Server, path: str, body: Mapping[str, object], answer: Answer) -> bytes:
    """Notes when events came; returns the last, which is no token."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    payload = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {server.host}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(payload)}\r\n\r\n".encode() + payload)
    tail = b""
    while piece := await reader.read(1 << 16):
        known = tail.count(EVENT)
        tail += piece
        answer.pieces += [time.perf_counter()] * (tail.count(EVENT) - known)
        tail = tail[max(0, tail.rfind(EVENT)) :]
    writer.close()
    if not answer.pieces:
        raise RuntimeError(f"{path} failed: {tail[:500]!r}")
    answer.pieces.pop()
    return tail[len(EVENT) - 1 :].split(b"\n", 1)[0]
