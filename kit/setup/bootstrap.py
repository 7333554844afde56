"""Set-up: makes `.venv` match requirements.lock, then hands over to the kit in it.

Packages come in layers (kit/setup/layers.py): `./workshop` installs what it needs for what was
asked, and what is there stays. Each layer has a stamp, written when all of it is there.

Standard library only, because it runs before anything is installed. Nothing heavy is imported
until there is something to do: most calls only compare stamps and go on.
"""

import contextlib
import hashlib
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from kit.errors import KitError, disk_error
from kit.setup import layers
from kit.workspace import ROOT, workspace

if TYPE_CHECKING:
    from kit.setup.installer import Installer
    from kit.setup.source import Source

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
# A stamp for each layer. It is bytes, as the name of a folder may be no text.
STAMP = "workshop-stamp-{}"
# The one stamp that there was when there were no layers: everything is there.
OLD_STAMP = VENV / "workshop-stamp"
# From the first step to the last, a stamp begins with this. Found later, set-up was interrupted.
UNFINISHED = b"unfinished"
# Where the packages came from, if not from where pip and uv look by themselves.
SOURCE = VENV / "workshop-source"


def main(argv: list[str]) -> NoReturn:
    """Set up what the command needs and is not there, then become the kit. Does not return."""
    try:
        if {"-h", "--help"} & set(argv):
            need()
        elif argv[:1] == ["setup"]:
            wanted = _layers(argv)
            if "--missing" in argv:
                need(*wanted, source=_source(argv))
            else:
                set_up(wanted, _source(argv), forced=True)
        else:
            need(*(layers.VERBS[verb] for verb in argv[:1] if verb in layers.VERBS))
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


def need(*names: str, source: "Source | None" = None) -> None:
    """Install these layers, and the course, unless they are there. Raises KitError in words.

    They come from where the last set-up had its packages from, if that is still there.
    """
    if all(map(is_set_up, layers.with_needs(names))):
        return
    before = source or _last_source()
    try:
        set_up(names, before, forced=False)
    except KitError as error:
        if source is not None or before is None:
            raise
        _say(f"{error.message}; so not from there")
        set_up(names, None, forced=False)


def need_here(*names: str) -> None:
    """As `need`, for the running kit, which has set-up behind it: only adds what it never had."""
    if all(map(has, layers.with_needs(names))):
        return
    if not is_set_up():  # to replace what this process has imported would break it
        raise KitError("the kit has changed since this command was started", "./workshop")
    need(*names)


def has(name: str) -> bool:
    """Whether the running kit can use a layer. An environment that others made has to have all."""
    if Path(sys.prefix).resolve() != VENV.resolve():
        return True
    return not _begun().get(name, UNFINISHED).startswith(UNFINISHED)


def is_set_up(name: str = "course") -> bool:
    """Whether a layer is there, and nothing it depends on has changed since."""
    with contextlib.suppress(OSError):
        return os.access(PYTHON, os.X_OK) and _stamp_of(name).read_bytes() == stamp()
    return False


def stamp() -> bytes:
    """What `.venv` was made from and of, and its place, which its programs name."""
    digest = hashlib.sha256()
    for file in (LOCK, ROOT / "pyproject.toml"):
        digest.update(file.read_bytes())
    # The Python behind it: after an upgrade of the system's it would look for other packages.
    return _stamp(digest.hexdigest().encode())


def _stamp(state: bytes) -> bytes:
    return b"\n".join([state, os.fsencode(ROOT), os.fsencode(PYTHON.resolve()), b""])


def _stamp_of(name: str) -> Path:
    return VENV / STAMP.format(name)


def _begun() -> dict[str, bytes]:
    """The stamps of the layers that were installed once, whole or not."""
    if OLD_STAMP.is_file():
        return dict.fromkeys(layers.LAYERS, OLD_STAMP.read_bytes())
    files = {name: _stamp_of(name) for name in layers.LAYERS}
    return {name: file.read_bytes() for name, file in files.items() if file.is_file()}


def set_up(names: Iterable[str], source: "Source | None", *, forced: bool) -> None:
    """Install layers, and bring those that are there up to date.

    `forced`: also when nothing seems to be missing. Raises KitError when a step fails.
    """
    wanted = layers.with_needs(names)
    _refuse_impossible_place()
    try:
        workspace().state.mkdir(parents=True, exist_ok=True)
        with _locked():
            _follow_a_move()
            if forced or not is_set_up():
                _all_steps(wanted, source)
            # Unless another terminal has done it meanwhile.
            elif missing := [name for name in wanted if not is_set_up(name)]:
                _add(missing, source)
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


