"""What is copied of a submission. A bad submission gets a sentence, and does no harm."""

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
from kit.classroom.intake.copying import CopiedWork, copy_work, digest
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

pytestmark = [pytest.mark.slow, pytest.mark.longest, pytest.mark.thorough]

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
    """Remove the files: pytest keeps those of three runs, and some are large."""
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
    """A folder outside of the submission: no file of it may be copied or changed."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "main.py").write_text("outside")
    yield place
    assert [(file.name, file.read_text()) for file in place.iterdir()] == [("main.py", "outside")]


def copy(source: Source, target: Path) -> CopiedWork:
    """Copy all exercises; check that nothing is written elsewhere, and the modes and messages."""
    before = set(source.path.parent.iterdir())
    copied = copy_work(source, EXERCISES, target)
    assert set(source.path.parent.iterdir()) - {target} == before - {target}
    assert sorted(copied.projects.values()) == (sorted(target.iterdir()) if target.exists() else [])
    assert list(copied.projects) == list(copied.digests)
    for piece in target.rglob("*"):
        mode = piece.lstat().st_mode
        assert stat.filemode(mode) in ("drwxr-xr-x", "-rw-r--r--")
    for text in [*copied.notes, copied.problem]:
        assert text.isprintable() and text[-1:] in ("", ".")
        assert str(target.parent) not in text  # the same on every machine
    return copied


def files_in(target: Path) -> dict[str, bytes]:
    found = {file.relative_to(target).as_posix(): file for file in target.rglob("*")}
    return {name: file.read_bytes() for name, file in sorted(found.items()) if file.is_file()}


def in_child_process(work: Callable[[], CopiedWork]) -> CopiedWork:
    """Call `work` in a child process. Raises EOFError when the child ends without a result."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(work()))
    process.start()
    sender.close()
    try:
        copied = receiver.recv()
    finally:
        process.join()
    assert isinstance(copied, CopiedWork)
    return copied


def with_limits(source: Source, target: Path) -> CopiedWork:
    """Copy with 300 MB more memory than now, a minute of CPU time, and files up to 21 MB."""

    def work() -> CopiedWork:
        most = psutil.Process().memory_info().vms + 300 * MB
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        seconds = int(sum(os.times()[:2])) + 60
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_FSIZE, (21 * MB, 21 * MB))
        return copy(source, target)

    return in_child_process(work)


@pytest.mark.parametrize("above", ["", "work/", "repository-main/", "repository-main/work/"])
def test_exercises_are_copied_from_work_the_top_or_the_only_folder(
    tmp_path: Path, pack: Pack, above: str
) -> None:
    files = {above + name: content for name, content in WORK.items()}
    around = "repository-main/" if above.startswith("repository-main/") else ""
    more = {f"{around}README.md": b"Mine.\n", ".idea/a.xml": b"", ".git/config": b""}
    copied = copy(pack(tmp_path, files | more), tmp_path / "target")
    assert (copied.notes, copied.problem) == ([], "")
    assert copied.projects == {HELLO: tmp_path / "target" / HELLO}
    assert files_in(tmp_path / "target") == WORK


def test_only_requested_exercises_are_copied(tmp_path: Path, pack: Pack) -> None:
    source = pack(tmp_path, WORK | {OTHER: b""})
    copied = copy_work(source, [catalogue.find("2", EXERCISES)], tmp_path / "target")
    assert list(copied.projects) == [HELLO]
    assert files_in(tmp_path / "target") == WORK
    # No problem: the learner handed in another exercise.
    assert copy_work(source, [catalogue.find("4", EXERCISES)], tmp_path / "none") == CopiedWork()


