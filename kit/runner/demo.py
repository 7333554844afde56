"""The tour: the finished runner at work on a year of flights, from the data to the result."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy import URL, create_engine, text
from sqlalchemy.pool import NullPool

from kit.course import catalogue
from kit.data import flights, seed
from kit.errors import KitError, indented
from kit.processes.ports import free_socket
from kit.processes.project import (
    Project,
    project_env,
    start_api,
    start_worker,
    wait_for_api,
    wait_for_worker,
)
from kit.processes.redis_tiers import INSTALL_OR_NAME_REDIS, find_redis
from kit.processes.stack import Stack
from kit.terminal.screen import wrapped
from kit.workspace import NOTEBOOKS, shown, workspace

NOTEBOOK = NOTEBOOKS / "flight_delays.ipynb"
SHOWN_FIELDS = ("run_id", "status", "detail", "running")  # of the API's answers
# The API sends at least a comment every 15 seconds while it streams events.
READ_TIMEOUT = 60.0  # seconds

# Hours with few flights are left out: their mean delay is high by chance.
WORST = text("""
    SELECT airlines.name, d.hour, d.flights, d.predicted, d.observed
    FROM delay_by_carrier_hour AS d JOIN airlines ON airlines.carrier = d.carrier
    WHERE d.run_id = :run_id AND d.flights >= 100
    ORDER BY d.observed DESC LIMIT 10
