"""Set-up: when it runs, what it runs, and what it says when that fails.

The tools are stand-ins that say what the real ones say; the real set-up is what CI does first.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from kit.errors import KitError
from kit.setup.installer import Bar, explain, link, pip_settings, uv_env
from kit.setup.layers import LAYERS, this_system
from kit.setup.lock import locked
from kit.setup.source import Source
from kit.workspace import ROOT
from tests.support.processes import eventually

pytestmark = pytest.mark.slow

LOCK = """\
other==1.0 \\
    --hash=sha256:aaaa
    # via nobody
uv==0.1.2 \\
    --hash=sha256:bbbb \\
    --hash=sha256:cccc
    # via the kit
uvicorn==3 \\
    --hash=sha256:dddd
nbclient==4 ; python_version >= '3.11' \\
    --hash=sha256:eeee
"""
PACKAGES: dict[str, list[str]] = {name: [] for name in LAYERS} | {
    "course": ["other", "uv", "uvicorn"],
    "notebook": ["nbclient"],
}
MEGABYTES = {"linux-x86_64": {"3.11": 17.2}}

# Plays .venv/bin/python: pip, and the kit at the end. Each call leaves a line.
FAKE_PYTHON = """\
#!/bin/sh
echo "python $*" >> "$CALLS"
case "$*" in *"pip --version"*) exit 0;; *"config list"*) exit 0;; esac
case "$*" in *" install "*) if [ -n "$PIP_SAYS" ]; then echo "$PIP_SAYS"; exit 1; fi;; esac
exit 0
"""
FAKE_UV = """\
#!/bin/sh
echo "uv $*" >> "$CALLS"
for last; do :; done
sed -n 's/==.*//p' "$last" | sed 's/^/lists /' >> "$CALLS"
if [ -n "$UV_SLEEPS" ]; then touch "$UV_SLEEPS"; exec sleep 600; fi
if [ -n "$UV_SAYS" ]; then echo "$UV_SAYS"; exit 1; fi
"""


class Clone:
    """A copy of the entrance with a `.venv` of stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a clone"
        self.calls_file = folder / "calls"
        kit = self.folder / "kit"
        (kit / "setup").mkdir(parents=True)
        for name in ("__init__", "errors", "storage", "workspace", "setup/__init__"):
            shutil.copy(ROOT / "kit" / f"{name}.py", kit / f"{name}.py")
        for name in ("bootstrap", "installer", "layers", "lock", "source"):
            shutil.copy(ROOT / "kit" / "setup" / f"{name}.py", kit / "setup")
        shutil.copy(ROOT / "workshop", self.folder)
        (self.folder / "requirements.lock").write_text(LOCK)
        table = {"packages": PACKAGES, "megabytes": dict.fromkeys(LAYERS, MEGABYTES)}
        (kit / "setup" / "layers.json").write_text(json.dumps(table))
        (self.folder / "pyproject.toml").write_text("[project]\n")
        self.bin = self.folder / ".venv" / "bin"
        self.bin.mkdir(parents=True)
        for name, text in (("python", FAKE_PYTHON), ("uv", FAKE_UV)):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self.folder / "workshop"), *arguments]

    def env(self, **env: str) -> dict[str, str]:
        names = ("WORKSHOP_STATE",)
        clean = {name: value for name, value in os.environ.items() if name not in names}
        return {**clean, "CALLS": str(self.calls_file), **env}

    def run(self, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder.parent,
            env=self.env(**env),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def calls(self) -> list[str]:
        """What was called since the last look."""
        if not self.calls_file.exists():
            return []
        calls = self.calls_file.read_text().splitlines()
        self.calls_file.unlink()
        return calls


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_the_first_call_sets_up_and_the_second_only_hands_over(clone: Clone) -> None:
    first = clone.run("check", "--quick")
    assert first.returncode == 0, first.stderr
    questions = ("pip --version", "config list")
    install, sync, *lists, handed_over = (
        call for call in clone.calls() if not call.endswith(questions)
    )
    assert "-E -m pip --disable-pip-version-check install --no-deps --require-hashes" in install
    assert "pip sync" in sync and "--require-hashes" in sync
    assert lists == ["lists other", "lists uv", "lists uvicorn"]
    assert handed_over == "python -E -m kit check --quick"
    assert "`course`, for exercises 01 to 09: 17 MB to download" in first.stderr
    for step in ("installing uv", "installing the packages"):
        assert step in first.stderr

    second = clone.run("check")
    assert (second.stdout, second.stderr) == ("", "")
    assert clone.calls() == ["python -E -m kit check"]


def test_a_layer_is_installed_when_a_verb_needs_it_and_stays(clone: Clone) -> None:
    clone.run("list")
    clone.calls()
    first = clone.run("demo")
    install, listed, handed_over = (call for call in clone.calls() if "config" not in call)
    assert "pip install" in install and "--no-deps" in install and "--require-hashes" in install
    assert "--reinstall" not in install
    assert (listed, handed_over) == ("lists nbclient", "python -E -m kit demo")
    assert "`notebook`, for running notebooks, from exercise 10 on: 17 MB" in first.stderr
    assert "`course`" not in first.stderr

    assert clone.run("demo", "--help").returncode == 0 and clone.run("demo").stderr == ""
    assert not any(call.startswith("uv") for call in clone.calls())
    # A new lock: what was there comes along, and is not announced as new.
    (clone.folder / "requirements.lock").write_text(LOCK.replace("==4", "==5"))
    again = clone.run("list")
    assert "lists nbclient" in clone.calls() and "to download" not in again.stderr


def test_a_layer_that_was_interrupted_is_begun_anew_and_the_course_goes_on(clone: Clone) -> None:
    clone.run("list")
    clone.calls()
    failed = clone.run("demo", UV_SAYS="a riddle")
    assert failed.returncode == 2 and "installing the packages failed" in failed.stderr
    clone.calls()
    assert clone.run("list").stderr == ""
    assert clone.calls() == ["python -E -m kit list"]
    taken_up = clone.run("demo")
    assert taken_up.returncode == 0 and "`notebook`, for running notebooks" in taken_up.stderr
    assert any("pip install" in call and "--reinstall" in call for call in clone.calls())


def test_set_up_takes_layers_by_name_and_all_of_them(clone: Clone) -> None:
    done = clone.run("setup", "--layers", "course,lap")
    assert done.returncode == 2 and "there is no layer 'lap'; there is course," in done.stderr
    assert clone.run("setup", "--layers=notebook").returncode == 0
    assert "lists nbclient" in clone.calls()
    assert clone.run("setup", "--all", "--missing").returncode == 0
    stamps = {file.name for file in clone.bin.parent.glob("workshop-stamp-*")}
    assert stamps == {f"workshop-stamp-{name}" for name in LAYERS}
    clone.calls()
    assert clone.run("setup", "--all", "--missing").stderr == ""
    assert not any(call.startswith("uv") for call in clone.calls())


def test_an_environment_from_before_there_were_layers_keeps_all_of_it(clone: Clone) -> None:
    state = b"\n".join([b"0123", os.fsencode(clone.folder), b"/usr/bin/python3", b""])
    (clone.bin.parent / "workshop-stamp").write_bytes(state)
    done = clone.run("list")
    assert "lists nbclient" in clone.calls() and "to download" not in done.stderr
    assert len(list(clone.bin.parent.glob("workshop-stamp*"))) == len(LAYERS)


def test_a_layer_comes_from_where_the_last_set_up_had_its_packages(
    clone: Clone, tmp_path: Path
) -> None:
    clone.run("setup", "--from", str(tmp_path))
    clone.calls()
    clone.run("demo")
    assert any(f"--find-links {tmp_path}" in call for call in clone.calls())
    # The index of a room that is over: the next set-up takes what it finds elsewhere.
    (clone.bin.parent / "workshop-source").write_bytes(b"/no/longer/there")
    (clone.bin.parent / "workshop-stamp-data").unlink()
    assert clone.run("demo").returncode == 0
    assert not any("--find-links" in call for call in clone.calls())


def test_a_module_that_pythonpath_shadows_is_not_in_the_way(clone: Clone, tmp_path: Path) -> None:
    (tmp_path / "hashlib.py").write_text("raise SystemExit('the wrong one')")
    done = clone.run("list", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_sets_up_again(clone: Clone, file: str) -> None:
    clone.run()
    clone.calls()
    path = clone.folder / file
    path.write_text(path.read_text() + "# changed\n")
    clone.run()
    assert any("pip sync" in call for call in clone.calls())


def test_a_moved_clone_sets_up_again(clone: Clone) -> None:
    clone.run()
    clone.calls()
    clone.folder = clone.folder.rename(clone.folder.with_name("moved"))
    # Its programs, such as celery, name the Python of the old place. What comes next would take
    # long, so no new .venv can be made here.
    (clone.folder / ".venv").rename(clone.folder / "old")
    (clone.folder / ".venv").symlink_to("old")
    done = clone.run()
    assert "making .venv" in done.stderr


def test_a_clone_that_was_renamed_goes_on_without_a_network(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.folder = clone.folder.rename(tmp_path / "clone")
    clone.run("setup", "--layers", "notebook")
    clone.calls()
    script = Path(".venv", "bin", "celery")
    (clone.folder / script).write_text(f"#!{clone.folder}/.venv/bin/python\n")
    clone.folder = clone.folder.rename(tmp_path / "renamed")
    done = clone.run("list", UV_SAYS="there is no network", PIP_SAYS="there is no network")
    assert done.returncode == 0, done.stderr
    assert (clone.folder / script).read_text() == f"#!{tmp_path}/renamed/.venv/bin/python\n"
    calls = clone.calls()
    assert calls[-1] == "python -E -m kit list" and not any(" sync " in call for call in calls)
    assert clone.run("demo").stderr.count("`notebook`") == 0  # it came along


def test_setup_repeats_it_but_its_help_does_not(clone: Clone) -> None:
    clone.run()
    clone.calls()
    clone.run("setup", "--help")
    assert clone.calls() == ["python -E -m kit setup --help"]
    clone.run("setup")
    assert any("pip sync" in call for call in clone.calls())


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN], ids=["front", "background"])
def test_an_interrupted_set_up_is_said_and_done_over_distrustfully(
    clone: Clone, before: signal.Handlers
) -> None:
    asleep = clone.folder.parent / "asleep"
    with subprocess.Popen(
        clone.command("list"),
        env=clone.env(UV_SLEEPS=str(asleep)),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, before),  # as shells do in the background
    ) as process:
        eventually(asleep.exists, "uv to be at work")
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in said and "Traceback" not in said
    clone.calls()
    assert clone.run().returncode == 0
    calls = clone.calls()
    assert any("--force-reinstall" in call for call in calls)
    assert any("sync" in call and "--reinstall" in call for call in calls)


