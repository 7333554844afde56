"""What keeps one attendee from harming others: secrets, limits, and the headers of pages."""

import secrets
import threading
import time
from collections import OrderedDict, deque

from fastapi import HTTPException, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 64_000  # bytes
MOST_SENDERS = 1000  # that are remembered
# Of each page: it loads nothing from elsewhere, and no other page may frame it.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Limit:
    """So many times in so many seconds, for each sender."""

    def __init__(self, times: int, seconds: float) -> None:
        self.times = times
        self.seconds = seconds
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, sender: str) -> None:
        """It has happened once more."""
        with self._lock:
            times = self._seen.setdefault(sender, deque(maxlen=self.times))
            times.append(time.monotonic())
            self._seen.move_to_end(sender)
            if len(self._seen) > MOST_SENDERS:
                self._seen.popitem(last=False)

    def wait(self, sender: str) -> float:
        """The seconds until this sender may try again; 0 for now."""
        with self._lock:
            times = self._seen.get(sender)
            if times is None or len(times) < self.times:
                return 0.0
            return max(0.0, times[0] + self.seconds - time.monotonic())


def guarded(request: Request, limit: Limit, right: str, given: str, what: str) -> None:
    """Compare a secret with the right one. A sender that is wrong too often has to wait."""
    sender = request.client.host if request.client else ""
    if wait := limit.wait(sender):
        after = {"Retry-After": str(int(wait) + 1)}
        raise HTTPException(429, f"too many wrong tries: wait {int(wait) + 1} seconds", after)
    if not secrets.compare_digest(right.encode(), given.strip().encode()):
        limit.count(sender)
        raise HTTPException(403, f"this is not the {what} of the room")


class _TooLarge(Exception):
    """The body of a request has more bytes than the room takes."""


class BoundedBodies:
    """Refuses a request whose body is too large, also one that does not say how large it is."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        taken, begun = 0, False

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST_BODY:
                raise _TooLarge
            return message

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            declared = dict(scope["headers"]).get(b"content-length", b"0")
            if not declared.isdigit() or int(declared) > LARGEST_BODY:
                raise _TooLarge
            await self.app(scope, bounded, sending)
        except _TooLarge:
            if not begun:
                body = {"detail": f"at most {LARGEST_BODY} bytes"}
                await JSONResponse(body, status_code=413)(scope, receive, send)
