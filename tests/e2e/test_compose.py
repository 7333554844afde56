"""docker-compose.yml and the Dockerfile, as far as they can be tested without a Docker engine.

The Dockerfile's COPY and RUN steps are carried out in a folder, the services' commands are started
from it with the services' environment and nothing else, and PostgreSQL and Redis are real. What
only an engine can show (other users, read-only file systems, networks) is read, not run.
"""

import json
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

from kit.workspace import ROOT
from tests.e2e.compose import (
    COMPOSE,
    PASSWORD,
    PASSWORDS,
    SERVICES,
    STAGES,
    VARIABLE,
    build,
    compose,
    deployed,
    ignored,
    seconds,
)
from tests.e2e.runner import ENDED, PRODUCT, TIMEOUT, wait_until
from tests.support.postgres import postgres_server as postgres_server
from tests.support.postgres import postgres_url as postgres_url

pytestmark = [pytest.mark.slow, pytest.mark.longest, pytest.mark.thorough]

EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
LOCK = (PRODUCT.path / "requirements.lock").read_text(encoding="utf-8")
each_service = pytest.mark.parametrize("name", SERVICES)


# What can be read


def test_the_file_keeps_to_the_compose_specification() -> None:
    words = ["--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *words], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_without_a_database_password_nothing_starts() -> None:
    for name in PASSWORDS:
        others = {key: value for key, value in PASSWORDS.items() if key != name}
        with pytest.raises(AssertionError, match=rf"{name} is not set: .*\.env\.example"):
            compose(**others)


def test_no_secret_has_a_default() -> None:
    used = VARIABLE.findall(COMPOSE.read_text(encoding="utf-8"))
    assert {name for name, _, _ in used} >= {"POSTGRES_PASSWORD", "RUNNER_API_KEY"}
    for name, operator, rest in used:
        if name.endswith(("PASSWORD", "KEY")):
            assert operator == "?" or rest == "", name
            assert re.search(rf"^{name}=$", EXAMPLE, re.MULTILINE), name


def test_every_variable_of_the_file_is_explained_in_the_example_and_no_other() -> None:
    used = {name for name, _, _ in VARIABLE.findall(COMPOSE.read_text(encoding="utf-8"))}
    assert used == set(re.findall(r"^(\w+)=", EXAMPLE, re.MULTILINE))


def test_every_setting_of_the_runner_can_be_set() -> None:
    source = "import json, nb_runner.config as c; print(json.dumps([*c.Settings.model_fields]))"
    told = subprocess.run(
        [sys.executable, "-c", source], cwd=PRODUCT.path, capture_output=True, check=True
    )
    settings = {name.upper() for name in json.loads(told.stdout)}
    given = {**SERVICES["api"]["environment"], **SERVICES["worker"]["environment"]}
    assert settings == set(given)
    assert "DATABASE_URL" not in SERVICES["api"]["environment"], "only the worker has use for it"


def test_each_image_is_built_by_one_service_and_redis_by_none() -> None:
    api, worker = SERVICES["api"], SERVICES["worker"]
    assert (api["image"], api["build"]["target"]) == ("nb-runner-api", "api")
    assert (worker["image"], worker["build"]["target"]) == ("nb-runner-worker", "worker")
    assert STAGES["api"].base == STAGES["worker"].base == "base", "what the API needs is shared"
    assert "build" not in SERVICES["redis"] | SERVICES["postgres"]
    for name in ("api", "worker"):
        assert SERVICES[name]["depends_on"]["redis"] == {"condition": "service_healthy"}
    for name in ("api", "worker", "seed"):
        assert SERVICES[name]["pull_policy"] == "never", "no registry has it"


@each_service
def test_every_command_is_in_exec_form(name: str) -> None:
    service = SERVICES[name]
    commands = [service[key] for key in ("command", "entrypoint") if key in service]
    if "build" in service:
        commands.append(STAGES[service["build"]["target"]].command())
    for command in commands:
        assert isinstance(command, list)
        assert all(isinstance(word, str) for word in command)
        if command[0] in ("sh", "bash"):
            assert command[2].startswith("exec "), "the shell becomes the program"
    assert all(stage.steps for stage in STAGES.values())


def test_the_image_of_the_api_stops_in_time_without_compose_too() -> None:
    assert STAGES["api"].command() == SERVICES["api"]["command"]


@each_service
def test_every_service_is_locked_up(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].split(":")[0] not in ("", "root", "0")
    assert "privileged" not in service


@each_service
def test_every_service_that_stays_says_how_it_is_and_comes_back(name: str) -> None:
    service = SERVICES[name]
    if "profiles" in service:
        assert service["restart"] == "no"
    else:
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["restart"] == "unless-stopped"


def test_only_the_api_is_reached_from_outside_and_by_default_from_this_machine_only() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["api"]
    assert SERVICES["api"]["ports"] == ["127.0.0.1:8000:8000"]
    assert compose(**PASSWORDS)["networks"]["data"]["internal"] is True
    for name in ("redis", "postgres", "seed"):
        assert SERVICES[name]["networks"] == ["data"]


def test_redis_keeps_what_it_is_told_and_drops_nothing() -> None:
    command = SERVICES["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    assert SERVICES["redis"]["volumes"] == ["redis:/data"]


@pytest.mark.parametrize("name", ["worker", "seed"])
def test_the_database_is_the_one_that_is_made(name: str) -> None:
    url = make_url(SERVICES[name]["environment"]["DATABASE_URL"])
    made = SERVICES["postgres"]["environment"]
    assert (url.host, url.port) == ("postgres", 5432)
    assert url.username == made["POSTGRES_USER"]
    assert url.password == made["POSTGRES_PASSWORD"] == PASSWORD
    assert url.database == made["POSTGRES_DB"]


def test_the_grace_is_longer_than_what_the_runner_needs_to_stop() -> None:
    readme = (PRODUCT.path / "README.md").read_text(encoding="utf-8")
    found = re.search(r"`LEASE_SECONDS` \| (\d+)", readme)
    assert found
    # The end of a run is told to Redis for two leases, if need be.
    assert seconds(SERVICES["worker"]["stop_grace_period"]) > 2 * int(found[1]) + 5
    command = SERVICES["api"]["command"]
    patience = int(command[command.index("--timeout-graceful-shutdown") + 1])
    assert seconds(SERVICES["api"]["stop_grace_period"]) > patience + 5


# What the image is made of


@pytest.mark.parametrize(
    "source", sorted({source for stage in STAGES.values() for source, _ in stage.copies()})
)
def test_what_is_copied_is_there_and_not_ignored(source: str) -> None:
    path = ROOT / source
    files = [path] if path.is_file() else [*path.rglob("*.*")]
    spec = ignored()
    ours = [
        name
        for name in (file.relative_to(ROOT).as_posix() for file in files if file.is_file())
        if not re.search(r"__pycache__|/\.|^notebooks/labs/|\.db$", name)
    ]
    assert ours
    assert [name for name in ours if spec.match_file(name)] == []


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".git/config",
        ".venv/bin/python",
        ".workshop/flights.db",
        "notebooks/.env.production",
        "notebooks/flights.db",
        f"solutions/{PRODUCT.path.name}/.venv/bin/python",
        f"solutions/{PRODUCT.path.name}/nb_runner/__pycache__/main.cpython-313.pyc",
        f"work/{PRODUCT.path.name}/nb_runner/main.py",
    ],
)
def test_secrets_and_leftovers_stay_out_of_the_image(name: str) -> None:
    assert ignored().match_file(name)


