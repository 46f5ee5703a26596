"""llama.cpp as llama-cpp-python binds it, imported when the first model wants it.

Only the low-level functions are used: the package's `Llama` class runs one request at a time.  What llama.cpp has to
say goes to nobody unless it is an error: one while a file is loaded becomes part of that failure (`hearing`), any
other is logged.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import structlog

from services.backend import ModelUnusable

log = structlog.get_logger()

PACKAGE = "llama-cpp-python"
ENVIRONMENT = {"GOMP_SPINCOUNT": "2000"}
"""Read by the OpenMP library when it is loaded; what the user has set stays.  Threads of a step meet some 450 times.
Those that wait by spinning for long, as is the default, keep a core from the one they wait for whenever anything else
runs: steps take up to fifty times as long.  Those that never spin take half as long again on a machine at rest."""

_ERROR, _CONTINUED = 4, 5


def require() -> None:
    """Sees that the package is there, without loading its library: one for another CPU would end the process.

    Raises:
        ModelUnusable: it is not installed.
    """
    if importlib.util.find_spec("llama_cpp") is None:
        fix = "pip install 'waypost[llama]' (it is compiled, which takes some minutes), or backend = \"xllama\""
        raise ModelUnusable(f"{PACKAGE} is not installed: {fix}")


@cache
def api() -> Any:
    """The module with llama.cpp's functions, ready to be called.

    Raises:
        ModelUnusable: the package is not installed, or its library cannot be loaded here.
    """
    require()
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        functions = importlib.import_module("llama_cpp.llama_cpp")
    except (ImportError, OSError, RuntimeError) as error:
        raise ModelUnusable(f"{PACKAGE} cannot be loaded, install it again: {error}") from None
    functions.llama_log_set(_callback(functions), None)
    functions.llama_backend_init()
    return functions


@cache
def version() -> str:
    """Of llama-cpp-python, which has its own llama.cpp inside."""
    api()
    found: str = importlib.import_module("llama_cpp").__version__
    return found


@contextmanager
def hearing() -> Iterator[list[str]]:
    """The lines of errors that llama.cpp says to this thread inside the block."""
    outer, _ears.lines = getattr(_ears, "lines", None), []
    try:
        yield _ears.lines
    finally:
        _ears.lines = outer


_ears = threading.local()


class _Listener:
    """Puts llama.cpp's pieces of lines together."""

    def __init__(self) -> None:
        self._level = 0
        self._line = ""

    def __call__(self, level: int, text: bytes, _: Any) -> None:
        self._level = self._level if level == _CONTINUED else level
        if self._level != _ERROR:
            return
        *lines, self._line = (self._line + text.decode(errors="replace")).split("\n")
        for line in filter(None, lines):
            _told(line.strip())


def _told(line: str) -> None:
    lines = getattr(_ears, "lines", None)
    if lines is None:
        log.error("llama.cpp", said=line)
    else:
        lines.append(line)


@cache
def _callback(functions: Any) -> Any:
    """Kept for as long as the process lives: llama.cpp calls it from its threads."""
    return functions.llama_log_callback(_Listener())


def text_of(fill: Any, *arguments: Any) -> str:
    """What a function of the kind `int32 f(…, char *, size)` writes; "" where it has nothing."""
    size = 256
    while (written := fill(*arguments, (buffer := ctypes.create_string_buffer(size)), size)) >= size:
        size = written + 1
    return buffer.raw[:written].decode(errors="replace") if written > 0 else ""
