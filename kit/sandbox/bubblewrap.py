"""The sandboxes that submissions run in: bubblewrap's command lines, and whether they work here.

There are two sandboxes, one inside the other.

The outer sandbox is for trusted code: the worker process and the graders. Each learner has an outer
sandbox of their own. It has its own process and network namespaces. It shows the kit without the
solutions, and this learner's work only. Its one writable folder is a scratch folder in memory. When
the outer sandbox ends, the kernel removes that folder and kills every process in it.

The inner sandbox is for the submission's code. It shows the system's programs, Python, the kit
without the solutions and the graders, the submission's own copy, its own HOME and its own temporary
folder. It shows nothing else.

What is not promised:

- Bubblewrap is only as tight as the system's kernel. There is no virtual machine around it.
- A submission can kill or stop its own grader. It has failed then, whatever it had passed before.
- The exercises of one learner share an outer sandbox. The worker process kills what one exercise
  leaves running, and removes its files, before it grades the next. Still, one exercise of a learner
  might influence the grading of another exercise of the same learner.
- A grader asks from outside. A submission that gives the right answers without doing the work (by
  fixed answers, say) passes.
- Memory that belongs to no process (memfd, pipes) is not counted. Processor time is limited for
  each process by itself, and for all together only by the deadline.
- The monitor checks the limits every tenth of a second. Between two checks, a submission may have
  more memory and more processes than it is allowed.
- Where bubblewrap cannot be used, submissions run as the user who grades. They have limits and an
  environment of their own, and their processes are killed at the end. That is all the protection:
  they can read what the user can read (the solutions and other submissions too), write where the
  user can write, use the network, and end the grading.
"""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.processes.redis_tiers import find_redis
from kit.sandbox.limits import Limits
from kit.workspace import NOTEBOOKS, ROOT, workspace

SANDBOX_VARIABLE = "WORKSHOP_SANDBOX"  # "none": use no sandbox
TRIAL_TIMEOUT = 30.0  # seconds for the trial of both sandboxes
USER = "learner"

CONFINED = (
    "Submissions ran under bubblewrap, in process and network namespaces of their own. They could "
    "write only to a scratch folder in memory, and could see neither solutions nor graders nor "
    "other submissions."
)
NOT_CONFINED = (
    "Submissions were NOT confined: {why}. They had limits, and an environment, a HOME and a Redis "
    "of their own; but they could read what you can read, write where you can write, and use the "
    "network. {fix}"
)
INSTALL_BUBBLEWRAP = "To confine them: sudo apt install bubblewrap"
APPARMOR_RESTRICTION = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")

# The files below /etc that programs need. None of them is secret.
ETC = (
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "timezone"),
    *("nsswitch.conf", "hosts", "passwd", "group", "mime.types", "fonts", "ssl/openssl.cnf"),
)


@dataclass(frozen=True)
class Protection:
    """How far submissions are confined here, and a sentence for the reports."""

    full: bool
    sentence: str


@dataclass(frozen=True)
class ScratchLayout:
    """The folders in a learner's scratch folder while their work is graded."""

    run: Path

    @property
    def work(self) -> Path:
        """The project: a copy of the copy that the session was given."""
        return self.run / "work"

    @property
    def home(self) -> Path:
        return self.run / "home"

    @property
    def temporary(self) -> Path:
        return self.run / "tmp"

    @property
    def shared_memory(self) -> Path:
        """Mounted at /dev/shm, so that what is written there counts as disk usage."""
        return self.run / "shm"

    @property
    def trusted(self) -> Path:
        """The files of the worker process and the graders. The inner sandbox does not show it."""
        return self.run / "trusted"

    @property
    def folders(self) -> tuple[Path, ...]:
        return self.work, self.home, self.temporary, self.shared_memory, self.trusted


def protection() -> Protection:
    """How far submissions are confined here."""
    if os.environ.get(SANDBOX_VARIABLE) == "none":
        return _unconfined(
            f"{SANDBOX_VARIABLE}=none asks for that", f"To confine them: unset {SANDBOX_VARIABLE}"
        )
    return _protection()


def clean_env(layout: ScratchLayout) -> dict[str, str]:
    """The environment of the sandbox. Of the caller's own environment it has PATH only."""
    return {
        "PATH": os.environ.get("PATH") or os.defpath,
        "HOME": str(layout.home),
        "TMPDIR": str(layout.temporary),
        "LANG": "C.UTF-8",
        "USER": USER,
        "LOGNAME": USER,
    }