def locked(lock: str) -> set[Requirement]:
    """The requirements of a lock."""
    return {
        Requirement(line) for line in re.findall(r"^([a-z0-9][^\\\n]+) \\$", lock, re.MULTILINE)
    }


def test_the_images_lock_agrees_with_the_kits_and_names_no_host() -> None:
    ours = locked(LOCK)
    kits = locked((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    assert len(ours) > 50
    versions = {(package.name, str(package.specifier)) for package in kits}
    strange = {(package.name, str(package.specifier)) for package in ours} - versions
    # The course has no use for Apprise.
    for_apprise = {"apprise", "oauthlib", "requests-oauthlib"}
    hint = "make the lock of the image anew: see the Dockerfile"
    assert {name for name, _ in strange} == for_apprise, hint
    assert "://" not in LOCK
    assert LOCK.count("--hash=sha256:") >= len(ours)


def test_the_images_lock_holds_what_the_project_and_its_notebook_ask_for() -> None:
    content = tomllib.loads((PRODUCT.path / "pyproject.toml").read_text(encoding="utf-8"))
    versions = {package.name: str(package.specifier)[2:] for package in locked(LOCK)}
    for line in [*content["project"]["dependencies"], *content["dependency-groups"]["notebook"]]:
        wanted = Requirement(line)
        assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)]), line


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_package_has_a_wheel_for_the_images_python(machine: str, tmp_path: Path) -> None:
    python = re.fullmatch(r"python:(\d\.\d+)-slim", STAGES["build"].base)
    assert python
    assert STAGES["base"].base == STAGES["build"].base
    wanted = ["--python-version", python[1], "--python-platform", f"{machine}-manylinux_2_28"]
    rules = ["--dry-run", "--require-hashes", "--only-binary", ":all:", "--target", str(tmp_path)]
    lock = ["--requirement", str(PRODUCT.path / "requirements.lock")]
    done = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", "--no-config", *wanted, *rules, *lock],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