""")


class RunFailed(Exception):
    """The API answered, and the run did not succeed."""


def tour(console: Console, notebook: Path | None = None) -> bool:
    """Run `notebook`, or by default the flights, and show each step. False: the run failed."""
    chosen = notebook or NOTEBOOK
    _say(console, "A notebook, started by an API call, and never twice at once.")
    _say(console, "It takes about a minute, asks nothing, and leaves nothing running.")
    url = _seeded(console)
    with _runner(console, url, chosen) as (client, stack):
        try:
            run_id = _started(console, client)
            _follow(console, client, run_id)
            if notebook is None:
                _show_result(console, url, run_id)
            _keep(console, client, run_id, chosen.stem)
        except (RunFailed, httpx.HTTPError) as error:
            _show_failure(console, stack, error)
            return False
        finally:
            _say(console, f"\nStopping everything. Logs: {shown(stack.logs)}")
    return True


def require_real_redis() -> None:
    """Raises KitError where there is only an imitation of Redis."""
    choice = find_redis()
    if choice.limits:
        raise KitError(
            f"the demo needs a real Redis, and there is only {choice.tier} here: {choice.limits}",
            INSTALL_OR_NAME_REDIS,
        )


def _seeded(console: Console) -> URL:
    """The database with the flights in it. Its path is absolute: children have other folders."""
    _step(console, "The data: every flight that left New York City in 2013.")
    url = seed.database_url()
    place = seed.shown(url)
    if url.get_backend_name() == "sqlite" and url.database:
        file = Path(url.database).absolute()
        url, place = url.set(database=str(file)), shown(file)
    bar = Progress(
        TextColumn("  {task.description:<8}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=sum(flights.ROWS.values()))
        fresh = seed.load(
            url,
            on_rows=lambda table, rows: bar.update(task, description=table, advance=rows),
            on_wait=lambda: _say(console, "  Another seed is at work here; waiting for it."),
        )
    verb = "loaded into" if fresh else "are already in"
    _say(console, f"  {flights.ROWS['flights']:,} flights and their weather {verb} {place}")
    return url


@contextmanager
def _runner(console: Console, url: URL, notebook: Path) -> Iterator[tuple[httpx.Client, Stack]]:
    """Start the finished runner, and wait until the API answers; stop it at the end."""
    runner = catalogue.product().solution
    _step(console, f"The runner: Redis, a Celery worker and the API of {shown(runner)}.")
    project = Project(runner)
    with free_socket() as sock, Stack() as stack:
        with console.status("starting"):
            redis_url = stack.redis()
            inherited = {**stack.env, "DATABASE_URL": url.render_as_string(hide_password=False)}
            env = project_env(
                inherited, redis_url=redis_url, state=workspace().state, notebook=notebook
            )
            worker = start_worker(stack, project, 1, env)
            api = start_api(stack, project, 1, sock, env)
            wait_for_api(api, sock)
            wait_for_worker(worker)
        address = f"http://127.0.0.1:{sock.getsockname()[1]}"
        why = stack.redis_choice.why if stack.redis_choice else ""
        _say(console, f"  Redis     {why}")
        _say(console, f"  notebook  {shown(notebook.absolute())}")
        _say(console, f"  ready     {address}")
        key = os.environ.get("RUNNER_API_KEY")
        headers = {"X-API-Key": key} if key else {}
        with httpx.Client(
            base_url=address, headers=headers, timeout=READ_TIMEOUT, trust_env=False
        ) as client:
            yield client, stack


def _started(console: Console, client: httpx.Client) -> str:
    """The id of the run, started, and a second start refused."""
    _step(console, "Start it: the answer comes at once, the work goes on behind it.")
    first = _call(console, client, "POST", "/start", {"requested_by": "ada"})
    if first.status_code != HTTPStatus.ACCEPTED:
        raise KitError(
            f"POST /start answered {first.status_code}: {first.json().get('detail')}",
            "./workshop demo, when no other runner uses the Redis of REDIS_URL",
        )
    _step(console, "Start it again, while it runs: refused, and told which run blocks it.")
    second = _call(console, client, "POST", "/start", {"requested_by": "bob"})
    if second.status_code == HTTPStatus.ACCEPTED:
        _say(console, "  That was quick: the first run had ended already. Now the second one.")
        first = second
    return str(first.json()["run_id"])


def _follow(console: Console, client: httpx.Client, run_id: str) -> None:
    """Show each cell's end until the run's. Raises RunFailed unless it succeeded."""
    _step(console, "Follow it: server-sent events, one at each change.")
    run: dict[str, Any] = {"status": "UNKNOWN"}
    bar = Progress(
        TextColumn("  {task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    began = time.monotonic()
    with client.stream("GET", f"/status/{run_id}/events") as response, bar:
        _show_call(console, f"GET /status/{run_id}/events", response)
        response.raise_for_status()
        task, done = bar.add_task("waiting for the worker", total=None), 0
        for line in response.iter_lines():
            if not line.startswith("data:"):
                continue
            run = json.loads(line.removeprefix("data:"))
            if (total := run["cells_total"]) is None:
                continue
            now = min(run["cells_done"] + 1, total)
            bar.update(
                task, description=f"cell {now} of {total}", total=total, completed=run["cells_done"]
            )
            if run["cells_done"] > done and not console.is_terminal:
                which = _cells(done + 1, run["cells_done"])
                _say(console, f"  {which} of {total} done after {time.monotonic() - began:.1f} s")
            done = run["cells_done"]
    _say(console, f"  {run['status']} after {time.monotonic() - began:.1f} s")
    if run["status"] != "SUCCEEDED":
        raise RunFailed(run.get("error") or f"the events of run {run_id} broke off")


def _show_result(console: Console, url: URL, run_id: str) -> None:
    """The hours worst to leave at, as the notebook wrote them. Raises RunFailed without any."""
    _step(console, "The result: delay_by_carrier_hour, read back from the database.")
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        rows = connection.execute(WORST, {"run_id": run_id}).all()
    if not rows:
        raise RunFailed(f"run {run_id} wrote no rows to delay_by_carrier_hour")
    table = Table(title="Worst hours to leave, October to December: mean delay in minutes")
    table.add_column("airline")
    for name in ("hour", "flights", "predicted", "observed"):
        table.add_column(name, justify="right")
    for airline, hour, count, predicted, observed in rows:
        table.add_row(airline, f"{hour}:00", f"{count:,}", f"{predicted:.1f}", f"{observed:.1f}")
    console.print(table, soft_wrap=False)


def _keep(console: Console, client: httpx.Client, run_id: str, name: str) -> None:
    """Save the executed notebook and its page where they can be opened."""
    _step(console, "The executed notebook, and the same as a page for your browser.")
    kept = workspace().state / "demo"
    kept.mkdir(parents=True, exist_ok=True)
    for suffix in ("ipynb", "html"):
        answer = _call(console, client, "GET", f"/output/{run_id}?format={suffix}")
        answer.raise_for_status()
        file = kept / f"{name}.{suffix}"
        file.write_bytes(answer.content)
        _say(console, f"    {shown(file)}")


def _show_failure(console: Console, stack: Stack, error: Exception) -> None:
    _say(console, f"\nThe run did not succeed: {error}")
    for child in stack.children:
        if child.name != "redis" and (tail := child.tail()):
            _say(console, f"The end of {shown(child.log)}:")
            _say(console, indented(tail))


def _step(console: Console, sentence: str) -> None:
    console.print(f"\n{wrapped(sentence)}", style="bold")


def _say(console: Console, text: str) -> None:
    """Print `text`, broken between words: the console itself would leave it to the terminal."""
    console.print(wrapped(text))


def _call(
    console: Console, client: httpx.Client, method: str, path: str, body: object = None
) -> httpx.Response:
    """Make a call, and show it with what matters of the answer."""
    response = client.request(method, path, json=body)
    sent = f" {json.dumps(body)}" if body else ""
    _show_call(console, f"{method} {path}{sent}", response)
    if response.headers["content-type"] == "application/json":
        answer = {name: value for name, value in response.json().items() if name in SHOWN_FIELDS}
        _say(console, f"    {json.dumps(answer)}")
    return response


def _show_call(console: Console, call: str, response: httpx.Response) -> None:
    _say(console, f"  {call} → {response.status_code} {response.reason_phrase}")


def _cells(first: int, last: int) -> str:
    return f"cell {first}" if first == last else f"cells {first} to {last}"
