"""Starts and cancels of the finished runner, at every crash point and in every order."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.course import catalogue
from kit.processes.forkserver import ForkServer
from tests.e2e.explored.product import Product
from tests.e2e.explored.results import kept
from tests.e2e.explored.trials import (
    emptied,
    of_the_api,
    one_of_the_starts_is_accepted,
    only_one_is_accepted,
    pairs,
)

pytestmark = [pytest.mark.slow, pytest.mark.longest, pytest.mark.timeout(900), pytest.mark.thorough]

FORGETS_TOO = ("lua/lease.lua", "if field(MARKER, 'number') < tonumber(seen) then", "if false then")
ADMITS_ALL = ("lua/admit.lua", "if holder then", "if false then")


@pytest.fixture
def product(
    request: pytest.FixtureRequest, tmp_path: Path, fork_server: ForkServer | None
) -> Iterator[Product]:
    """API processes of the finished runner, with the edits that the test names."""
    edits = getattr(request, "param", ())
    forks = fork_server.client if fork_server else None
    with Product(tmp_path, catalogue.product().solution, *edits, fork_server=forks) as product:
        yield product


def test_all_invariants_hold_and_the_handbook_tells_what_was_tried(product: Product) -> None:
    found = []
    for each in of_the_api(product):
        assert not each.fault, str(each)
        found.append(each)
    told = kept()[: len(found)]
    assert [(each.trial, each.way) for each in found] == [(each.trial, each.way) for each in told]
    # What comes late depends on time-outs, so on a busy machine there may be more of it.
    assert [each for each in found if each.way != "late"] == [
        each for each in told if each.way != "late"
    ], "make explored"


@pytest.mark.parametrize("product", [[ADMITS_ALL]], indirect=True)
def test_an_admission_that_does_not_compare_is_seen_and_drawn(product: Product) -> None:
    two = [api.actor("/start") for api in product.apis[:2]]
    also = one_of_the_starts_is_accepted
    result = pairs("two starts", product, two, product.forget, alike=two, also=also)
    assert result.fault == "the starts are answered 202, 202"
    assert result.drawing.count("→ [admitted") == 2, result.drawing


@pytest.mark.parametrize("product", [[FORGETS_TOO]], indirect=True)
def test_an_api_that_forgets_together_with_redis_is_seen(product: Product) -> None:
    two = [api.actor("/start") for api in product.apis[:2]]
    result = pairs(
        "two starts, and Redis forgets",
        product,
        [*two, emptied(product)],
        product.forget,
        alike=two,
        also=only_one_is_accepted,
        forgets=True,
    )
    assert result.fault == "the starts are answered 202, 202"
    assert "it is emptied" in result.drawing