def _follow_a_move() -> None:
    """After the kit's folder was renamed: mend `.venv` where that can be done without a network."""
    from kit.setup.installer import is_healthy, relocate
    from kit.storage import write_whole

    stamps = {name: found.split(b"\n") for name, found in _begun().items()}
    here = os.fsencode(ROOT)
    places = {parts[1] for parts in stamps.values() if len(parts) > 1}
    if len(places) != 1 or here in places or not is_healthy(PYTHON):
        return
    place = places.pop()
    if relocate(VENV, place, here):
        for name, (state, *rest) in stamps.items():
            # The Python may be a copy that has moved, too.
            moved = [re.sub(rb"^%b(?=/|$)" % re.escape(place), here, part) for part in rest]
            write_whole(_stamp_of(name), b"\n".join([state, *moved]))
        OLD_STAMP.unlink(missing_ok=True)


def _all_steps(wanted: Collection[str], source: "Source | None") -> None:
    """Make `.venv`, if need be, and have in it the layers that were there and those wanted."""
    from kit.setup.installer import is_healthy, link, make_venv
    from kit.storage import write_whole

    _say(f"setting up in {VENV}")
    begun = _begun()
    names = layers.with_needs([*wanted, *begun])
    interrupted = any(found.startswith(UNFINISHED) for found in begun.values())
    moved = any(os.fsencode(ROOT) not in found.split(b"\n") for found in begun.values())
    installer = _installer(names, source, begun, again=interrupted)
    if moved or not is_healthy(PYTHON):
        make_venv(VENV)
    with _stamping(names):
        OLD_STAMP.unlink(missing_ok=True)
        installer.install_uv()
        installer.install_packages()
        link(VENV, ROOT)
        if source is None:
            SOURCE.unlink(missing_ok=True)
        else:
            write_whole(SOURCE, os.fsencode(source.place), mode=0o600)  # may have a password


def _add(names: Collection[str], source: "Source | None") -> None:
    """Add layers. What is there stays as it is, because running programs may use it."""
    begun = _begun()
    again = any(begun.get(name, b"").startswith(UNFINISHED) for name in names)
    installer = _installer(names, source, begun, again=again)
    with _stamping(names):
        installer.add_packages()


@contextlib.contextmanager
def _stamping(names: Collection[str]) -> Iterator[None]:
    """Stamp these layers as unfinished, and as finished in the end."""
    from kit.storage import write_whole

    for name in names:
        _stamp_of(name).write_bytes(_stamp(UNFINISHED))
    yield
    for name in names:
        write_whole(_stamp_of(name), stamp())


def _installer(
    names: Collection[str], source: "Source | None", begun: Mapping[str, bytes], *, again: bool
) -> "Installer":
    """An installer of these layers. Says which of them are new, and how large they are."""
    from kit.setup.installer import Installer
    from kit.setup.lock import locked

    for name in names:
        if not begun.get(name, UNFINISHED).startswith(UNFINISHED):
            continue  # it was there before
        size = f"{layers.megabytes(name):.0f} MB to download, once"
        _say(f"`{name}`, for {layers.LAYERS[name].purpose}: {size}")
    entries = locked(layers.packages(names), LOCK.read_text(encoding="utf-8"))
    return Installer(PYTHON, entries, source, again=again)


def _last_source() -> "Source | None":
    from kit.setup.source import Source

    with contextlib.suppress(OSError, KitError):
        return Source.named(os.fsdecode(SOURCE.read_bytes()))
    return None


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

    value = _option("--from", "--from needs a folder or an address", argv)
    return None if value is None else Source.named(value)


def _layers(argv: Sequence[str]) -> list[str]:
    """What `setup --layers` and `setup --all` name."""
    if "--all" in argv:
        return list(layers.LAYERS)
    value = _option("--layers", "--layers needs their names", argv)
    return layers.with_needs(value.split(",") if value else [])


def _option(option: str, without: str, argv: Sequence[str]) -> str | None:
    """The value of an option of `setup`, if it is there."""
    for i, word in enumerate(argv):
        if word.startswith(f"{option}="):
            return word.removeprefix(f"{option}=")
        if word == option:
            if i + 1 == len(argv):
                raise KitError(without, "./workshop setup --help")
            return argv[i + 1]
    return None


def _say(line: str) -> None:
    print(f"workshop: {line}", file=sys.stderr)
