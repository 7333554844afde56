"""A Docker engine with Compose: the machine's, or one that runs for as long as it is needed."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import footprint, machine
from .commands import Failed, run, works

Env = dict[str, str]
# Debian 12 has Compose 1 and no buildx; these run on its C library, too.
PLUGINS = {"docker-compose": "trixie", "docker-buildx": "trixie"}
START_SECONDS = 60


class NoEngine(Exception):
    """This machine has no engine, and cannot bring one up. The message says why."""


@contextmanager
def engine(cache: Path) -> Iterator[Env]:
    """The environment in which `docker compose` works; `cache` keeps what was fetched and built.

    Raises:
        NoEngine: there is none, and this machine cannot bring one up.
        Failed: it should be able to, and something went wrong.
    """
    env = os.environ | {"DOCKER_BUILDKIT": "1"}
    if works(["docker", "info"], env=env) and works(["docker", "compose", "version"], env=env):
        yield env
        return
    if why := machine.why_no_engine():
        raise NoEngine(why)
    try:
        machine.install_missing()
    except Failed as error:
        raise NoEngine(f"the packages of an engine cannot be had: {error}") from None
    if not machine.debian_archives():
        raise NoEngine("apt has no archive of Debian among its sources")
    cache.mkdir(parents=True, exist_ok=True)
    data = cache / "engine"
    with footprint.taken_away(data) as folder:
        env |= {
            "DOCKER_HOST": f"unix://{folder}/docker.sock",
            "DOCKER_CONFIG": str(_plugins(cache)),
            # Debian's own: another one in front of it may be newer than the engine allows.
            "PATH": f"/usr/bin:/usr/sbin:{os.environ['PATH']}",
        }
        _start(folder, data, cache / "dockerd.log", env)
        yield env


def _start(folder: Path, data: Path, log: Path, env: Env) -> None:
    options = {
        "--data-root": data,
        "--exec-root": folder / "exec",
        "--pidfile": folder / "pid",
        "--host": env["DOCKER_HOST"],
        "--mtu": _mtu(),
    }
    words = [str(word) for option in options.items() for word in option]
    print("  starting an engine", flush=True)
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            ["dockerd", *words],
            env=env,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for us: we stop it when the containers are gone
        )
    deadline = time.monotonic() + START_SECONDS
    while not works(["docker", "info"], env=env):
        if daemon.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace").splitlines()[-15:]
            raise Failed("\n".join(["the engine did not start:", *tail]))
        time.sleep(0.3)


def _mtu() -> int:
    """Of the interface that leads outside: a larger packet would be lost."""
    routes = json.loads(run(["ip", "-json", "route", "show", "default"]))
    links = json.loads(run(["ip", "-json", "link"]))
    outside = {route["dev"] for route in routes}
    return min((int(link["mtu"]) for link in links if link["ifname"] in outside), default=1500)


def _plugins(cache: Path) -> Path:
    """The folder of settings for docker, with the plugins of a newer Debian in it."""
    settings, unpacked = cache / "docker", cache / "plugins"
    links = settings / "cli-plugins"
    if all((links / name).exists() for name in PLUGINS):
        return settings
    print(f"  fetching {', '.join(PLUGINS)}")
    apt = cache / "apt"
    for place in ("lists/partial", "cache/archives/partial"):
        (apt / place).mkdir(parents=True, exist_ok=True)
    archive = machine.debian_archives()[0]
    suites = sorted(set(PLUGINS.values()))
    sources = "".join(f"deb {archive} {suite} main\n" for suite in suites)
    (apt / "sources.list").write_text(sources, encoding="utf-8")
    private = {
        "Dir::Etc::SourceList": apt / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State::Lists": apt / "lists",
        "Dir::Cache": apt / "cache",
        "APT::Sandbox::User": "root",
    }
    options = [word for name, value in private.items() for word in ("-o", f"{name}={value}")]
    run(["apt-get", *options, "update", "-qq"])
    wanted = [f"{name}/{suite}" for name, suite in PLUGINS.items()]
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir()
    run(["apt-get", *options, "download", "-qq", *wanted], cwd=unpacked)
    for package in unpacked.glob("*.deb"):
        run(["dpkg", "-x", package, unpacked])
    links.mkdir(parents=True, exist_ok=True)
    for name in PLUGINS:
        (found,) = (unpacked / "usr").rglob(f"cli-plugins/{name}")
        (links / name).unlink(missing_ok=True)
        (links / name).symlink_to(found)
    return settings
