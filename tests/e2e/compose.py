"""docker-compose.yml and the Dockerfile: read them, and run their services without containers."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import yaml
from pathspec import GitIgnoreSpec
from sqlalchemy import URL, make_url

from kit.processes.child import Child
from kit.processes.ports import free_port
from kit.processes.redis_tiers import INSTALL_REDIS, find_redis, redis_answers
from kit.processes.stack import Stack
from kit.workspace import ROOT
from tests.e2e.runner import ENDED, TIMEOUT, wait_until

COMPOSE = ROOT / "docker-compose.yml"
PASSWORD = "correct0horse0battery0staple"
UV_CACHE = "UV_CACHE_DIR=/root/.cache/uv "  # of the image's root; here, uv has its own place
STRIP = r"(LD_LIBRARY_PATH=\$\(.+?\) )?find /venv/lib -name '\*\.so' .+? \{\} \+ && "
VARIABLE = re.compile(r"\$\{(\w+)(?::(-|\?)([^}]*))?\}")


def compose(**env: str) -> dict[str, Any]:
    """The file as Compose understands it with this environment."""

    def value(found: re.Match[str]) -> str:
        name, operator, rest = found.groups()
        if given := env.get(name):
            return given
        assert operator == "-", f"{name} is not set: {rest}"
        return str(rest)

    def filled_in(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: filled_in(item) for key, item in node.items()}
        if isinstance(node, list):
            return [filled_in(item) for item in node]
        return VARIABLE.sub(value, node) if isinstance(node, str) else node

    content: dict[str, Any] = filled_in(yaml.safe_load(COMPOSE.read_text(encoding="utf-8")))
    return content


PASSWORDS = {"POSTGRES_PASSWORD": PASSWORD, "REDIS_PASSWORD": PASSWORD[::-1]}
SERVICES: dict[str, dict[str, Any]] = compose(**PASSWORDS)["services"]


def seconds(duration: str) -> float:
    """`15s` or `1m` as a number of seconds."""
    return float(duration[:-1]) * {"s": 1, "m": 60}[duration[-1]]


@dataclass
class Stage:
    """One FROM … of the Dockerfile: its base, and the (instruction, arguments) that follow."""

    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def copies(self) -> Iterator[tuple[str, str]]:
        """What is copied from the kit's folder, and where to."""
        for instruction, arguments in self.steps:
            if instruction in ("COPY", "ADD") and not arguments.startswith("--from="):
                source, target = arguments.split()
                yield source, target

    def env(self) -> dict[str, str]:
        """The variables that it sets, and the stages that it is built from."""
        before = STAGES[self.base].env() if self.base in STAGES else {}
        texts = [arguments for instruction, arguments in self.steps if instruction == "ENV"]
        return before | dict(pair.split("=", 1) for words in texts for pair in words.split())

    def command(self) -> list[str]:
        """The command that the image runs by default (CMD)."""
        (words,) = (arguments for instruction, arguments in self.steps if instruction == "CMD")
        command: list[str] = json.loads(words)
        return command


def read_dockerfile() -> dict[str, Stage]:
    """The stages by their names, in order."""
    source = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in source.splitlines() if line and not line.startswith("#")]
    stages: dict[str, Stage] = {}
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        instruction, _, arguments = line.partition(" ")
        if instruction == "FROM":
            base, _, name = arguments.partition(" AS ")
            stages[name] = Stage(base)
        else:
            stages[name].steps.append((instruction, arguments))
    return stages


STAGES = read_dockerfile()


