"""Many trivial cells, with progress on: the time should grow with their number, and no faster."""

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Measurement, Report, Say, Target, timed
from tests.e2e.runner import Runner, start_runner, write_notebook

NUMBERS = (10, 100, 1000)
PAPERMILL_SAMPLES = 1  # of a thousand cells: it takes minutes
HOW = (
    "Cells that say i = 1. Ours: POST /start to finished, each cell's end reported. The others: "
    "the whole command. papermill writes the notebook after each cell."
)


def measure(repeat: int | None, say: Say) -> Report:
    """Each number of cells in all ways, by turns."""
    measurements: list[Measurement] = []
    targets: list[Target] = []
    with tempfile.TemporaryDirectory(prefix="workshop-bench-") as name:
        folder = Path(name)
        notebook = write_notebook(folder / "cells.ipynb")
        with start_runner(folder, notebook=notebook) as runner:
            for number in NUMBERS:
                write_notebook(notebook, *["i = 1"] * number)
                ours, jupyter, papermill = (
                    f"{way}, {number} cells" for way in ("ours", "jupyter execute", "papermill")
                )
                samples: dict[str, list[float]] = {ours: [], jupyter: [], papermill: []}
                for i in range(repeat or 5):
                    say(f"{number} cells, {i + 1} of {repeat or 5}")
                    samples[ours].append(timed(lambda: _run(runner)))
                    samples[jupyter].append(_command("jupyter-execute", "--output", "j", notebook))
                    if number < 1000 or i < PAPERMILL_SAMPLES:
                        out = folder / "p.ipynb"
                        samples[papermill].append(
                            _command("papermill", "--no-progress-bar", notebook, out)
                        )
                measurements += [
                    Measurement(way, samples[way], peer=jupyter if way == ours else "")
                    for way in samples
                ]
                targets.append(Target(ours, "ratio", "at most", 1.3))
    return Report("Many cells", HOW, measurements, targets)


def _run(runner: Runner) -> None:
    runner.run()


def _command(program: str, *words: str | Path) -> float:
    argv = [str(Path(sys.executable).with_name(program)), *map(str, words)]
    return timed(lambda: subprocess.run(argv, capture_output=True, check=True))
