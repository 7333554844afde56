"""Whether a setting can work, and what people read when it cannot."""

import os
import re
from importlib.util import find_spec
from pathlib import Path

from pydantic import RedisDsn, SecretStr, ValidationError
from pydantic_settings import BaseSettings
from redis import ConnectionPool, RedisError
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

SECRET = ("runner_api_key", "notify_urls")


def usable_database(value: str) -> str:
    """Let SQLAlchemy judge the URL, and name the driver that is installed for PostgreSQL."""
    try:
        url = make_url(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", value))
        dialect = url.get_dialect()
        dialect.import_dbapi()
    except (ArgumentError, ValueError):  # what they say may have a part of the password
        raise ValueError from None  # what is allowed says it all
    except ImportError as error:
        raise ValueError(f"its driver is not installed ({error})") from None
    if dialect.is_async:
        raise ValueError("an asynchronous driver cannot be used here")
    if url.get_backend_name() == "sqlite":
        database = url.database or ""
        if database.removeprefix("file:") in ("", ":memory:") or url.query.get("mode") == "memory":
            raise ValueError("a database in memory forgets each number that it has issued")
        if not database.startswith("file:"):
            # The worker and the kernel have different working folders.
            url = url.set(database=str(Path(database).absolute()))
    return url.render_as_string(hide_password=False)


def usable_redis(url: RedisDsn) -> RedisDsn:
    """Let redis-py judge what stands behind the question mark. It does not connect yet."""
    try:
        ConnectionPool.from_url(str(url)).make_connection()
    except (RedisError, ValueError, TypeError) as error:
        raise ValueError(str(error)) from error
    return url


def sendable(key: SecretStr) -> SecretStr:
    """Refuse a key that does not get through in a header: each client encodes others in its way."""
    if not re.fullmatch(r"[!-~][ -~]*[!-~]", key.get_secret_value()):
        raise ValueError("not every client can send it in a header")
    return key


def known_to_apprise(urls: SecretStr) -> SecretStr:
    """Apprise is there only where it is wanted. Loading it takes seconds, so not here."""
    if find_spec("apprise") is None:
        raise ValueError("Apprise is not installed (pip install apprise)")
    return urls


def complaints(error: ValidationError, settings: type[BaseSettings]) -> list[str]:
    """One line for each wrong variable: its name, its value, and what is allowed."""
    lines = []
    for problem in error.errors():
        name = str(problem["loc"][0])
        allowed = settings.model_fields[name].description
        given = "is not set" if problem["type"] == "missing" else f"is {_shown(name)}"
        reason = problem.get("ctx", {}).get("error")
        if isinstance(reason, ValueError) and str(reason):  # of a check above
            given += f": {reason}"
        lines.append(f"{name.upper()} {given}. Allowed: {allowed}.")
    return lines


def _shown(name: str) -> str:
    """A variable's value, fit for a log: no keys, no passwords."""
    value = os.environ.get(name.upper(), os.environ.get(name, ""))
    if name in SECRET:
        return f"{len(value)} characters long"
    # A password may have a slash in it: then the URL is wrong, and this is printed.
    value = re.sub(r"(?s)//.*@", "//***@", value)
    return repr(re.sub(r"(?i)(password=)[^&]*", r"\1***", value))
