"""What the room knows, in a SQLite file: a room that is killed and comes back has lost nothing.

Events are not kept, only what follows from them: for each attendee and exercise one row. So an
attendee who sends ten thousand events takes no more room than one who sends ten.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Engine, ForeignKey, create_engine, event, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    selectinload,
)

from kit.course.catalogue import Exercise
from kit.room.events import HelpEvent, VerdictEvent
from kit.workspace import sqlite_url

MAX_ATTENDEES = 300  # of one room
MAX_NAME = 40  # characters
DAY = 24 * 3600.0
CODE_DIGITS = 6


class Base(DeclarativeBase):
    """The tables."""


class Setting(Base):
    """Something that the room has to remember: its code, its secret, the pace."""

    __tablename__ = "settings"
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class Attendee(Base):
    """An attendee who has joined. `key`: the name, so that no two names look the same.

    `exercise` is the one that was checked last. `help`: the task for which help is asked.
    """

    __tablename__ = "attendees"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    token: Mapped[str] = mapped_column(unique=True)  # its hash
    joined: Mapped[float]
    seq: Mapped[int] = mapped_column(default=0)
    exercise: Mapped[str] = mapped_column(default="")
    help: Mapped[str] = mapped_column(default="")
    help_since: Mapped[float] = mapped_column(default=0.0)
    standings: Mapped[list["Standing"]] = relationship(cascade="all, delete-orphan")


class Standing(Base):
    """How far an attendee is in an exercise. `tasks`: the state of each task, by its number."""

    __tablename__ = "standings"
    attendee_id: Mapped[int] = mapped_column(ForeignKey("attendees.id"), primary_key=True)
    exercise: Mapped[str] = mapped_column(primary_key=True)
    tasks: Mapped[dict[str, Any]] = mapped_column(JSON)
    test: Mapped[str]
    checks: Mapped[int]
    minutes: Mapped[int]
    at: Mapped[float]


class Refusal(Exception):
    """The room does not take an attendee. The message says why."""


class Store:
    """The one owner of the file. `version` grows with each change that the board shows."""

    def __init__(self, file: Path, exercises: Sequence[Exercise]) -> None:
        self._engine = _engine(file)
        Base.metadata.create_all(self._engine)
        file.chmod(0o600)
        self._tasks = {each.slug: {task.number for task in each.tasks} for each in exercises}
        self._writing = threading.Lock()  # SQLite has one writer at a time
        self._ids: dict[str, int] = {}  # whose token it is, as found before
        self._settings: dict[str, str] = {}
        self.version = 1
        with self._change() as session:
            if session.get(Setting, "code") is None:
                code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
                session.add(Setting(name="code", value=code))
                session.add(Setting(name="secret", value=secrets.token_urlsafe(16)))
                session.add(Setting(name="began", value=str(time.time())))
        with Session(self._engine) as session:
            self._settings = {each.name: each.value for each in session.scalars(select(Setting))}

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

    def setting(self, name: str) -> str:
        """What is remembered under a name; empty for nothing."""
        return self._settings.get(name, "")

    def remember(self, **settings: str) -> None:
        """Remember texts under names."""
        with self._change() as session:
            for name, value in settings.items():
                session.merge(Setting(name=name, value=value))
            self._settings |= settings

    def join(self, name: str) -> str:
        """Take an attendee in. Returns the token that proves who they are. Raises Refusal."""
        name = " ".join(name.split())
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise Refusal(f"a name has 1 to {MAX_NAME} letters")
        token = secrets.token_urlsafe(24)
        with self._change() as session:
            attendees = session.scalars(select(Attendee.key)).all()
            if name.casefold() in attendees:
                raise Refusal("another attendee has this name: take another one")
            if len(attendees) >= MAX_ATTENDEES:
                raise Refusal("the room is full")
            session.add(
                Attendee(key=name.casefold(), name=name, token=_hash(token), joined=time.time())
            )
        return token

    def attendee(self, token: str) -> int | None:
        """Whose token it is."""
        hashed = _hash(token)
        if hashed not in self._ids:
            with Session(self._engine) as session:
                found = session.scalar(select(Attendee.id).where(Attendee.token == hashed))
            if found is None:
                return None
            self._ids[hashed] = found
        return self._ids[hashed]

    def asks_for_help(self, attendee: int) -> bool:
        """Whether the attendee asks for help."""
        with Session(self._engine) as session:
            return bool(session.scalar(select(Attendee.help_since).where(Attendee.id == attendee)))

    def record(
        self, attendee: int, events: Sequence[VerdictEvent | HelpEvent], sent_at: float
    ) -> None:
        """Take what an attendee tells. What the course does not have is left out."""
        # The attendee's clock may be wrong. How long ago something was is right all the same.
        now = time.time()
        with self._change() as session:
            who = session.get(Attendee, attendee)
            if who is None:
                return
            known_events = (each for each in events if each.exercise in self._tasks)
            new = sorted((each for each in known_events if each.seq > who.seq), key=_turn)
            # Each says all about its exercise that those before it have said.
            newest = {(each.kind, each.exercise): each for each in new}
            for each in sorted(newest.values(), key=_turn):
                who.seq = each.seq
                at = now - min(DAY, max(0.0, sent_at - each.at))
                if isinstance(each, HelpEvent):
                    who.help = each.task if each.task in self._tasks[each.exercise] else ""
                    who.help_since = at if each.wanted else 0.0
                    continue
                who.exercise = each.exercise
                known = self._tasks[each.exercise]
                session.merge(
                    Standing(
                        attendee_id=who.id,
                        exercise=each.exercise,
                        tasks={n: state for n, state in each.tasks.items() if n in known},
                        test=each.test,
                        checks=each.checks,
                        minutes=each.minutes,
                        at=at,
                    )
                )

    def helped(self, attendee: int) -> None:
        """The instructor has helped."""
        with self._change() as session:
            if (who := session.get(Attendee, attendee)) is not None:
                who.help, who.help_since = "", 0.0

    def leave(self, attendee: int) -> None:
        """Delete all that is known of an attendee."""
        with self._change() as session:
            if (who := session.get(Attendee, attendee)) is not None:
                self._ids.pop(who.token, None)
                session.delete(who)

    def attendees(self) -> list[Attendee]:
        """All of them, with how far they are, by name."""
        with Session(self._engine, expire_on_commit=False) as session:
            query = select(Attendee).options(selectinload(Attendee.standings))
            return list(session.scalars(query.order_by(Attendee.key)))

    @contextmanager
    def _change(self) -> Iterator[Session]:
        with self._writing:
            with Session(self._engine) as session, session.begin():
                yield session
            self.version += 1


def _engine(file: Path) -> Engine:
    engine = create_engine(sqlite_url(file))

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, record: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")  # readers do not wait for the writer
        # No wait for the disk: what was answered survives a kill of the room, though perhaps not a
        # power cut. The next check of an attendee tells the same again.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")  # nothing is left of those who leave

    return engine


def _turn(event: VerdictEvent | HelpEvent) -> int:
    return event.seq


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
