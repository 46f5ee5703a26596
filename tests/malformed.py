"""Requests as they should not be: a seeded mutator of HTTP/2 frames and of the gRPC messages in them.

    attack = Attack(address, seed=7)
    attack.messages(10_000)
    attack.frames(5_000)

Messages are spoilt inside frames that are sound, a hundred calls to a connection, so that they reach the code behind
the HTTP/2 library; frames are spoilt themselves, until the server closes the connection, which it should.
"""

from __future__ import annotations

import contextlib
import functools
import random
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from google.protobuf.message import Message
from hpack import Encoder
from hyperframe.frame import PingFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame
from tritonclient.grpc import service_pb2

from waypost import address
from waypost.v1 import classify_pb2, embed_pb2, generate_pb2, mesh_pb2, rerank_pb2

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STREAMS = 100
"""Calls of one connection."""
FRAMES = 12
"""Spoilt frames that are tried on one connection; most end it sooner."""
PATIENCE_S = 5.0
BYTES = service_pb2.ModelInferRequest.InferInputTensor(name="text", datatype="BYTES", shape=[1])

SEEDS: tuple[tuple[str, Message], ...] = (
    ("waypost.v1.EmbedService/Embed", embed_pb2.EmbedRequest(model="hash", texts=["one", "two"], dimensions=16)),
    ("waypost.v1.EmbedService/CountTokens", embed_pb2.CountTokensRequest(model="hash", texts=["one"])),
    (
        "waypost.v1.EmbedService/EmbedStream",
        embed_pb2.EmbedStreamRequest(request=embed_pb2.EmbedRequest(texts=["one"])),
    ),
    ("waypost.v1.ClassifyService/Classify", classify_pb2.ClassifyRequest(texts=["one"], head="sentiment-hash")),
    ("waypost.v1.RerankService/Rerank", rerank_pb2.RerankRequest(query="one", documents=["two", "three"])),
    ("waypost.v1.GenerateService/Generate", generate_pb2.GenerateRequest(raw="one", max_tokens=4)),
    (
        "waypost.v1.GenerateService/GenerateStream",
        generate_pb2.GenerateStreamRequest(request=generate_pb2.GenerateRequest(raw="one", json_schema="{}")),
    ),
    ("waypost.v1.MeshService/Explain", mesh_pb2.ExplainRequest(text="one")),
    ("waypost.v1.MeshService/SetRollout", mesh_pb2.SetRolloutRequest(rollout=mesh_pb2.Rollout(steps=[0.1]))),
    ("waypost.v1.MeshService/CreateToken", mesh_pb2.CreateTokenRequest(tenant="one")),
    ("grpc.health.v1.Health/Check", mesh_pb2.LoadModelRequest(model="")),
    (
        "inference.GRPCInferenceService/ModelInfer",
        service_pb2.ModelInferRequest(model_name="hash", inputs=[BYTES], raw_input_contents=[b"\x03\0\0\0one"]),
    ),
    (
        "inference.GRPCInferenceService/ModelStreamInfer",
        service_pb2.ModelInferRequest(model_name="hash", inputs=[BYTES], raw_input_contents=[b"\x03\0\0\0one"]),
    ),
)


@dataclass
class Attack:
    """Sends what is malformed to the server at `address`."""

    address: str
    seed: int
    sent: int = 0
    """Malformed frames, or frames with a malformed message, that went out whole."""
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def messages(self, count: int) -> None:
        """`count` calls whose message is spoilt."""
        for begun in range(0, count, STREAMS):
            calls = min(STREAMS, count - begun)
            with self._connection() as line:
                line.sendall(b"".join(self._call(2 * number + 1) for number in range(calls)))
                self.sent += calls
                _read_until(line, calls)

    def frames(self, count: int) -> None:
        """`count` frames that are spoilt themselves."""
        target = self.sent + count
        while self.sent < target:
            with self._connection() as line, contextlib.suppress(OSError):
                for number in range(min(FRAMES, target - self.sent)):
                    self.sent += 1
                    line.sendall(self._frame(2 * number + 1))
                line.shutdown(socket.SHUT_WR)
                while line.recv(65536):
                    pass

    @contextlib.contextmanager
    def _connection(self) -> Iterator[socket.socket]:
        place = address.parse(self.address)
        family, target = (
            (socket.AF_UNIX, str(place.path))
            if isinstance(place, address.Unix)
            else (socket.AF_INET, (place.host, place.port))
        )
        with socket.socket(family) as line:
            line.settimeout(PATIENCE_S)
            line.connect(target)
            line.sendall(PREFACE + SettingsFrame(0).serialize())
            yield line

    def _call(self, stream: int) -> bytes:
        path, message = self.random.choice(SEEDS)
        body = self._message(message.SerializeToString())
        return _raw(1, 4, stream, _block(path)) + _raw(0, 1, stream, body)

    def _message(self, sound: bytes) -> bytes:
        """A gRPC message with its prefix, of which something is wrong."""
        draw = self.random
        spoilt = self._spoil(sound)
        flag = draw.choice([0, 0, 0, 0, 1, 7])
        length = draw.choice([len(spoilt)] * 6 + [0, len(spoilt) + 1, max(0, len(spoilt) - 1), 2**32 - 1, 2**25])
        return bytes([flag]) + length.to_bytes(4, "big") + spoilt

    def _spoil(self, sound: bytes) -> bytes:
        """`sound` with bytes changed, taken out, put in or repeated; never itself."""
        spoilt = bytearray(sound)
        while bytes(spoilt) == sound:
            for _ in range(self.random.randint(1, 4)):
                self.random.choice(SPOILERS)(self.random, spoilt)
        return bytes(spoilt)

    def _frame(self, stream: int) -> bytes:
        made = self.random.choice(BROKEN)(self.random, stream)
        return self._spoil(made) if self.random.random() < 0.3 else made


