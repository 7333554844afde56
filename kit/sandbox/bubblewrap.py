"""Where submissions run: bubblewrap's command lines, and what protects where there is none.

Two sandboxes, one in the other. In the outer one, one for each learner, is trusted code: the
session, the graders. It has process and network namespaces of its own, sees the kit without its
solutions and this learner's work, can write nowhere but in a scratch folder that is in memory and
goes with it, and takes with it whatever runs in it. In the
inner one is everything that is the submission's. It sees the system's programs, Python, the kit
without its solutions and graders, its own copy, its own HOME and temp; nothing else.

What is not promised:

- Bubblewrap is only as tight as the system's kernel. It has no virtual machine around it.
- A submission can end its own grader, or stop it. Then it has failed, whatever it had passed.
- Exercises of one learner share a sandbox. What one leaves running is ended before the next, and
  its files go; but learners grade well on their own work only.
- A grader asks from outside. Who answers right without doing the work (by heart, say) passes.
- Memory that belongs to no process (memfd, pipes) is not counted; nor is the processor's time, but
  for each process by itself, and by the deadline.
- Between two looks, a tenth of a second, a submission may have more memory and more processes than
  it is allowed.
- Where bubblewrap cannot be used, submissions run as you. Then limits, an environment of their own
  and an end to what they start are all there is: they can read what you can read, the solutions and
  other submissions among it, write where you can write, use the network, and end the grading.
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

SWITCH = "WORKSHOP_SANDBOX"  # "none": do without, to see what comes of it
PATIENCE = 30.0  # seconds for a first try
USER = "learner"

FULL = (
    "Submissions ran under bubblewrap: in process and network namespaces of their own, with "
    "nothing to write to but scratch in memory, and neither solutions nor graders nor other "
    "submissions in sight."
)
LESS = (
    "Submissions were NOT confined: {why}. They had limits, and an environment, a HOME and a Redis "
    "of their own; but they could read what you can read, write where you can write, and use the "
    "network. {fix}"
)
INSTALL = "To confine them: sudo apt install bubblewrap"
UBUNTU = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")

# Of /etc, what programs need and nobody keeps secret.
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
class Place:
    """What lies in a learner's scratch folder while their work is graded."""

    run: Path

    @property
    def work(self) -> Path:
        """Where the project is, a copy of the copy."""
        return self.run / "work"

    @property
    def home(self) -> Path:
        return self.run / "home"

    @property
    def temporary(self) -> Path:
        return self.run / "tmp"

    @property
    def shared_memory(self) -> Path:
        """What is at /dev/shm, so that it counts as well."""
        return self.run / "shm"

    @property
    def own(self) -> Path:
        """For those who grade, logs among it. The submission's programs do not see it."""
        return self.run / "own"

    @property
    def folders(self) -> tuple[Path, ...]:
        return self.work, self.home, self.temporary, self.shared_memory, self.own


def protection() -> Protection:
    """How far submissions are confined here."""
    if os.environ.get(SWITCH) == "none":
        return _less(f"{SWITCH}=none asks for that", f"To confine them: unset {SWITCH}")
    return _protection()


def clean_env(place: Place) -> dict[str, str]:
    """An environment in which nothing is ours, but for where programs are."""
    return {
        "PATH": os.environ.get("PATH") or os.defpath,
        "HOME": str(place.home),
        "TMPDIR": str(place.temporary),
        "LANG": "C.UTF-8",
        "USER": USER,
        "LOGNAME": USER,
    }


