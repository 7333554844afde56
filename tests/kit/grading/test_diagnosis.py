"""One line for a learner, read in a log of FastAPI and pydantic."""

import subprocess
import sys

import pytest

from kit.grading.diagnosis import reason

ANSWERS_TEXT = """
from fastapi import FastAPI
from fastapi.testclient import TestClient

app = FastAPI()

@app.get("/ping")
def ping() -> int:
    return "pong"

TestClient(app).get("/ping")
"""
HAS_A_NUMBER_FOR_A_VERSION = """
from fastapi import FastAPI

FastAPI(version=1).openapi()
"""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            ANSWERS_TEXT,
            "fastapi.exceptions.ResponseValidationError: 1 validation error: "
            "response: Input should be a valid integer",
        ),
        (
            HAS_A_NUMBER_FOR_A_VERSION,
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for OpenAPI: "
            "info.version: Input should be a valid string",
        ),
    ],
)
def test_what_pydantic_found_is_part_of_the_line(source: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", source], stderr=subprocess.PIPE, text=True, check=False
    )
    assert reason(done.stderr).startswith(said), done.stderr
    assert "\n" not in reason(done.stderr)
    assert "[type=" not in reason(done.stderr)


def test_an_error_that_ends_its_log_is_told_as_it_is() -> None:
    assert reason("pydantic.ValidationError: 1 validation error") == (
        "pydantic.ValidationError: 1 validation error"
    )
