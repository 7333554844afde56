"""Kill, pause and wake a process with its children."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from explorer import processes

# The child counts in a file; its parent only waits for it.
CHILD = """
import pathlib, sys, time
for n in range(100_000):
    pathlib.Path(sys.argv[1]).write_text(str(n))
    time.sleep(0.005)
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]], start_new_session=True)
print(child.pid, flush=True)
child.wait()
"""


class Tree:
    """A process and its child, which is in a session of its own, as some are."""

    def __init__(self, counter: Path) -> None:
        self.counter = counter
        argv = [sys.executable, "-c", PARENT, CHILD, str(counter)]
        self.parent = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self.parent.stdout
        self.child = int(self.parent.stdout.readline())
        while not self.counts(1):
            pass

    def counts(self, seconds: float) -> bool:
        """Whether the child is at work."""
        before = self._number()
        with suppress(subprocess.TimeoutExpired):
            self.parent.wait(seconds)
        return self._number() != before

    def _number(self) -> str:
        return self.counter.read_text() if self.counter.exists() else ""


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    tree = Tree(tmp_path / "counter")
    yield tree
    if tree.parent.poll() is None:
        processes.kill(tree.parent.pid)
    tree.parent.wait()
    assert tree.parent.stdout
    tree.parent.stdout.close()


def test_a_pause_stops_the_children_too_until_they_are_woken(tree: Tree) -> None:
    assert processes.pause(tree.parent.pid) == [tree.parent.pid, tree.child]
    assert not tree.counts(0.2)
    processes.wake(tree.parent.pid)
    assert any(tree.counts(1) for _ in range(20))  # on a busy machine it may take a while


def test_a_kill_leaves_no_child(tree: Tree) -> None:
    processes.kill(tree.parent.pid)
    assert not tree.counts(0.2)
    assert tree.parent.wait(5) == -9
    assert tree.child not in processes.process_tree(tree.parent.pid)
