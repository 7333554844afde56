"""The images that ours are built from: the real ones or, where none can be pulled, stand-ins.

A stand-in is made of Debian's packages, and behaves as the documentation of the image that it
stands in for says: its users, folders and variables. What is printed calls it a stand-in.
"""

import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from . import machine
from .commands import Failed, run, works
from .engine import Env

STANDINS = Path(__file__).parent / "standins"
# The image, and the folder of its stand-in, with the Debian that this is made from.
IMAGES = {
    "python:3.13-slim": ("python", "trixie"),
    "redis:8": ("redis", "trixie"),
    "postgres:17": ("postgres", "trixie"),
    "nginx:1": ("nginx", "trixie"),
}


def provide(env: Env, names: Iterable[str] = IMAGES) -> dict[str, bool]:
    """Have the engine hold these images. Says of each whether it is a stand-in."""
    reachable = True
    for name in names:
        if works(["docker", "image", "inspect", name], env=env):
            continue
        reachable = reachable and _pulled(name, env)
        if not reachable:
            stand_in(name, *IMAGES[name], env)
    return {name: _is_stand_in(name, env) for name in names}


def stand_in(name: str, folder: str, suite: str, env: Env) -> None:
    """Build the stand-in for `name`."""
    base = debian(suite, env)
    print(f"  {name}: a stand-in, from Debian {suite}")
    run(
        [
            *("docker", "build", "--quiet", "--label", "stand-in=yes"),
            *("--build-arg", f"BASE={base}", "--tag", name, STANDINS / folder),
        ],
        env=env,
        timeout=900,
    )


def debian(suite: str, env: Env) -> str:
    """A Debian with nothing in it, and with this machine's settings for packages, as an image."""
    name = f"debian-{suite}"
    if works(["docker", "image", "inspect", name], env=env):
        return name
    print(f"  Debian {suite}, from its packages")
    with tempfile.TemporaryDirectory(prefix="debian-") as folder:
        root = Path(folder, "root.tar")
        machine.package_settings(Path(folder, "settings"))
        source = f"deb {machine.debian_archive()} {suite} main"
        run(
            [
                *("mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates"),
                f"--customize-hook=copy-in {folder}/settings/etc /",
                *(suite, root, source),
            ],
            timeout=900,
        )
        with root.open("rb") as content:
            imported = subprocess.run(
                ["docker", "import", *_variables(), "-", name],
                env=env,
                stdin=content,
                capture_output=True,
                check=False,
            )
    if imported.returncode != 0:
        raise Failed(f"docker import: {imported.stderr.decode()}")
    return name


def _variables() -> list[str]:
    """What programs read that do not look for certificates where Debian has them."""
    return ["--change", f"ENV SSL_CERT_FILE={machine.CERTIFICATES}"]


def _pulled(name: str, env: Env) -> bool:
    try:
        run(["docker", "pull", "--quiet", name], env=env, timeout=300)
    except Failed:
        return False
    return True


def _is_stand_in(name: str, env: Env) -> bool:
    words = ["--format", '{{index .Config.Labels "stand-in"}}', name]
    return run(["docker", "image", "inspect", *words], env=env).strip() == "yes"