def test_of_a_clone_of_the_kit_only_work_counts(tmp_path: Path, pack: Pack) -> None:
    files = {f"work/{name}": content for name, content in WORK.items()}
    others = {f"{place}/{OTHER}": b"not work" for place in ("exercises", "solutions", "a/work")}
    copy(pack(tmp_path, files | others), tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK


def test_generated_files_and_environments_are_ignored(tmp_path: Path, pack: Pack) -> None:
    ignored = ["nb_runner/__pycache__/a.pyc", ".venv/bin/python", ".git/config", "dist/a.whl"]
    ignored += ["node_modules/a/a.js", ".mypy_cache/a", "nb_runner/._main.py", ".DS_Store"]
    files = {f"{HELLO}/{name}": b"ignored" for name in ignored}
    copied = copy(pack(tmp_path, files | WORK | {"__MACOSX/work/a": b""}), tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK
    assert copied.notes == []


def test_a_note_names_exercises_with_another_name_or_place(tmp_path: Path, pack: Pack) -> None:
    files = {"work/02-hello/nb_runner/main.py": b"", "work/03-validation-old/a": b""}
    files |= {f"work/{OTHER}": b"", "04-background-tasks/a": b""}
    copied = copy(pack(tmp_path, files), tmp_path / "target")
    assert list(copied.projects) == ["03-validation"]
    assert copied.notes == [
        f"02-hello is not called {HELLO}, so it is not graded.",
        "04-background-tasks is not in work/, so it is not graded.",
    ]


def test_a_submission_of_misnamed_exercises_only_is_no_problem(tmp_path: Path, pack: Pack) -> None:
    copied = copy(pack(tmp_path, {"02-Hello-FastAPI/a": b""}), tmp_path / "target")
    assert copied == CopiedWork(
        notes=[f"02-Hello-FastAPI is not called {HELLO}, so it is not graded."]
    )


def test_nothing_handed_in_is_a_problem(tmp_path: Path, pack: Pack) -> None:
    for number, nothing in enumerate([{}, {"README.md": b""}, {"nb_runner/main.py": b""}]):
        (tmp_path / f"{number}" / "ada").mkdir(parents=True)
        copied = copy(pack(tmp_path / f"{number}", nothing), tmp_path / f"target-{number}")
        assert copied.problem.startswith("Nothing was handed in: no exercise (a folder like 01-")
        assert copied.projects == {} and copied.notes == []


def test_an_exercise_has_to_be_a_folder(tmp_path: Path, pack: Pack) -> None:
    copied = copy(pack(tmp_path, {HELLO: b"PK", OTHER: b""}), tmp_path / "target")
    assert list(copied.projects) == ["03-validation"]
    assert copied.notes == [f"Not copied: {HELLO} (an exercise has to be a folder)."]


def test_an_exercise_with_nothing_in_it_is_handed_in(tmp_path: Path) -> None:
    (tmp_path / "ada" / HELLO).mkdir(parents=True)
    copied = copy(Source("ada", tmp_path / "ada", "folder"), tmp_path / "target")
    assert list(copied.projects) == [HELLO] and copied.problem == ""


# Entries that are neither a file nor a folder.


def test_links_in_a_folder_are_not_followed(tmp_path: Path, outside: Path) -> None:
    source = as_folder(tmp_path, WORK)
    (source.path / "03-validation").symlink_to(outside)
    (source.path / HELLO / "data").symlink_to(outside)
    (source.path / HELLO / "key").symlink_to(outside / "main.py")
    (source.path / HELLO / "loop").symlink_to("loop")
    (source.path / HELLO / "nb_runner" / "tasks.py").symlink_to(
        "main.py"
    )  # not even one inside of the exercise
    copied = copy(source, tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK
    names = f"{HELLO}/data, {HELLO}/key, {HELLO}/loop and 2 more"
    assert copied.notes == [f"Not copied: {names} (links are not followed)."]


@pytest.mark.parametrize("above", ["ada", "ada/work"])
def test_a_link_in_place_of_a_folder_is_not_followed(
    tmp_path: Path, outside: Path, above: str
) -> None:
    source = as_folder(tmp_path, {f"elsewhere/{name}": content for name, content in WORK.items()})
    source.path.rename(tmp_path / "files")
    (tmp_path / above).parent.mkdir(exist_ok=True)
    (tmp_path / above).symlink_to(tmp_path / "files" / "elsewhere")
    copied = copy(Source("ada", tmp_path / "ada", "folder"), tmp_path / "target")
    assert copied.projects == {} and copied.problem
    if above == "ada":
        assert copied.problem == "The folder cannot be read: it is a link."


@pytest.mark.parametrize("other", ["link", "pipe"])
@pytest.mark.parametrize("swapped", ["main.py", "nb_runner", HELLO])
def test_a_link_or_pipe_that_replaces_an_entry_during_the_copy_is_not_followed(
    tmp_path: Path, outside: Path, swapped: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = as_folder(tmp_path, WORK)
    [place] = source.path.rglob(swapped)
    calls = 0
    stat_of = os.stat

    def stat_and_replace(name: str, **more: object) -> os.stat_result:
        nonlocal calls
        result = stat_of(name, **more)  # type: ignore[arg-type]
        if name == swapped and "dir_fd" in more:
            calls += 1
            # The first call for an exercise's folder is made to find the exercises.
            if calls == (2 if swapped == HELLO else 1):
                place.rename(tmp_path / "aside")
                if other == "pipe":
                    os.mkfifo(place)
                else:
                    place.symlink_to(outside / "main.py" if swapped == "main.py" else outside)
        return result

    monkeypatch.setattr(os, "stat", stat_and_replace)
    copied = copy_work(source, EXERCISES, tmp_path / "target")
    assert place.is_symlink() or place.is_fifo()
    assert b"outside" not in files_in(tmp_path / "target").values()
    why = "cannot be read" if other == "link" else "neither file nor folder"
    assert len(copied.notes) == 1 and copied.notes[0].endswith(f"{swapped} ({why}).")


def test_pipes_and_sockets_in_a_folder_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = as_folder(tmp_path, WORK)
    os.mkfifo(source.path / HELLO / "pipe")
    monkeypatch.chdir(source.path / HELLO)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        copied = copy(source, tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK
    assert copied.notes == [f"Not copied: {HELLO}/pipe, {HELLO}/socket (neither file nor folder)."]


def test_links_and_devices_in_a_tar_are_not_unpacked(tmp_path: Path, outside: Path) -> None:
    there = str(outside / "main.py")
    source = tar_of(
        tmp_path,
        tar_member(f"{HELLO}/soft", type=tarfile.SYMTYPE, linkname=there),
        tar_member(f"{HELLO}/hard", type=tarfile.LNKTYPE, linkname=there),
        tar_member(f"{HELLO}/up", type=tarfile.SYMTYPE, linkname="../../outside"),
        tar_member(
            f"{HELLO}/up/main.py", b"changed"
        ),  # through the link, if the link were unpacked
        tar_member(f"{HELLO}/zero", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
        tar_member(f"{HELLO}/disk", type=tarfile.BLKTYPE),
        tar_member(f"{HELLO}/pipe", type=tarfile.FIFOTYPE),
        tar_member(f"{HELLO}/sparse", type=tarfile.GNUTYPE_SPARSE),
        tar_member(f"{HELLO}/unheard-of", type=b"Z"),
        *(tar_member(name, content) for name, content in WORK.items()),
    )
    copied = copy(source, tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK | {f"{HELLO}/up/main.py": b"changed"}
    names = f"{HELLO}/zero, {HELLO}/disk, {HELLO}/pipe and 2 more"
    assert copied.notes == [
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
    copied = copy(source, tmp_path / "target")
    there = {f"{HELLO}/link/main.py": b"changed", MAIN: WORK[MAIN]}
    assert files_in(tmp_path / "target") == there
    assert (tmp_path / "target" / HELLO / "folder").is_dir()
    assert copied.notes == [
        f"Not copied: {HELLO}/link (links are not followed).",
        f"Not copied: {HELLO}/pipe (neither file nor folder).",
    ]


# Names.


def test_names_that_lead_out_of_an_archive_are_not_followed(
    tmp_path: Path, outside: Path, pack_archive: Pack
) -> None:
    outer = ["../outside/main.py", f"{HELLO}/../../outside/main.py", "work/../../outside/main.py"]
    outer += [f"{outside}/main.py", f"//{outside}/main.py", f"C:/{MAIN}", f"c:{HELLO}/main.py"]
    outer += [f"{HELLO}/nb_runner/.."]
    source = pack_archive(tmp_path, dict.fromkeys(outer, b"changed") | WORK)
    copied = copy(source, tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK
    [note] = copied.notes
    assert note.startswith("Not copied: ../outside/main.py, ")
    assert note.endswith(" and 5 more (leads out of the archive).")


def test_a_backslash_does_not_lead_out_of_the_archive(tmp_path: Path, outside: Path) -> None:
    source = zip_of(  # as some packers on Windows write them
        tmp_path,
        ZipEntry(MAIN.replace("/", "\\").encode(), WORK[MAIN]),
        ZipEntry(f"{HELLO}\\pyproject.toml".encode(), b"[project]\n"),
        ZipEntry(b"..\\outside\\main.py", b"changed"),
        ZipEntry(b"\\\\host\\share", b"changed"),
    )
    copied = copy(source, tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK
    assert copied.notes == [
        "Not copied: ../outside/main.py, //host/share (leads out of the archive)."
    ]
    copied = copy(as_tar(tmp_path, WORK | {f"{HELLO}/a\\b": b""}), tmp_path / "other")
    assert files_in(tmp_path / "other") == WORK  # in a tar, a backslash is a part of the name
    assert copied.notes == [f"Not copied: {HELLO}/a\\b (not plain text for a name)."]


UNPRINTABLE_NAMES = {
    "line": b"a\nb.py",
    "escape": b"\x1b[2Ja.py",
    "latin-1": b"caf\xe9.py",
    "tab": b"\t",
}


@pytest.mark.parametrize("kind_of_name", UNPRINTABLE_NAMES)
@pytest.mark.parametrize("kind", ["folder", "tar.gz"])
def test_unprintable_names_are_not_copied(tmp_path: Path, kind: str, kind_of_name: str) -> None:
    name = f"{HELLO}/{os.fsdecode(UNPRINTABLE_NAMES[kind_of_name])}"
    if kind == "folder":
        source = as_folder(tmp_path, WORK | {name: b""})
    else:
        pieces = [tar_member(each, content) for each, content in WORK.items()]
        source = tar_of(tmp_path, tar_member(name), *pieces, format=tarfile.GNU_FORMAT)
    copied = copy(source, tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK
    assert len(copied.notes) == 1 and copied.notes[0].endswith(" (not plain text for a name).")


def test_a_zero_byte_in_a_name_hides_nothing(tmp_path: Path) -> None:
    source = zip_of(
        tmp_path, ZipEntry(f"{MAIN}\0.txt".encode(), b"hidden"), ZipEntry(MAIN.encode(), WORK[MAIN])
    )
    copied = copy(source, tmp_path / "target")
    assert files_in(tmp_path / "target") == {MAIN: WORK[MAIN]}
    assert copied.notes == [f"Not copied: {MAIN}\\x00.txt (not plain text for a name)."]


def test_names_of_any_script_are_copied(tmp_path: Path, pack: Pack) -> None:
    files = WORK | {f"{HELLO}/naïve 語 😀.md": b"", f"{HELLO}/b c.md": b""}
    copied = copy(pack(tmp_path, files), tmp_path / "target")
    assert files_in(tmp_path / "target") == dict(sorted(files.items()))
    assert copied.notes == []


def test_utf_8_names_of_a_zip_are_read_without_the_flag_for_it(tmp_path: Path) -> None:
    source = zip_of(
        tmp_path,
        ZipEntry(f"{HELLO}/naïve.py".encode()),
        ZipEntry(f"{HELLO}/na\x8bve.py".encode("latin-1")),
    )
    copy(source, tmp_path / "target")
    assert list(files_in(tmp_path / "target")) == [f"{HELLO}/naïve.py"]


def test_of_colliding_names_only_the_first_is_copied(tmp_path: Path, pack_archive: Pack) -> None:
    composed, decomposed = (unicodedata.normalize(form, "é.py") for form in ("NFC", "NFD"))
    files = WORK | {
        MAIN.replace("main", "Main"): b"another",
        f"{HELLO}/NB_RUNNER/tasks.py": b"a folder of another name",
        f"{MAIN}/below.py": b"a file cannot hold one",
        f"{HELLO}/{composed}": b"first",
        f"{HELLO}/{decomposed}": b"second",
        f"{HELLO}/nb_runner": b"a folder is no file",
    }
    copied = copy(pack_archive(tmp_path, files), tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK | {f"{HELLO}/{composed}": b"first"}
    [note] = copied.notes
    assert " and 2 more (the name was there already" in note


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_entries_of_one_name_the_first_is_copied(tmp_path: Path) -> None:
    entries_of_one_name = [(MAIN, b"first"), (MAIN, b"second")]
    for number, source in enumerate(
        [
            zip_of(
                tmp_path,
                *(ZipEntry(name.encode(), content) for name, content in entries_of_one_name),
            ),
            tar_of(tmp_path, *(tar_member(name, content) for name, content in entries_of_one_name)),
        ]
    ):
        copied = copy(source, tmp_path / f"target-{number}")
        assert files_in(tmp_path / f"target-{number}") == {MAIN: b"first"}
        assert copied.notes[0].startswith(f"Not copied: {MAIN} (the name was there already")


def test_of_names_that_differ_by_case_a_folder_gives_the_lower_case_one(tmp_path: Path) -> None:
    source = as_folder(tmp_path, {MAIN.replace("main", "Main"): b"another"} | WORK)
    copy(source, tmp_path / "target")
    assert files_in(tmp_path / "target") == WORK


# Limits.


def test_a_submission_at_the_limits_is_copied(tmp_path: Path, pack: Pack) -> None:
    files = {
        f"{HELLO}/{'/'.join('x' * (copying.MAX_DEPTH - 2))}/{'y' * copying.MAX_NAME_BYTES}": b""
    }
    files[f"{HELLO}/large"] = bytes(copying.MAX_FILE_BYTES)
    copied = copy(pack(tmp_path, files), tmp_path / "target")
    assert copied.problem == "" and files_in(tmp_path / "target") == dict(sorted(files.items()))


LIMITS = {
    "a long name": ({f"{HELLO}/{'y' * 201}": b""}, "has too long a name"),
    "a long path": ({f"{HELLO}/{'/'.join(['x' * 199] * 6)}": b""}, "has too long a name"),
    "a deep folder": ({f"{HELLO}/{'x/' * 25}a": b""}, "is more than 20 folders deep"),
    "a large file": ({f"{HELLO}/a": bytes(20 * MB + 1)}, f"{HELLO}/a is larger than 20 MB"),
    "much in all": (
        {f"{HELLO}/{number}": bytes(19 * MB) for number in range(6)},
        "Its exercises are larger than 100 MB in all",
    ),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_of_a_submission_above_a_limit_nothing_is_copied(
    tmp_path: Path, pack: Pack, limit: str
) -> None:
    files, problem = LIMITS[limit]
    copied = copy(pack(tmp_path, {"01-poetry/a": b""} | files), tmp_path / "target")
    assert problem in copied.problem
    assert copied.projects == {} and list((tmp_path / "target").iterdir()) == []


def test_of_a_submission_with_too_many_files_nothing_is_copied(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "MAX_FILES", 50)
    files = {f"{HELLO}/{number % 2}/{number}": b"" for number in range(50)}
    copied = copy(pack(tmp_path, {"01-poetry/a": b""} | files), tmp_path / "target")
    assert "There are more than 50 files and folders in its exercises" in copied.problem
    assert copied.projects == {} and list((tmp_path / "target").iterdir()) == []


def test_folders_and_links_count_as_files(tmp_path: Path) -> None:
    source = as_folder(tmp_path, WORK)
    for number in range(2_501):
        (source.path / HELLO / f"{number}").mkdir()
        (source.path / HELLO / f"{number}" / "link").symlink_to("/")
    assert "more than 5,000 files and folders" in copy(source, tmp_path / "target").problem


def test_entries_that_are_not_wanted_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "MAX_ENTRIES", 20)
    source = as_folder(tmp_path, WORK | {f"data/{number}": b"" for number in range(30)})
    assert copy(source, tmp_path / "target").problem == ""
    source = as_folder(tmp_path, {f"{HELLO}/{number}": b"" for number in range(30)})
    assert "more than 20 files" in copy(source, tmp_path / "other").problem


MANY_NAMES = [MAIN, *(f"{HELLO}/.venv/{number}" for number in range(entries.MAX_ENTRIES))]
BOMBS = {
    "a file of a zip": lambda place: zip_of(
        place, ZipEntry(MAIN.encode(), method=8, packed=deflated_zeros(10_000), size=0xFFFF_FFF0)
    ),
    "a file of a zip with a forged small size": lambda place: zip_of(
        place, ZipEntry(MAIN.encode(), method=8, packed=deflated_zeros(10_000), size=100)
    ),
    "many files of a zip, each below the limit": lambda place: _zip_of_large_files(place, 1_000),
    "a file of a tar": lambda place: gz_of(place, deflated_zeros(10_000, _head(MAIN, 10_000 * MB))),
    "an ignored file of a tar": lambda place: gz_of(
        place, deflated_zeros(10_000, _head(f"{HELLO}/.venv/a", 10_000 * MB))
    ),
    "zeros after the end of a tar": lambda place: gz_of(
        place, deflated_zeros(10_000, _head(MAIN, 0) + bytes(2 * tarfile.BLOCKSIZE))
    ),
    "the header of a tar": lambda place: gz_of(
        place, deflated_zeros(10_000, _head("a", 10_000 * MB, tarfile.XHDTYPE))
    ),
    "the name in a tar": lambda place: gz_of(
        place, deflated_zeros(10_000, _head("a", 10_000 * MB, tarfile.GNUTYPE_LONGNAME))
    ),
    "a map of holes in a tar": lambda place: gz_of(place, _sparse_file()),
    "many names of a zip": lambda place: zip_of(
        place, *(ZipEntry(name.encode()) for name in MANY_NAMES)
    ),
    "many more names of a zip": lambda place: _zip_with_repeated_directory(place, 1_000_000),
    "many names of a tar": lambda place: _tar_gz(
        place, gzip.compress(b"".join(_head(name, 0) for name in MANY_NAMES) + bytes(1024), 1)
    ),
    "long names of a tar": lambda place: as_tar(
        place, {MAIN: b"", f"{HELLO}/.venv/{'x/' * 3_000}": b""}
    ),
    "a directory of a zip that is larger than the memory": lambda place: _zip_with_huge_directory(
        place
    ),
    "many global headers of a tar": lambda place: tar_of(
        place, tar_member(MAIN), pax_headers={f"word{number}": "x" for number in range(200)}
    ),
    "a .gz of many members": lambda place: _tar_gz(place, gzip.compress(b"") * 2_000),
}


def _zip_of_large_files(place: Path, count: int) -> Source:
    """A .zip of files of 10 MB each."""
    packed, crc = deflated_zeros(10), zlib.crc32(bytes(10 * MB))
    names = [f"{HELLO}/{number}".encode() for number in range(count)]
    fields = {"packed": packed, "method": 8, "size": 10 * MB, "crc": crc}
    return zip_of(place, *(ZipEntry(name, **fields) for name in names))  # type: ignore[arg-type]


def _head(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def _deflated(stream: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    return packer.compress(stream) + packer.flush()


def _sparse_file() -> bytes:
    """The header of a sparse file, then a list of holes that does not end."""
    words = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
    heads = _head("a", len(words), tarfile.XHDTYPE) + words.ljust(tarfile.BLOCKSIZE, b"\0")
    return _deflated(heads + _head(MAIN, 100 * MB) + b"50000000\n" + b"0\n" * (50 * MB))


def _zip_with_repeated_directory(place: Path, times: int) -> Source:
    source = zip_of(place, ZipEntry(b"a"))
    packed = source.path.read_bytes()
    start, end = packed.index(b"PK\1\2"), packed.index(b"PK\5\6")
    listed = packed[start:end] * times
    tail = bytearray(packed[end:])
    tail[12:16] = len(listed).to_bytes(4, "little")
    source.path.write_bytes(packed[:start] + listed + tail)
    return source


def _zip_with_huge_directory(place: Path) -> Source:
    """A .zip whose directory has 2 GB: the file is sparse, so it takes no space."""
    end = struct.pack("<HHHHIIH", 0, 0, 1, 1, 2_000 * MB, 4, 0)
    with (place / "ada.zip").open("wb") as file:
        file.write(b"PK\3\4")
        file.seek(2_000 * MB, os.SEEK_CUR)
        file.write(b"PK\5\6" + end)
    return Source("ada", place / "ada.zip", "archive")


def _tar_gz(place: Path, content: bytes) -> Source:
    (place / "ada.tar.gz").write_bytes(content)
    return Source("ada", place / "ada.tar.gz", "archive")


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_takes_little_time_memory_and_disk(tmp_path: Path, bomb: str) -> None:
    source = BOMBS[bomb](tmp_path)
    copied = with_limits(source, tmp_path / "target")
    assert copied.problem and copied.projects == {} and "Nothing" not in copied.problem
    # Only the file with the forged size is damaged.
    assert (copied.problem == DAMAGED) == (bomb == "a file of a zip with a forged small size")
    assert not (tmp_path / "target").exists() or list((tmp_path / "target").iterdir()) == []


# Damaged archives, and files that are no archive.


def test_the_content_decides_the_kind_of_an_archive(tmp_path: Path) -> None:
    source = as_zip(tmp_path, WORK)
    source.path.rename(tmp_path / "ada.tar.gz")
    copied = copy(Source("ada", tmp_path / "ada.tar.gz", "archive"), tmp_path / "target")
    assert list(copied.projects) == [HELLO]


NO_ARCHIVES = {"empty": b"", "text": b"Hello\n", "rar": b"Rar!\x1a\x07", "short": b"P"}


@pytest.mark.parametrize("content", NO_ARCHIVES)
def test_a_file_that_is_no_archive_has_a_problem(tmp_path: Path, content: str) -> None:
    (tmp_path / "ada.zip").write_bytes(NO_ARCHIVES[content])
    copied = copy(Source("ada", tmp_path / "ada.zip", "archive"), tmp_path / "target")
    assert copied.problem == "It is neither a .zip nor a .tar.gz, whatever its name says."


def test_pipes_links_and_folders_are_not_opened_as_an_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    (tmp_path / "link.zip").symlink_to(as_zip(tmp_path, WORK).path)
    (tmp_path / "folder.zip").mkdir()
    for name, words in {"pipe": "neither", "link": "is a link", "folder": "directory"}.items():
        source = Source("ada", tmp_path / f"{name}.zip", "archive")
        assert words in copy(source, tmp_path / "target").problem
    gone = copy(Source("ada", tmp_path / "gone.zip", "archive"), tmp_path / "target")
    assert gone.problem == "The archive cannot be read: No such file or directory."


def test_an_archive_within_is_not_opened(tmp_path: Path, pack_archive: Pack) -> None:
    inner = pack_archive(tmp_path / "inner", WORK).path.read_bytes()
    files = {f"{HELLO}/more.zip": inner, "work.zip": inner}
    copied = copy(pack_archive(tmp_path, files), tmp_path / "target")
    assert files_in(tmp_path / "target") == {f"{HELLO}/more.zip": inner}
    assert copied.notes == []


def test_an_encrypted_zip_has_a_problem(tmp_path: Path) -> None:
    source = zip_of(tmp_path, ZipEntry(MAIN.encode(), b"x" * 20, flags=1))
    problem = copy(source, tmp_path / "target").problem
    assert problem == "The archive is encrypted. Ask for one without a password."


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 9, 99])
def test_a_zip_of_another_method_has_a_problem(tmp_path: Path, method: int) -> None:
    if method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        source = as_zip(tmp_path, WORK, method)
    else:
        source = zip_of(tmp_path, ZipEntry(MAIN.encode(), b"x", method=method))
    assert "packed by a method that not everybody" in copy(source, tmp_path / "target").problem


def test_an_archive_that_was_cut_short_is_damaged(tmp_path: Path, pack_archive: Pack) -> None:
    noise = random.Random(6).randbytes(5_000)
    source = pack_archive(tmp_path, WORK | {f"{HELLO}/noise": noise, OTHER: b"x"})
    whole = source.path.read_bytes()
    for number, size in enumerate([20, 500, 3_000, len(whole) - 30, len(whole) - 9]):
        source.path.write_bytes(whole[:size])
        copied = copy(source, tmp_path / f"target-{number}")
        assert copied.problem == DAMAGED, size


def test_a_tar_without_an_end_is_damaged(tmp_path: Path) -> None:
    source = as_tar(tmp_path, WORK | {OTHER: b"x"})
    whole = gzip.decompress(source.path.read_bytes())
    for number, size in enumerate([2 * 512, 2 * 512 + 100, 6 * 512]):
        source.path.write_bytes(gzip.compress(whole[:size]))
        assert copy(source, tmp_path / f"target-{number}").problem == DAMAGED


def test_a_tar_with_a_broken_header_is_damaged(tmp_path: Path) -> None:
    source = as_tar(tmp_path, WORK | {OTHER: b"x"})
    whole = bytearray(gzip.decompress(source.path.read_bytes()))
    whole[2 * 512 + 150] ^= 1  # the checksum of the second entry
    source.path.write_bytes(gzip.compress(whole))
    assert copy(source, tmp_path / "target").problem == DAMAGED


def test_a_tar_with_negative_sizes_is_damaged(tmp_path: Path) -> None:
    for number, size in enumerate([-512, -1024, -(2**40)]):
        source = gz_of(tmp_path, _deflated(_head("a", 0) + _head(MAIN, size) + bytes(1024)))
        assert with_limits(source, tmp_path / f"target-{number}").problem == DAMAGED


def test_an_archive_with_a_wrong_checksum_is_damaged(tmp_path: Path) -> None:
    content = b"status = 'failed'"
    source = zip_of(tmp_path, ZipEntry(MAIN.encode(), content))
    source.path.write_bytes(source.path.read_bytes().replace(content, b"status = 'passed'"))
    assert copy(source, tmp_path / "target").problem == DAMAGED
    packed = gzip.compress(gzip.decompress(as_tar(tmp_path, {MAIN: content}).path.read_bytes()), 0)
    source = _tar_gz(tmp_path, packed.replace(content, b"status = 'passed'"))
    assert copy(source, tmp_path / "other").problem == DAMAGED


def test_a_zip_with_two_names_for_a_file_is_damaged(tmp_path: Path) -> None:
    source = as_zip(tmp_path, WORK)
    source.path.write_bytes(source.path.read_bytes().replace(b"main.py", b"evil.py", 1))
    assert copy(source, tmp_path / "target").problem == DAMAGED


def test_random_damage_does_no_harm(tmp_path: Path, outside: Path, pack_archive: Pack) -> None:
    rng = random.Random(1)
    source = pack_archive(tmp_path, WORK | {OTHER: b"x", "../outside/main.py": b"changed"})
    whole = source.path.read_bytes()
    if source.path.suffix == ".gz":
        whole = gzip.decompress(whole)[: 10 * 512]
    for _ in range(300):
        changed = bytearray(whole)
        for _ in range(rng.randint(1, 6)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        packed = gzip.compress(changed, 1) if source.path.suffix == ".gz" else bytes(changed)
        source.path.write_bytes(packed)
        copy(source, tmp_path / "target")
        shutil.rmtree(tmp_path / "target", ignore_errors=True)


# Permissions.


def test_a_note_names_entries_that_cannot_be_read() -> None:
    with tempfile.TemporaryDirectory() as place:
        source = as_folder(Path(place), WORK | {f"{HELLO}/key": b"1", f"{HELLO}/closed/a": b"1"})
        Path(place).chmod(0o777)
        (source.path / HELLO / "key").chmod(0)
        (source.path / HELLO / "closed").chmod(0)

        def work() -> CopiedWork:
            if os.getuid() == 0:  # root may read everything
                os.setuid(65534)
            return copy(source, Path(place) / "target")

        copied = in_child_process(work)
        assert files_in(Path(place) / "target") == WORK
        assert copied.notes == [f"Not copied: {HELLO}/closed, {HELLO}/key (cannot be read)."]
        (source.path / HELLO / "closed").chmod(0o700)


def test_copies_have_fixed_modes(tmp_path: Path, pack: Pack) -> None:
    source = pack(tmp_path, WORK)
    if source.kind == "folder":
        (source.path / MAIN).chmod(0o4777)
        (source.path / HELLO).chmod(0o1777)
    mask = os.umask(0o077)
    try:
        copy(source, tmp_path / "target")  # it checks the modes
    finally:
        os.umask(mask)
    assert files_in(tmp_path / "target") == WORK


def test_a_target_that_cannot_be_written_raises(tmp_path: Path) -> None:
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
    project = tmp_path / "target-0" / HELLO
    os.utime(project / "pyproject.toml", (1, 1))
    (project / "pyproject.toml").chmod(0o600)
    assert digest(project) == digests[0]
    # A fixed value, so that the digest is the same on all machines and versions.
    assert digests[0] == "3e0ea38f1cdf38ba70cc46c4bcf8ab62be728aac3cec97efc1fbbf597af66bf2"


def test_different_work_has_a_different_digest(tmp_path: Path) -> None:
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