def test_a_wheelhouse_is_all_that_is_looked_at(clone: Clone, tmp_path: Path) -> None:
    wheels = tmp_path / "some wheels"
    wheels.mkdir()
    assert clone.run("setup", "--from", "some wheels").returncode == 0
    installs = [call for call in clone.calls() if " install " in call or " sync " in call]
    assert len(installs) == 2
    assert all(f"--no-index --find-links {wheels}" in call for call in installs)


def test_a_wheelhouse_that_is_not_there_is_named(clone: Clone) -> None:
    done = clone.run("setup", "--from=/no/such/folder")
    assert done.returncode == 2
    assert "there is no folder /no/such/folder" in done.stderr


def test_from_needs_a_folder(clone: Clone) -> None:
    done = clone.run("setup", "--from")
    assert done.returncode == 2 and "--from needs a folder or an address" in done.stderr


INDEX = "http://192.168.7.1:8000/simple/"


def test_an_index_is_all_that_is_looked_at(clone: Clone) -> None:
    assert clone.run("setup", "--from", INDEX).returncode == 0
    install, sync = (call for call in clone.calls() if " install " in call or " sync " in call)
    assert f"--index-url {INDEX} --trusted-host 192.168.7.1:8000" in install
    assert f"--default-index {INDEX}" in sync
    others = {"PIP_FIND_LINKS": "/a", "UV_INDEX": "b", "UV_CACHE_DIR": "/c", "no_proxy": "d"}
    env = Source.named(INDEX).env(others)
    assert not {"PIP_FIND_LINKS", "UV_INDEX"} & set(env)
    assert env["PIP_CONFIG_FILE"] == os.devnull and env["UV_NO_CONFIG"] == "1"
    assert (env["UV_CACHE_DIR"], env["no_proxy"]) == ("/c", "d,192.168.7.1")
    # Without a certificate nothing but the hashes speaks for a file; with one, pip looks at it.
    assert "--trusted-host" not in Source.named("https://example.org/simple/").for_pip


