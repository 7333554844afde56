"""What benchmarks have in common: samples, targets, the table and the JSON."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import psutil
from rich.console import Console
from rich.table import Table

from kit.errors import KitError
from kit.workspace import ROOT

Say = Callable[[str], None]

NAMED = ("celery", "fastapi", "nbclient", "papermill", "redis", "uv", "uvicorn")


@dataclass(frozen=True)
class Measurement:
    """Samples of one thing. With a `peer`, of the same report, comes a ratio to it."""

    name: str
    samples: Sequence[float]
    unit: str = "s"
    peer: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.samples)


@dataclass(frozen=True)
class Target:
    """A bound on the median, or on the ratio to the peer, of the measurement of that name."""

    name: str
    of: Literal["median", "ratio"]
    bound: Literal["at most", "at least"]
    limit: float


@dataclass(frozen=True)
class Report:
    """What a benchmark found, and in `how` all that a doubter would ask."""

    title: str
    how: str
    measurements: Sequence[Measurement]
    targets: Sequence[Target] = field(default=())

    def measurement(self, name: str) -> Measurement:
        return next(m for m in self.measurements if m.name == name)

    def ratio(self, measurement: Measurement) -> float | None:
        """The median as a share of the peer's."""
        if not measurement.peer:
            return None
        return measurement.median / self.measurement(measurement.peer).median

    def found(self, target: Target) -> float:
        """The number that a target is about."""
        measurement = self.measurement(target.name)
        ratio = self.ratio(measurement)
        if target.of == "median":
            return measurement.median
        if ratio is None:
            raise ValueError(f"{target.name!r} has no peer to have a ratio to")
        return ratio

    def met(self, target: Target) -> bool:
        found = self.found(target)
        return found <= target.limit if target.bound == "at most" else found >= target.limit

    @property
    def good(self) -> bool:
        """Whether all targets are met."""
        return all(self.met(target) for target in self.targets)


def show(report: Report, console: Console) -> None:
    """Print the table, and a line for each target."""
    table = Table(title=report.title, caption=report.how, caption_justify="left")
    table.add_column("")
    for heading in ("median", "from", "to", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("ratio to peer")
    for m in report.measurements:
        ratio = report.ratio(m)
        table.add_row(
            m.name,
            f"{m.median:,.3f} {m.unit}",
            *(f"{value:,.3f}" for value in (min(m.samples), max(m.samples))),
            str(len(m.samples)),
            "" if ratio is None else f"{ratio:.2f} of {m.peer}",
        )
    console.print(table)
    for target in report.targets:
        verdict = "met   " if report.met(target) else "MISSED"
        console.print(
            f"{verdict} {target.name}: {target.of} {report.found(target):.3f}, "
            f"wanted {target.bound} {target.limit:g}",
            style="green" if report.met(target) else "bold red",
            highlight=False,
        )


def as_json(reports: Mapping[str, Report], facts: Mapping[str, Any]) -> str:
    """All reports, and the facts about the machine. Names no path and no host."""
    return json.dumps(
        {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": facts,
            "benchmarks": {name: _plain(report) for name, report in reports.items()},
        },
        indent=2,
    )


def machine() -> dict[str, Any]:
    """What matters about this machine, and how busy it was before we came."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in NAMED},
    }


def timed(work: Callable[[], object]) -> float:
    """How many seconds it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def learners_env() -> dict[str, str]:
    """Our environment, without what is not there on a learner's machine."""
    unset = ("REDIS_URL", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if name not in unset}


def workshop(*words: str, env: Mapping[str, str] | None = None) -> str:
    """What `./workshop` prints, called as a learner calls it. Raises KitError when it fails."""
    done = subprocess.run(
        [sys.executable, "workshop", *words],
        cwd=ROOT,
        env=learners_env() if env is None else env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        words_said = f"{done.stdout}\n{done.stderr}"
        raise KitError(f"`./workshop {' '.join(words)}` failed", "look at what it says", words_said)
    return done.stdout


def _plain(report: Report) -> dict[str, Any]:
    return {
        "title": report.title,
        "how": report.how,
        "measurements": [
            {
                "name": m.name,
                "unit": m.unit,
                "median": m.median,
                "samples": list(m.samples),
                "peer": m.peer or None,
                "ratio": report.ratio(m),
            }
            for m in report.measurements
        ],
        "targets": [
            {
                "name": t.name,
                "of": t.of,
                "bound": t.bound,
                "limit": t.limit,
                "found": report.found(t),
                "met": report.met(t),
            }
            for t in report.targets
        ],
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
