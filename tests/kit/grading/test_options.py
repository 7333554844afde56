"""What the environment says about how graders run a project."""

import pytest

from kit.errors import KitError
from kit.grading.options import START_TIMEOUT, GraderOptions


@pytest.mark.parametrize("env", [{}, {"WORKSHOP_CHECK_START": ""}])
def test_without_a_word_a_start_may_take_the_usual_time(env: dict[str, str]) -> None:
    assert GraderOptions.from_env(env).start_timeout == START_TIMEOUT


@pytest.mark.parametrize("text", ["soon", "0", "-3", "nan", "inf"])
def test_what_is_no_number_of_seconds_is_said(text: str) -> None:
    assert GraderOptions.from_env({"WORKSHOP_CHECK_START": "2.5"}).start_timeout == 2.5
    with pytest.raises(KitError, match=f"WORKSHOP_CHECK_START is '{text}'") as raised:
        GraderOptions.from_env({"WORKSHOP_CHECK_START": text})
    assert raised.value.fix == "unset WORKSHOP_CHECK_START"