def test_a_password_in_the_address_is_not_shown_and_nobody_else_can_read_it(clone: Clone) -> None:
    index = "http://ada:hush@192.168.7.1:8000/simple/"
    assert clone.run("setup", "--from", index).returncode == 0
    kept = clone.bin.parent / "workshop-source"
    assert kept.read_text() == index and kept.stat().st_mode & 0o077 == 0
    error = explain("a step failed", "no version of psutil==7.2.2", Source.named(index))
    assert "http://ada:***@192.168.7.1:8000/simple/ has no file of psutil" in error.message
    error = explain("a step failed", "connection reset", Source.named(index))
    assert "hush" not in error.message + error.fix


@pytest.mark.parametrize(
    ("words", "message", "mends"),
    [
        (
            "Retrying after connection broken by 'Failed to establish a new connection'\n"
            "ERROR: No matching distribution found for uv==0.13.9",
            f"{INDEX} gives no packages: nothing answers there",
            f"--from {INDEX}, once it is there again",
        ),
        (
            "ERROR: No matching distribution found for uv==0.13.9",
            f"{INDEX} has no file of uv for this machine: {this_system()}, Python 3.",
            f"pack DIR --platform {this_system()} --python 3.",
        ),
        (
            "cause: Because there is no version of psutil==7.2.2 and you require psutil==7.2.2",
            f"{INDEX} has no file of psutil for this machine",
            "with a network",
        ),
        (
            "cause: Because there is no version of b-c{python_full_version < '3.11.3'}==5.0.1 and",
            f"{INDEX} has no file of b-c for this machine",
            "with a network",
        ),
        (
            "DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. …\n    uv==0.13.9 from http://",
            f"the file of uv at {INDEX} is not the one that requirements.lock names",
            "tell whoever serves it",
        ),
    ],
)
def test_what_is_wrong_with_an_index_is_said(words: str, message: str, mends: str) -> None:
    error = explain("a step failed", words, Source.named(INDEX))
    assert message in error.message and mends in error.fix


