"""Settings, read from the environment once, checked before anything starts."""

import os
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, RedisDsn, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from .extras.setting_checks import (
    complaints,
    known_to_apprise,
    sendable,
    usable_database,
    usable_redis,
)

# Absolute, because worker and kernel have different working folders; but links are not followed:
# Kubernetes updates a ConfigMap by another link to another folder, and deletes the old one.
FullPath = Annotated[Path, AfterValidator(Path.absolute)]

# Neither a notebook gets these, nor a process that we start.
SECRETS = ("RUNNER_API_KEY", "REDIS_URL", "NOTIFY_URLS")


class OverLimit(StrEnum):
    """What happens to a run that puts out more than OUTPUT_LIMIT."""

    DROP = "drop"
    FAIL = "fail"


class LogFormat(StrEnum):
    """How API processes and workers write their logs."""

    TEXT = "text"
    JSON = "json"


class Settings(BaseSettings):
    """What can be set from outside. A description says what is allowed; mistakes are told it."""

    # An empty variable is one that is not set: that is what ${RUNNER_API_KEY:-} in a compose file
    # comes to.
    model_config = SettingsConfigDict(env_ignore_empty=True, validate_default=True)

    redis_url: Annotated[RedisDsn, AfterValidator(usable_redis)] = Field(
        RedisDsn("redis://127.0.0.1:6379/0"), description="a URL like redis://host:6379/0"
    )
    notebook_path: FullPath = Field(description="the path of an .ipynb file")
    database_url: Annotated[str, AfterValidator(usable_database)] = Field(
        "sqlite:///nb_runner.db",
        description="a URL like sqlite:////data/flights.db or postgresql://user:password@host/name",
    )
    runner_api_key: Annotated[SecretStr, Field(min_length=8), AfterValidator(sendable)] | None = (
        Field(
            None,
            description="at least 8 characters of ASCII, without a space at its ends; "
            "unset: no key is asked for",
        )
    )
    cell_timeout: int = Field(
        600, ge=1, le=604_800, description="whole seconds, from 1 to 604800 (a week)"
    )
    run_timeout: int | None = Field(
        None,
        ge=1,
        le=2_592_000,
        description="whole seconds, from 1 to 2592000 (30 days); unset: no limit",
    )
    cancel_grace: float = Field(5, ge=0, le=300, description="seconds, from 0 to 300")
    # Under 2 s, a worker that gets the next kernel ready would be too late for its next run.
    lease_seconds: float = Field(15, ge=2, le=3600, description="seconds, from 2 to 3600")
    artifacts_dir: FullPath = Field(
        Path("artifacts"), description="a folder that can be written to, of this runner alone"
    )
    output_limit: int = Field(
        50_000_000, ge=100_000, le=1_000_000_000, description="bytes, from 100000 to 1000000000"
    )
    over_output_limit: OverLimit = Field(
        OverLimit.DROP, description="drop (the run goes on) or fail (it ends)"
    )
    # In Redis, all names begin with it: keys, queue, and what workers say of themselves.
    namespace: str = Field(
        "nb",
        pattern=r"^[A-Za-z0-9._-]{1,40}$",
        description="up to 40 letters, digits, dots, dashes or underlines",
    )
    log_format: LogFormat = Field(LogFormat.TEXT, description="text or json")
    notify_urls: Annotated[SecretStr, AfterValidator(known_to_apprise)] | None = Field(
        None,
        description="URLs such as mailto://…, with spaces between them; unset: nobody is told",
    )
    demo_mode: bool = Field(False, description="true or false")
    keep_runs: int = Field(20, ge=1, le=10_000, description="a whole number from 1 to 10000")

    @property
    def lease_ms(self) -> int:
        """The lease as Redis wants it: whole milliseconds."""
        return int(self.lease_seconds * 1000)


@cache
def get_settings() -> Settings:
    """The settings of this process.

    Raises:
        SystemExit: a variable is missing or wrong; names it, its value, and what is allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SystemExit("\n".join(complaints(error, Settings))) from None


def environment_without_secrets() -> dict[str, str]:
    """Our environment, less the secrets. (A setting may have its name in small letters, too.)"""
    return {name: value for name, value in os.environ.items() if name.upper() not in SECRETS}
