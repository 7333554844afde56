"""Settings, read from the environment: what differs between a laptop and a server."""

from pathlib import Path

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """Each field is a variable of the same name, in capitals; pydantic checks it."""

    redis_url: str = "redis://127.0.0.1:6379/0"
    notebook_path: Path
    database_url: str = "sqlite:///nb_runner.db"
    cell_timeout: int = 600  # seconds
    lease_seconds: float = 15  # a worker that is silent for longer counts as dead
    artifacts_dir: Path = Path("artifacts")  # executed notebooks; API and worker share it


settings = Settings()
