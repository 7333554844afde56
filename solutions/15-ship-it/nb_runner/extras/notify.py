"""Tell people when a run has ended, LOST included: NOTIFY_URLS.

The API does it and not the worker: of a LOST run, nobody else is there to tell. Every API process
looks; Redis decides which one tells, so nobody is told twice. One that dies in between tells
nobody.
"""

import asyncio
import logging
import secrets
import sys

from redis import RedisError

from .. import runs
from ..config import environment_without_secrets
from ..connection import api_redis
from ..lua import script
from ..names import names
from ..outcome import Status
from ..runs import Run
from .tell_message import UNKNOWN, Message

log = logging.getLogger("uvicorn.error")

LOOK_EVERY = 1  # seconds
WAITS = (0, 5, 30)  # seconds before each try
TELL_TIMEOUT = 120  # seconds; it may be a mail server that takes its time
KINDS = {Status.SUCCEEDED: "success", Status.CANCELLED: "info"}


class Notifier:
    """Tells of the runs that end."""

    def __init__(self, urls: str) -> None:
        self._urls = urls
        self._claim = api_redis().register_script(script("tell"))
        self._me = secrets.token_hex(8)
        self._seen: set[str] = set()
        self._begun = False

    async def begin(self) -> None:
        """Claim what has ended before anybody was to be told of it: that is no news.

        Before the first request: the URLs are checked for a second or more, and a run may end in
        that time.
        """
        if not await api_redis().exists(names().tells):
            for run in await self._ended():
                await self._is_ours(run)
            await api_redis().set(names().tells, "1")  # last: another process may look already
        self._begun = True

    async def watch(self) -> None:
        """For ever: tell of each run that has ended."""
        if await _tell(Message(urls=self._urls)) == UNKNOWN:
            log.error("NOTIFY_URLS: Apprise does not know all of them. Nobody is told anything.")
            return
        while True:
            try:
                await self._look()
            except RedisError as error:
                log.debug("Nothing to tell: %s", error)
            await asyncio.sleep(LOOK_EVERY)

    async def _look(self) -> None:
        """Tell of what has ended since the last look."""
        if not self._begun:  # Redis did not answer then
            await self.begin()
        ended = await self._ended()
        for run in ended:
            if run.run_id not in self._seen and await self._is_ours(run):
                await self._tell_of(run)
        self._seen &= {run.run_id for run in ended}

    async def _ended(self) -> list[Run]:
        """The runs that have ended, oldest first."""
        return [run for run in reversed(await runs.recent()) if not run.status.active]

    async def _is_ours(self, run: Run) -> bool:
        """Whether this process is to tell of the run; from now on, no other one is."""
        ours = await self._claim(keys=names().for_script(run.run_id), args=[self._me])
        self._seen.add(run.run_id)
        return bool(ours)

    async def _tell_of(self, run: Run) -> None:
        message = _message(run, self._urls)
        for wait in WAITS:
            await asyncio.sleep(wait)
            if await _tell(message) == 0:
                return
        log.error("Run %s has ended, and not all of NOTIFY_URLS could be told.", run.run_id)


def _message(run: Run, urls: str) -> Message:
    """What is told of a run."""
    who = f", requested by {run.requested_by}" if run.requested_by else ""
    ended = f"Run {run.run_id}{who}: {run.status}."
    return Message(
        urls=urls,
        title=f"{run.notebook}: {run.status}",
        body="\n".join(part for part in (ended, run.error) if part),
        kind=KINDS.get(run.status, "failure"),
    )


async def _tell(message: Message) -> int | None:
    """Have it told. Answers how that ended; None: not in time."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nb_runner.extras.tell"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment_without_secrets(),
    )
    assert process.stdout
    try:
        async with asyncio.timeout(TELL_TIMEOUT):
            await process.stdout.readline()  # from now on, nobody reads what it is told
            await process.communicate(message.model_dump_json().encode())
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode
