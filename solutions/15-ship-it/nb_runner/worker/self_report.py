"""A pool process looks at what a run needs, every few seconds, and tells Redis what it found.

In a thread: while it waits for a run, Celery's loop has the main thread, and in a run cells do.
No look takes anything from a run: a connection to the database, and a file that has no name.
"""

import logging
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from redis import RedisError
from sqlalchemy import Engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from ..config import get_settings
from ..connection import worker_redis
from ..extras.fencing import tokens
from .deadline import answer_within
from .worker_state import OK, WorkerState

log = logging.getLogger(__name__)

LOOK_EVERY = 4  # seconds
SILENCE = 15  # seconds; a look takes no longer than the database may take to answer


class SelfReport:
    """Tells Redis what it sees, for as long as this process lives."""

    def __init__(self, key: str, database: Engine, kernel: Callable[[], str]) -> None:
        """`kernel` says why no kernel can be started; an empty text when one can."""
        self._key, self._database, self._kernel = key, database, kernel

    def start(self) -> None:
        """Begin; the first report is there in a moment."""
        threading.Thread(target=self._run, name="self-report", daemon=True).start()

    def _run(self) -> None:
        before = WorkerState()
        while True:
            try:
                state = self._look()
                worker_redis().set(self._key, state.model_dump_json(), ex=SILENCE)
            except RedisError:
                pass  # GET /ready says so
            except Exception:  # ours; without reports, GET /ready would say that we are stopped
                log.exception("A look at what a run needs failed")
            else:
                if state != before:
                    log.warning("What a run needs: %s", state)
                before = state
            time.sleep(LOOK_EVERY)

    def _look(self) -> WorkerState:
        return WorkerState(
            database=_database(self._database),
            artifacts=_space_in(get_settings().artifacts_dir, "ARTIFACTS_DIR"),
            temporary=_space_in(Path(tempfile.gettempdir()), "temporary files"),
            kernel=self._kernel() or OK,
        )


def _database(engine: Engine) -> str:
    """Whether the database answers."""

    def ask() -> bool:
        with engine.connect() as connection:  # SQLite does not open its file before it has to
            return inspect(connection).has_table(tokens.name)

    try:
        answer_within(SILENCE / 3, ask)
    except (SQLAlchemyError, TimeoutError) as error:
        why = getattr(error, "orig", None) or error
        return f"The database (DATABASE_URL) does not answer: {why}"
    return OK


def _space_in(folder: Path, purpose: str) -> str:
    """Whether something can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            file.flush()
    except OSError as error:
        return f"Nothing can be written to {folder} ({purpose}): {error.strerror}."
    return OK
