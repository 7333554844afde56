"""What of a learner's work is copied, and what bad work comes to: sentences, and no harm."""

import gzip
import multiprocessing
import os
import random
import resource
import shutil
import socket
import stat
import struct
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from kit.classroom.intake import copying, entries
from kit.classroom.intake.copying import Copied, copy_work, digest
from kit.classroom.intake.sources import Source
from kit.course import catalogue
from kit.errors import KitError
from tests.support.submissions import (
    MB,
    ZipEntry,
    as_folder,
    as_tar,
    as_zip,
    deflated_zeros,
    gz_of,
    tar_member,
    tar_of,
    zip_of,
)

pytestmark = pytest.mark.slow

EXERCISES = catalogue.load()
HELLO = "02-hello-fastapi"
MAIN = f"{HELLO}/nb_runner/main.py"
WORK = {MAIN: b"app = 1\n", f"{HELLO}/pyproject.toml": b"[project]\n"}
OTHER = "03-validation/nb_runner/main.py"
DAMAGED = "The archive is damaged, or was cut short."

Pack = Callable[[Path, Mapping[str, bytes]], Source]
PACKS: dict[str, Pack] = {"folder": as_folder, "zip": as_zip, "tar.gz": as_tar}


@pytest.fixture(autouse=True)
def _small(tmp_path: Path) -> Iterator[None]:
    """Nobody keeps bombs: pytest would, for three runs."""
    yield
    shutil.rmtree(tmp_path)


@pytest.fixture(params=PACKS)
def pack(request: pytest.FixtureRequest) -> Pack:
    return PACKS[request.param]


@pytest.fixture(params=["zip", "tar.gz"])
def pack_archive(request: pytest.FixtureRequest) -> Pack:
    return PACKS[request.param]


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """Somebody else's folder, of which nothing may come along and where nothing may change."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "main.py").write_text("somebody else's")
    yield place
    assert [(file.name, file.read_text()) for file in place.iterdir()] == [
        ("main.py", "somebody else's")
    ]


def copy(source: Source, target: Path) -> Copied:
    """Copy everything, and see that nothing was written elsewhere and that all of it is plain."""
    before = set(source.path.parent.iterdir())
    done = copy_work(source, EXERCISES, target)
    assert set(source.path.parent.iterdir()) - {target} == before - {target}
    assert sorted(done.projects.values()) == (sorted(target.iterdir()) if target.exists() else [])
    assert list(done.projects) == list(done.digests)
    for piece in target.rglob("*"):
        mode = piece.lstat().st_mode
        assert stat.filemode(mode) in ("drwxr-xr-x", "-rw-r--r--")
    for text in [*done.notes, done.problem]:
        assert text.isprintable() and text[-1:] in ("", ".")
        assert str(target.parent) not in text  # the same on every machine
    return done


def files_in(target: Path) -> dict[str, bytes]:
    found = {file.relative_to(target).as_posix(): file for file in target.rglob("*")}
    return {name: file.read_bytes() for name, file in sorted(found.items()) if file.is_file()}


def in_a_process(work: Callable[[], Copied]) -> Copied:
    """What a process of its own makes of it. Raises EOFError when that does not survive."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=lambda: theirs.send(work()))
    process.start()
    theirs.close()
    try:
        told = ours.recv()
    finally:
        process.join()
    assert isinstance(told, Copied)
    return told


def within_bounds(source: Source, target: Path) -> Copied:
    """Copy with little more memory than we have, a minute of CPU and no file above 21 MB."""

    def work() -> Copied:
        most = psutil.Process().memory_info().vms + 300 * MB
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        seconds = int(sum(os.times()[:2])) + 60
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_FSIZE, (21 * MB, 21 * MB))
        return copy(source, target)

    return in_a_process(work)


@pytest.mark.parametrize("above", ["", "work/", "repository-main/", "repository-main/work/"])
def test_exercises_are_copied_from_where_they_are(tmp_path: Path, pack: Pack, above: str) -> None:
    theirs = {above + name: content for name, content in WORK.items()}
    around = "repository-main/" if above.startswith("repository-main/") else ""
    more = {f"{around}README.md": b"Mine.\n", ".idea/a.xml": b"", ".git/config": b""}
    done = copy(pack(tmp_path, theirs | more), tmp_path / "target")
    assert (done.notes, done.problem) == ([], "")
    assert done.projects == {HELLO: tmp_path / "target" / HELLO}
    assert files_in(tmp_path / "target") == WORK