@pytest.mark.parametrize(
    ("tool", "words", "sentence", "fixes"),
    [
        ("PIP_SAYS", "[Errno 28] No space left on device", "the disk is full", "free 2 GB"),
        ("UV_SAYS", "Disk quota exceeded (os error 122)", "the disk is full", "free 2 GB"),
        (
            "PIP_SAYS",
            "NewConnectionError: Temporary failure in name resolution",
            "there is no network",
            "setup --from DIR",
        ),
        ("UV_SAYS", "error sending request for url\ndns error", "no network", "setup --from DIR"),
        (
            "UV_SAYS",
            "error: Failed to initialize cache at `/sys/.cache/uv`",
            "uv cannot write its cache",
            "UV_NO_CACHE=1 ./workshop setup",
        ),
        ("UV_SAYS", "a riddle", "installing the packages failed (exit code 1)", "rm -r .venv"),
    ],
)
def test_a_step_that_fails_is_explained_and_its_words_are_shown(
    clone: Clone, tool: str, words: str, sentence: str, fixes: str
) -> None:
    done = clone.run("list", **{tool: words})
    assert done.returncode == 2
    assert sentence in done.stderr
    assert words.splitlines()[-1] in done.stderr
    assert fixes in done.stderr.split("Try:")[1]
    assert "Traceback" not in done.stderr
    assert not any(" kit" in call for call in clone.calls()), "must not hand over"


def test_a_wheelhouse_of_another_version_is_explained(clone: Clone, tmp_path: Path) -> None:
    done = clone.run("setup", "--from", str(tmp_path), PIP_SAYS="No matching distribution found")
    assert done.returncode == 2
    assert f"{tmp_path} does not hold what requirements.lock names" in done.stderr


def test_a_python_without_venv_gets_debians_remedy() -> None:
    says = "The virtual environment was not created successfully because ensurepip is not available"
    error = explain("making .venv failed", says)
    assert "without venv" in error.message
    assert error.fix == "sudo apt install python3-venv"


@pytest.mark.parametrize("damage", ["missing", "not executable", "does not start"])
def test_a_broken_environment_is_made_anew(clone: Clone, damage: str) -> None:
    clone.run()
    python = clone.bin / "python"
    if damage == "missing":
        shutil.rmtree(clone.bin.parent)
    elif damage == "not executable":
        python.chmod(0o644)
    else:
        python.write_text("#!/no/such/interpreter\n")
        (clone.bin.parent / "workshop-stamp-course").unlink()
    clone.calls()
    # The stand-in for uv is gone with the rest, and pip has nowhere to get one: far enough.
    done = clone.run(PIP_NO_INDEX="1", PIP_FIND_LINKS="/nowhere")
    assert "making .venv … " in done.stderr
    assert done.returncode == 2
    subprocess.run([python, "-m", "pip", "--version"], check=True, capture_output=True)


def test_a_python_too_old_is_told_so_in_a_file_it_can_read() -> None:
    entrance = (ROOT / "workshop").read_text()
    compile(entrance, "workshop", "exec", dont_inherit=True)
    old = entrance.replace("(3, 11):", "(99, 0):")
    assert old != entrance
    done = subprocess.run([sys.executable, "-c", old], capture_output=True, text=True)
    assert done.returncode == 2
    assert "needs 3.11 or newer" in done.stderr and "Try: " in done.stderr


