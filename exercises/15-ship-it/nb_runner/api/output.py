"""GET /output: what a run printed, its executed notebook, and that as a page; and its files."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext, suppress
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, BinaryIO
from urllib.parse import quote

from fastapi import HTTPException, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from redis import RedisError

from .. import runs
from ..config import environment_without_secrets, get_settings
from ..output import artifacts
from ..output.live import Tail, text_so_far
from ..runs import Run
from .answers import UNKNOWN, KnownRun, problem
from .security import router_for_runs

# A notebook's output may be any HTML, scripts included. Served under these rules, a browser
# runs none of it and lets it load nothing: no script, no network, no access to our page.
LOCKED_UP = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "frame-ancestors 'self'"
)
SAFE = {"Content-Security-Policy": LOCKED_UP, "X-Content-Type-Options": "nosniff"}
RENDER_SECONDS = 60
LOOK_EVERY = 0.25  # seconds between two looks at a run that is followed
AT_ONCE = 100_000  # bytes of a file that are read at a time
one_at_a_time = asyncio.Semaphore(1)


class Format(StrEnum):
    """The forms of a run's output."""

    TEXT = "text"
    IPYNB = "ipynb"
    HTML = "html"


Cell = Annotated[
    int | None,
    Query(ge=1, description="Only the text of this cell; the first one that runs is 1"),
]
router = router_for_runs()


@router.get(
    "/output/{run_id}",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The output",
            "content": {"text/plain": {}, "application/x-ipynb+json": {}, "text/html": {}},
        },
        **UNKNOWN,
        409: problem("The run has not ended yet, and only its text can be had"),
    },
)
async def output(
    run: KnownRun, format: Format = Format.TEXT, follow: bool = False, cell: Cell = None
) -> Response:
    """What the run left: printed text, the executed notebook, or a self-contained page.

    The text can be had before the run has ended: what has been put out so far. With
    `follow=true` it goes on as the run does, until its end.
    """
    notebook = await run_in_threadpool(_opened, run.run_id, artifacts.NOTEBOOK)
    if notebook and format is Format.IPYNB:
        label = f'attachment; filename="{run.run_id}.ipynb"'
        return _whole(notebook, "application/x-ipynb+json", label)
    with notebook or nullcontext():
        if format is Format.TEXT:
            return await _text(run, kept=notebook is not None, follow=follow, cell=cell)
        if notebook:
            return _whole(await _page(run, notebook), "text/html")
    if run.status.active:
        why = f"Run {run.run_id} is {run.status}; its {format} is here when it has ended."
        raise HTTPException(409, why)
    raise no_output(run)


@router.get(
    "/output/{run_id}/files/{name:path}",
    response_class=StreamingResponse,
    responses={
        200: {"description": "The file", "content": {"application/octet-stream": {}}},
        404: problem("The run is not known, or has left no such file"),
    },
)
async def file(run: KnownRun, name: str) -> Response:
    """A file that the notebook has left in its OUTPUT_DIR."""
    found = await run_in_threadpool(
        artifacts.opened, get_settings().artifacts_dir, run.run_id, artifacts.FILES, name
    )
    if found is None:
        raise HTTPException(404, f"Run {run.run_id} has left no file {name[:100]!r}.")
    label = f"attachment; filename*=UTF-8''{quote(PurePosixPath(name).name)}"
    return _whole(found, "application/octet-stream", label)


