"""A copy of the kit's files for containers, and the stack that Compose makes of it."""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from kit.course import catalogue
from kit.processes.ports import free_port
from kit.workspace import ROOT
from tests.e2e.runner import ENDED, wait_until, write_notebook
from tools.containers.commands import Failed, run

# What the Dockerfile and Compose read.
FILES = (".dockerignore", ".env.example", "Dockerfile", "docker-compose.yml", "requirements.lock")
PRODUCT = catalogue.product().solution
FOLDERS = ("deploy", "kit", "notebooks", str(PRODUCT.relative_to(ROOT)))
SERVICES = ("api", "worker", "redis", "postgres")
LONG = 120.0  # seconds; only a test that fails waits so long
# A notebook that does what stands in a file beside it, so a test can say what a run does.
DOES = "exec(open('todo.py').read())"
MINE = """
services:
  api: &mine
    volumes: ["./mine:/notebooks:ro"]
  worker: *mine
"""


def readme_commands() -> list[str]:
    """What the README says to type, for containers."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = (part for part in text.split("```sh\n")[1:] if "docker compose up" in part)
    lines = block.split("```")[0].splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


@dataclass
class Stack:
    """The services of the file, as one project of Compose."""

    folder: Path
    port: int
    client: httpx.Client

    @property
    def env(self) -> dict[str, str]:
        """The environment of `docker compose`: a project of our own, whoever else has one."""
        return os.environ | {"COMPOSE_PROJECT_NAME": "nb-runner-tests"}

    def compose(self, *words: str, timeout: float = 600) -> str:
        """What `docker compose` prints for these words."""
        return run(
            ["docker", "compose", *words], cwd=self.folder, env=self.env, timeout=timeout
        ).strip()

    def docker(self, *words: str) -> str:
        """What `docker` prints for these words."""
        return run(["docker", *words], env=self.env).strip()

    def shell(self, line: str) -> subprocess.Popen[bytes]:
        """Start a line as it would be typed in the folder, in a process group of its own."""
        return subprocess.Popen(
            line, shell=True, cwd=self.folder, env=self.env, start_new_session=True
        )

    def inside(self, service: str, *argv: str) -> str:
        """What a command prints in the container of a service."""
        return self.compose("exec", "--no-TTY", service, *argv)

    def python(self, service: str, source: str) -> str:
        """What a program prints that runs in the container of API or worker."""
        return self.inside(service, "python", "-c", source)

    def container(self, service: str) -> str:
        """The id of the container of a service."""
        return self.compose("ps", "--all", "--quiet", service)

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows about the container of a service."""
        described: list[dict[str, Any]] = json.loads(
            self.docker("inspect", self.container(service))
        )
        return described[0]

    def up(self, *words: str) -> None:
        """Bring the services up, and wait until they are healthy and /ready agrees."""
        # Compose gives up at once on a service that was unhealthy a moment ago.
        wait_until(lambda: "unhealthy" not in self.health(), "a recovery", LONG, every=1)
        self.compose("up", "--detach", *words)
        wait_until(self.healthy, "all services to be healthy", LONG, every=1)
        self.wait_ready()

    def healthy(self) -> bool:
        """Whether all services that run are healthy."""
        return self.health() <= {"healthy", ""}  # the proxy has no check

    def health(self) -> set[str]:
        """What the engine says of the services that run."""
        listed = self.compose("ps", "--format", "json").splitlines()
        return {str(json.loads(line)["Health"]) for line in listed}

    def wait_ready(self) -> None:
        """Wait until a start would work."""
        wait_until(self.ready, "/ready to say so", LONG)

    def ready(self) -> bool:
        """Whether a start would work."""
        try:
            return self.client.get("/ready").is_success
        except httpx.HTTPError:
            return False

    def setting(self, **values: str) -> None:
        """Write settings into .env."""
        file = self.folder / ".env"
        lines = file.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if line.split("=")[0] not in values]
        text = "\n".join([*kept, *(f"{name}={value}" for name, value in values.items())])
        file.write_text(text + "\n", encoding="utf-8")

    def todo(self, source: str) -> None:
        """What the next runs do."""
        (self.folder / "mine" / "todo.py").write_text(source, encoding="utf-8")

    def start(self) -> str:
        """Start a run that has to be accepted; its id."""
        answer = self.client.post("/start")
        assert answer.status_code == 202, answer.text
        return str(answer.json()["run_id"])

    def wait_for(self, run_id: str, *statuses: str) -> dict[str, Any]:
        """The run, once its status is one of these."""

        def there() -> dict[str, Any] | None:
            try:
                answer = self.client.get(f"/status/{run_id}")
            except httpx.HTTPError:
                return None
            run: dict[str, Any] = answer.json() if answer.is_success else {"status": ""}
            return run if run["status"] in statuses else None

        return wait_until(there, f"{run_id} to be {' or '.join(statuses)}", LONG)

    def run(self, source: str | None = None) -> dict[str, Any]:
        """Start a run, which does `source`, and wait for its end."""
        if source is not None:
            self.todo(source)
        return self.wait_for(self.start(), *ENDED)

    def output(self, run: dict[str, Any]) -> str:
        """What the run has printed."""
        return self.client.get(f"/output/{run['run_id']}").text


def make_stack(folder: Path) -> Iterator[Stack]:
    """A folder as the README leaves it, with passwords and a free port; nothing is started."""
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    for file in ROOT.glob("docker-compose.*.yml"):
        shutil.copy(file, folder)
    unwanted = shutil.ignore_patterns("__pycache__", ".venv", "artifacts", "*.db")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    (folder / "mine").mkdir()
    write_notebook(folder / "mine" / "does.ipynb", DOES)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        stack = Stack(folder, port, client)
        try:
            yield stack
        finally:
            try:
                (folder / "logs.txt").write_text(stack.compose("logs", "--no-color"))
                stack.compose("--profile", "*", "down", "--volumes", "--remove-orphans")
            except Failed as error:
                print(error)


def fill_in(stack: Stack) -> None:
    """What the README tells people to do after `cp .env.example .env`."""
    stack.setting(
        POSTGRES_PASSWORD=secrets.token_hex(12),
        REDIS_PASSWORD=secrets.token_hex(12),
        PORT=str(stack.port),
    )


def use_mine(stack: Stack) -> None:
    """Mount a notebook of the test, as the head of docker-compose.yml says."""
    (stack.folder / "docker-compose.override.yml").write_text(MINE, encoding="utf-8")
    stack.setting(NOTEBOOK="does.ipynb")
    stack.todo("print('done')")
