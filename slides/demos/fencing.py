"""Two runs and one table: the older run is paused, and wakes up after the newer has written."""

import sys
import tempfile

from sqlalchemy import Engine, text

from kit.course import catalogue

sys.path.insert(0, str(catalogue.product().solution))
from nb_runner.extras import fencing  # type: ignore[import-not-found]

SETUP = """\
DROP TABLE IF EXISTS fence; CREATE TABLE fence (token INTEGER); INSERT INTO fence VALUES (0);
DROP TABLE IF EXISTS result; CREATE TABLE result (by TEXT); INSERT INTO result VALUES ('nobody')"""
FENCE = text("UPDATE fence SET token = :mine WHERE token <= :mine")
WRITE = text("UPDATE result SET by = :who")


def write(database: Engine, who: str, mine: int, fenced: bool) -> str:
    with database.begin() as transaction:
        if fenced and transaction.execute(FENCE, {"mine": mine}).rowcount == 0:
            return "refused"
        transaction.execute(WRITE, {"who": who})
        return "done"


with tempfile.TemporaryDirectory() as folder:
    database = fencing.connect(f"sqlite:///{folder}/results.db", timeout=5)
    for fenced in (False, True):
        with database.begin() as transaction:
            for statement in SETUP.split(";"):
                transaction.execute(text(statement))
        older, newer = fencing.issue(database, "older"), fencing.issue(database, "newer")
        print("with the fence" if fenced else "without a fence")
        print(f"  the newer run writes, as {newer}:", write(database, "newer", newer, fenced))
        print(f"  the older wakes up, as {older}:  ", write(database, "older", older, fenced))
        with database.begin() as transaction:
            kept = transaction.execute(text("SELECT by FROM result")).scalar_one()
        print("  what is kept is from the:  ", kept)
