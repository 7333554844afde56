"""Hostile submissions: they try to pass without the work, to spy, or to harm the machine.

Each function turns a copy of solutions/02-hello-fastapi into a hostile submission. HOSTILE has all
of them by name. Their damage is limited: they attack only their ancestors among the processes,
leave files only under names with MARK in them, and stop by themselves.
"""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kit.workspace import ROOT

SLUG = "02-hello-fastapi"
MARK = "hostile-was-here"


@dataclass(frozen=True)
class Hostile:
    """A hostile submission. Call it with a copy of the solution.

    `words`: part of the message of the first task that fails. Without words the submission has to
    pass: it is right, and only looks strange. `slow`: it runs until the time limit. `harms`:
    without a sandbox it would read or write outside of its own folder.
    """

    make: Callable[[Path], None]
    words: str
    slow: bool
    harms: bool

    def __call__(self, folder: Path) -> None:
        self.make(folder)


HOSTILE: dict[str, Hostile] = {}


def hostile(
    words: str, *, slow: bool = False, harms: bool = False
) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    def register(make: Callable[[Path], None]) -> Callable[[Path], None]:
        HOSTILE[make.__name__] = Hostile(make, words, slow, harms)
        return make

    return register


WRONG = 'Got       200 OK: "wrong"'
NOTHING = "Got       200 OK: []"  # the list of attempts that succeeded

SERVES = """

from fastapi import FastAPI

app = FastAPI(title="Hostile", description="A wrong answer, and more.")


@app.get("/ping", response_description="Not what was asked for")
def ping() -> object:
    \"\"\"Answer.\"\"\"
    return {answer}
"""

# Lets every test pass if pytest loads it.
CHEAT = """
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    call.excinfo = None
    report = yield
    report.outcome = "passed"
    return report
"""

ANCESTORS = """
import os, signal
from pathlib import Path


def stat(pid):
    name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")
    return int(rest.split()[1])


def words(pid):
    return Path(f"/proc/{pid}/cmdline").read_text().split("\\0")


def graders():
    # Only the worker of the sandbox above this process, and the graders that it forked.
    pid = os.getpid()
    while pid > 1 and "kit.sandbox.worker" not in words(pid):
        pid = stat(pid)
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and pid > 1 and stat(entry) == pid:
                if "kit.sandbox.worker" in words(entry):
                    found.append(int(entry))
        except OSError:
            pass
    return found, ([pid] if pid > 1 and "bwrap" not in words(pid)[0] else [])
"""


def _main(folder: Path, first: str, answer: str = '"wrong"') -> None:
    """Write a main.py that runs `first`, and whose /ping returns the expression `answer`."""
    source = textwrap.dedent(first) + SERVES.format(answer=answer)
    (folder / "nb_runner" / "main.py").write_text(source, encoding="utf-8")