def ignored() -> GitIgnoreSpec:
    """.dockerignore, whose patterns count from the top, in git's words."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    return GitIgnoreSpec.from_lines(
        re.sub(r"^(!?)(?!\*\*/)", r"\1/", pattern) for pattern in patterns
    )


def build(name: str, root: Path) -> None:
    """Carry out a stage's steps with the folder `root` for /, as far as one can without root.

    All stages share the folder, so what `COPY --from` wants is there once that stage was built.
    """
    stage = STAGES[name]
    if stage.base in STAGES:
        build(stage.base, root)
    here = root
    env = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    env["PATH"] = f"{root / 'python' / 'bin'}:{env['PATH']}"
    for instruction, arguments in stage.steps:
        if instruction == "WORKDIR":
            here = root / arguments.lstrip("/")
            here.mkdir(exist_ok=True)
        elif instruction == "COPY" and not arguments.startswith("--from="):
            source, target = arguments.split()
            copy(ROOT / source, root / target[1:] if target[0] == "/" else here / target)
        elif instruction == "RUN" and "useradd" not in arguments:
            if "target=/build/usr" in arguments:  # the folder of the build that has uv
                (root / "build" / "usr").mkdir(exist_ok=True)
                (root / "build" / "usr" / "local").symlink_to(root / "python")
            command = re.sub(r"^(--mount=\S+ +)+", "", arguments).replace(UV_CACHE, "")
            # Takes half a minute. Here, modules are compiled when they are imported.
            command = re.sub(r" && /venv/bin/python -m compileall .*/venv/lib$", "", command)
            command = command.replace(" --compile-bytecode", "")
            # Debian's packages want root. Only strip is of them, and the modules stay as they are.
            command = re.sub(r" && apt-get update .*", "", command)
            command = re.sub(STRIP, "", command)
            command = re.sub(r"(?<!\S)/(?=(venv|build|app|notebooks)\b)", f"{root}/", command)
            done = subprocess.run(
                ["sh", "-ec", command], cwd=here, env=env, capture_output=True, text=True
            )
            assert done.returncode == 0, f"RUN {arguments}\n{done.stdout}{done.stderr}"


def copy(source: Path, target: Path) -> None:
    """COPY: what .dockerignore lets through."""
    spec = ignored()
    for file in [source] if source.is_file() else source.rglob("*"):
        if file.is_file() and not spec.match_file(file.relative_to(ROOT).as_posix()):
            to = target if file == source else target / file.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)


@dataclass
class Deployment:
    """The services as processes of this machine, started by hand and in any order."""

    stack: Stack
    image: Path
    folder: Path
    database: URL
    services: dict[str, dict[str, Any]]
    client: httpx.Client
    redis_port: int
    api_port: int
    children: dict[str, Child] = field(default_factory=dict)

    def here(self, word: str) -> str:
        """A word of the file, translated for services that run without containers."""
        if word.startswith("postgresql://"):
            local = self.database.set(drivername=make_url(word).drivername)
            return local.render_as_string(hide_password=False)
        for there, here in (
            ("@redis:6379", f"@127.0.0.1:{self.redis_port}"),
            ("/notebooks", f"{self.image}/notebooks"),
            ("/artifacts", f"{self.folder}/artifacts"),
            ("0.0.0.0", "127.0.0.1"),
            ("8000", str(self.api_port)),
        ):
            word = word.replace(there, here)
        return word

    def env(self, name: str) -> dict[str, str]:
        """The environment of a service: the variables of the image and of the file."""
        service = self.services[name]
        image = STAGES[service["build"]["target"]].env() if "build" in service else {}
        image.pop("PYTHONDONTWRITEBYTECODE", None)  # see `build`
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return (
            image
            | {key: self.here(value) for key, value in service.get("environment", {}).items()}
            | {"PATH": f"{self.image}/venv/bin:/usr/bin:/bin", "HOME": str(home)}
        )

    def command(self, name: str) -> list[str]:
        """The command that a service runs."""
        service = self.services[name]
        if name == "redis":
            program = find_redis({"PATH": os.environ["PATH"]}).program
            assert program, f"no Redis server at hand: {INSTALL_REDIS}"
            options = ["--bind", "127.0.0.1", "--port", str(self.redis_port)]
            words = [str(program), *service["command"][1:], *options]
            return [word.replace("$$", "$") for word in service["entrypoint"]] + words
        words = service.get("command") or STAGES[service["build"]["target"]].command()
        return [f"{self.image}/venv/bin/{words[0]}", *map(self.here, words[1:])]

    def start(self, name: str) -> None:
        """Start a service."""
        folder = self.folder / "data" if name == "redis" else self.image / "app"
        folder.mkdir(exist_ok=True)
        self.children[name] = self.stack.start(
            name, self.command(name), cwd=folder, env=self.env(name)
        )

    def up(self, *names: str) -> None:
        """Start services and wait until they are healthy."""
        for name in names:
            self.start(name)
        for name in names:
            wait_until(
                partial(self.healthy, name),
                f"{name} to be healthy",
                TIMEOUT,
                self.children[name],
                every=0.5,  # each check starts a program
            )

    def healthy(self, name: str) -> bool:
        """Whether the health check of the service succeeds."""
        if name == "redis":  # redis-cli may be older than the option -e
            return redis_answers(self.env("worker")["REDIS_URL"])
        _, program, *words = self.services[name]["healthcheck"]["test"]
        checked = subprocess.run(
            [f"{self.image}/venv/bin/{program}", *map(self.here, words)],
            env=self.env(name),
            capture_output=True,
            timeout=TIMEOUT,
        )
        return checked.returncode == 0

    def stop(self, name: str) -> None:
        """End a service as Docker does. Raises TimeoutError when its grace runs out."""
        child = self.children[name]
        child.signal(signal.SIGTERM)
        code = child.wait(seconds(self.services[name].get("stop_grace_period", "10s")))
        assert code in (0, -signal.SIGTERM, 128 + signal.SIGTERM), child.tail()

    def run(self) -> dict[str, Any]:
        """Start a run and wait for its end."""
        answer = self.client.post("/start")
        assert answer.status_code == 202, answer.text
        return self.wait_for(answer.json()["run_id"], *ENDED)

    def wait_for(self, run_id: str, *statuses: str) -> dict[str, Any]:
        """The run, once its status is one of these."""

        def there() -> dict[str, Any] | None:
            run: dict[str, Any] = self.client.get(f"/status/{run_id}").json()
            return run if run["status"] in statuses else None

        return wait_until(there, f"{run_id} to be {' or '.join(statuses)}", 2 * TIMEOUT)


@contextmanager
def deployed(image: Path, folder: Path, database: str, **env: str) -> Iterator[Deployment]:
    """Everything but the seed, up and healthy."""
    services = compose(**PASSWORDS, **env)["services"]
    redis_port, api_port = free_port(), free_port()
    headers = {"X-API-Key": env["RUNNER_API_KEY"]} if "RUNNER_API_KEY" in env else {}
    url = f"http://127.0.0.1:{api_port}"
    with (
        Stack(state=folder / "state") as stack,
        httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client,
    ):
        deployment = Deployment(
            *(stack, image, folder, make_url(database), services, client, redis_port, api_port)
        )
        deployment.up("redis")
        deployment.up("worker", "api")
        wait_until(lambda: client.get("/ready").is_success, "/ready", TIMEOUT)
        yield deployment
