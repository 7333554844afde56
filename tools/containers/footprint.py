"""What an engine of ours leaves on the machine, and how it is taken away again.

It is written down before the engine starts, into a file that the run holds a lock on. However a run
ends, the system gives its lock back. So what an unlocked file says is left from a run that was
killed, and the next run takes it away.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import psutil

from . import project, signals
from .commands import Failed, run, works

# For the whole machine: two engines of ours would write into the same rules.
RECORD = Path("/run/nb-runner-containers.json")
STOP_SECONDS = 30
# Those that an engine writes its rules into, with the chains that are always there.
TABLES = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Before:
    """The machine as it was, and the folders of the engine."""

    boot: str
    folder: str  # sockets; its name is in the environment of all that uses the engine
    data: str
    links: list[str]
    rules: str
    forwarding: str


@contextmanager
def taken_away(data: Path) -> Iterator[Path]:
    """A folder for the sockets of an engine with these `data`. Afterwards, all is as before.

    Raises:
        Failed: another run has an engine.
    """
    with RECORD.open("a+", encoding="utf-8") as record:
        try:
            fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed("`make containers` or `make test-python` runs here already") from None
        record.seek(0)
        if left := record.read():
            print("  an earlier run was killed: taking away what it has left", flush=True)
            _take_away(Before(**json.loads(left)))
        # Short, because paths of sockets have to be.
        before = _look(tempfile.mkdtemp(prefix="engine-"), data)
        _write(record, json.dumps(asdict(before)))
        try:
            yield Path(before.folder)
        finally:
            signals.ignore()
            _take_away(before)
            _write(record, "")


def _write(record: TextIO, text: str) -> None:
    record.truncate(0)
    record.write(text)
    record.flush()


def _look(folder: str, data: Path) -> Before:
    rules = run(["iptables-save"])
    for table, chains in TABLES.items():
        if f"*{table}\n" not in rules:  # what is not there cannot be restored: say that it is empty
            accepting = "".join(f":{chain} ACCEPT\n" for chain in chains)
            rules += f"*{table}\n{accepting}COMMIT\n"
    return Before(
        boot=BOOT.read_text(encoding="utf-8"),
        folder=folder,
        data=str(data),
        links=_links(),
        rules=rules,
        forwarding=FORWARDING.read_text(encoding="utf-8"),
    )


def _take_away(before: Before) -> None:
    if before.boot == BOOT.read_text(encoding="utf-8"):  # else all but the folder is gone
        _end_processes(before)
        _unmount(before)
        for link in set(_links()) - set(before.links):
            works(["ip", "link", "delete", link])
        subprocess.run(["iptables-restore"], input=before.rules, text=True, check=False)
        FORWARDING.write_text(before.forwarding, encoding="utf-8")
    shutil.rmtree(before.folder, ignore_errors=True)


def _end_processes(before: Before) -> None:
    """First what uses the engine, then its containers, then the engine, then what is left."""
    clients, engine = [], []
    for process in _users(before):
        name = process.name()
        if name == "dockerd":
            engine.append(process)
        elif not name.startswith("containerd"):
            clients.append(process)
    _kill(clients)
    if engine:
        project.remove(os.environ | {"DOCKER_HOST": f"unix://{before.folder}/docker.sock"})
        for process in engine:
            process.send_signal(signal.SIGTERM)
        psutil.wait_procs(engine, STOP_SECONDS)
    left = _users(before)
    _kill([child for process in left for child in process.children(recursive=True)])
    _kill(left)


def _users(before: Before) -> list[psutil.Process]:
    """The processes that have the folder in their command or environment, ourselves left out."""
    found = []
    for process in psutil.process_iter():
        try:
            said = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(before.folder in word for word in said):
            found.append(process)
    return found


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, STOP_SECONDS)


def _unmount(before: Before) -> None:
    """An engine that was killed has not unmounted its containers' file systems."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    places = [line.split()[4] for line in lines]
    for place in reversed(places):
        if place.startswith((before.folder, before.data)):
            works(["umount", "--lazy", place])


def _links() -> list[str]:
    """The interfaces of the kinds that an engine makes."""
    links: list[dict[str, Any]] = json.loads(run(["ip", "-json", "-details", "link"]))
    kinds = {link["ifname"]: link.get("linkinfo", {}).get("info_kind") for link in links}
    return [name for name, kind in kinds.items() if kind in ("bridge", "veth")]