@pytest.mark.parametrize(
    ("name", "why"), [(b"a:b", "PATH cannot name a folder with a `:`"), (b"caf\xe9", "not UTF-8")]
)
def test_a_folder_that_cannot_be_used_is_named_before_anything_is_made(
    clone: Clone, name: bytes, why: str
) -> None:
    clone.folder = clone.folder.rename(clone.folder.with_name(os.fsdecode(name)))
    done = clone.run()
    assert done.returncode == 2 and why in done.stderr and "another name" in done.stderr
    assert not clone.calls()


UGLY = "[a] $HOME x#y a?b a%20b;&='zoë"
LOCALES = {
    "the locale C": {"LC_ALL": "C"},
    "the locale C, and no UTF-8": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.mark.parametrize("locale", LOCALES)
def test_the_name_of_the_kits_folder_and_the_locale_do_not_matter(
    clone: Clone, locale: str
) -> None:
    clone.folder = clone.folder.rename(clone.folder.with_name(UGLY))
    lock = clone.folder / "requirements.lock"
    lock.write_text(f"{LOCK}# naïve\n", encoding="utf-8")
    done = clone.run("list", **LOCALES[locale])
    assert done.returncode == 0, done.stderr
    assert clone.calls()[-1] == "python -E -m kit list"


@pytest.mark.parametrize("locale", LOCALES)
def test_the_kit_is_imported_from_any_folder(tmp_path: Path, locale: str) -> None:
    root = tmp_path / UGLY
    packages = root / ".venv" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (root / "kit.py").write_text("print('the kit')")
    link(root / ".venv", root)
    imports = "import site, sys; site.addsitedir(sys.argv[1]); import kit"
    done = subprocess.run(
        [sys.executable, "-S", "-c", imports, packages],
        cwd=tmp_path,
        env=LOCALES[locale],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "the kit\n", done.stderr


def test_an_environment_is_made_in_any_folder_for_real(tmp_path: Path) -> None:
    folder = tmp_path / UGLY / ".venv"
    make = "import pathlib, sys; from kit.setup.installer import make_venv as it; "
    done = subprocess.run(
        [sys.executable, "-c", f"{make}it(pathlib.Path(sys.argv[1]))", folder],
        cwd=ROOT,
        env={**os.environ, **LOCALES["the locale C, and no UTF-8"]},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "bin" / "pip").exists()


def test_the_lock_entry_is_the_packages_own_and_hashed() -> None:
    assert locked({"uv"}, LOCK) == [
        "uv==0.1.2 \\\n    --hash=sha256:bbbb \\\n    --hash=sha256:cccc"
    ]
    with pytest.raises(KitError, match="does not name nothing"):
        locked({"nothing"}, LOCK)


def test_the_kits_own_lock_has_uv_with_hashes() -> None:
    (entry,) = locked({"uv"}, (ROOT / "requirements.lock").read_text())
    assert entry.count("--hash=sha256:") > 5


def test_a_bar_follows_what_uv_downloads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(Bar, "INTERVAL", 0.01)
    shown = ""
    with Bar("a step") as bar:
        bar.read("Downloading a (3.0MiB)\n")
        bar.read("  Downloading http://room/packages/b-c-1.0.whl (9.4 MB)\n")
        bar.read(" Downloaded a\n")
        bar.read("Prepared 2\n")
        # Within a large file, only the seconds go on.
        while shown.count("  a step … [#####...............] 3 of 13 MB ") < 2:
            shown += capsys.readouterr().err
    assert capsys.readouterr().err.endswith("  a step … [#####...............] 3 of 13 MB ")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    with Bar("a step") as bar:
        bar.read("Downloading a (3.0MiB)\n")
    assert capsys.readouterr().err == "  a step … "


def test_settings_of_pip_reach_uv_and_uvs_own_win() -> None:
    mirror = f"https://{uuid.uuid4().hex}.example.org/simple"
    pip = pip_settings(
        ":env:.find-links='/a /b'\n"
        f"global.index-url='{mirror}'\n"
        "global.find-links='/c'\n"
        "global.no-index='true'\n"
    )
    env = uv_env({"UV_NO_INDEX": "0", "VIRTUAL_ENV": "/some/env"}, pip)
    assert env["UV_DEFAULT_INDEX"] == mirror
    assert env["UV_FIND_LINKS"] == "/a,/b"
    assert env["UV_NO_INDEX"] == "0"
    assert "VIRTUAL_ENV" not in env
