"""Which submissions are found: repositories, archives and folders of them, each learner once."""

import os
import unicodedata
import zipfile
from pathlib import Path

import pytest

from kit.classroom.intake.sources import MAX_NAME_BYTES, MAX_NAME_CHARACTERS, Source, find_sources
from kit.errors import KitError

HELLO = "02-hello-fastapi"


def project(place: Path) -> Path:
    """Write a learner's exercise."""
    (place / "nb_runner").mkdir(parents=True)
    (place / "nb_runner" / "main.py").write_text("app = None\n")
    return place


def archive(file: Path) -> Path:
    """Write a .zip, whatever its suffix: finding does not read archives."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr(f"work/{HELLO}/nb_runner/main.py", "app = None\n")
    return file


def names(*paths: Path) -> list[str]:
    return [source.name for source in find_sources(paths)]


def error_for(*paths: Path) -> KitError:
    with pytest.raises(KitError) as caught:
        find_sources(paths)
    return caught.value


def test_a_repository_is_one_source(tmp_path: Path) -> None:
    project(tmp_path / "ada" / "work" / HELLO)
    assert find_sources([tmp_path / "ada"]) == [Source("ada", tmp_path / "ada", "folder")]


def test_exercises_may_be_at_the_top(tmp_path: Path) -> None:
    project(tmp_path / "ada" / HELLO)
    (tmp_path / "ada" / "notes").mkdir()
    assert names(tmp_path / "ada") == ["ada"]


def test_emoji_stay_in_names_and_what_a_shell_obeys_does_not(tmp_path: Path) -> None:
    for name in ("👩🏽‍💻 zoë", "🦊", "🐼", "a$b`c|d"):
        project(tmp_path / name / HELLO)
    assert set(names(tmp_path)) == {"👩🏽‍💻 zoë", "🦊", "🐼", "a_b_c_d"}


def test_a_clone_of_the_kit_is_one_source(tmp_path: Path) -> None:
    for folder in ("exercises", "solutions", "work"):
        project(tmp_path / "ada" / folder / HELLO)
    assert names(tmp_path / "ada") == ["ada"]
    project(tmp_path / "bob" / "exercises" / HELLO)
    project(tmp_path / "bob" / "solutions" / HELLO)  # and nothing in work/ yet
    assert names(tmp_path / "bob") == ["bob"]


def test_a_repository_with_an_empty_work_folder_is_one_source(tmp_path: Path) -> None:
    (tmp_path / "ada" / "work").mkdir(parents=True)
    (tmp_path / "ada" / "work" / "README.md").write_text("Your work goes here.\n")
    assert names(tmp_path / "ada") == ["ada"]


def test_a_repository_may_hold_exercises_with_a_wrong_name(tmp_path: Path) -> None:
    project(tmp_path / "ada" / "02-hello")
    assert names(tmp_path / "ada") == ["ada"]


@pytest.mark.parametrize("name", ["ada.zip", "ada.tar.gz", "ada.tgz", "ada.ZIP"])
def test_an_archive_is_one_source(tmp_path: Path, name: str) -> None:
    file = archive(tmp_path / name)
    assert find_sources([file]) == [Source("ada", file, "archive")]


def test_a_folder_of_submissions_has_a_source_for_each_learner(tmp_path: Path) -> None:
    project(tmp_path / "class" / "eve" / HELLO)
    project(tmp_path / "class" / "ada" / "work" / HELLO)
    archive(tmp_path / "class" / "bob.zip")
    archive(tmp_path / "class" / "dan.tar.gz")
    (tmp_path / "class" / "README.md").write_text("The class of this year.\n")
    (tmp_path / "class" / "grades.csv").write_text("ada,1\n")
    for hidden in (".git", "__MACOSX", ".idea", "__pycache__"):
        (tmp_path / "class" / hidden).mkdir()
    archive(tmp_path / "class" / "._bob.zip")
    sources = find_sources([tmp_path / "class"])
    found = [(source.name, source.path.name, source.kind) for source in sources]
    assert found == [
        ("ada", "ada", "folder"),
        ("bob", "bob.zip", "archive"),
        ("dan", "dan.tar.gz", "archive"),
        ("eve", "eve", "folder"),
    ]


def test_a_learner_without_work_is_in_the_class(tmp_path: Path) -> None:
    project(tmp_path / "ada" / HELLO)
    (tmp_path / "bob").mkdir()
    (tmp_path / "eve" / "holiday").mkdir(parents=True)
    (tmp_path / "dan.rar").write_bytes(b"Rar!")  # copying says later that it cannot be read
    assert names(tmp_path) == ["ada", "bob", "dan", "eve"]


def test_learners_may_have_numbers(tmp_path: Path) -> None:
    project(tmp_path / "01-ada" / HELLO)
    project(tmp_path / "02-bob" / "work" / HELLO)
    project(tmp_path / "03-eve")  # handed in an exercise without its folder
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
    found = [(source.path.name, source.kind) for source in find_sources([tmp_path / "class"])]
    assert found == [("ada", "folder"), ("bob", "folder")]  # copying says that bob is a link


def test_a_link_on_the_command_line_is_followed(tmp_path: Path) -> None:
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


def test_the_order_of_paths_does_not_matter(tmp_path: Path) -> None:
    paths = [project(tmp_path / group / "ada" / HELLO).parent for group in "abc"]
    assert find_sources(paths) == find_sources(paths[::-1])
    assert names(*paths) == ["ada", "ada-2", "ada-3"]


def test_each_source_has_its_own_name(tmp_path: Path) -> None:
    project(tmp_path / "a" / "ada" / HELLO)
    project(tmp_path / "a" / "ada-2" / HELLO)
    archive(tmp_path / "a" / "ada.zip")
    project(tmp_path / "b" / "Ada" / HELLO)  # on macOS, ada's files would have this name
    found = names(tmp_path / "a", tmp_path / "b")
    assert found == ["Ada", "ada-2", "ada-3", "ada-4"]


UNUSUAL_NAMES = {
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


@pytest.mark.parametrize("kind", UNUSUAL_NAMES)
def test_each_name_is_safe_as_the_name_of_a_file(tmp_path: Path, kind: str) -> None:
    project(tmp_path / "class" / UNUSUAL_NAMES[kind] / HELLO)
    project(tmp_path / "other" / UNUSUAL_NAMES[kind] / HELLO)
    for given in names(tmp_path / "class", tmp_path / "other"):
        assert 0 < len(given) <= MAX_NAME_CHARACTERS and len(given.encode()) <= MAX_NAME_BYTES
        assert given.isprintable() and not set(given) & set("/\\:*?\"'<>|;&$`")
        assert given[0] not in ".- " and given[-1] not in ". "
        (tmp_path / given).touch(exist_ok=False)


def test_usual_names_are_kept(tmp_path: Path) -> None:
    usual = ["Ada Lovelace", "José_12", "अदिति", "ada.l+1@x.org", "李雷"]
    for name in usual:
        project(tmp_path / unicodedata.normalize("NFD", name) / HELLO)
    assert names(tmp_path) == sorted(usual)


def test_a_path_of_one_exercise_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(tmp_path / "ada lovelace" / "work" / HELLO)
    monkeypatch.chdir(tmp_path)
    error = error_for(tmp_path / "ada lovelace" / "work" / HELLO)
    assert "is one exercise" in error.message
    assert error.fix == "./workshop grade 'ada lovelace/work'"
    project(tmp_path / "02-hello")
    assert error_for(tmp_path / "02-hello").fix == "./workshop grade ."


def test_the_error_names_a_path_that_does_not_exist(tmp_path: Path) -> None:
    project(tmp_path / "ada" / HELLO)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for missing in ("bob", "loop", "ada/bob/eve"):
        error = error_for(tmp_path / "ada", tmp_path / missing)
        assert f"{missing} is not there" in error.message
        assert error.fix.startswith("ls ")


def test_the_error_names_a_path_that_holds_no_work(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos" / "2026" / "summer").mkdir(parents=True)
    (tmp_path / "photos" / "list.txt").write_text("none\n")
    for folder in ("empty", "photos"):
        assert (
            f"there is no learner's work in {tmp_path / folder}"
            in error_for(tmp_path / folder).message
        )
    (tmp_path / "list.txt").write_text("none\n")
    assert (
        "list.txt is neither a folder nor one of .tar.gz"
        in error_for(tmp_path / "list.txt").message
    )


def test_the_error_names_a_path_that_cannot_be_read(tmp_path: Path) -> None:
    assert "cannot be read: File name too long" in error_for(tmp_path / ("x" * 300)).message
