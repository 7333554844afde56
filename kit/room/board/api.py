"""What the board calls. The board's secret opens it; the code of the room does not."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated

import segno
from fastapi import APIRouter, Cookie, Depends, HTTPException, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from jinja2 import Environment, FileSystemLoader
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from kit import identity
from kit.classroom.reports.html_report import SIGNS, WORDS, style
from kit.course.catalogue import Exercise
from kit.room.board import summary
from kit.room.board.schedule import Schedule
from kit.room.board.state import Board, board
from kit.room.events import Enter, Mark
from kit.room.security import HEADERS, Limit, guarded
from kit.room.store import Store

HERE = Path(__file__).parent
COOKIE = "board"
WRONG_SECRET_LIMIT = Limit(times=5, seconds=60)
POLL_INTERVAL = 0.2  # seconds between two looks at what has changed
REFRESH_INTERVAL = 15.0  # seconds after which the board is told again: the agenda goes on by itself
PAGES = Environment(loader=FileSystemLoader(HERE), autoescape=True)


def board_api(store: Store, course: Sequence[Exercise], plan: Schedule, address: str) -> APIRouter:
    """The routes below /board."""
    api = APIRouter(prefix="/board")

    def entered(board: Annotated[str, Cookie(max_length=100)] = "") -> None:
        if not is_entered(board):
            raise HTTPException(403, "the board is open to those who have its secret")

    def is_entered(cookie: str) -> bool:
        return secrets.compare_digest(cookie.encode(), store.setting("secret").encode())

    known = [Depends(entered)]

    @api.get("")
    def page(board: Annotated[str, Cookie(max_length=100)] = "") -> Response:
        html = PAGES.get_template("board.html.j2").render(
            entered=is_entered(board),
            address=address,
            code=store.setting("code") if is_entered(board) else "",
            qr=segno.make(address, micro=False).svg_data_uri(border=2, light="#fff", scale=4),
            icon=identity.icon(),
            legend=[(state.value, SIGNS[state], WORDS[state]) for state in SIGNS],
        )
        return HTMLResponse(html, headers=HEADERS)

    @api.get("/board.css")
    def css() -> Response:
        text = style() + (HERE / "board.css").read_text(encoding="utf-8")
        return Response(text, media_type="text/css", headers={"Cache-Control": "no-cache"})

    @api.get("/board.js")
    def script() -> Response:
        return FileResponse(HERE / "board.js", headers={"Cache-Control": "no-cache"})

    @api.post("/enter")
    def enter(request: Request, wish: Enter) -> Response:
        guarded(request, WRONG_SECRET_LIMIT, store.setting("secret"), wish.secret, "secret")
        answer = JSONResponse({"entered": True})
        answer.set_cookie(COOKIE, wish.secret, path="/board", httponly=True, samesite="strict")
        return answer

    @api.get("/events", response_class=EventSourceResponse, dependencies=known)
    async def events() -> AsyncIterator[ServerSentEvent]:
        seen: tuple[int, int] | None = None
        while True:
            now = (store.version, int(time.time() / REFRESH_INTERVAL))
            if now != seen:
                seen = now
                yield ServerSentEvent(data=await run_in_threadpool(board_now))
            await asyncio.sleep(POLL_INTERVAL)

    def board_now() -> Board:
        return board(store, course, plan)

    @api.post("/pace", dependencies=known)
    def pace(mark: Mark) -> dict[str, bool]:
        store.remember(now=mark.now, time_up="yes" if mark.time_up else "")
        return {"marked": True}

    @api.post("/helped/{attendee}", dependencies=known)
    def helped(attendee: int) -> dict[str, bool]:
        store.helped(attendee)
        return {"helped": True}

    @api.delete("/attendees/{attendee}", dependencies=known)
    def remove(attendee: int) -> dict[str, bool]:
        store.leave(attendee)
        return {"removed": True}

    @api.get("/summary.md", dependencies=known)
    def as_markdown() -> Response:
        text = summary.as_markdown(store.attendees(), course, time.strftime("%d %B %Y"))
        return _download(text, "text/markdown", "room.md")

    @api.get("/summary.csv", dependencies=known)
    def as_csv() -> Response:
        return _download(summary.as_csv(store.attendees(), course), "text/csv", "room.csv")

    return api


def _download(text: str, kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **HEADERS}
    return Response(text, media_type=kind, headers=headers)
