"""What attendees call: join, tell, ask for the pace, leave."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Request
from typing_extensions import TypedDict  # pydantic reads it, and needs this one before 3.12

from kit.room.events import Events, Join
from kit.room.security import Limit, guarded
from kit.room.store import Refusal, Store

WRONG_CODE_LIMIT = Limit(times=5, seconds=60)
EVENT_LIMIT = Limit(times=60, seconds=10)  # requests of one attendee; a check is one
RETRY_AFTER = {"Retry-After": "10"}


class Pace(TypedDict):
    """What the room answers to attendees: where it is, and whether they still ask for help."""

    now: str
    time_up: bool
    next: str  # the exercise of the agenda after `now`
    help: bool


def attendees_api(store: Store, next_after: Callable[[str], str]) -> APIRouter:
    """The routes below /room. `next_after` names the exercise that follows another one."""
    api = APIRouter(prefix="/room")

    def attendee(authorization: Annotated[str, Header(max_length=200)] = "") -> int:
        found = store.attendee(authorization.removeprefix("Bearer "))
        if found is None:
            raise HTTPException(401, "the room does not know you: join it again")
        return found

    Known = Annotated[int, Depends(attendee)]

    @api.post("/join")
    def join(request: Request, wish: Join) -> dict[str, str]:
        guarded(request, WRONG_CODE_LIMIT, store.setting("code"), wish.code, "code")
        try:
            return {"token": store.join(wish.name)}
        except Refusal as refusal:
            raise HTTPException(409, str(refusal)) from None

    def pace_for(who: int) -> Pace:
        now, time_up = store.setting("now"), bool(store.setting("time_up"))
        return Pace(
            now=now,
            time_up=time_up,
            next=next_after(now) if now else "",
            help=store.asks_for_help(who),
        )

    @api.post("/events")
    def tell(who: Known, told: Events) -> Pace:
        if EVENT_LIMIT.wait(str(who)):
            raise HTTPException(429, "too much at once", RETRY_AFTER)
        EVENT_LIMIT.count(str(who))
        store.record(who, told.events, told.sent_at)
        return pace_for(who)

    @api.get("/pace")
    def pace(who: Known) -> Pace:
        return pace_for(who)

    @api.delete("/me")
    def leave(who: Known) -> dict[str, bool]:
        store.leave(who)
        return {"deleted": True}

    return api