def outer(place: Place, limits: Limits) -> list[str]:
    """The command line of the sandbox for trusted code, whose own is to follow.

    `place.run` is there, and empty: the only thing that can be written to, and it is in memory.

    A grader reads and writes where the submission does, so it might be led on by a link. What is
    not here it cannot be led to: solutions, other submissions, anybody's home.
    """
    words = [_bwrap(), *_system(), "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    words += _read_only([*_pythons(), *_kit(), *_redis(), place.run.parent])
    # A little more than is allowed: who exceeds it is told so, and not that the disk is full.
    words += ["--size", str(limits.disk * 5 // 4), "--tmpfs", str(place.run)]
    words += ["--remount-ro", "/"]
    words += ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    words += ["--cap-drop", "ALL"]
    if os.geteuid() == 0:  # who maps root to another user, as the inner one does, needs it
        words += ["--cap-add", "CAP_SETFCAP"]
    return [*words, "--die-with-parent", "--new-session", "--chdir", str(ROOT), "--"]


def inner(place: Place) -> list[str]:
    """The command line of the sandbox for what is the submission's, inside the outer one."""
    words = [_bwrap(), "--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000"]
    words += ["--cap-drop", "ALL", *_system()]
    # The process ids are those of the outer one: graders look whom they have to do with.
    words += ["--ro-bind", "/proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    words += _read_only([*_pythons(), ROOT / "kit", NOTEBOOKS, *_redis()])
    for folder in (place.work, place.home, place.temporary):
        words += ["--bind", str(folder), str(folder)]
    words += ["--bind", str(place.shared_memory), "/dev/shm"]
    for folder in map(Path, ("/dev", "/tmp", "/")):
        words += ["--remount-ro", str(folder)]
    return [*words, "--die-with-parent", "--chdir", str(ROOT), "--"]


def _system() -> list[str]:
    """What every program needs of the system."""
    words = []
    for folder in map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")):
        if folder.is_symlink():
            words += ["--symlink", str(folder.readlink()), str(folder)]
        elif folder.is_dir():
            words += ["--ro-bind", str(folder), str(folder)]
    for name in ETC:
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    return words


def _kit() -> list[Path]:
    """What of the kit and the course those need who grade."""
    exercises = sorted(workspace().exercises.glob("*/exercise.toml"))
    return [ROOT / "kit", ROOT / "pyproject.toml", NOTEBOOKS, workspace().graders, *exercises]


def _read_only(paths: Sequence[Path]) -> list[str]:
    return [word for path in paths for word in ("--ro-bind", str(path), str(path))]


@functools.cache
def _protection() -> Protection:
    if sys.platform != "linux":
        return _less("bubblewrap is for Linux only", "To confine them, grade on a Linux machine.")
    if shutil.which("bwrap") is None:
        return _less("bubblewrap is not installed", INSTALL)
    if why := _trouble():
        fix = "To confine them, grade where namespaces are allowed; some containers forbid them."
        if UBUNTU.exists() and UBUNTU.read_text().strip() == "1":
            fix = "To confine them: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        return _less(f"bubblewrap cannot be used here ({why})", fix)
    return Protection(full=True, sentence=FULL)


def _less(why: str, fix: str) -> Protection:
    return Protection(full=False, sentence=LESS.format(why=why, fix=fix))


def _trouble() -> str:
    """Why the two sandboxes do not work here; nothing when they do. Tried with both."""
    with tempfile.TemporaryDirectory(prefix="workshop-sandbox-") as folder:
        place = Place(Path(folder).resolve() / "one" / "run")
        place.run.mkdir(parents=True)
        first = ["sh", "-c", MAKE_AND_BECOME, "sh", *map(str, place.folders), "--"]
        program = [*inner(place), sys.executable, "-S", "-c", "import encodings"]
        try:
            tried = subprocess.run(
                [*outer(place, Limits()), *first, *program],
                env=clean_env(place),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        lines = tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"]
        return lines[-1] if tried.returncode else ""


# For sh: make the folders that are named before "--", then become what follows it.
MAKE_AND_BECOME = 'while [ "$1" != -- ]; do mkdir "$1"; shift; done; shift; exec "$@"'


def _bwrap() -> str:
    return shutil.which("bwrap") or "bwrap"


def _pythons() -> list[Path]:
    """Where Python is, outside of what is there anyway: our environment, and what it is made of."""
    found = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent]
    return [
        folder
        for folder in dict.fromkeys(found)
        if folder.is_dir() and not folder.is_relative_to("/usr")
    ]


def _redis() -> list[Path]:
    """The Redis server's program, if it lies where few would look for it."""
    program = find_redis({"PATH": os.environ.get("PATH", "")}).program
    known = [Path("/usr"), Path("/bin"), *_pythons()]
    if program is None or any(program.is_relative_to(folder) for folder in known):
        return []
    return [program]
