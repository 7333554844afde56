"""Solutions are graded as `watch` does it: what a grader starts is forked.

Without imports, an API process or a worker takes a fifth of the time to start.
"""

import os
from dataclasses import replace

import pytest

from kit.grading.options import GraderOptions
from kit.processes.forkserver import ForkServer


@pytest.fixture(scope="session")
def grader_options(fork_server: ForkServer | None) -> GraderOptions:
    """The options of all graders of a test run."""
    client = fork_server.client if fork_server else None
    return replace(GraderOptions.from_env(os.environ), fork_server=client)
