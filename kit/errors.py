"""The error that ends a command with a message. Standard library only: set-up uses it too."""

import errno
import os
import re
import shlex
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

# The user can fix these, wherever in the kit they come up.
OF_THE_DISK = (errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.EROFS)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and newline


class KitError(Exception):
    """The call or the environment is wrong: exit code 2.

    `message` says what is wrong and where, `fix` the next thing to type,
    and `detail` is shown between them: the tail of a log, say. `code` is the kind of error, for
    code that handles it.
    """

    code = "environment"

    def __init__(self, message: str, fix: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.detail = detail

    def show(self) -> None:
        """Print all of it to standard error."""
        print(printable(f"workshop: {self.message}"), file=sys.stderr)
        if self.detail:
            print(indented(self.detail), file=sys.stderr)
        if self.fix:
            print(f"Try: {self.fix}", file=sys.stderr)


def disk_error(what: str, error: OSError, place: Path) -> KitError:
    """Why `what` could not be done, and what helps: that depends on the cause.

    `place` is a folder that the kit writes to, where the error has happened as far as we know.
    """
    named = Path(os.fsdecode(error.filename)) if error.filename else place
    there = next((each for each in (named, *named.parents) if _exists(each)), place)
    quoted = shlex.quote(str(there))
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(what, there)
    if error.errno == errno.EROFS:
        return KitError(f"{what}: {there} can only be read", "a folder that you may write to")
    if error.errno in (errno.EACCES, errno.EPERM):
        return KitError(f"{what}: {there} does not permit it", _permit(there, place))
    if is_full(there):  # some errors have no number
        return disk_full(what, there)
    return KitError(f"{what}: {error.strerror or error}", f"ls -ld {quoted}")


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder has no room for this user."""
    disk = os.statvfs(folder)
    # A disk that is read-only has no room either; /sys and its like have no blocks at all.
    return disk.f_bavail == 0 < disk.f_blocks and not disk.f_flag & os.ST_RDONLY


def disk_full(what: str, folder: Path) -> KitError:
    """The error for a disk that is full."""
    fix = f"make room there: df -h {shlex.quote(str(folder))}"
    return KitError(f"{what}: the disk of {folder} is full", fix)


def _permit(there: Path, place: Path) -> str:
    """The command that lets this user write to a path: only for what is the kit's own."""
    if not there.is_relative_to(place):
        return f"ls -ld {shlex.quote(str(there))}"
    if there.stat().st_uid != os.getuid():  # after a `sudo ./workshop`, say: all of it
        return f'sudo chown -R "$(id -un)" {shlex.quote(str(place))}'
    return f"chmod -R u+rwX {shlex.quote(str(there))}"


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return False
    return True


def indented(text: str) -> str:
    """`text` with a bar before each line, so that quoted output looks quoted."""
    return "\n".join(f"  | {printable(line)}" for line in text.rstrip().splitlines())


def without_password(url: str) -> str:
    """`url` as it may be shown: without password, and without options, which may hold one too."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    user, at, place = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    secret = f"{colon}***" if colon else ""
    return urlunsplit((parts.scheme, f"{name}{secret}{at}{place}", parts.path, "", ""))


def printable(text: str) -> str:
    r"""`text` with its control characters as \x1b: a terminal would obey them."""
    return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
