"""Settings: read from the environment, and checked before anything starts."""

import re
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """Each field is a variable of the same name, in capitals.

    A description says what is allowed: people read it when their value is refused.
    """

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        pattern=r"^rediss?://",
        description="a URL like redis://host:6379/0",
    )
    notebook_path: Path = Field(description="the path of an .ipynb file")
    database_url: str = Field(
        "sqlite:///nb_runner.db",
        pattern=r"^[a-z0-9+]+://",
        description="a URL like sqlite:////data/flights.db",
    )
    cell_timeout: int = Field(600, ge=1, le=86_400, description="whole seconds, from 1 to 86400")
    # A worker that is silent for longer counts as dead.
    lease_seconds: float = Field(15, ge=2, le=3600, description="seconds, from 2 to 3600")
    # Executed notebooks; API and worker share it.
    artifacts_dir: Path = Field(Path("artifacts"), description="the path of a folder")

    @property
    def lease_ms(self) -> int:
        """The lease as Redis wants it: whole milliseconds."""
        return int(self.lease_seconds * 1000)


@cache
def get_settings() -> Settings:
    """The settings of this process.

    Raises:
        SystemExit: variables are missing or wrong; has a line for each of them.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SystemExit("\n".join(_complaints(error))) from None


def _complaints(error: ValidationError) -> list[str]:
    """One line for each wrong variable: its name, its value, and what is allowed."""
    lines = []
    for problem in error.errors():
        name = str(problem["loc"][0])
        given = "is not set"
        if problem["type"] != "missing":
            value = re.sub("(?s)//.*@", "//***@", str(problem["input"]))  # no password in a log
            given = f"is {value!r}"
        allowed = Settings.model_fields[name].description
        lines.append(f"{name.upper()} {given}. Allowed: {allowed}.")
    return lines
