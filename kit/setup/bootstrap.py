"""Set-up: makes `.venv` match requirements.lock, then hands over to the kit in it.

Standard library only, because it runs before anything is installed. Nothing heavy is imported
until there is something to do: most calls only compare a stamp and go on.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

from kit.errors import KitError, disk_error
from kit.workspace import ROOT, workspace

if TYPE_CHECKING:
    from kit.setup.source import Source

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "workshop-stamp"

# The stamp is bytes, as the name of a folder may be no text. From the first step to the last, it
# begins with this. Found later, set-up was interrupted.
UNFINISHED = b"unfinished"


def main(argv: list[str]) -> NoReturn:
    """Set up if there is need or `setup` asks for it, then become the kit. Does not return."""
    try:
        forced = argv[:1] == ["setup"] and not {"-h", "--help"} & set(argv)
        if forced or not is_set_up():
            set_up(_source(argv) if forced else None, forced=forced)
    except KitError as error:
        error.show()
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nworkshop: set-up interrupted; it is taken up again next time", file=sys.stderr)
        sys.exit(130)
    # With this variable, each of the many processes would compile thousands of modules anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # -E: what is set for Python, such as PYTHONPATH or PYTHONWARNINGS, is not meant for the kit.
    os.execv(PYTHON, [str(PYTHON), "-E", "-m", "kit", *argv])


def is_set_up() -> bool:
    """Whether the last set-up was finished, and nothing it depends on has changed since."""
    with contextlib.suppress(OSError):
        return os.access(PYTHON, os.X_OK) and STAMP.read_bytes() == stamp()
    return False


def stamp() -> bytes:
    """What `.venv` was made from and of, and its place: a venv cannot be moved."""
    digest = hashlib.sha256()
    for file in (LOCK, ROOT / "pyproject.toml"):
        digest.update(file.read_bytes())
    # The Python behind it: after an upgrade of the system's it would look for other packages.
    return _stamp(digest.hexdigest().encode())


def _stamp(state: bytes) -> bytes:
    return b"\n".join([state, os.fsencode(ROOT), os.fsencode(PYTHON.resolve()), b""])


def _was_moved() -> bool:
    """Whether `.venv` was made in another place: its programs name the Python that was there."""
    with contextlib.suppress(OSError):
        return os.fsencode(ROOT) not in STAMP.read_bytes().split(b"\n")
    return False


def set_up(source: "Source | None", *, forced: bool) -> None:
    """Do all the steps. Raises KitError in words."""
    _refuse_impossible_place()
    _say(f"setting up in {VENV}")
    try:
        workspace().state.mkdir(parents=True, exist_ok=True)
        with _locked():
            if forced or not is_set_up():  # another terminal may have done it meanwhile
                _steps(source)
    except OSError as error:
        raise disk_error("set-up failed", error, ROOT) from None


def _refuse_impossible_place() -> None:
    why = ""
    if os.pathsep in str(ROOT):
        why = f"PATH cannot name a folder with a `{os.pathsep}` in it"
    elif not _is_text(str(ROOT)):
        why = "that name is not UTF-8"
    if why:
        raise KitError(
            f"the kit cannot be used in {ROOT}: {why}",
            "give the folder another name, and there: ./workshop setup",
        )


def _is_text(name: str) -> bool:
    """Whether the bytes of a file's name are UTF-8, whatever the locale takes them for."""
    try:
        os.fsencode(name).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _steps(source: "Source | None") -> None:
    from kit.setup.installer import Installer, is_healthy, link, make_venv
    from kit.storage import write_whole

    interrupted = STAMP.is_file() and STAMP.read_bytes().startswith(UNFINISHED)
    if _was_moved() or not is_healthy(PYTHON):
        make_venv(VENV)
    STAMP.write_bytes(_stamp(UNFINISHED))
    installer = Installer(PYTHON, LOCK, source, again=interrupted)
    installer.install_uv()
    installer.install_packages()
    link(VENV, ROOT)
    write_whole(STAMP, stamp())


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Keep a second terminal waiting while the first sets up."""
    import fcntl

    with (workspace().state / "setup.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another terminal is setting up: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _source(argv: Sequence[str]) -> "Source | None":
    """The folder or the address of `setup --from`."""
    from kit.setup.source import Source

    for i, word in enumerate(argv):
        if word.startswith("--from="):
            return Source.named(word.removeprefix("--from="))
        if word == "--from":
            if i + 1 == len(argv):
                raise KitError("--from needs a folder or an address", "./workshop setup --from DIR")
            return Source.named(argv[i + 1])
    return None


def _say(line: str) -> None:
    print(f"workshop: {line}", file=sys.stderr)
