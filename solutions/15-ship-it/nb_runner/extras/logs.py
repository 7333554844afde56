"""Logs: each line that is about a run says which one, and who asked for it.

As text, or with LOG_FORMAT=json as one object a line.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from ..config import LogFormat
from ..runs import Run

Facts = dict[str, str]

_about: ContextVar[Facts | None] = ContextVar("about", default=None)


def about(run: Run) -> None:
    """From here on, this request or Celery task is about that run."""
    named = {"requested_by": run.requested_by} if run.requested_by else {}
    _about.set({"run_id": run.run_id} | named)


@contextmanager
def apart() -> Iterator[None]:
    """What is said within of a run does not hold outside of it."""
    before = _about.set(None)
    try:
        yield
    finally:
        _about.reset(before)


def set_up(log_format: LogFormat, *loggers: logging.Logger) -> None:
    """Have the handlers of these loggers write in that format."""
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        if log_format is LogFormat.JSON:
            handler.setFormatter(_Json())
        elif not isinstance(handler.formatter, _Text):
            handler.setFormatter(_Text(handler.formatter or logging.Formatter()))


def _facts_of(record: logging.LogRecord) -> Facts:
    """What is known of the run that a line is about."""
    if facts := _about.get():
        return facts
    # Celery's main process logs of a message before there is a run: the message has its id.
    if isinstance(record.args, Mapping) and record.name.startswith("celery."):
        return {"run_id": str(record.args["id"])} if "id" in record.args else {}
    return {}


class _Text(logging.Formatter):
    """The line as it was, and what it is about."""

    def __init__(self, line: logging.Formatter) -> None:
        super().__init__()
        self._line = line

    def format(self, record: logging.LogRecord) -> str:
        """The run is told at the end of the first line."""
        line = self._line.format(record)
        if not (facts := _facts_of(record)):
            return line
        first, *more = line.split("\n")
        told = " ".join(f"{name}={value!r}" for name, value in facts.items())
        return "\n".join([f"{first} [{told}]", *more])


class _Json(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message; and the run and the traceback, if there are any."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        told |= _facts_of(record)
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told)
