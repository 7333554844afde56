"""The finished runner for the explorer: API processes and workers that each have a gate."""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Self, cast
from urllib.parse import urlsplit

import httpx
import psutil

from explorer import Actor, Command, Gate, is_step
from explorer.connection import Passed
from kit.checking.trial import copy_project
from kit.grading.runner.data import RunnerData
from kit.processes.child import Child
from kit.processes.forkserver import ForkServerClient
from kit.processes.ports import free_socket
from kit.processes.project import (
    Project,
    project_env,
    start_api,
    start_worker,
    wait_for_api,
    wait_for_worker,
)
from kit.processes.stack import Stack
from tests.e2e.runner import is_dead, is_kernel, kill_worker, wait_until, write_notebook

LEASE = 300.0  # seconds; time passes by moving it, so nothing here takes so long
QUEUE = "nb:celery"  # where messages wait
WRITE = 1.0  # seconds in which a notebook that may go on has written
TIMEOUT = 60.0  # seconds for what takes long on a busy machine only
# The explorer holds commands for longer than the product waits for Redis. So its copy waits longer.
LONGER_TIMEOUTS = (
    ("connection.py", "socket_timeout=1,", "socket_timeout=30,"),
    ("broker.py", "socket_timeout=1,", "socket_timeout=30,"),
    ("connection.py", "timeout = min(1.0, ", "timeout = min(30.0, "),
)

# By the name under which Redis knows its text: which script of the runner it is.
SCRIPTS: dict[str, str] = {}

# The cell asks Redis something through the gate of its worker, and so becomes two steps of the
# worker: the explorer may hold it, or kill the worker, right before the notebook writes.
# A kernel at work holds a lock, which the system takes back when it dies.
CELL = """
import fcntl, json, os, socket, sqlite3
run_id, token = os.environ["RUN_ID"], int(os.environ["FENCING_TOKEN"])

def step(what):
    with socket.create_connection(("127.0.0.1", int(os.environ["EXPLORED_PORT"]))) as gate:
        gate.sendall(f"*2\\r\\n$4\\r\\nKEYS\\r\\n${len(what)}\\r\\n{what}\\r\\n".encode())
        gate.recv(100)

work = open("at_work", "a+")
try:
    fcntl.flock(work, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    with open("overlaps", "a") as overlaps:
        overlaps.write(json.dumps([open("who").read(), run_id]) + "\\n")
open("who", "w").write(run_id)
step("kernel begins")
step("kernel writes")
with sqlite3.connect("results.db", timeout=30) as db:
    if db.execute("UPDATE fence SET token = ? WHERE token <= ?", (token, token)).rowcount == 0:
        raise RuntimeError("a newer run has written")
    db.execute("INSERT INTO results (run, token) VALUES (?, ?)", (run_id, token))
step("kernel wrote")
"""


@dataclass(frozen=True)
class Answer:
    """What a call was answered. As text, only the status."""

    status: int
    body: Any

    def __str__(self) -> str:
        return str(self.status)


class Stopped(Actor):
    """An operation that remembers before which command its process was stopped."""

    before: Command | None = None

    def kill(self) -> None:
        """Kill the process where it stands."""
        self.before = self.next
        self.kill_process()

    def kill_process(self) -> None:
        """Kill the process with all that it has started."""
        super().kill()

    def pause(self) -> None:
        """Let the process stand still."""
        self.before = self.next
        super().pause()


class Api:
    """An API process behind a gate."""

    def __init__(self, product: "Product", number: int) -> None:
        self.name = f"API {number}"
        self._product, self._number = product, number
        self.gate = Gate(product.redis_url, counts=_counts)
        self._listener = free_socket()
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{self._listener.getsockname()[1]}",
            timeout=TIMEOUT,
            trust_env=False,
            verify=False,
            # A process that was killed has no connections to keep.
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self.child = self._start()

    def call(self, method: str, path: str) -> Answer:
        """Call it, on a connection of its own."""
        answer = self._client.request(method, path)
        return Answer(answer.status_code, answer.json())

    def actor(self, path: str | Callable[[], str]) -> Stopped:
        """A POST, as an operation that the explorer holds and lets go on."""

        def post() -> Answer:
            return self.call("POST", path if isinstance(path, str) else path())

        return Stopped(self.name, self.gate, post, lambda: self.child.pid)

    def up(self) -> None:
        """Start it again where it was killed."""
        if is_gone(self.child):
            self.child = self._start()
            self.wait()

    def wait(self) -> None:
        """Wait until it answers, and has done what is done only once."""
        wait_for_api(self.child, self._listener)
        self._product.sent += self.call("POST", "/start").status == 202
        self.call("POST", "/cancel")

    def close(self) -> None:
        """Close its gate. (The process ends with the stack.)"""
        self.gate.close()
        self._client.close()
        self._listener.close()

    def _start(self) -> Child:
        env = self._product.env | {"REDIS_URL": self.gate.url}
        product = self._product
        return start_api(product.stack, product.project, self._number, self._listener, env)


