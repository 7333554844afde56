"""Tell people when a run has ended, LOST included: NOTIFY_URLS.

The API does it and not the worker: of a LOST run, nobody else is there to tell. Every API process
looks; Redis decides which one tells, so no two do. One that dies in between tells nobody.
"""

import asyncio
import logging
import re
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
# As Apprise does it: a URL may have spaces in it.
BETWEEN_URLS = re.compile(r"[\s,;]+(?=[a-z0-9]+://)", re.IGNORECASE)
KINDS = {Status.SUCCEEDED: "success", Status.CANCELLED: "info"}


class Notifier:
    """Tells of the runs that end."""

    def __init__(self, urls: str) -> None:
        self._urls = urls
        # Each URL gets one message at a time, in the order of the runs.
        self._turns = {url: asyncio.Lock() for url in BETWEEN_URLS.split(urls.strip(" \t\r\n,;"))}
        self._telling: set[asyncio.Task[None]] = set()
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
            except Exception:  # ours; without this, nobody would be told of any later run
                log.exception("A look at the runs that have ended failed")
            await asyncio.sleep(LOOK_EVERY)

    async def _look(self) -> None:
        """Have people told of what has ended since the last look.

        It does not wait until they are: by then, Redis may have forgotten other runs.
        """
        if not self._begun:  # Redis did not answer then
            await self.begin()
        ended = await self._ended()
        for run in ended:
            if run.run_id not in self._seen and await self._is_ours(run):
                task = asyncio.create_task(self._tell_of(run))
                self._telling.add(task)  # asyncio itself keeps no task
                task.add_done_callback(self._telling.discard)
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
        """Tell each URL by itself: if one cannot be told, the others are not told again."""
        told = await asyncio.gather(*(self._told(url, run) for url in self._turns))
        if not all(told):
            log.error("Run %s has ended, and not all of NOTIFY_URLS could be told.", run.run_id)

    async def _told(self, url: str, run: Run) -> bool:
        """Tell one URL of a run. Says whether it could be told."""
        message = _message(run, url)
        async with self._turns[url]:
            for wait in WAITS:
                await asyncio.sleep(wait)
                if await _tell(message) == 0:
                    return True
        return False


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
    """Have it told. Answers how that ended; None: not in time, or not at all."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "nb_runner.extras.tell"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment_without_secrets(),
        )
    except OSError as error:  # too many processes, or open files
        log.error("No process can be started to tell people: %s", error)
        return None
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