def outer_sandbox(layout: ScratchLayout, limits: Limits) -> list[str]:
    """The start of a command line: bubblewrap for trusted code. The program to run follows.

    `layout.run` has to exist and be empty. A file system in memory is mounted there, the only one
    that can be written to.

    A grader reads and writes where the submission does, so a symbolic link of the submission can
    redirect it. No link can lead to what the sandbox does not show: solutions, other submissions,
    home folders.
    """
    argv = [_bwrap(), *_system(), "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    argv += _read_only([*_pythons(), *_kit(), *_redis(), layout.run.parent])
    # A little more than the limit: so the monitor finds the excess before the disk is full.
    argv += ["--size", str(limits.disk * 5 // 4), "--tmpfs", str(layout.run)]
    argv += ["--remount-ro", "/"]
    argv += ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    argv += ["--cap-drop", "ALL"]
    if os.geteuid() == 0:  # the inner sandbox maps root to another user
        argv += ["--cap-add", "CAP_SETFCAP"]
    return [*argv, "--die-with-parent", "--new-session", "--chdir", str(ROOT), "--"]


def inner_sandbox(layout: ScratchLayout) -> list[str]:
    """The same for the submission's code: bubblewrap inside the outer sandbox."""
    argv = [_bwrap(), "--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000"]
    argv += ["--cap-drop", "ALL", *_system()]
    # No process namespace of its own: graders look up processes by the ids that kernels report.
    argv += ["--ro-bind", "/proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    argv += _read_only([*_pythons(), ROOT / "kit", NOTEBOOKS, *_redis()])
    for folder in (layout.work, layout.home, layout.temporary):
        argv += ["--bind", str(folder), str(folder)]
    argv += ["--bind", str(layout.shared_memory), "/dev/shm"]
    for folder in map(Path, ("/dev", "/tmp", "/")):
        argv += ["--remount-ro", str(folder)]
    return [*argv, "--die-with-parent", "--chdir", str(ROOT), "--"]


def _system() -> list[str]:
    """The arguments that show what every program needs of the system."""
    argv = []
    for folder in map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")):
        if folder.is_symlink():
            argv += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.is_dir():
            argv += ["--ro-bind", str(folder), str(folder)]
    for name in ETC:
        argv += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    return argv


def _kit() -> list[Path]:
    """The files of the kit and the course that the worker process and the graders need."""
    exercises = sorted(workspace().exercises.glob("*/exercise.toml"))
    return [
        ROOT / "kit",
        ROOT / "explorer",
        ROOT / "pyproject.toml",
        NOTEBOOKS,
        workspace().graders,
        *exercises,
    ]


def _read_only(paths: Sequence[Path]) -> list[str]:
    return [word for path in paths for word in ("--ro-bind", str(path), str(path))]


@functools.cache
def _protection() -> Protection:
    if sys.platform != "linux":
        return _unconfined(
            "bubblewrap is for Linux only", "To confine them, grade on a Linux machine."
        )
    if shutil.which("bwrap") is None:
        return _unconfined("bubblewrap is not installed", INSTALL_BUBBLEWRAP)
    if why := _why_unusable():
        fix = "To confine them, grade where namespaces are allowed; some containers forbid them."
        if APPARMOR_RESTRICTION.exists() and APPARMOR_RESTRICTION.read_text().strip() == "1":
            fix = "To confine them: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        return _unconfined(f"bubblewrap cannot be used here ({why})", fix)
    return Protection(full=True, sentence=CONFINED)


def _unconfined(why: str, fix: str) -> Protection:
    return Protection(full=False, sentence=NOT_CONFINED.format(why=why, fix=fix))


def _why_unusable() -> str:
    """Why the two sandboxes do not work here; empty when they do. It runs a program in both."""
    with tempfile.TemporaryDirectory(prefix="workshop-sandbox-") as folder:
        layout = ScratchLayout(Path(folder).resolve() / "one" / "run")
        layout.run.mkdir(parents=True)
        make_folders = ["sh", "-c", MAKE_FOLDERS_AND_EXEC, "sh", *map(str, layout.folders), "--"]
        program = [*inner_sandbox(layout), sys.executable, "-S", "-c", "import encodings"]
        try:
            tried = subprocess.run(
                [*outer_sandbox(layout, Limits()), *make_folders, *program],
                env=clean_env(layout),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TRIAL_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        lines = tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"]
        return lines[-1] if tried.returncode else ""


# A script for sh: make the folders that are named before "--", then exec what follows it.
MAKE_FOLDERS_AND_EXEC = 'while [ "$1" != -- ]; do mkdir "$1"; shift; done; shift; exec "$@"'


def _bwrap() -> str:
    return shutil.which("bwrap") or "bwrap"


def _pythons() -> list[Path]:
    """The folders of Python outside of /usr: the virtual environment, and its base installation."""
    found = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent]
    return [
        folder
        for folder in dict.fromkeys(found)
        if folder.is_dir() and not folder.is_relative_to("/usr")
    ]


def _redis() -> list[Path]:
    """The program of the Redis server, unless the sandbox shows its folder already."""
    program = find_redis({"PATH": os.environ.get("PATH", "")}).program
    known = [Path("/usr"), Path("/bin"), *_pythons()]
    if program is None or any(program.is_relative_to(folder) for folder in known):
        return []
    return [program]
