"""`join` and `leave`: show the instructor of a room how far you are, and end it."""

import sys
from dataclasses import replace
from typing import Annotated

import typer

from kit.attendee import membership, outbox
from kit.attendee.calls import INTERACTIVE_TIMEOUT, Refused, Unreachable, address_of, call
from kit.attendee.membership import Membership
from kit.attendee.sender import start_sending
from kit.checking import latest
from kit.course import catalogue, progress
from kit.errors import KitError
from kit.terminal.screen import wrapped
from kit.verdicts.verdict import State

GONE = 401  # the room does not know this attendee, or no longer


def join(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="What the room has printed.")],
    name: Annotated[
        str, typer.Option("--as", metavar="NAME", help="Any name; a nickname is fine.")
    ],
    code: Annotated[
        str, typer.Option(metavar="DIGITS", help="The code of the room. Without it, it is asked.")
    ] = "",
) -> None:
    """Show the instructor of a room how far you are. Says first what is sent.

    Example: ./workshop join 192.168.1.20:8003 --as Ada
    """
    here = membership.load()
    if here is not None and not here.left:
        raise KitError(f"you are in the room {here.address} as {here.name}", "./workshop leave")
    try:
        room = address_of(address)
    except ValueError:
        raise KitError(f"{address!r} is no address", "what the room has printed") from None
    print(what_is_sent(room))
    wish = {"name": name, "code": code or _asked()}
    try:
        token = str(call("POST", room, "/room/join", wish, timeout=INTERACTIVE_TIMEOUT)["token"])
    except Refused as error:
        raise KitError(f"{room} says: {error.reason}", _again(address, name)) from None
    except (Unreachable, KeyError) as error:
        raise KitError(f"no room answers at {room} ({error})", _again(address, name)) from None
    membership.delete()
    membership.save(Membership(room, name, token))
    _tell_what_was_before()
    start_sending()
    print(wrapped(f"You are in the room as {name}. `./workshop leave` ends it, and deletes this."))


def leave() -> None:
    """Leave the room: nothing more is sent, and the room deletes what it knows of you.

    Example: ./workshop leave
    """
    here = membership.load()
    if here is None:
        print("You are in no room.")
        return
    membership.save(replace(here, left=True))
    try:
        call("DELETE", here.address, "/room/me", token=here.token, timeout=INTERACTIVE_TIMEOUT)
    except Refused as error:
        if error.status != GONE:
            raise KitError(f"{here.address} says: {error.reason}", "./workshop leave") from None
    except Unreachable as error:
        raise KitError(
            f"nothing more is sent, but {here.address} does not answer ({error}): "
            "what it knows of you is still there",
            "./workshop leave, when the room is back",
        ) from None
    membership.delete()
    print("You have left the room, and it has deleted what it knew of you.")


def what_is_sent(room: str) -> str:
    """All that the room will be told, in words."""
    lines = [f"Whoever looks at the board of {room} will see, under your name:"]
    lines += [f"  - {what}" for what in outbox.SENT]
    return wrapped("\n".join([*lines, f"{outbox.NEVER_SENT} Without a code, nothing is sent.\n"]))


def _asked() -> str:
    if not sys.stdin.isatty():
        raise KitError("there is no terminal to ask for the code at", "--code DIGITS")
    return str(typer.prompt("The code of the room"))


def _again(address: str, name: str) -> str:
    return f"./workshop join {address} --as {name!r}"


def _tell_what_was_before() -> None:
    """Note how far the attendee is in what was checked before the room was joined."""
    done = progress.load()
    for exercise in catalogue.load():
        record, kept = done.of(exercise), latest.read(exercise)
        if record.passed is not None:
            states = {task.number: State.PASSED.value for task in exercise.tasks}
        elif record.failed and kept.verdict is not None:
            states = {task.number: task.state.value for task in kept.verdict.tasks}
        else:
            continue
        outbox.note_verdict(exercise.slug, states, record.failed_test, before=True)
