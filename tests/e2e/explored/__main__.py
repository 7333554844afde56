"""Try all that `trials` lists, and write docs/reference/explored.json for the handbook.

python -m tests.e2e.explored
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kit.course import catalogue
from kit.processes.forkserver import ForkServer
from tests.e2e.explored.product import Product
from tests.e2e.explored.results import Result, write
from tests.e2e.explored.trials import of_a_worker, of_the_api


def results(folder: Path) -> Iterator[Result]:
    """All trials, with as many switches as the handbook says."""
    solution = catalogue.product().solution
    with ForkServer(Path(os.devnull), os.environ) as forks:
        with Product(folder / "api", solution, fork_server=forks.client) as product:
            yield from of_the_api(product)
        with Product(
            folder / "worker", solution, apis=1, workers=2, fork_server=forks.client
        ) as product:
            yield from of_a_worker(product, full=True)


if __name__ == "__main__":
    found = []
    with tempfile.TemporaryDirectory(prefix="explored-") as folder:
        for each in results(Path(folder)):
            print(f"{each.trial}: {each.way}, {each.tried} tried. {each.fault}", flush=True)
            print(each.drawing, end="", flush=True)
            found.append(each)
    write(found)
    sys.exit(1 if any(each.fault for each in found) else 0)
