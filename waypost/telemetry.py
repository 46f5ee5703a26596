"""Logs of processes: structlog events, one line of JSON each, on stderr or in a file that is kept within its size.

    telemetry.configure("worker", "local-0", loaded.telemetry)
    log = structlog.get_logger()
    log.info("calibrated", model="smollm2")

Every line says which process and instance it is of; where a request is concerned, whoever answers it binds
`request_id` and `trace_id` to structlog's context variables.  The level may change while the process runs: it is looked
at for each line, since loggers are kept once they were used.  What libraries log comes out in the same form, from
warnings on: below these they repeat texts of callers.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, MutableMapping
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from waypost import places
from waypost.logfile import RotatingFile

if TYPE_CHECKING:
    from waypost.config import Telemetry

Event = MutableMapping[str, Any]

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
LOOK_S = 0.5
"""Longest time that a process which ends waits for the thread that applies levels."""


class Threshold:
    """Drops what is below the level of now."""

    def __init__(self) -> None:
        self.level = logging.INFO

    def __call__(self, logger: object, method: str, event: Event) -> Event:
        if structlog.processors.NAME_TO_LEVEL[method] < self.level:
            raise structlog.DropEvent
        return event


_threshold = Threshold()


def configure(process: str, instance: str = "", settings: Telemetry | None = None) -> None:
    """Sets up logging for this process; both names are in each of its lines.

    What the configuration says, WAYPOST_LOG_LEVEL (debug, info, warning, error) may say otherwise; WAYPOST_LOG ("json"
    or "pretty") says how lines on stderr look, which is pretty where somebody reads them in a terminal.
    """
    own = {"process": process, "instance": instance or process}
    folder = log_folder(settings.log if settings else "stderr")
    set_level(settings.level if settings else environ.get("WAYPOST_LOG_LEVEL") or "info")
    structlog.configure(
        processors=[
            _threshold,
            structlog.contextvars.merge_contextvars,
            lambda logger, method, event: own | dict(event),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *_rendered(pretty=folder is None and _is_read(sys.stderr)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        logger_factory=_factory(folder, own["instance"], settings),
        cache_logger_on_first_use=True,
    )
    _take_over()


def set_level(name: str) -> None:
    """From now on, nothing below `name` ("debug", "info", "warning", "error") is written; others mean "info"."""
    _threshold.level = LEVELS.get(name.lower(), logging.INFO)


def follow_level(take: Callable[[float], str | None], stop: threading.Event) -> None:
    """Applies the levels that `take(seconds to wait)` hands out, until `stop` is set: see `SetLogLevel`."""
    while not stop.is_set():
        if name := take(LOOK_S):
            set_level(name)
            structlog.get_logger().info("log level", to=name)


def log_folder(to: str) -> Path | None:
    """The folder in which each process has a log of its own; None: they write to stderr."""
    if to == "stderr":
        return None
    return places.log("any").parent if to == "file" else Path(to)


def _is_read(stream: TextIO) -> bool:
    return (environ.get("WAYPOST_LOG") or ("pretty" if stream.isatty() else "json")) == "pretty"


def _rendered(pretty: bool) -> list[Any]:
    if pretty:
        return [structlog.dev.ConsoleRenderer()]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]


def _factory(folder: Path | None, name: str, settings: Telemetry | None) -> Callable[..., Any]:
    if folder is None or settings is None:
        return structlog.WriteLoggerFactory(sys.stderr)
    lines = FileLogger(RotatingFile(folder / f"{name}.jsonl", settings.log_max_bytes, settings.log_keep))
    return lambda *names: lines


class FileLogger:
    """Writes lines to a file; where that fails, to stderr: a full disk must not end the service."""

    def __init__(self, file: RotatingFile) -> None:
        self._file = file

    def msg(self, line: str) -> None:
        """Writes one line."""
        try:
            self._file.write([line])
        except OSError:
            print(line, file=sys.stderr, flush=True)

    log = debug = info = warn = warning = error = err = critical = fatal = exception = failure = msg


# ---- what others say ----


class Foreign(logging.Handler):
    """What libraries log, in our form."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        say = log.error if record.levelno >= logging.ERROR else log.warning
        said = {"exc_info": record.exc_info} if record.exc_info else {}
        say(record.getMessage(), logger=record.name, **said)


def _take_over() -> None:
    """Of libraries, and of threads and processes that end by an exception."""
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, Foreign)]
    root.addHandler(Foreign(logging.WARNING))
    sys.excepthook = _ended
    threading.excepthook = _thread_ended


def _ended(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return sys.__excepthook__(kind, error, trace)
    structlog.get_logger().critical("failed", exc_info=(kind, error, trace))


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    thread = ended.thread.name if ended.thread else None
    structlog.get_logger().critical(
        "thread failed", thread=thread, exc_info=(ended.exc_type, ended.exc_value, ended.exc_traceback)
    )
