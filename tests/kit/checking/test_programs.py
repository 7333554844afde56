"""The fork server of a check: for which programs it imports ahead."""

import pytest

from kit.checking.programs import SOON, programs_of
from kit.course import catalogue


@pytest.mark.parametrize(
    ("numbers", "programs"),
    [
        ([1], ()),  # Poetry gets both processors
        ([2, 3, 4], SOON),
        ([5], ("celery", "uvicorn")),  # its grader starts a worker, and no API
        ([1, 2, 13], ("celery", "uvicorn")),
    ],
)
def test_it_imports_for_what_the_graders_start(
    numbers: list[int], programs: tuple[str, ...]
) -> None:
    course = catalogue.load()
    folders = [exercise.solution for exercise in course if exercise.number in numbers]
    assert len(folders) == len(numbers)
    assert programs_of(folders) == programs
