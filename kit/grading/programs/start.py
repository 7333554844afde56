"""Runs a program of `kit.grading.programs`, which imports the project, and reads its result."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from kit.grading.diagnosis import reason
from kit.grading.submission import Submission
from kit.processes.child import Child
from kit.verdicts.failure import Wrong

TIMEOUT = 60.0  # seconds


class Program:
    """A program that has been started in the folder of the project, with its environment.

    `program` is the name of its module. `arguments` follow the name of the file for its result.
    """

    def __init__(self, submission: Submission, program: str, *arguments: str) -> None:
        self._result = Path(tempfile.mkdtemp(dir=submission.state)) / "result.json"
        module = f"kit.grading.programs.{program}"
        argv = [sys.executable, "-m", module, str(self._result), *arguments]
        env = submission.env()
        self._child: Child = submission.stack.start(program, argv, cwd=submission.folder, env=env)

    def result(self, did: str, expected: str, where: str) -> Any:
        """Its result, once it has ended. Raises Wrong when it has none."""
        try:
            self._child.wait(TIMEOUT)
            return json.loads(self._result.read_text(encoding="utf-8"))
        except TimeoutError:
            self._child.kill()
            got = f"it was not done after {TIMEOUT:g} s"
        except (OSError, ValueError):
            output = self._child.output()
            got = reason(output) or "\n".join(output.splitlines()[-3:]) or "it ended early"
        raise Wrong(did, expected, got, where)
