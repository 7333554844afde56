"""What the file watcher asks of the library that watches."""

import pytest
import watchfiles.main

from kit.checking.file_watcher import FileWatcher
from kit.workspace import ROOT


@pytest.mark.parametrize(
    ("value", "polls"), [("", False), ("false", False), ("disable", False), ("1", True)]
)
def test_the_variable_means_what_the_library_says(
    monkeypatch: pytest.MonkeyPatch, value: str, polls: bool
) -> None:
    asked: list[bool] = []

    def begin(paths: object, debug: bool, force_polling: bool, *_: object) -> None:
        asked.append(force_polling)
        raise BrokenPipeError  # the end of the thread

    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", value)
    monkeypatch.setattr(watchfiles.main, "RustNotify", begin)
    with FileWatcher(ROOT / "docs") as watcher:
        watcher._thread.join()
    assert asked == [polls]
