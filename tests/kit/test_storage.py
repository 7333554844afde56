"""Files and folders that are whole at all times, whatever happens while they are written."""

from pathlib import Path

import pytest

from kit.storage import replacing_folder, set_aside, write_whole


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for content in (b"old", b"new"):
        write_whole(file, content, sync=True)
        assert file.read_bytes() == content
    assert names(tmp_path) == ["file"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    write_whole(file, b"old")

    def fail(self: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_whole(file, b"new")
    assert (names(tmp_path), file.read_bytes()) == (["file"], b"old")


def written(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "file").write_text(text)


def test_a_folder_is_replaced_and_the_old_one_removed_or_kept(tmp_path: Path) -> None:
    folder, kept = tmp_path / "folder", tmp_path / "kept"
    for text, to in (("first", None), ("second", None), ("third", kept)):
        with replacing_folder(folder, to) as new:
            written(new, text)
        assert (folder / "file").read_text() == text
    assert names(tmp_path) == ["folder", "kept"]
    assert (kept / "file").read_text() == "second"


def test_a_folder_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    written(folder, "old")
    with pytest.raises(ZeroDivisionError), replacing_folder(folder) as new:
        written(new, f"{1 / 0}")
    with pytest.raises(FileNotFoundError), replacing_folder(folder, tmp_path / "kept"):
        pass  # nothing was written, so nothing can take the place
    assert names(tmp_path) == ["folder"]
    assert (folder / "file").read_text() == "old"


def test_damaged_files_are_set_aside_each_under_a_name_of_its_own(tmp_path: Path) -> None:
    file, asides = tmp_path / "file", []
    for text in ("one", "two", "three"):
        file.write_text(text)
        asides.append(set_aside(file))
    assert [aside.read_text() for aside in asides] == ["one", "two", "three"]
    assert not file.exists()
    assert all(aside.name.startswith("file.damaged-") for aside in asides)
