"""A PostgreSQL server for tests: the one at POSTGRES_URL, or a temporary one."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from kit.processes.child import Child, wait_until
from kit.processes.ports import free_port
from tests.support.requirements import skip_or_fail

NO_SERVER = (
    "no PostgreSQL server at hand. On Debian: apt-get install postgresql; on macOS: "
    "brew install postgresql; or set POSTGRES_URL=postgresql://USER:PASSWORD@HOST/postgres"
)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """The URL of a server on which databases may be made."""
    given = os.environ.get("POSTGRES_URL")
    if given:
        yield make_url(given).set(drivername="postgresql+psycopg")
        return
    programs = find_postgres()
    if programs is None:
        skip_or_fail(NO_SERVER)
    # pytest's own folder is closed to other users, and the server may run as another user.
    folder = Path(tempfile.mkdtemp(prefix="workshop-postgres-"))
    try:
        yield from _temporary_server(programs, folder)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: URL) -> Iterator[str]:
    """The URL of an empty database, as a hosting service would write it."""
    name = f"test_{uuid.uuid4().hex}"
    _on(postgres_server, f"CREATE DATABASE {name}")
    url = postgres_server.set(drivername="postgresql", database=name)
    yield url.render_as_string(hide_password=False)
    _on(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


def find_postgres() -> Path | None:
    """The folder of initdb and postgres; Debian keeps it off the PATH."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    candidates = [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    candidates += Path("/opt/homebrew/opt").glob("postgresql*/bin/initdb")
    return max(candidates).parent if candidates else None


def _temporary_server(programs: Path, folder: Path) -> Iterator[URL]:
    data = folder / "data"
    sudo: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(folder, "nobody")
        sudo = ["setpriv", "--reuid=nobody", "--clear-groups", "--"]
    options = ["-U", "postgres", "-A", "trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    subprocess.run(
        [*sudo, str(programs / "initdb"), "-D", str(data), *options],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    port = free_port()
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",  # faster; the data need not survive a power cut
    }
    server = Child(
        "postgres",
        [
            *[*sudo, str(programs / "postgres"), "-D", str(data)],
            *[word for name, value in settings.items() for word in ("-c", f"{name}={value}")],
        ],
        folder / "log",
        cwd=folder,
        env={"PATH": os.environ["PATH"], "TZ": "UTC"},
    )
    url = URL.create(
        "postgresql+psycopg", "postgres", host="127.0.0.1", port=port, database="postgres"
    )
    try:
        wait_until(lambda: _answers(url), "PostgreSQL to answer", 60, server)
        yield url
    finally:
        server.stop()


def _answers(url: URL) -> bool:
    try:
        _on(url, "SELECT 1")
    except OperationalError:
        return False
    return True


def _on(url: URL, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(statement))
