"""A Docker engine with Compose: the machine's, or one that runs for as long as it is needed."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import machine
from .commands import Failed, run, works

Env = dict[str, str]
# Debian 12 has Compose 1 and no buildx; these run on its C library, too.
PLUGINS = {"docker-compose": "trixie", "docker-buildx": "trixie"}
START_SECONDS = 60
STOP_SECONDS = 30
# Those that an engine writes its rules into, with the chains that are always there.
TABLES = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}


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
    machine.install_missing()
    cache.mkdir(parents=True, exist_ok=True)
    # Sockets: their paths have to be short.
    with tempfile.TemporaryDirectory(prefix="engine-") as name:
        folder = Path(name)
        env |= {
            "DOCKER_HOST": f"unix://{folder}/docker.sock",
            "DOCKER_CONFIG": str(_plugins(cache)),
            # Debian's own: another one in front of it may be newer than the engine allows.
            "PATH": f"/usr/bin:/usr/sbin:{os.environ['PATH']}",
        }
        with _network_as_before(), _daemon(folder, cache, env):
            yield env


@contextmanager
def _daemon(folder: Path, cache: Path, env: Env) -> Iterator[None]:
    log = cache / "dockerd.log"
    options = {
        "--data-root": cache / "engine",
        "--exec-root": folder / "exec",
        "--pidfile": folder / "pid",
        "--host": env["DOCKER_HOST"],
        "--mtu": _mtu(),
    }
    words = [str(word) for option in options.items() for word in option]
    print("  starting an engine")
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            ["dockerd", *words],
            env=env,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for us: we stop it when the containers are gone
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not works(["docker", "info"], env=env):
            if daemon.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace").splitlines()[-15:]
                raise Failed("\n".join(["the engine did not start:", *tail]))
            time.sleep(0.3)
        yield
    finally:
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


@contextmanager
def _network_as_before() -> Iterator[None]:
    """The engine leaves its bridge and its rules behind; we do not."""
    rules = run(["iptables-save"])
    for table, chains in TABLES.items():
        if f"*{table}\n" not in rules:  # what is not there cannot be restored: say that it is empty
            accepting = "".join(f":{chain} ACCEPT\n" for chain in chains)
            rules += f"*{table}\n{accepting}COMMIT\n"
    before = _links()
    try:
        yield
    finally:
        for link in _links() - before:
            works(["ip", "link", "delete", link])
        subprocess.run(["iptables-restore"], input=rules, text=True, check=False)


def _links() -> set[str]:
    return {link["ifname"] for link in json.loads(run(["ip", "-json", "link"]))}


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
    archive = machine.debian_archive()
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