def test_only_what_was_asked_for_is_copied(tmp_path: Path, pack: Pack) -> None:
    source = pack(tmp_path, WORK | {OTHER: b""})
    done = copy_work(source, [catalogue.find("2", EXERCISES)], tmp_path / "target")
    assert list(done.projects) == [HELLO]
    assert files_in(tmp_path / "target") == WORK
    # They handed in something, if not this.
    assert copy_work(source, [catalogue.find("4", EXERCISES)], tmp_path / "none") == Copied()


def test_of_a_clone_of_the_kit_only_work_counts(tmp_path: Path, pack: Pack) -> None:
    theirs = {f"work/{name}": content for name, content in WORK.items()}
    others = {f"{place}/{OTHER}": b"ours" for place in ("exercises", "solutions", "a/work")}
    copy(pack(tmp_path, theirs | others), tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK


def test_what_running_leaves_behind_is_left_out(tmp_path: Path, pack: Pack) -> None:
    heaps = ["nb_runner/__pycache__/a.pyc", ".venv/bin/python", ".git/config", "dist/a.whl"]
    heaps += ["node_modules/a/a.js", ".mypy_cache/a", "nb_runner/._main.py", ".DS_Store"]
    theirs = {f"{HELLO}/{name}": b"heaps" for name in heaps}
    done = copy(pack(tmp_path, theirs | WORK | {"__MACOSX/work/a": b""}), tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK
    assert done.notes == []


def test_what_is_called_otherwise_is_told(tmp_path: Path, pack: Pack) -> None:
    theirs = {"work/02-hello/nb_runner/main.py": b"", "work/03-validation-old/a": b""}
    theirs |= {f"work/{OTHER}": b"", "04-background-tasks/a": b""}
    done = copy(pack(tmp_path, theirs), tmp_path / "target")
    assert list(done.projects) == ["03-validation"]
    assert done.notes == [
        f"02-hello is not called {HELLO}, so it is not graded.",
        "04-background-tasks is not in work/, so it is not graded.",
    ]


def test_who_called_everything_otherwise_handed_in_something(tmp_path: Path, pack: Pack) -> None:
    done = copy(pack(tmp_path, {"02-Hello-FastAPI/a": b""}), tmp_path / "target")
    assert done == Copied(notes=[f"02-Hello-FastAPI is not called {HELLO}, so it is not graded."])


def test_nothing_handed_in_is_a_problem(tmp_path: Path, pack: Pack) -> None:
    for number, nothing in enumerate([{}, {"README.md": b""}, {"nb_runner/main.py": b""}]):
        (tmp_path / f"{number}" / "ada").mkdir(parents=True)
        done = copy(pack(tmp_path / f"{number}", nothing), tmp_path / f"target-{number}")
        assert done.problem.startswith("Nothing was handed in: no exercise (a folder like 01-")
        assert done.projects == {} and done.notes == []


def test_an_exercise_has_to_be_a_folder(tmp_path: Path, pack: Pack) -> None:
    done = copy(pack(tmp_path, {HELLO: b"PK", OTHER: b""}), tmp_path / "target")
    assert list(done.projects) == ["03-validation"]
    assert done.notes == [f"Not copied: {HELLO} (an exercise has to be a folder)."]


def test_an_exercise_with_nothing_in_it_is_handed_in(tmp_path: Path) -> None:
    (tmp_path / "ada" / HELLO).mkdir(parents=True)
    done = copy(Source("ada", tmp_path / "ada", "folder"), tmp_path / "target")
    assert list(done.projects) == [HELLO] and done.problem == ""


# What is neither file nor folder.


def test_links_in_a_folder_are_not_followed(tmp_path: Path, outside: Path) -> None:
    source = as_folder(tmp_path, WORK)
    (source.path / "03-validation").symlink_to(outside)
    (source.path / HELLO / "data").symlink_to(outside)
    (source.path / HELLO / "key").symlink_to(outside / "main.py")
    (source.path / HELLO / "loop").symlink_to("loop")
    (source.path / HELLO / "nb_runner" / "tasks.py").symlink_to("main.py")  # not even inwards
    done = copy(source, tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK
    names = f"{HELLO}/data, {HELLO}/key, {HELLO}/loop and 2 more"
    assert done.notes == [f"Not copied: {names} (links are not followed)."]


@pytest.mark.parametrize("above", ["ada", "ada/work"])
def test_a_link_in_place_of_a_folder_is_not_followed(
    tmp_path: Path, outside: Path, above: str
) -> None:
    source = as_folder(tmp_path, {f"elsewhere/{name}": content for name, content in WORK.items()})
    source.path.rename(tmp_path / "theirs")
    (tmp_path / above).parent.mkdir(exist_ok=True)
    (tmp_path / above).symlink_to(tmp_path / "theirs" / "elsewhere")
    done = copy(Source("ada", tmp_path / "ada", "folder"), tmp_path / "target")
    assert done.projects == {} and done.problem
    if above == "ada":
        assert done.problem == "The folder cannot be read: it is a link."


@pytest.mark.parametrize("other", ["link", "pipe"])
@pytest.mark.parametrize("swapped", ["main.py", "nb_runner", HELLO])
def test_what_is_put_in_the_way_meanwhile_is_not_followed(
    tmp_path: Path, outside: Path, swapped: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = as_folder(tmp_path, WORK)
    [place] = source.path.rglob(swapped)
    looks = 0
    look = os.stat

    def look_and_be_late(name: str, **more: object) -> os.stat_result:
        nonlocal looks
        told = look(name, **more)  # type: ignore[arg-type]
        if name == swapped and "dir_fd" in more:
            looks += 1
            if looks == (2 if swapped == HELLO else 1):  # the first is to find the exercises
                place.rename(tmp_path / "aside")
                if other == "pipe":
                    os.mkfifo(place)
                else:
                    place.symlink_to(outside / "main.py" if swapped == "main.py" else outside)
        return told

    monkeypatch.setattr(os, "stat", look_and_be_late)
    done = copy_work(source, EXERCISES, tmp_path / "target")
    assert place.is_symlink() or place.is_fifo()
    assert b"somebody else's" not in files_in(tmp_path / "target").values()
    why = "cannot be read" if other == "link" else "neither file nor folder"
    assert len(done.notes) == 1 and done.notes[0].endswith(f"{swapped} ({why}).")


def test_pipes_and_sockets_in_a_folder_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = as_folder(tmp_path, WORK)
    os.mkfifo(source.path / HELLO / "pipe")
    monkeypatch.chdir(source.path / HELLO)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        done = copy(source, tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK
    assert done.notes == [f"Not copied: {HELLO}/pipe, {HELLO}/socket (neither file nor folder)."]


def test_links_and_devices_in_a_tar_are_not_unpacked(tmp_path: Path, outside: Path) -> None:
    there = str(outside / "main.py")
    source = tar_of(
        tmp_path,
        tar_member(f"{HELLO}/soft", type=tarfile.SYMTYPE, linkname=there),
        tar_member(f"{HELLO}/hard", type=tarfile.LNKTYPE, linkname=there),
        tar_member(f"{HELLO}/up", type=tarfile.SYMTYPE, linkname="../../outside"),
        tar_member(f"{HELLO}/up/main.py", b"changed"),  # through the link, if it were one
        tar_member(f"{HELLO}/zero", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
        tar_member(f"{HELLO}/disk", type=tarfile.BLKTYPE),
        tar_member(f"{HELLO}/pipe", type=tarfile.FIFOTYPE),
        tar_member(f"{HELLO}/sparse", type=tarfile.GNUTYPE_SPARSE),
        tar_member(f"{HELLO}/unheard-of", type=b"Z"),
        *(tar_member(name, content) for name, content in WORK.items()),
    )
    done = copy(source, tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK | {f"{HELLO}/up/main.py": b"changed"}
    names = f"{HELLO}/zero, {HELLO}/disk, {HELLO}/pipe and 2 more"
    assert done.notes == [
        f"Not copied: {HELLO}/soft, {HELLO}/hard, {HELLO}/up (links are not followed).",
        f"Not copied: {names} (neither file nor folder).",
    ]


def test_links_and_devices_in_a_zip_are_not_unpacked(tmp_path: Path, outside: Path) -> None:
    source = zip_of(
        tmp_path,
        ZipEntry(f"{HELLO}/link".encode(), str(outside).encode(), mode=stat.S_IFLNK | 0o777),
        ZipEntry(f"{HELLO}/link/main.py".encode(), b"changed"),
        ZipEntry(f"{HELLO}/pipe".encode(), mode=stat.S_IFIFO | 0o644),
        ZipEntry(f"{HELLO}/folder".encode(), mode=stat.S_IFDIR | 0o700),
        ZipEntry(MAIN.encode(), WORK[MAIN], mode=stat.S_IFREG | 0o4755),
    )
    done = copy(source, tmp_path / "target")
    there = {f"{HELLO}/link/main.py": b"changed", MAIN: WORK[MAIN]}
    assert files_in(tmp_path / "target") == there
    assert (tmp_path / "target" / HELLO / "folder").is_dir()
    assert done.notes == [
        f"Not copied: {HELLO}/link (links are not followed).",
        f"Not copied: {HELLO}/pipe (neither file nor folder).",
    ]


# Names.


def test_names_that_lead_out_of_an_archive_are_not_followed(
    tmp_path: Path, outside: Path, pack_archive: Pack
) -> None:
    away = ["../outside/main.py", f"{HELLO}/../../outside/main.py", "work/../../outside/main.py"]
    away += [f"{outside}/main.py", f"//{outside}/main.py", f"C:/{MAIN}", f"c:{HELLO}/main.py"]
    away += [f"{HELLO}/nb_runner/.."]
    source = pack_archive(tmp_path, dict.fromkeys(away, b"changed") | WORK)
    done = copy(source, tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK
    [note] = done.notes
    assert note.startswith("Not copied: ../outside/main.py, ")
    assert note.endswith(" and 5 more (leads out of the archive).")


def test_a_backslash_leads_nowhere(tmp_path: Path, outside: Path) -> None:
    source = zip_of(  # as some packers on Windows write them
        tmp_path,
        ZipEntry(MAIN.replace("/", "\\").encode(), WORK[MAIN]),
        ZipEntry(f"{HELLO}\\pyproject.toml".encode(), b"[project]\n"),
        ZipEntry(b"..\\outside\\main.py", b"changed"),
        ZipEntry(b"\\\\host\\share", b"changed"),
    )
    done = copy(source, tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK
    assert done.notes == [
        "Not copied: ../outside/main.py, //host/share (leads out of the archive)."
    ]
    done = copy(as_tar(tmp_path, WORK | {f"{HELLO}/a\\b": b""}), tmp_path / "other")
    assert files_in(tmp_path / "other") == WORK  # where it is a character like others
    assert done.notes == [f"Not copied: {HELLO}/a\\b (not plain text for a name)."]


ODD = {"line": b"a\nb.py", "escape": b"\x1b[2Ja.py", "latin-1": b"caf\xe9.py", "tab": b"\t"}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("kind", ["folder", "tar.gz"])
def test_names_that_are_no_text_are_not_copied(tmp_path: Path, kind: str, odd: str) -> None:
    name = f"{HELLO}/{os.fsdecode(ODD[odd])}"
    if kind == "folder":
        source = as_folder(tmp_path, WORK | {name: b""})
    else:
        pieces = [tar_member(each, content) for each, content in WORK.items()]
        source = tar_of(tmp_path, tar_member(name), *pieces, format=tarfile.GNU_FORMAT)
    done = copy(source, tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK
    assert len(done.notes) == 1 and done.notes[0].endswith(" (not plain text for a name).")


def test_a_zero_byte_in_a_name_hides_nothing(tmp_path: Path) -> None:
    source = zip_of(
        tmp_path, ZipEntry(f"{MAIN}\0.txt".encode(), b"hidden"), ZipEntry(MAIN.encode(), WORK[MAIN])
    )
    done = copy(source, tmp_path / "target")
    assert files_in(tmp_path / "target") == {MAIN: WORK[MAIN]}
    assert done.notes == [f"Not copied: {MAIN}\\x00.txt (not plain text for a name)."]


def test_names_of_any_script_are_copied(tmp_path: Path, pack: Pack) -> None:
    theirs = WORK | {f"{HELLO}/naïve 語 😀.md": b"", f"{HELLO}/b c.md": b""}
    done = copy(pack(tmp_path, theirs), tmp_path / "target")
    assert files_in(tmp_path / "target") == dict(sorted(theirs.items()))
    assert done.notes == []


def test_a_zip_may_not_say_that_its_names_are_utf_8(tmp_path: Path) -> None:
    source = zip_of(
        tmp_path,
        ZipEntry(f"{HELLO}/naïve.py".encode()),
        ZipEntry(f"{HELLO}/na\x8bve.py".encode("latin-1")),
    )
    copy(source, tmp_path / "target")
    assert list(files_in(tmp_path / "target")) == [f"{HELLO}/naïve.py"]


def test_a_name_counts_once(tmp_path: Path, pack_archive: Pack) -> None:
    composed, apart = (unicodedata.normalize(form, "é.py") for form in ("NFC", "NFD"))
    theirs = WORK | {
        MAIN.replace("main", "Main"): b"another",
        f"{HELLO}/NB_RUNNER/tasks.py": b"a folder of another name",
        f"{MAIN}/below.py": b"a file cannot hold one",
        f"{HELLO}/{composed}": b"first",
        f"{HELLO}/{apart}": b"second",
        f"{HELLO}/nb_runner": b"a folder is no file",
    }
    done = copy(pack_archive(tmp_path, theirs), tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK | {f"{HELLO}/{composed}": b"first"}
    [note] = done.notes
    assert " and 2 more (the name was there already" in note


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_pieces_of_one_name_the_first_counts(tmp_path: Path) -> None:
    pieces = [(MAIN, b"first"), (MAIN, b"second")]
    for number, source in enumerate(
        [
            zip_of(tmp_path, *(ZipEntry(name.encode(), content) for name, content in pieces)),
            tar_of(tmp_path, *(tar_member(name, content) for name, content in pieces)),
        ]
    ):
        done = copy(source, tmp_path / f"target-{number}")
        assert files_in(tmp_path / f"target-{number}") == {MAIN: b"first"}
        assert done.notes[0].startswith(f"Not copied: {MAIN} (the name was there already")


def test_in_a_folder_the_small_letters_count(tmp_path: Path) -> None:
    source = as_folder(tmp_path, {MAIN.replace("main", "Main"): b"another"} | WORK)
    copy(source, tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK


# Limits.


def test_up_to_the_limits_all_is_copied(tmp_path: Path, pack: Pack) -> None:
    theirs = {f"{HELLO}/{'/'.join('x' * (copying.DEPTH - 2))}/{'y' * copying.NAME_BYTES}": b""}
    theirs[f"{HELLO}/large"] = bytes(copying.FILE_BYTES)
    done = copy(pack(tmp_path, theirs), tmp_path / "target")
    assert done.problem == "" and files_in(tmp_path / "target") == dict(sorted(theirs.items()))


LIMITS = {
    "a long name": ({f"{HELLO}/{'y' * 201}": b""}, "has too long a name"),
    "a long way": ({f"{HELLO}/{'/'.join(['x' * 199] * 6)}": b""}, "has too long a name"),
    "a deep folder": ({f"{HELLO}/{'x/' * 25}a": b""}, "is more than 20 folders deep"),
    "a large file": ({f"{HELLO}/a": bytes(20 * MB + 1)}, f"{HELLO}/a is larger than 20 MB"),
    "much in all": (
        {f"{HELLO}/{number}": bytes(19 * MB) for number in range(6)},
        "Its exercises are larger than 100 MB in all",
    ),
    "many files": (
        {f"{HELLO}/{number % 2}/{number}": b"" for number in range(5_001)},
        "There are more than 5,000 files and folders in its exercises",
    ),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_what_is_too_much_is_not_copied_at_all(tmp_path: Path, pack: Pack, limit: str) -> None:
    theirs, problem = LIMITS[limit]
    done = copy(pack(tmp_path, {"01-poetry/a": b""} | theirs), tmp_path / "target")
    assert problem in done.problem
    assert done.projects == {} and list((tmp_path / "target").iterdir()) == []


def test_folders_and_links_count_as_files(tmp_path: Path) -> None:
    source = as_folder(tmp_path, WORK)
    for number in range(2_501):
        (source.path / HELLO / f"{number}").mkdir()
        (source.path / HELLO / f"{number}" / "link").symlink_to("/")
    assert "more than 5,000 files and folders" in copy(source, tmp_path / "target").problem


def test_what_is_not_looked_at_may_be_any_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "ENTRIES", 20)
    source = as_folder(tmp_path, WORK | {f"data/{number}": b"" for number in range(30)})
    assert copy(source, tmp_path / "target").problem == ""
    source = as_folder(tmp_path, {f"{HELLO}/{number}": b"" for number in range(30)})
    assert "more than 20 files" in copy(source, tmp_path / "other").problem


MANY_NAMES = [MAIN, *(f"{HELLO}/.venv/{number}" for number in range(entries.ENTRIES))]
ENDLESS = {
    "one file of a zip": lambda place: zip_of(
        place, ZipEntry(MAIN.encode(), method=8, packed=deflated_zeros(10_000), size=0xFFFF_FFF0)
    ),
    "one that says it is small": lambda place: zip_of(
        place, ZipEntry(MAIN.encode(), method=8, packed=deflated_zeros(10_000), size=100)
    ),
    "files of a zip that are all small enough": lambda place: _tens(place, 1_000),
    "one file of a tar": lambda place: gz_of(
        place, deflated_zeros(10_000, _head(MAIN, 10_000 * MB))
    ),
    "what is left out of a tar": lambda place: gz_of(
        place, deflated_zeros(10_000, _head(f"{HELLO}/.venv/a", 10_000 * MB))
    ),
    "what comes after the end of a tar": lambda place: gz_of(
        place, deflated_zeros(10_000, _head(MAIN, 0) + bytes(2 * tarfile.BLOCKSIZE))
    ),
    "the header of a tar": lambda place: gz_of(
        place, deflated_zeros(10_000, _head("a", 10_000 * MB, tarfile.XHDTYPE))
    ),
    "the name in a tar": lambda place: gz_of(
        place, deflated_zeros(10_000, _head("a", 10_000 * MB, tarfile.GNUTYPE_LONGNAME))
    ),
    "a map of holes in a tar": lambda place: gz_of(place, _holes()),
    "many names of a zip": lambda place: zip_of(
        place, *(ZipEntry(name.encode()) for name in MANY_NAMES)
    ),
    "many more names of a zip": lambda place: _listed_often(place, 1_000_000),
    "many names of a tar": lambda place: _pieces(
        place, gzip.compress(b"".join(_head(name, 0) for name in MANY_NAMES) + bytes(1024), 1)
    ),
    "long names of a tar": lambda place: as_tar(
        place, {MAIN: b"", f"{HELLO}/.venv/{'x/' * 3_000}": b""}
    ),
    "a directory of a zip that is larger than our memory": lambda place: _listed_at_length(place),
    "many words about all of a tar": lambda place: tar_of(
        place, tar_member(MAIN), pax_headers={f"word{number}": "x" for number in range(200)}
    ),
    "a .gz in many pieces": lambda place: _pieces(place, gzip.compress(b"") * 2_000),
}


def _tens(place: Path, count: int) -> Source:
    """Files of ten megabytes each."""
    packed, crc = deflated_zeros(10), zlib.crc32(bytes(10 * MB))
    names = [f"{HELLO}/{number}".encode() for number in range(count)]
    told = {"packed": packed, "method": 8, "size": 10 * MB, "crc": crc}
    return zip_of(place, *(ZipEntry(name, **told) for name in names))  # type: ignore[arg-type]


def _head(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def _deflated(stream: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    return packer.compress(stream) + packer.flush()


def _holes() -> bytes:
    """The header of a file with holes, then a list of them that goes on and on."""
    words = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
    heads = _head("a", len(words), tarfile.XHDTYPE) + words.ljust(tarfile.BLOCKSIZE, b"\0")
    return _deflated(heads + _head(MAIN, 100 * MB) + b"50000000\n" + b"0\n" * (50 * MB))


def _listed_often(place: Path, times: int) -> Source:
    source = zip_of(place, ZipEntry(b"a"))
    packed = source.path.read_bytes()
    start, end = packed.index(b"PK\1\2"), packed.index(b"PK\5\6")
    listed = packed[start:end] * times
    tail = bytearray(packed[end:])
    tail[12:16] = len(listed).to_bytes(4, "little")
    source.path.write_bytes(packed[:start] + listed + tail)
    return source


def _listed_at_length(place: Path) -> Source:
    """Of gigabytes, in a file with a hole where it says that they are."""
    end = struct.pack("<HHHHIIH", 0, 0, 1, 1, 2_000 * MB, 4, 0)
    with (place / "ada.zip").open("wb") as file:
        file.write(b"PK\3\4")
        file.seek(2_000 * MB, os.SEEK_CUR)
        file.write(b"PK\5\6" + end)
    return Source("ada", place / "ada.zip", "archive")


def _pieces(place: Path, content: bytes) -> Source:
    (place / "ada.tar.gz").write_bytes(content)
    return Source("ada", place / "ada.tar.gz", "archive")


@pytest.mark.parametrize("endless", ENDLESS)
def test_what_unpacks_without_end_costs_little(tmp_path: Path, endless: str) -> None:
    source = ENDLESS[endless](tmp_path)
    done = within_bounds(source, tmp_path / "target")
    assert done.problem and done.projects == {} and "Nothing" not in done.problem
    # Damaged is what ends, if not as it says.
    assert (done.problem == DAMAGED) == (endless == "one that says it is small")
    assert not (tmp_path / "target").exists() or list((tmp_path / "target").iterdir()) == []


# Archives that are none.


def test_an_archive_is_what_it_is_and_not_what_it_is_called(tmp_path: Path) -> None:
    source = as_zip(tmp_path, WORK)
    source.path.rename(tmp_path / "ada.tar.gz")
    done = copy(Source("ada", tmp_path / "ada.tar.gz", "archive"), tmp_path / "target")
    assert list(done.projects) == [HELLO]


NO_ARCHIVES = {"empty": b"", "text": b"Hello\n", "rar": b"Rar!\x1a\x07", "short": b"P"}


@pytest.mark.parametrize("content", NO_ARCHIVES)
def test_what_is_no_archive_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "ada.zip").write_bytes(NO_ARCHIVES[content])
    done = copy(Source("ada", tmp_path / "ada.zip", "archive"), tmp_path / "target")
    assert done.problem == "It is neither a .zip nor a .tar.gz, whatever its name says."


def test_what_is_no_file_is_not_opened_as_an_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    (tmp_path / "link.zip").symlink_to(as_zip(tmp_path, WORK).path)
    (tmp_path / "folder.zip").mkdir()
    for name, said in {"pipe": "neither", "link": "is a link", "folder": "directory"}.items():
        source = Source("ada", tmp_path / f"{name}.zip", "archive")
        assert said in copy(source, tmp_path / "target").problem
    gone = copy(Source("ada", tmp_path / "gone.zip", "archive"), tmp_path / "target")
    assert gone.problem == "The archive cannot be read: No such file or directory."


def test_an_archive_within_is_not_opened(tmp_path: Path, pack_archive: Pack) -> None:
    inner = pack_archive(tmp_path / "inner", WORK).path.read_bytes()
    theirs = {f"{HELLO}/more.zip": inner, "work.zip": inner}
    done = copy(pack_archive(tmp_path, theirs), tmp_path / "target")
    assert files_in(tmp_path / "target") == {f"{HELLO}/more.zip": inner}
    assert done.notes == []


def test_an_encrypted_zip_is_told(tmp_path: Path) -> None:
    source = zip_of(tmp_path, ZipEntry(MAIN.encode(), b"x" * 20, flags=1))
    problem = copy(source, tmp_path / "target").problem
    assert problem == "The archive is encrypted. Ask for one without a password."


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 9, 99])
def test_a_zip_packed_in_another_way_is_told(tmp_path: Path, method: int) -> None:
    if method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        source = as_zip(tmp_path, WORK, method)
    else:
        source = zip_of(tmp_path, ZipEntry(MAIN.encode(), b"x", method=method))
    assert "packed by a method that not everybody" in copy(source, tmp_path / "target").problem


def test_an_archive_that_was_cut_short_is_told(tmp_path: Path, pack_archive: Pack) -> None:
    noise = random.Random(6).randbytes(5_000)
    source = pack_archive(tmp_path, WORK | {f"{HELLO}/noise": noise, OTHER: b"x"})
    whole = source.path.read_bytes()
    for number, size in enumerate([20, 500, 3_000, len(whole) - 30, len(whole) - 9]):
        source.path.write_bytes(whole[:size])
        done = copy(source, tmp_path / f"target-{number}")
        assert done.problem == DAMAGED, size


def test_a_tar_without_an_end_is_told(tmp_path: Path) -> None:
    source = as_tar(tmp_path, WORK | {OTHER: b"x"})
    whole = gzip.decompress(source.path.read_bytes())
    for number, size in enumerate([2 * 512, 2 * 512 + 100, 6 * 512]):
        source.path.write_bytes(gzip.compress(whole[:size]))
        assert copy(source, tmp_path / f"target-{number}").problem == DAMAGED


def test_a_tar_with_a_broken_header_is_told(tmp_path: Path) -> None:
    source = as_tar(tmp_path, WORK | {OTHER: b"x"})
    whole = bytearray(gzip.decompress(source.path.read_bytes()))
    whole[2 * 512 + 150] ^= 1  # the check sum of the second piece
    source.path.write_bytes(gzip.compress(whole))
    assert copy(source, tmp_path / "target").problem == DAMAGED


def test_a_tar_that_leads_backwards_comes_to_an_end(tmp_path: Path) -> None:
    for number, size in enumerate([-512, -1024, -(2**40)]):
        source = gz_of(tmp_path, _deflated(_head("a", 0) + _head(MAIN, size) + bytes(1024)))
        assert within_bounds(source, tmp_path / f"target-{number}").problem == DAMAGED


def test_what_was_changed_since_it_was_packed_is_told(tmp_path: Path) -> None:
    content = b"status = 'failed'"
    source = zip_of(tmp_path, ZipEntry(MAIN.encode(), content))
    source.path.write_bytes(source.path.read_bytes().replace(content, b"status = 'passed'"))
    assert copy(source, tmp_path / "target").problem == DAMAGED
    packed = gzip.compress(gzip.decompress(as_tar(tmp_path, {MAIN: content}).path.read_bytes()), 0)
    source = _pieces(tmp_path, packed.replace(content, b"status = 'passed'"))
    assert copy(source, tmp_path / "other").problem == DAMAGED


def test_a_zip_whose_names_differ_is_told(tmp_path: Path) -> None:
    source = as_zip(tmp_path, WORK)
    source.path.write_bytes(source.path.read_bytes().replace(b"main.py", b"evil.py", 1))
    assert copy(source, tmp_path / "target").problem == DAMAGED


def test_damage_anywhere_is_no_harm(tmp_path: Path, outside: Path, pack_archive: Pack) -> None:
    chance = random.Random(1)
    source = pack_archive(tmp_path, WORK | {OTHER: b"x", "../outside/main.py": b"changed"})
    whole = source.path.read_bytes()
    if source.path.suffix == ".gz":
        whole = gzip.decompress(whole)[: 10 * 512]
    for _ in range(300):
        changed = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        packed = gzip.compress(changed, 1) if source.path.suffix == ".gz" else bytes(changed)
        source.path.write_bytes(packed)
        copy(source, tmp_path / "target")
        shutil.rmtree(tmp_path / "target", ignore_errors=True)


# What we may not read or write.


def test_what_cannot_be_read_is_told() -> None:
    with tempfile.TemporaryDirectory() as place:
        source = as_folder(Path(place), WORK | {f"{HELLO}/key": b"1", f"{HELLO}/closed/a": b"1"})
        Path(place).chmod(0o777)
        (source.path / HELLO / "key").chmod(0)
        (source.path / HELLO / "closed").chmod(0)

        def work() -> Copied:
            if os.getuid() == 0:  # who may read all
                os.setuid(65534)
            return copy(source, Path(place) / "target")

        done = in_a_process(work)
        assert files_in(Path(place) / "target") == WORK
        assert done.notes == [f"Not copied: {HELLO}/closed, {HELLO}/key (cannot be read)."]
        (source.path / HELLO / "closed").chmod(0o700)


def test_modes_are_made_the_same(tmp_path: Path, pack: Pack) -> None:
    source = pack(tmp_path, WORK)
    if source.kind == "folder":
        (source.path / MAIN).chmod(0o4777)
        (source.path / HELLO).chmod(0o1777)
    mask = os.umask(0o077)
    try:
        copy(source, tmp_path / "target")  # which looks at them
    finally:
        os.umask(mask)
    assert files_in(tmp_path / "target") == WORK


def test_our_own_folder_is_no_fault_of_theirs(tmp_path: Path) -> None:
    source = as_folder(tmp_path, WORK)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(KitError, match="cannot be written: Not a directory"):
        copy_work(source, EXERCISES, tmp_path / "file" / "target")
    (tmp_path / "target" / HELLO).mkdir(parents=True)
    with pytest.raises(KitError, match=f"{HELLO} is there already"):
        copy_work(source, EXERCISES, tmp_path / "target")


# Digests.


def test_the_same_work_has_the_same_digest(tmp_path: Path) -> None:
    digests = []
    for number, pack in enumerate(PACKS.values()):
        source = pack(tmp_path / f"{number}", WORK | {f"{HELLO}/.venv/{number}": b""})
        digests.append(copy(source, tmp_path / f"target-{number}").digests[HELLO])
    assert len(set(digests)) == 1
    theirs = tmp_path / "target-0" / HELLO
    os.utime(theirs / "pyproject.toml", (1, 1))
    (theirs / "pyproject.toml").chmod(0o600)
    assert digest(theirs) == digests[0]
    # Written down, for other machines.
    assert digests[0] == "3e0ea38f1cdf38ba70cc46c4bcf8ab62be728aac3cec97efc1fbbf597af66bf2"


def test_other_work_has_another_digest(tmp_path: Path) -> None:
    works: list[dict[str, bytes]] = [
        {"a/b": b"1", "a/c": b""},
        {"a/b": b"", "a/c": b"1"},
        {"a/b": b"2", "a/c": b""},
        {"a/bc": b"1"},
        {"a/b/c": b"1"},
        {"a/b": b"13 a/c 0\n"},
        {"a/b": b"1", "a/C": b""},
    ]
    digests = {digest(as_folder(tmp_path / f"{n}", work).path) for n, work in enumerate(works)}
    (tmp_path / "0" / "ada" / "a" / "empty").mkdir()
    digests.add(digest(tmp_path / "0" / "ada"))
    assert len(digests) == len(works) + 1
