"""Exercise 13: Let others run it."""

import pytest

from kit.grading.api import Api
from kit.grading.submission import Submission

MAIN = "nb_runner/main.py: exercise_13()"
ANSWER = {"exercise": 13}


@pytest.fixture(scope="module")
def api(submission: Submission) -> Api:
    return submission.up()


@pytest.mark.task("13.1")
def test_the_call_answers(api: Api) -> None:
    answer = api.get("/exercise-13").expect(200, "the call is there", MAIN)
    if answer.json(MAIN) != ANSWER:
        answer.wrong(f"the body {ANSWER}", MAIN)
