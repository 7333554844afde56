"""Whose work is graded: repositories, archives and folders of them, each learner once."""

import os
import unicodedata
import zipfile
from pathlib import Path

import pytest

from kit.classroom.intake.sources import LONGEST_NAME, LONGEST_NAME_BYTES, Source, find_sources
from kit.errors import KitError

HELLO = "02-hello-fastapi"


def project(place: Path) -> Path:
    """Somebody's exercise."""
    (place / "nb_runner").mkdir(parents=True)
    (place / "nb_runner" / "main.py").write_text("app = None\n")
    return place


def archive(file: Path) -> Path:
    """Nobody looks into it yet."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr(f"work/{HELLO}/nb_runner/main.py", "app = None\n")
    return file


def names(*paths: Path) -> list[str]:
    return [source.name for source in find_sources(paths)]


def refused(*paths: Path) -> KitError:
    with pytest.raises(KitError) as caught:
        find_sources(paths)
    return caught.value


def test_a_repository_is_one_learners(tmp_path: Path) -> None:
    project(tmp_path / "ada" / "work" / HELLO)
    assert find_sources([tmp_path / "ada"]) == [Source("ada", tmp_path / "ada", "folder")]


def test_exercises_may_be_at_the_top(tmp_path: Path) -> None:
    project(tmp_path / "ada" / HELLO)
    (tmp_path / "ada" / "notes").mkdir()
    assert names(tmp_path / "ada") == ["ada"]


def test_a_clone_of_the_kit_is_one_learners(tmp_path: Path) -> None:
    for folder in ("exercises", "solutions", "work"):
        project(tmp_path / "ada" / folder / HELLO)
    assert names(tmp_path / "ada") == ["ada"]
    project(tmp_path / "bob" / "exercises" / HELLO)
    project(tmp_path / "bob" / "solutions" / HELLO)  # and nothing in work/ yet
    assert names(tmp_path / "bob") == ["bob"]


def test_a_repository_without_work_yet_is_one_learners(tmp_path: Path) -> None:
    (tmp_path / "ada" / "work").mkdir(parents=True)
    (tmp_path / "ada" / "work" / "README.md").write_text("Your work goes here.\n")
    assert names(tmp_path / "ada") == ["ada"]


def test_exercises_called_otherwise_still_make_a_repository(tmp_path: Path) -> None:
    project(tmp_path / "ada" / "02-hello")
    assert names(tmp_path / "ada") == ["ada"]


@pytest.mark.parametrize("name", ["ada.zip", "ada.tar.gz", "ada.tgz", "ada.ZIP"])
def test_an_archive_is_one_learners(tmp_path: Path, name: str) -> None:
    file = archive(tmp_path / name)
    assert find_sources([file]) == [Source("ada", file, "archive")]


def test_a_class_is_everybody_in_it(tmp_path: Path) -> None:
    project(tmp_path / "class" / "eve" / HELLO)
    project(tmp_path / "class" / "ada" / "work" / HELLO)
    archive(tmp_path / "class" / "bob.zip")
    archive(tmp_path / "class" / "dan.tar.gz")
    (tmp_path / "class" / "README.md").write_text("The class of this year.\n")
    (tmp_path / "class" / "grades.csv").write_text("ada,1\n")
    for hidden in (".git", "__MACOSX", ".idea", "__pycache__"):
        (tmp_path / "class" / hidden).mkdir()
    archive(tmp_path / "class" / "._bob.zip")
    found = find_sources([tmp_path / "class"])
    told = [(source.name, source.path.name, source.kind) for source in found]
    assert told == [
        ("ada", "ada", "folder"),
        ("bob", "bob.zip", "archive"),
        ("dan", "dan.tar.gz", "archive"),
        ("eve", "eve", "folder"),
    ]


def test_who_handed_in_nothing_is_in_the_class(tmp_path: Path) -> None:
    project(tmp_path / "ada" / HELLO)
    (tmp_path / "bob").mkdir()
    (tmp_path / "eve" / "holiday").mkdir(parents=True)
    (tmp_path / "dan.rar").write_bytes(b"Rar!")  # which we cannot read, and say so later
    assert names(tmp_path) == ["ada", "bob", "dan", "eve"]


def test_learners_may_have_numbers(tmp_path: Path) -> None:
    project(tmp_path / "01-ada" / HELLO)
    project(tmp_path / "02-bob" / "work" / HELLO)
    project(tmp_path / "03-eve")  # who handed in an exercise without its folder
    assert names(tmp_path) == ["01-ada", "02-bob", "03-eve"]


def test_a_learning_platform_puts_each_archive_into_a_folder(tmp_path: Path) -> None:
    file = archive(tmp_path / "Ada Lovelace_123_assignsubmission_file_" / "work.zip")
    (file.parent / "onlinetext.html").write_text("<p>Here it is.</p>")
    [source] = find_sources([tmp_path])
    assert source == Source("Ada Lovelace_123_assignsubmission_file_", file, "archive")


def test_a_folder_around_a_repository_is_looked_into(tmp_path: Path) -> None:
    project(tmp_path / "ada" / "repository-main" / "work" / HELLO)
    assert find_sources([tmp_path]) == [Source("ada", tmp_path / "ada", "folder")]


def test_links_in_a_class_are_not_followed(tmp_path: Path) -> None:
    there = archive(tmp_path / "elsewhere" / "work.zip")
    project(tmp_path / "class" / "ada" / HELLO)
    (tmp_path / "class" / "bob").symlink_to(there.parent)
    (tmp_path / "class" / "notes").symlink_to(tmp_path / "nowhere")
    told = [(source.path.name, source.kind) for source in find_sources([tmp_path / "class"])]
    assert told == [("ada", "folder"), ("bob", "folder")]  # and copying says what is with bob


def test_who_types_a_link_means_where_it_leads(tmp_path: Path) -> None:
    place = project(tmp_path / "ada" / HELLO).parent
    (tmp_path / "link").symlink_to(place)
    assert find_sources([tmp_path / "link"]) == [Source("link", place, "folder")]


def test_work_named_twice_is_graded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path / "class" / "ada" / HELLO)
    archive(tmp_path / "class" / "bob.zip")
    folder = tmp_path / "class"
    assert names(folder, folder / "ada", folder / "bob.zip", folder) == ["ada", "bob"]
    monkeypatch.chdir(folder / "ada")
    assert names(Path()) == names(Path("..") / "ada") == ["ada"]
    assert names(Path("..")) == ["ada", "bob"]


def test_the_same_for_any_order(tmp_path: Path) -> None:
    paths = [project(tmp_path / group / "ada" / HELLO).parent for group in "abc"]
    assert find_sources(paths) == find_sources(paths[::-1])
    assert names(*paths) == ["ada", "ada-2", "ada-3"]


def test_each_has_a_name_of_their_own(tmp_path: Path) -> None:
    project(tmp_path / "a" / "ada" / HELLO)
    project(tmp_path / "a" / "ada-2" / HELLO)
    archive(tmp_path / "a" / "ada.zip")
    project(tmp_path / "b" / "Ada" / HELLO)  # a file of that name would be ada's, on a Mac
    found = names(tmp_path / "a", tmp_path / "b")
    assert found == ["Ada", "ada-2", "ada-3", "ada-4"]


ODD = {
    "a name of 200 letters": "x" * 200,
    "one of many bytes": "𐐷" * 62,
    "an option": "--help",
    "dots": "ada..",
    "a tab and a line": "a\td\na",
    "a mark that turns text around": "ada\u202eexe",
    "an apostrophe": "O'Hara; rm -rf",
    "bytes that are no text": os.fsdecode(b"ad\xe0"),
    "spaces": "  ",
    "html": "<b>ada<b>",
}


@pytest.mark.parametrize("odd", ODD)
def test_a_name_can_be_a_files(tmp_path: Path, odd: str) -> None:
    project(tmp_path / "class" / ODD[odd] / HELLO)
    project(tmp_path / "other" / ODD[odd] / HELLO)
    for given in names(tmp_path / "class", tmp_path / "other"):
        assert 0 < len(given) <= LONGEST_NAME and len(given.encode()) <= LONGEST_NAME_BYTES
        assert given.isprintable() and not set(given) & set("/\\:*?\"'<>|;&$`")
        assert given[0] not in ".- " and given[-1] not in ". "
        (tmp_path / given).touch(exist_ok=False)


def test_names_stay_as_they_are(tmp_path: Path) -> None:
    told = ["Ada Lovelace", "José_12", "अदिति", "ada.l+1@x.org", "李雷"]
    for name in told:
        project(tmp_path / unicodedata.normalize("NFD", name) / HELLO)
    assert names(tmp_path) == sorted(told)


def test_one_exercise_is_no_learner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path / "ada lovelace" / "work" / HELLO)
    monkeypatch.chdir(tmp_path)
    error = refused(tmp_path / "ada lovelace" / "work" / HELLO)
    assert "is one exercise" in error.message
    assert error.fix == "./workshop grade 'ada lovelace/work'"
    project(tmp_path / "02-hello")
    assert refused(tmp_path / "02-hello").fix == "./workshop grade ."


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    project(tmp_path / "ada" / HELLO)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for missing in ("bob", "loop", "ada/bob/eve"):
        error = refused(tmp_path / "ada", tmp_path / missing)
        assert f"{missing} is not there" in error.message
        assert error.fix.startswith("ls ")


def test_a_path_that_holds_no_work_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos" / "2026" / "summer").mkdir(parents=True)
    (tmp_path / "photos" / "list.txt").write_text("none\n")
    for folder in ("empty", "photos"):
        assert (
            f"there is no learner's work in {tmp_path / folder}"
            in refused(tmp_path / folder).message
        )
    (tmp_path / "list.txt").write_text("none\n")
    assert (
        "list.txt is neither a folder nor one of .tar.gz" in refused(tmp_path / "list.txt").message
    )


def test_a_path_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert "cannot be read: File name too long" in refused(tmp_path / ("x" * 300)).message