# What can be run


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root folder of both images, made from nothing as the Dockerfile says."""
    root = tmp_path_factory.mktemp("image")
    venv.create(root / "python", with_pip=True)  # the Python of the image that ours starts from
    for name in ("seed", "api", "worker"):
        build(name, root)
    return root


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """The URL of an empty PostgreSQL database."""
    url: str = request.getfixturevalue("postgres_url")
    return url


def snapshot(folder: Path) -> set[tuple[str, int]]:
    """Names and times of all files."""
    return {(str(path), path.stat().st_mtime_ns) for path in folder.rglob("*")}


def test_a_notebook_runs_with_a_key_and_writes_nothing_outside_of_volumes_and_home(
    image: Path, tmp_path: Path, database: str
) -> None:
    key = "open sesame"
    before = snapshot(image / "app") | snapshot(image / "notebooks")
    with deployed(image, tmp_path, database, NOTEBOOK="hello.ipynb", RUNNER_API_KEY=key) as it:
        assert it.client.post("/start", headers={"X-API-Key": "wrong"}).status_code == 401
        run = it.run()
        assert run["status"] == "SUCCEEDED", run
        for form, words in (("text", "add up to 55."), ("html", "</html>"), ("ipynb", "cells")):
            answer = it.client.get(f"/output/{run['run_id']}", params={"format": form})
            assert answer.status_code == 200
            assert words in answer.text
        logs = "".join(child.output() for child in it.children.values())
    assert key not in logs
    assert PASSWORD not in logs
    assert snapshot(image / "app") | snapshot(image / "notebooks") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "artifacts",
        "data",
        "home",
        "state",
    ]


def test_the_seed_and_the_flight_delays_run_on_postgresql(
    image: Path, tmp_path: Path, database: str
) -> None:
    with deployed(image, tmp_path, database) as it:
        it.start("seed")
        assert it.children["seed"].wait(3 * TIMEOUT) == 0, it.children["seed"].tail()
        run = it.run()
        assert run["status"] == "SUCCEEDED", run
    engine = create_engine(
        make_url(database).set(drivername="postgresql+psycopg"), poolclass=NullPool
    )
    written = "SELECT DISTINCT run_id, token FROM delay_by_carrier_hour"
    with engine.connect() as connection:
        rows = connection.execute(text(written)).all()
    assert [tuple(row) for row in rows] == [(run["run_id"], run["token"])]


def test_all_stop_within_their_grace_and_the_run_says_so_even_after_a_restart(
    image: Path, tmp_path: Path, database: str
) -> None:
    with deployed(image, tmp_path, database, NOTEBOOK="endless.ipynb") as it:
        run_id = it.client.post("/start").json()["run_id"]
        it.wait_for(run_id, "RUNNING")
        with it.client.stream("GET", f"/status/{run_id}/events") as events:
            assert events.status_code == 200
            it.stop("worker")
            run = it.wait_for(run_id, *ENDED)
            assert run["status"] == "FAILED"
            assert "told to stop" in run["error"]
        # Another one, whose listener does not go away by itself.
        it.up("worker")
        second = it.client.post("/start").json()["run_id"]
        it.wait_for(second, "RUNNING")
        with it.client.stream("GET", f"/status/{second}/events"):
            it.stop("api")
        it.stop("worker")
        wait_until(lambda: not it.healthy("worker"), "the health check to notice", TIMEOUT)
        it.stop("redis")
        it.up("redis")
        it.up("api")
        ends = {it.client.get(f"/status/{name}").json()["status"] for name in (run_id, second)}
        assert ends == {"FAILED"}
