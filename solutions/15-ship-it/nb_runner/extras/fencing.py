"""Fencing tokens: numbers from the database that tell a newer run from an older one.

No lease can stop a worker that was paused (a suspended machine, say) from waking up and writing
after its successor has. So the database itself has to refuse it. Each run gets a number, larger
than all before; what the notebook writes, it writes in one transaction that starts with

    UPDATE fence SET token = :mine WHERE name = :table AND token <= :mine

and gives up when that touches no row. The numbers come from the database because it never forgets
them; a counter in Redis starts anew when Redis does.

The idea: Martin Kleppmann, "How to do distributed locking", 2016.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    Column,
    DateTime,
    Engine,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    insert,
    make_url,
)
from sqlalchemy.pool import NullPool

metadata = MetaData()
tokens = Table(
    "fencing_tokens",
    metadata,
    Column("token", Integer, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("issued_at", DateTime(timezone=True), nullable=False),
    # Without it, SQLite would give a deleted row's number out again.
    sqlite_autoincrement=True,
)


def connect(url: str, timeout: float) -> Engine:
    """The database; a connection for each token, for hours may lie between two of them.

    `timeout`: seconds that PostgreSQL has to answer, and for which SQLite may be locked.
    """
    arguments: dict[str, dict[str, float]] = {
        "postgresql": {"connect_timeout": max(2, int(timeout))},
        "sqlite": {"timeout": timeout},
    }
    backend = make_url(url).get_backend_name()
    return create_engine(url, poolclass=NullPool, connect_args=arguments.get(backend, {}))


def issue(engine: Engine, run_id: str) -> int:
    """Take the next number, in the name of a run.

    Has to come *before* the run is claimed. A run that is admitted after us is admitted after our
    claim, so takes its number later: the order of the numbers is the order of the claims.

    A message that comes twice or too late takes a number, too, and then claims nothing. That
    number is never written with, so it keeps nobody out: a write is compared with the numbers of
    those that have written, not with all that were issued.
    """
    row = (
        insert(tokens).values(run_id=run_id, issued_at=datetime.now(UTC)).returning(tokens.c.token)
    )
    with engine.begin() as connection:
        metadata.create_all(connection)
        return int(connection.execute(row).scalar_one())