async def _text(run: Run, *, kept: bool, follow: bool, cell: int | None) -> Response:
    """The text of a run: as it was kept, else as far as it is."""
    text: Iterator[bytes] | AsyncIterator[bytes]
    if kept:
        found = await run_in_threadpool(_text_of_cell, run.run_id, cell)
        if found is None:
            raise no_output(run)
        text = found
    elif follow and run.status.active:
        text = _follow(run, cell)
    elif live := await run_in_threadpool(_opened, run.run_id, artifacts.LIVE):
        text = _closing(live, text_so_far(live, cell))
    elif run.status.active:
        text = iter(())
    else:
        raise no_output(run)
    # nginx would hold back what comes in small pieces.
    headers = {**SAFE, "X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    return StreamingResponse(text, media_type="text/plain", headers=headers)


async def _follow(run: Run, cell: int | None) -> AsyncIterator[bytes]:
    """What has been put out so far, and then what comes, until the run has ended."""
    found = tail = missing_since = None
    now = asyncio.get_running_loop().time
    try:
        active = True
        while active:
            # First this, then the file: what was put out before the end is in there by then.
            with suppress(RedisError):
                latest = await runs.get(run.run_id)
                if latest:
                    active, missing_since = latest.status.active, None
                else:  # Redis forgot it; a live worker writes it again within its lease
                    missing_since = missing_since or now()
                    active = now() - missing_since <= get_settings().lease_seconds
            if tail is None and (
                found := await run_in_threadpool(_opened, run.run_id, artifacts.LIVE)
            ):
                tail = Tail(found, cell)
            while tail and (new := await run_in_threadpool(tail.read)) is not None:
                yield new
            if active:
                await asyncio.sleep(LOOK_EVERY)
        if tail:
            yield tail.end()
        else:  # it was so short that nobody saw it going on
            for piece in await run_in_threadpool(_text_of_cell, run.run_id, cell) or ():
                yield piece
    finally:
        if found:
            found.close()


def _text_of_cell(run_id: str, cell: int | None) -> Iterator[bytes] | None:
    """The text that was kept of a run, or of one cell of it. None: it is not there any more."""
    places = _opened(run_id, artifacts.CELLS)
    if places is None:
        return None
    with places:
        where = json.load(places)
    text = _opened(run_id, artifacts.TEXT)
    if text is None:
        return None
    size = os.fstat(text.fileno()).st_size
    start, end = (0, size) if cell is None else where.get(str(cell), (0, 0))
    return _piece(text, start, end)


def _whole(file: BinaryIO, media_type: str, label: str | None = None) -> Response:
    """A file as an answer. `label`: the header that says what to do with it."""
    size = os.fstat(file.fileno()).st_size
    headers = {**SAFE, "Content-Length": str(size)}
    if label:
        headers["Content-Disposition"] = label
    return StreamingResponse(_piece(file, 0, size), media_type=media_type, headers=headers)


def _piece(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """A file from here to there, in small pieces."""
    with file:
        file.seek(start)
        while start < end and (piece := file.read(min(AT_ONCE, end - start))):
            start += len(piece)
            yield piece


def _closing(file: BinaryIO, pieces: Iterator[bytes]) -> Iterator[bytes]:
    with file:
        yield from pieces


def _opened(run_id: str, name: str) -> BinaryIO | None:
    return artifacts.opened(get_settings().artifacts_dir, run_id, name)


def no_output(run: Run) -> HTTPException:
    """The answer for a run that has ended, and whose output is not there."""
    why = f"Run {run.run_id} is {run.status}, and no such output of it is kept."
    return HTTPException(404, why)


async def _page(run: Run, notebook: BinaryIO) -> BinaryIO:
    """The notebook as a page, which is made unless it is there already.

    In a process of its own: nbconvert is large, and so may the notebook be, and neither should
    stay in the API's memory. On demand: most runs are never looked at.
    """
    path = get_settings().artifacts_dir / run.run_id / artifacts.HTML
    async with one_at_a_time:
        if page := await run_in_threadpool(_opened, run.run_id, artifacts.HTML):
            return page
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "nb_runner.output.report"),
            *(str(path), str(get_settings().notebook_path.parent)),
            stdin=notebook,
            env=environment_without_secrets(),
        )
        try:
            async with asyncio.timeout(RENDER_SECONDS):
                code = await process.wait()
        except TimeoutError:
            code = None
        finally:
            if process.returncode is None:
                process.kill()
    if code == 0 and (page := await run_in_threadpool(_opened, run.run_id, artifacts.HTML)):
        return page
    path.with_suffix(f".{process.pid}").unlink(missing_ok=True)
    raise HTTPException(503, "The page could not be made; ?format=ipynb has the notebook.")
