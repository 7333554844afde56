"""Whether a text can be read by people, and whether it tells the address of a client."""

import pytest

from kit.grading.texts import readable, tells_client


@pytest.mark.parametrize(
    "text",
    [
        "ZeroDivisionError: division by zero",
        "NotebookFailed: A cell was stopped: it did not finish within 3s.",
        "no worker",
        "unreadable notebook",
        "Kernel died",
        "nb_runner.executor.NotebookFailed: Le noyau est mort.",
    ],
)
def test_words_can_be_read(text: str) -> None:
    assert readable(text)


@pytest.mark.parametrize(
    "text",
    [
        None,
        {"error": "a cell raised"},
        "",
        "NotebookFailed: ",
        "NotebookFailed",
        "timeout",
        "('A cell raised LookupError: no flight', {'printed': ''})",
        "NotebookFailed: ('A cell raised LookupError: no flight', {'printed': ''})",
        "NotebookFailed('A cell raised LookupError: no flight')",
        "LookupError: 'no flight left'",
        "<nb_runner.executor.NotebookFailed object at 0x7f0>",
    ],
)
def test_what_python_prints_of_an_object_is_not_for_people(text: object) -> None:
    assert not readable(text)


def test_a_url_of_the_api_does_not_tell_the_client() -> None:
    assert tells_client('{"client":"127.0.0.1"}')
    assert tells_client('{"from":"127.0.0.1:50000","url":"http://127.0.0.1:8000/status/1"}')
    assert not tells_client('{"url":"http://127.0.0.1:8000/status/1"}')
