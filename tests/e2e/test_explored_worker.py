"""Runs of the finished runner, with workers and kernels, at every crash point and in many orders.

`make explored` tries more ways and more switches.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.course import catalogue
from kit.processes.forkserver import ForkServer
from tests.e2e.explored.product import Product, WorkerActor
from tests.e2e.explored.results import kept
from tests.e2e.explored.trials import of_a_worker, taken_over

pytestmark = [pytest.mark.slow, pytest.mark.longest, pytest.mark.timeout(900), pytest.mark.thorough]

# A run that was written down as LOST keeps its renewal out, too.
KEEPS_ALL = [
    ("lua/keep.lua", f"if {condition} then", "if false then")
    for condition in (
        "holder ~= mine and (holder or newer)",
        "redis.call('HGET', RECORD, 'status') == 'LOST'",
    )
]


@pytest.fixture
def product(
    request: pytest.FixtureRequest, tmp_path: Path, fork_server: ForkServer | None
) -> Iterator[Product]:
    """The finished runner, with the edits that the test names."""
    edits = getattr(request, "param", ())
    forks = fork_server.client if fork_server else None
    solution = catalogue.product().solution
    with Product(tmp_path, solution, *edits, apis=1, workers=2, fork_server=forks) as product:
        yield product


def test_all_invariants_hold_and_the_handbook_tells_what_comes_of_it(product: Product) -> None:
    outcomes: dict[str, set[str]] = {}
    points: dict[tuple[str, str], set[str]] = {}
    for told in kept():
        outcomes.setdefault(told.trial, set()).update(told.outcomes)
        points[told.trial, told.way] = set(told.points)
    for found in of_a_worker(product, full=False):
        assert not found.fault, str(found)
        assert found.tried
        if found.way == "order":
            assert set(found.outcomes) <= outcomes[found.trial], f"make explored: {found.outcomes}"
        if found.trial == "run":
            assert set(found.points) == points["run", found.way]


@pytest.mark.parametrize("product", [KEEPS_ALL], indirect=True)
def test_a_renewal_that_does_not_compare_is_seen_and_drawn(product: Product) -> None:
    result = taken_over(product, WorkerActor(product, "worker"))
    assert result.fault == "one lease later a run is still QUEUED"
    assert "its lease runs out, and the next start is accepted" in result.drawing