class Worker:
    """A worker behind a gate. What it does for Celery, and for runs of before, passes."""

    def __init__(self, product: "Product", number: int) -> None:
        self.name = f"worker {number}"
        self._product, self._number = product, number
        self.running = False  # whether it is between the claim and the end of a run
        self.claimed: list[str] = []  # of each message that it has got: the run that it claims
        self.wrote = True  # whether no notebook of it is in the middle of its write
        self._message = ""  # the run of its last message, until it asks for another one
        self.gate = Gate(product.redis_url, counts=self._counts)
        self.child = self._start()

    @property
    def port(self) -> int:
        """Where its gate listens; its kernels know it, too."""
        return urlsplit(self.gate.url).port or 0

    def up(self) -> None:
        """Start it again where it was killed."""
        if is_gone(self.child):
            self.child = self._start()
            self.wait()

    def wait(self) -> None:
        """Wait until it takes messages."""
        wait_for_worker(self.child)

    def kernels(self) -> list[psutil.Process]:
        """Its kernels, the warm one included."""
        return [process for process in psutil.process_iter() if self._has(process)]

    def close(self) -> None:
        """Close its gate. (The process ends with the stack.)"""
        self.gate.close()

    def _has(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            mine = process.environ().get("EXPLORED_PORT") == str(self.port)
            return mine and is_kernel(process) and not is_dead(process)
        return False

    def _start(self) -> Child:
        self.running = False
        env = self._product.env | {"REDIS_URL": self.gate.url, "EXPLORED_PORT": str(self.port)}
        return start_worker(self._product.stack, self._product.project, self._number, env)

    def _counts(self, command: Command) -> bool:
        if command.name == "BRPOP":  # only a worker that has nothing to do asks for a message
            self.running, self._message = False, ""
        elif finishes(command):
            self.running = False
        elif command.words[-1] in ("kernel writes", "kernel wrote"):
            self.wrote = command.words[-1] == "kernel wrote"
        about = " ".join(command.keys or ())
        if (
            "nb:worker:" in about
            or "nb:heard" in about
            or "nb:pool" in about
            or any(run_id in about for run_id in self._product.forgotten)
        ):
            return False
        if (run_id := claims(command)) is not None:
            self.running = True
            if run_id != self._message:  # else it asks again
                self.claimed.append(run_id)
            self._message = run_id
        return is_step(command) and command.words[-1] != "kernel wrote"


class WorkerActor(Stopped):
    """What a worker does with one message, from the claim to the end of the run."""

    def __init__(self, product: "Product", name: str) -> None:
        self.product = product
        self.worker = product.workers[0]
        super().__init__(name, self.worker.gate, self._work, lambda: self.worker.child.pid)

    def becomes(self, worker: Worker) -> None:
        """It is that worker from now on: which one gets a message is up to Redis."""
        self.worker, self.gate = worker, worker.gate

    def settle(self, seconds: float) -> bool:
        """A worker that waits for a message is settled, too, as long as none is under way to it."""
        if not self.worker.claimed:
            if not self.product.owed():
                return True
            self.becomes(wait_until(self._claimant, "a claim", seconds, every=0.005))
        if self._steps and self._steps[-1].command.words[-1] == "kernel writes":
            # A kernel that stood still inside its transaction would keep all others from writing.
            # (A kernel that has been killed meanwhile does not write any more.)
            deadline = monotonic() + WRITE
            while not self.worker.wrote and monotonic() < deadline:
                sleep(0.005)
        return super().settle(seconds)

    def kill_process(self) -> None:
        """Kill the worker's processes. Its kernel and the kernel's guard are left to themselves."""
        kill_worker(self.worker.child)
        self.gate.drop()
        self.state = "killed"

    def _claimant(self) -> Worker | None:
        return next((worker for worker in self.product.workers if worker.claimed), None)

    def _work(self) -> str:
        def over() -> str | None:
            self.gate.wait(lambda: self._end() is not None, 0.1)
            return self._end()

        return wait_until(over, "the end of its run", TIMEOUT, every=0.0)

    def _end(self) -> str | None:
        return next((end for passed in self.gate.passed if (end := ends(passed))), None)


class Product:
    """API processes and workers on one Redis, and a notebook that writes to a database.

    `onlooker` is an API process without a role in the schedules: it is asked how things are.
    """

    def __init__(
        self,
        folder: Path,
        solution: Path,
        *edits: tuple[str, str, str],
        apis: int = 3,
        workers: int = 0,
        fork_server: ForkServerClient | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._original = Project(copied(solution, folder / "as-it-is", *edits))
        self.project = Project(copied(solution, folder / "patient", *edits, *LONGER_TIMEOUTS))
        self.forgotten: list[str] = []  # ids of runs of earlier schedules
        self.sent = 0  # messages that were queued past the gates
        self._open = ExitStack()
        with ExitStack() as opened:
            self.stack = opened.enter_context(Stack(folder / "state", fork_server=fork_server))
            self.redis_url = self.stack.redis()
            self.data = opened.enter_context(closing(RunnerData(self.redis_url)))
            self.database = sqlite3.connect(folder / "results.db", isolation_level=None)
            opened.callback(self.database.close)
            self.database.execute("PRAGMA synchronous = off")
            self.database.execute("CREATE TABLE fence (token INTEGER)")
            self.database.execute("CREATE TABLE results (run TEXT, token INTEGER)")
            notebook = write_notebook(folder / "it.ipynb", CELL)
            self.env = project_env(
                self.stack.env
                | {"DATABASE_URL": f"sqlite:///{folder / 'tokens.db'}"}
                | {"ARTIFACTS_DIR": str(folder / "artifacts"), "NOTEBOOK_PATH": str(notebook)}
                | {"LEASE_SECONDS": str(LEASE)},
                redis_url=self.redis_url,
                state=folder / "state",
            )
            numbers = range(1, apis + 2)
            *self.apis, self.onlooker = [
                opened.enter_context(closing(Api(self, number))) for number in numbers
            ]
            self.workers = [
                opened.enter_context(closing(Worker(self, number)))
                for number in range(1, workers + 1)
            ]
            for each in [*self.processes, self.onlooker]:
                each.wait()
            self._open = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def processes(self) -> "list[Api | Worker]":
        """The processes that may have a role in a schedule."""
        return [*self.workers, *self.apis]

    def as_it_is(self) -> None:
        """From now on the processes wait for Redis as long as they do in production."""
        self.project = self._original
        for each in self.processes:
            each.child.kill()

    def start(self) -> Answer:
        """Ask the onlooker for a start."""
        answer = self.onlooker.call("POST", "/start")
        self.sent += answer.status == 202
        return answer

    def empty(self) -> None:
        """Redis forgets everything, the messages that wait too."""
        with self.data.redis.pipeline() as both:
            both.llen(QUEUE)
            both.flushall()
            waiting, _ = both.execute()
        self.sent -= int(waiting)

    def runs(self) -> dict[str, dict[str, Any]]:
        """All runs by their ids, as the onlooker tells."""
        return {run["run_id"]: run for run in self.onlooker.call("GET", "/runs").body}

    def owed(self) -> bool:
        """Whether a message is under way to a worker that has not come to its claim."""
        pushed = [
            passed
            for api in self.apis
            for passed in api.gate.passed
            if passed.command.words[:2] == ("LPUSH", QUEUE)
        ]
        return self.sent + len(pushed) > sum(len(worker.claimed) for worker in self.workers)

    def forget(self) -> None:
        """No run, no message, nothing in the database; all processes are up, and have no work."""
        redis = self.data.redis
        for each in self.processes:
            each.gate.open()
        for each in self.processes:
            each.up()
        if self.workers:  # a message that came later would be taken for one of the next schedule
            wait_until(lambda: not self.owed(), "all messages to be claimed", TIMEOUT, every=0.005)
        redis.delete(QUEUE)
        redis.set("nb:lease", "0:nobody")  # a worker that still runs something gives up
        for worker in self.workers:
            over = f"{worker.name} to end its run"
            wait_until(lambda w=worker: not w.running, over, TIMEOUT, every=0.005)  # type: ignore[misc]
        ids = cast("list[bytes]", redis.lrange("nb:runs", 0, -1))
        self.forgotten = [*self.forgotten[-50:], *(run_id.decode() for run_id in ids)]
        self.data.forget()
        for gate in [api.gate for api in self.apis]:
            gate.hold()
            gate.open()
        for worker in self.workers:
            worker.claimed.clear()
        self.sent = 0
        self.database.executescript(
            "DELETE FROM fence; INSERT INTO fence VALUES (0); DELETE FROM results;"
        )
        for name in ("overlaps", "at_work", "who"):
            (self.folder / name).unlink(missing_ok=True)

    def written(self) -> list[tuple[str, int]]:
        """What notebooks have written: run and token, in this order."""
        return list(self.database.execute("SELECT run, token FROM results ORDER BY rowid"))

    def overlaps(self) -> list[tuple[str, str]]:
        """Pairs of runs whose kernels were at work together."""
        with suppress(FileNotFoundError):
            lines = (self.folder / "overlaps").read_text().splitlines()
            return [tuple(json.loads(line)) for line in lines]
        return []


def _counts(command: Command) -> bool:
    """What is a step of an API. Not what it does now and then, or once for a connection."""
    lengths = bool(command.parts) and all(part.name == "LLEN" for part in command.parts)
    return is_step(command) and not lengths and script_of(command) != "look"


def is_gone(child: Child) -> bool:
    """Whether it was killed. (Its leash notices that a moment later.)"""
    if psutil.pid_exists(child.pid) and not is_dead(psutil.Process(child.pid)):
        return False
    child.wait(TIMEOUT)
    return True


def script_of(command: Command) -> str | None:
    """Which of the runner's scripts a command executes."""
    return SCRIPTS.get(command.words[1]) if command.name == "EVALSHA" else None


def arguments(command: Command) -> tuple[str, ...]:
    """What a script gets, behind its keys."""
    return command.words[3 + int(command.words[2]) :]


def claims(command: Command) -> str | None:
    """The run that a worker's command claims; None: it does not claim one."""
    if script_of(command) != "claim":
        return None
    return arguments(command)[0].removesuffix(":admitted")


def finishes(command: Command) -> bool:
    """Whether a worker's command says how its run has ended."""
    return script_of(command) == "keep" and arguments(command)[2] == "0"


def ends(passed: Passed) -> str | None:
    """How a worker's work has ended, if that is what this command tells."""
    if not passed.answered or passed.cut:
        return None
    if claims(passed.command) is not None:
        return "claims nothing" if passed.reply is None else None
    if finishes(passed.command):
        if not isinstance(passed.reply, list):
            return None  # no answer: it asks again
        told = arguments(passed.command)
        known = told[7 + int(told[6]) :]  # behind the measures
        fields = dict(zip(known[::2], known[1::2], strict=True))
        return "too late" if passed.reply[0] == b"lost" else fields["status"]
    return None


def finish(actor: Actor, data: RunnerData) -> None:
    """Let an actor go on, step by step, to the end of its operation."""
    while not actor.ended and actor.settle(TIMEOUT) and actor.next is not None:
        actor.take(data, 0.0, TIMEOUT)
    actor.gate.wait(lambda: actor.ended, TIMEOUT)


def copied(solution: Path, folder: Path, *edits: tuple[str, str, str]) -> Path:
    """A copy of the product, with these edits: file, old, new."""
    project = copy_project(solution, folder)
    for name, old, new in edits:
        file = project / "nb_runner" / name
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name} holds {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new), encoding="utf-8")
    lua = project / "nb_runner" / "lua"
    for file in lua.glob("*.lua"):
        text = "\n".join(each.read_text(encoding="utf-8") for each in (lua / "lease.lua", file))
        SCRIPTS[hashlib.sha1(text.encode()).hexdigest()] = file.stem
    return project
