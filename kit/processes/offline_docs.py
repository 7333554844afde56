"""Uvicorn for `./workshop run`, with documentation pages that need no network.

    python offline.py nb_runner.main:app [OPTION ...]

FastAPI's /docs and /redoc load their scripts from a CDN, and rooms have bad Wi-Fi. The same scripts
come with the package fastapi-offline; here they are put in place before the project is imported,
so the project's code stays as the exercise has it. Everything else, errors included, is uvicorn's;
but for what it cuts short when it has to stop, which is told in a line and not in fifty.
"""

import asyncio
import logging
import sys
import traceback
from functools import partial
from pathlib import Path
from types import TracebackType

import fastapi_offline
from fastapi import FastAPI, applications
from fastapi.staticfiles import StaticFiles
from uvicorn.main import main

FILES = Path(fastapi_offline.__file__).parent / "static"
URL = "/static-offline-docs"
HERE = __file__  # from 3.14 on, Python forgets `__file__` before it calls `sys.excepthook`


def serve_documentation_from_here() -> None:
    """Have every app that is made from now on carry its documentation's scripts itself."""
    icon = f"{URL}/favicon.png"
    applications.get_swagger_ui_html = partial(  # type: ignore[attr-defined]
        applications.get_swagger_ui_html,  # type: ignore[attr-defined]
        swagger_js_url=f"{URL}/swagger-ui-bundle.js",
        swagger_css_url=f"{URL}/swagger-ui.css",
        swagger_favicon_url=icon,
    )
    applications.get_redoc_html = partial(  # type: ignore[attr-defined]
        applications.get_redoc_html,  # type: ignore[attr-defined]
        redoc_js_url=f"{URL}/redoc.standalone.js",
        redoc_favicon_url=icon,
        with_google_fonts=False,
    )
    setup = FastAPI.setup

    def setup_with_files(app: FastAPI) -> None:
        setup(app)
        if app.docs_url or app.redoc_url:
            app.mount(URL, StaticFiles(directory=FILES), name="static-offline-docs")

    FastAPI.setup = setup_with_files  # type: ignore[method-assign,assignment]


def tell_what_was_cut_short(record: logging.LogRecord) -> bool:
    """A filter: the traceback of a job that had no time to end says nothing that this does not."""
    if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
        record.exc_info = None
        record.msg = "Cut short: a request, or its background job, was still at work."
        record.args = ()
    return True


def show_without_us(
    kind: type[BaseException], error: BaseException, frames: TracebackType | None
) -> None:
    """Print a traceback that begins where uvicorn does: this file is not what went wrong."""
    while frames and frames.tb_frame.f_code.co_filename == HERE:
        frames = frames.tb_next
    traceback.print_exception(kind, error, frames)


if __name__ == "__main__":
    sys.path.pop(0)  # this file's folder; uvicorn adds the project's
    sys.excepthook = show_without_us
    serve_documentation_from_here()
    logging.getLogger("uvicorn.error").addFilter(tell_what_was_cut_short)
    main(prog_name="uvicorn")
