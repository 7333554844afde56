"""GET /output: what a run printed, its executed notebook, and that as a page."""

import asyncio
import sys
from enum import StrEnum
from pathlib import Path

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

from . import artifacts
from .api import UNKNOWN, KnownRun, answers, problem
from .config import settings
from .security import key_needed

# A notebook's output may be any HTML, scripts included. Served under these rules, a browser
# runs none of it and lets it load nothing: no script, no network, no access to our page.
LOCKED_UP = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "frame-ancestors 'self'"
)
RENDER_SECONDS = 60
one_at_a_time = asyncio.Semaphore(1)


class Format(StrEnum):
    """The forms of a run's output."""

    TEXT = "text"
    IPYNB = "ipynb"
    HTML = "html"


router = APIRouter(dependencies=key_needed, responses=answers)


@router.get(
    "/output/{run_id}",
    response_class=FileResponse,
    responses={
        200: {
            "description": "The output",
            "content": {"text/plain": {}, "application/x-ipynb+json": {}, "text/html": {}},
        },
        **UNKNOWN,
        409: problem("The run has not ended yet"),
    },
)
async def output(run: KnownRun, format: Format = Format.TEXT) -> FileResponse:
    """What the run left: printed text, the executed notebook, or a self-contained page."""
    if run.status.active:
        why = f"Run {run.run_id} is {run.status}; its output is here when it has ended."
        raise HTTPException(409, why)
    folder = settings().artifacts_dir / run.run_id
    if not (folder / artifacts.NOTEBOOK).exists():
        raise HTTPException(404, f"Run {run.run_id} left no output: it is {run.status}.")
    safe = {"Content-Security-Policy": LOCKED_UP, "X-Content-Type-Options": "nosniff"}
    if format is Format.IPYNB:
        return FileResponse(
            folder / artifacts.NOTEBOOK,
            media_type="application/x-ipynb+json",
            filename=f"{run.run_id}.ipynb",
            headers=safe,
        )
    if format is Format.HTML:
        await render(folder)
        return FileResponse(folder / artifacts.HTML, media_type="text/html", headers=safe)
    return FileResponse(folder / artifacts.TEXT, media_type="text/plain", headers=safe)


async def render(folder: Path) -> None:
    """Make the page, unless it is there already.

    In a process of its own: nbconvert is large, and so may the notebook be, and neither should
    stay in the API's memory. On demand: most runs are never looked at.
    """
    async with one_at_a_time:
        if (folder / artifacts.HTML).exists():
            return
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "nb_runner.report"),
            *(str(folder / artifacts.NOTEBOOK), str(folder / artifacts.HTML)),
        )
        try:
            async with asyncio.timeout(RENDER_SECONDS):
                code = await process.wait()
        except TimeoutError:
            code = None
        finally:
            if process.returncode is None:
                process.kill()
    if code != 0:
        raise HTTPException(503, "The page could not be made; ?format=ipynb has the notebook.")
