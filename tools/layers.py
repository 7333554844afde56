"""Write kit/setup/layers.json: the packages of each layer, and how large they are.

Both are from uv, which reads pyproject.toml, and takes the versions of requirements.lock.

python -m tools.layers
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from packaging.markers import Marker

from kit.setup.layers import LAYERS, TABLE, with_needs
from kit.setup.wheelhouse import PLATFORMS, PYTHONS
from kit.workspace import ROOT

LOCK = ROOT / "requirements.lock"


def compiled(layers: list[str]) -> list[dict[str, Any]]:
    """What uv says of the packages that these layers need."""
    groups = [f"--group={group}" for name in layers for group in LAYERS[name].groups]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "pylock.toml")
        words: list[str | Path] = [
            Path(sys.executable).with_name("uv"),
            "pip",
            "compile",
            "--universal",
            "--quiet",
        ]
        words += ["--python-version", "3.11", "--format", "pylock.toml", "--output-file", output]
        words += ["--constraint", LOCK, ROOT / "pyproject.toml", *groups]
        subprocess.run(words, check=True)
        found: list[dict[str, Any]] = tomllib.loads(output.read_text(encoding="utf-8"))["packages"]
        return found


def megabytes(packages: list[dict[str, Any]], system: str, python: str) -> float:
    """What a machine downloads for these packages."""
    machine = PLATFORMS[system].markers(python)
    needed = [each for each in packages if applies(each, machine)]
    size: int = sum(file_of(each, system, python)["size"] for each in needed)
    return round(size / 1e6, 1)


def applies(package: dict[str, Any], machine: dict[str, str]) -> bool:
    """Whether such a machine needs it."""
    return "marker" not in package or Marker(package["marker"]).evaluate(machine)


def file_of(package: dict[str, Any], system: str, python: str) -> dict[str, Any]:
    """The file that such a machine takes: the wheel that is made for it, else the source."""
    wheels: list[dict[str, Any]] = package.get("wheels", [])
    fitting = [wheel for wheel in wheels if fits(wheel["url"], system)]
    version = f"cp{python.replace('.', '')}"
    for tag in (f"-{version}-{version}-", "-abi3-", "-py3-", "-py2.py3-"):
        for wheel in fitting:
            if tag in wheel["url"]:
                return wheel
    source: dict[str, Any] = package.get("sdist") or fitting[0]
    return source


def fits(url: str, system: str) -> bool:
    """Whether the name of a wheel is for such machines."""
    kind, _, machine = system.partition("-")
    libc = {"linux": "manylinux", "macos": "macosx"}[kind]
    here = libc in url and (machine in url or "universal2" in url)
    return url.endswith("-any.whl") or here


def main() -> None:
    """Write the table."""
    whole = {name: compiled(with_needs([name])) for name in LAYERS}
    table: dict[str, dict[str, Any]] = {"packages": {}, "megabytes": {}}
    for name, packages in whole.items():
        # A package is in the lowest layer that needs it.
        below = {p["name"] for each in with_needs([name]) if each != name for p in whole[each]}
        own = [package for package in packages if package["name"] not in below]
        table["packages"][name] = sorted({package["name"] for package in own})
        table["megabytes"][name] = {
            system: {python: megabytes(own, system, python) for python in PYTHONS}
            for system in PLATFORMS
        }
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
