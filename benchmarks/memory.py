"""Memory of the API and the worker: at rest, after fifty runs, and after a very large output."""

import tempfile
from pathlib import Path

import psutil

from benchmarks.harness import Measurement, Report, Say, Target
from kit.processes.child import Child, wait_until
from tests.e2e.runner import Runner, start_runner, write_notebook

RUNS, LOUD = 50, 60  # runs; megabytes
HOW = (
    f"Resident memory, the worker's with its pool process and without kernels. At rest: after five "
    f"runs, so that what is loaded late is loaded. The large output, {LOUD} MB, is fetched as text."
)


def measure(repeat: int | None, say: Say) -> Report:
    """One runner, watched; `repeat` is the number of looks at each point."""
    looks = repeat or 5
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="workshop-bench-") as name:
        folder = Path(name)
        notebook = write_notebook(folder / "it.ipynb", "print('hello')")
        env = {"OUTPUT_LIMIT": str(2_000_000 * LOUD)}
        with start_runner(folder, notebook=notebook, env=env) as runner:

            def look(when: str) -> None:
                for who, child in (("API", runner.apis[0]), ("worker", runner.workers[0])):
                    samples = [_resident(child) for _ in range(looks)]
                    found[f"{who}, {when}"] = samples

            _runs(runner, 5)
            look("at rest")
            for done in range(0, RUNS, 10):
                say(f"run {done + 1} of {RUNS}")
                _runs(runner, 10)
            look(f"after {RUNS} runs")
            say(f"an output of {LOUD} MB")
            write_notebook(notebook, f"for _ in range({LOUD}): print('x' * 1_000_000)")
            run = runner.run()
            with runner.client.stream("GET", f"/output/{run['run_id']}") as answer:
                wait_until(lambda: sum(map(len, answer.iter_bytes())) > LOUD * 1e6, "it", 60)
            look(f"after {LOUD} MB")
    rest = {who: f"{who}, at rest" for who in ("API", "worker")}
    return Report(
        "Memory",
        HOW,
        [Measurement(name, found[name], "MB", rest[name.partition(",")[0]]) for name in found],
        [
            Target(f"API, after {RUNS} runs", "ratio", "at most", 1.05),
            Target(f"worker, after {RUNS} runs", "ratio", "at most", 1.05),
            Target(f"API, after {LOUD} MB", "ratio", "at most", 1.1),
        ],
    )


def _runs(runner: Runner, number: int) -> None:
    for _ in range(number):
        runner.run()


def _resident(child: Child) -> float:
    """Megabytes of a process and, for a worker, its pool process."""
    main = psutil.Process(child.pid)
    return sum(p.memory_info().rss for p in [main, *main.children()] if _is_ours(p)) / 1e6


def _is_ours(process: psutil.Process) -> bool:
    return not any("import guard" in word for word in process.cmdline())