def _files(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


@hostile(WRONG)
def conftest(folder: Path) -> None:
    _main(folder, "")
    _files(folder, conftest=CHEAT)
    (folder / "nb_runner" / "conftest.py").write_text(CHEAT)


@hostile(WRONG)
def pytest_options(folder: Path) -> None:
    _main(folder, "")
    _files(folder, cheat=CHEAT)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p cheat\npythonpath = .\n")
    (folder / "tox.ini").write_text("[pytest]\naddopts = -p cheat\n")
    with (folder / "pyproject.toml").open("a") as file:
        file.write('\n[tool.pytest.ini_options]\naddopts = "-p cheat"\npythonpath = ["."]\n')


@hostile(WRONG)
def site_customize(folder: Path) -> None:
    _main(folder, "")
    for where in (folder, folder / "nb_runner"):
        _files(where, sitecustomize=CHEAT, usercustomize=CHEAT)


@hostile(WRONG, harms=True)
def pth_files(folder: Path) -> None:
    """Writes a .pth file in its own folder, and tries to write one in the kit's Python."""
    line = "import builtins; builtins.cheat = True\n"
    (folder / f"{MARK}.pth").write_text(line)
    first = f"""
    import site
    for place in [*site.getsitepackages(), site.getusersitepackages()]:
        try:
            open(f"{{place}}/{MARK}.pth", "w").write({line!r})
        except OSError:
            pass
    """
    _main(folder, first)


@hostile("Got       it does not start yet")
def namesakes(folder: Path) -> None:
    """Has packages with the names of the packages that check it and start it."""
    up = 'print("Application startup complete")\nraise SystemExit(0)\n'
    for name in ("kit", "tests", "pytest", "_pytest", "httpx", "uvicorn", "celery", "json"):
        package = folder / name
        package.mkdir()
        (package / "__init__.py").write_text(CHEAT if name == "conftest" else up)
        (package / "__main__.py").write_text(up)


@hostile("Got       it does not start yet")
def exit_zero(folder: Path) -> None:
    _main(folder, "raise SystemExit(0)")


@hostile("Got       it does not start yet")
def exit_at_once(folder: Path) -> None:
    _main(folder, 'import os\nprint("Application startup complete", flush=True)\nos._exit(0)')


@hostile(WRONG, harms=True)
def patches(folder: Path) -> None:
    """Rewrites the libraries that it runs on, in memory and, where it can, on the disk."""
    first = f"""
    import fastapi, httpx, uvicorn
    for module in (fastapi, httpx, uvicorn):
        try:
            open(module.__file__, "a").write("# {MARK}")
        except OSError:
            pass
    uvicorn.run = uvicorn.Server = httpx.get = httpx.Client = None
    """
    _main(folder, first)


@hostile(NOTHING, harms=True)
def writes(folder: Path) -> None:
    """Writes to the kit, the course, home folders and the system."""
    ours = [f"{ROOT}/kit/workspace.py", f"{ROOT}/notebooks/hello.ipynb"]
    first = f"""
    import os, sys
    written = []
    places = [{str(ROOT)!r}, sys.prefix, sys.base_prefix, "/", "/tmp", "/usr", "/etc", "/var/tmp"]
    places += [f"{ROOT}/{{name}}" for name in ("kit", "kit/grading", "tests/graders", "work")]
    places += ["/root", "/home", os.path.expanduser("~root"), "/proc/1/root/tmp", "/dev"]
    for place in places:
        try:
            open(f"{{place}}/{MARK}", "w").close()
            written.append(place)
        except OSError:
            pass
    for file in {ours!r}:
        try:
            open(file, "a").close()
            written.append(file)
        except OSError:
            pass
    """
    _main(folder, first, "written")


@hostile(NOTHING, harms=True)
def reads(folder: Path) -> None:
    """Reads solutions, graders, other submissions and secret files of the system."""
    first = f"""
    import os
    from pathlib import Path
    seen = []
    names = ("solutions", "tests", "exercises", ".git", "work")
    places = [{str(ROOT)!r} + f"/{{name}}" for name in names]
    places += ["/etc/shadow", "/root/.ssh", "/run", "/var", "/home", "/sys"]
    here = Path.cwd()
    places += [str(p) for p in here.parents[1].iterdir() if p.name not in ("work", "home", "tmp")]
    places += [str(p) for p in here.parents[2].iterdir() if p != here.parents[1]]
    for place in places:
        try:
            os.listdir(place) if os.path.isdir(place) else open(place).read(1)
            seen.append(place)
        except OSError:
            pass
    secrets = [n for n in os.environ if "TOKEN" in n or "SECRET" in n or n == "SSH_AUTH_SOCK"]
    """
    _main(folder, first, "seen + secrets")


@hostile(NOTHING, harms=True)
def network(folder: Path) -> None:
    """Connects to the ports of this machine, Redis above all, and to the internet."""
    first = f"""
    import os, socket
    from pathlib import Path
    own = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            own.add(os.readlink("/proc/self/fd/" + fd))
        except OSError:
            pass
    reached = []
    ports = {{6379, 5432, 22}}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and "socket:[" + fields[9] + "]" not in own:
            ports.add(int(fields[1].split(":")[1], 16))
    hosts = [("127.0.0.1", port) for port in sorted(ports)]
    for address in [*hosts, ("192.0.2.1", 80), ("1.1.1.1", 53)]:
        try:
            with socket.create_connection(address, timeout=0.5) as connection:
                connection.sendall(b"SET {MARK} 1\\r\\n")
                reached.append(address)
        except OSError:
            pass
    """
    _main(folder, first, "reached")


@hostile(NOTHING, harms=True)
def looks_for_the_verdict(folder: Path) -> None:
    """Looks for the verdict in the open files and in the memory of its grader."""
    first = """
    import os
    line = '{"task": "2.1", "passed": true, "notes": []}\\n'
    changed = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = open(f"/proc/{pid}/stat").read().rpartition(") ")[2].split()
            command = open(f"/proc/{pid}/cmdline").read()
        except OSError:
            continue
        # The fork server, and what it has forked, is the submission itself.
        if "kit.processes.forkserver" in command or "bwrap" in command.split("\\0")[0]:
            continue
        if not any(f"kit.{part}" in command for part in ("grading", "sandbox", "checking")):
            continue
        for what in ("mem", "environ", "root/etc", "maps"):
            try:
                os.listdir(f"/proc/{pid}/{what}") if "/" in what else open(
                    f"/proc/{pid}/{what}", "rb").read(0)
                changed.append(what)
            except OSError:
                pass
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with open(f"/proc/{pid}/fd/{fd}", "a") as file:
                    file.write(line)
                changed.append(fd)
        except OSError:
            pass
    """
    _main(folder, first, "changed")


@hostile(NOTHING, harms=True)
def gets_at_the_logs(folder: Path) -> None:
    """Replaces a log by a link, so that other processes read or write the target of the link."""
    first = """
    import os
    from pathlib import Path
    log = Path(os.readlink("/proc/self/fd/2"))
    changed = []
    for change in (
        lambda: os.listdir(log.parent),
        lambda: log.with_name("worker-1.log").symlink_to("/proc/self/fd/4"),
        lambda: log.unlink(),
        lambda: log.parent.rename(log.parent.with_name("mine")),
    ):
        try:
            change()
            changed.append(str(log))
        except OSError:
            pass
    """
    _main(folder, first, "changed")


@hostile("ended its own grader")
def kills_its_grader(folder: Path) -> None:
    first = ANCESTORS + "\nfor pid in graders()[0]:\n    os.kill(pid, signal.SIGKILL)\n"
    _main(folder, first, '"pong"')


@hostile("ended its own grader")
def kills_the_session(folder: Path) -> None:
    first = ANCESTORS + "\nfor pid in graders()[1]:\n    os.kill(pid, signal.SIGKILL)\n"
    _main(folder, first, '"pong"')


@hostile("ended its own grader")
def asks_the_session_to_end(folder: Path) -> None:
    first = ANCESTORS + "\nfor pid in graders()[1]:\n    os.kill(pid, signal.SIGTERM)\n"
    _main(folder, first, '"pong"')


@hostile("ended its own grader")
def stops_the_session(folder: Path) -> None:
    first = ANCESTORS + "\nfor pids in graders():\n    for pid in pids:\n"
    _main(folder, first + "        os.kill(pid, signal.SIGSTOP)\n", '"pong"')


@hostile(WRONG)
def leaves_a_daemon(folder: Path) -> None:
    """The daemon is an orphan in a session of its own, has no environment and ignores signals."""
    first = f"""
    import os, sys
    DAEMON = '''
    import signal, time
    for number in (1, 2, 15):
        signal.signal(number, signal.SIG_IGN)
    end = time.monotonic() + 120
    while time.monotonic() < end:
        time.sleep(0.05)
    '''
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            import textwrap
            command = [sys.executable, "-c", textwrap.dedent(DAEMON), {MARK!r}]
            os.execve(sys.executable, command, {{}})
        os._exit(0)
    """
    _main(folder, first)


@hostile("prints without end")
def endless_output(folder: Path) -> None:
    _main(folder, 'while True:\n    print("x" * 1_000_000)')


@hostile("It used more than", slow=True)
def endless_answer(folder: Path) -> None:
    first = """
    from fastapi.responses import StreamingResponse
    def endless():
        for _ in range(6000):
            yield b"x" * 1_000_000
    """
    _main(folder, first, "StreamingResponse(endless())")


@hostile("processes at the same time")
def fork_bomb(folder: Path) -> None:
    """Starts a thousand processes, which sleep."""
    first = """
    import os, time
    for _ in range(1000):
        try:
            if os.fork() == 0:
                os.setsid()
                time.sleep(60)
                os._exit(0)
        except OSError:
            pass
    time.sleep(60)
    """
    _main(folder, first)


@hostile("of memory")
def memory_hog(folder: Path) -> None:
    """Takes three gigabytes, in several processes, so that none of them is large."""
    first = """
    import os, time
    for _ in range(6):
        if os.fork() == 0:
            kept = []
            for _ in range(64):
                kept.append(b"x" * (8 << 20))
                time.sleep(0.01)
            time.sleep(60)
            os._exit(0)
    time.sleep(60)
    """
    _main(folder, first)


@hostile("files")
def many_files(folder: Path) -> None:
    first = """
    import os, tempfile, time
    place = tempfile.mkdtemp()
    for n in range(100_000):
        os.close(os.open(f"{place}/{n}", os.O_CREAT | os.O_WRONLY))
    time.sleep(60)
    """
    _main(folder, first)


@hostile("It wrote more than")
def large_files(folder: Path) -> None:
    """Writes half a gigabyte, in files that are small enough, in a folder without permissions."""
    first = """
    import os, tempfile, time
    place = tempfile.mkdtemp()
    kept = []
    for n in range(16):
        kept.append(open(f"{place}/{n}", "wb"))
        try:
            kept[-1].write(b"x" * (32 << 20))
        except OSError:
            pass
    os.chmod(place, 0)
    time.sleep(60)
    """
    _main(folder, first)


@hostile(WRONG)
def locked_and_deep_folders(folder: Path) -> None:
    """Leaves folders that are hard to remove."""
    first = """
    import os, tempfile
    for _ in range(2000):
        os.mkdir("deep")
        os.chdir("deep")
    os.mkdir(os.path.join(tempfile.gettempdir(), "locked"))
    os.mkdir(os.path.join(tempfile.gettempdir(), "locked", "in"))
    os.chmod(os.path.join(tempfile.gettempdir(), "locked"), 0)
    """
    _main(folder, first)


@hostile("was not up after", slow=True)
def endless_start(folder: Path) -> None:
    _main(folder, "import time\ntime.sleep(600)")


@hostile("was not up after", slow=True)
def endless_work(folder: Path) -> None:
    """Ignores all signals that a process can ignore."""
    first = """
    import signal
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    while True:
        pass
    """
    _main(folder, first)


@hostile("SyntaxError")
def latin_1(folder: Path) -> None:
    main = folder / "nb_runner" / "main.py"
    main.write_bytes(main.read_bytes().replace(b"Notebook", "Überflüssig".encode("latin-1")))


@hostile("null bytes")
def nul_bytes(folder: Path) -> None:
    main = folder / "nb_runner" / "main.py"
    main.write_bytes(main.read_bytes() + b"\0\0\0")


@hostile("")
def byte_order_mark(folder: Path) -> None:
    main = folder / "nb_runner" / "main.py"
    main.write_bytes(b"\xef\xbb\xbf" + main.read_bytes().replace(b"\n", b"\r\n"))
