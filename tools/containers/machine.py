"""What this machine is set to: where its packages come from, and whom it trusts.

All of it is read when it is needed, from apt, from pip and from the machine's certificates.
"""

import os
import shutil
import sys
from pathlib import Path

from kit.setup.installer import pip_settings

from .commands import run

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PROGRAMS = {
    "dockerd": "docker.io",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    # These play the chart's pods.
    "podman": "podman",
    "catatonit": "catatonit",  # what a pod's own container runs
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
# To make namespaces and networks: CAP_NET_ADMIN and CAP_SYS_ADMIN.
NEEDED_CAPABILITIES = 1 << 12 | 1 << 21


def why_no_engine() -> str:
    """Why this machine cannot bring up an engine of its own; empty: it can."""
    if sys.platform != "linux":
        return "an engine can be brought up on Linux only"
    if shutil.which("apt-get") is None:
        return "there is no apt-get to get an engine with"
    if os.geteuid() != 0:
        return "only root can start an engine"
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (effective,) = (line.split()[1] for line in status.splitlines() if line.startswith("CapEff"))
    if int(effective, 16) & NEEDED_CAPABILITIES != NEEDED_CAPABILITIES:
        return "root may not make networks and mounts here"
    return ""


def install_missing() -> None:
    """Install the engine and what makes a Debian. Nothing is started by being installed."""
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if not debian_archives():  # without its lists, apt does not know which are Debian's
        run(["apt-get", "update", "-qq"])
    if not missing:
        return
    print(f"  installing {', '.join(missing)}", flush=True)
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
        policy.chmod(0o755)
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(["apt-get", "update", "-qq"])
        run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], env=env)
    finally:
        if ours:
            policy.unlink()


def debian_archives() -> list[str]:
    """The addresses that apt has for Debian."""
    words = ["--format", "$(SITE)", "Created-By: Packages", "Origin: Debian"]
    return run(["apt-get", "indextargets", *words]).split()


def apt_settings() -> list[str]:
    """What apt is told here about lists that are old: a mirror may have no newer ones."""
    lines = run(["apt-config", "dump", "Acquire::Check-Valid-Until"]).splitlines()
    return [line for line in lines if line]


def package_settings(folder: Path) -> None:
    """Write into `folder` what a container needs, to get packages where this machine does."""
    listed = run([sys.executable, "-m", "pip", "config", "list"])
    pip = pip_settings(listed)
    index, trusted = pip.get("index-url", ""), pip.get("trusted-host", "")
    lines = ["[global]"]
    lines += [f"index-url = {index}"] if index else []
    lines += [f"trusted-host = {trusted}"] if trusted else []
    _write(folder / "etc" / "pip.conf", "\n".join(lines) + "\n")
    uv = f'[[index]]\nurl = "{index}"\ndefault = true\n' if index else ""
    _write(folder / "etc" / "uv" / "uv.toml", uv)
    if CERTIFICATES.exists():
        _write(folder / CERTIFICATES.relative_to("/"), CERTIFICATES.read_text(encoding="utf-8"))


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o644)
