"""The images that ours are built from: the real ones or, where none can be pulled, stand-ins.

A stand-in is made of Debian's packages, and behaves as the documentation of the image that it
stands in for says: its users, folders and variables. What is printed calls it a stand-in.
"""

import subprocess
import tempfile
from pathlib import Path

from . import machine
from .commands import Failed, run, works
from .engine import Env

STANDINS = Path(__file__).parent / "standins" / "compose.yml"
# The image, and the name of its stand-in.
IMAGES = {
    "python:3.13-slim": "python",
    "python:3.13-bookworm": "python-more",
    "redis:8": "redis",
    "postgres:17": "postgres",
    "nginx:1": "nginx",
}


def provide(env: Env) -> dict[str, bool]:
    """Have the engine hold these images. Says of each whether it is a stand-in."""
    missing = [name for name in IMAGES if not works(["docker", "image", "inspect", name], env=env)]
    while missing and _pulled(missing[0], env):
        missing.pop(0)
    if missing:
        stand_in(missing, env)
    return {name: _is_stand_in(name, env) for name in IMAGES}


def stand_in(names: list[str], env: Env) -> None:
    """Build the stand-ins for these images, all at once."""
    base = debian("trixie", env)
    print(f"  stand-ins, from {base}: {', '.join(names)}", flush=True)
    services = [IMAGES[name] for name in names]
    run(
        ["docker", "compose", "--file", STANDINS, "build", "--quiet", *services],
        env=env | {"BASE": base},
        timeout=900,
    )


def debian(suite: str, env: Env) -> str:
    """A Debian with nothing in it, and with this machine's settings for packages, as an image."""
    name = f"debian-{suite}"
    if works(["docker", "image", "inspect", name], env=env):
        return name
    print(f"  Debian {suite}, from its packages", flush=True)
    with tempfile.TemporaryDirectory(prefix="debian-") as folder:
        root = Path(folder, "root.tar")
        machine.package_settings(Path(folder, "settings"))
        source = f"deb {machine.debian_archives()[0]} {suite} main"
        run(
            [
                *("mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates"),
                # Without a wait for the disk, here and in what is built from it.
                *("--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/doc/*"),
                *(f"--aptopt={line}" for line in machine.apt_settings()),
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