def _flip(draw: random.Random, data: bytearray) -> None:
    if data:
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def _insert(draw: random.Random, data: bytearray) -> None:
    at = draw.randint(0, len(data))
    data[at:at] = draw.randbytes(draw.randint(1, 24))


def _cut(draw: random.Random, data: bytearray) -> None:
    del data[draw.randint(0, len(data)) :]


def _varint(draw: random.Random, data: bytearray) -> None:
    """A length, a tag or a number that says far too much."""
    at = draw.randint(0, len(data))
    data[at:at] = b"\xff" * draw.randint(1, 11)


def _repeat(draw: random.Random, data: bytearray) -> None:
    data += data[draw.randint(0, len(data)) :] * draw.randint(1, 8)


SPOILERS: tuple[Callable[[random.Random, bytearray], None], ...] = (_flip, _insert, _cut, _varint, _repeat)


def _headers(path: str, **more: str) -> list[tuple[str, str]]:
    pseudo = [(":method", "POST"), (":scheme", "http"), (":path", f"/{path}"), (":authority", "localhost")]
    usual = {"content-type": "application/grpc", "te": "trailers", "grpc-timeout": "2S"} | more
    return pseudo + list(usual.items())


def _raw(kind: int, flags: int, stream: int, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return size.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


@functools.cache
def _block(path: str) -> bytes:
    return Encoder().encode(_headers(path))


def _head(stream: int, headers: list[tuple[str, str]]) -> bytes:
    return _raw(1, 4, stream, Encoder().encode(headers, huffman=False))


EMBED = "waypost.v1.EmbedService/Embed"

BROKEN: tuple[Callable[[random.Random, int], bytes], ...] = (
    lambda draw, stream: _raw(draw.randrange(256), draw.randrange(256), draw.randrange(2**31), draw.randbytes(20)),
    lambda draw, stream: _raw(0, 1, stream, draw.randbytes(8), length=draw.randrange(2**24)),
    lambda draw, stream: _raw(1, 5, stream, draw.randbytes(draw.randint(1, 200))),
    lambda draw, stream: _raw(9, 4, stream, draw.randbytes(30)),
    lambda draw, stream: _raw(4, 0, 0, draw.randbytes(draw.choice([5, 6, 12, 600]))),
    lambda draw, stream: _raw(8, 0, draw.choice([0, stream]), draw.choice([b"\0\0\0\0", b"\x7f\xff\xff\xff"])),
    lambda draw, stream: _raw(2, 0, stream, stream.to_bytes(4, "big") + b"\xff"),
    lambda draw, stream: PingFrame(0, draw.randbytes(8)).serialize()[:-3],
    lambda draw, stream: RstStreamFrame(stream + 1000, error_code=draw.randrange(2**32)).serialize(),
    lambda draw, stream: WindowUpdateFrame(stream, window_increment=2**31 - 1).serialize() * 2,
    lambda draw, stream: _head(stream, [("x-" + "a" * 60, "b" * draw.randint(1, 60000)), *_headers(EMBED)]),
    lambda draw, stream: _head(stream, _headers(EMBED)[1:]),
    lambda draw, stream: _head(stream, [*_headers(EMBED), ("Upper-Case", "1"), (":late", "1")]),
    lambda draw, stream: _head(stream, _headers(draw.choice(["", "\x00", "waypost.v1/../..", "a" * 9000]))),
    lambda draw, stream: _head(stream, _headers(EMBED, **{"grpc-timeout": draw.choice(["-1S", "99999999999H", "S"])})),
    lambda draw, stream: _head(stream, _headers(EMBED, authorization=f"Bearer {'é' * 400}")),
    lambda draw, stream: _head(stream, _headers(EMBED)) + _raw(0, 1, stream, draw.randbytes(3)),
    lambda draw, stream: _head(stream, _headers(EMBED)) + RstStreamFrame(stream, error_code=8).serialize(),
    lambda draw, stream: b"GET / HTTP/1.1\r\n\r\n" * draw.randint(1, 40),
)
"""Frames that break a rule of HTTP/2, or a call that is begun as none should be."""


def _read_until(line: socket.socket, calls: int) -> None:
    """Reads until every call has an answer, or the server has had enough of the connection."""
    ended: set[int] = set()
    data = b""
    with contextlib.suppress(OSError):
        while len(ended) < calls and (more := line.recv(65536)):
            data += more
            data = _note_ended(data, ended)


def _note_ended(data: bytes, ended: set[int]) -> bytes:
    """Adds the streams that whole frames of `data` end; returns what is left."""
    while len(data) >= 9 and len(data) >= 9 + (length := int.from_bytes(data[:3], "big")):
        kind, flags, stream = data[3], data[4], int.from_bytes(data[5:9], "big")
        if kind == 3 or (kind in (0, 1) and flags & 1):
            ended.add(stream)
        data = data[9 + length :]
    return data
