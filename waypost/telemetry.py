"""Logs of processes: structlog events on stderr, JSON lines unless somebody reads them in a terminal.

log = telemetry.configure(process="router")
log.info("listening", address="127.0.0.1:50051")
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import structlog


def configure(**context: Any) -> structlog.stdlib.BoundLogger:
    """Sets up logging for this process; `context` is in each of its lines.

    `WAYPOST_LOG_LEVEL` (debug, info, warning, error) says what is written; `WAYPOST_LOG` ("json" or "pretty") how.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            _renderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_level()),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logger: structlog.stdlib.BoundLogger = structlog.get_logger().bind(**context)
    return logger


def _renderer() -> Any:
    style = os.environ.get("WAYPOST_LOG") or ("pretty" if sys.stderr.isatty() else "json")
    return structlog.dev.ConsoleRenderer() if style == "pretty" else structlog.processors.JSONRenderer()


def _level() -> int:
    known = logging.getLevelNamesMapping()
    return known.get(os.environ.get("WAYPOST_LOG_LEVEL", "info").upper(), logging.INFO)
