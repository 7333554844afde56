"""Start a project's processes, show their logs, start again what has ended, stop all."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from rich.console import Console

from kit.errors import KitError, without_password
from kit.grading.diagnosis import reason
from kit.processes import registry
from kit.processes.child import Child, NotReady, exit_in_words
from kit.processes.environment import overriding
from kit.processes.ports import free_socket
from kit.processes.project import (
    Project,
    project_env,
    start_api,
    start_worker,
    wait_for_api,
    wait_for_worker,
)
from kit.processes.redis_tiers import FIRST_FOR_REAL, INSTALL_OR_NAME_REDIS
from kit.processes.stack import Stack
from kit.terminal.keys import Keys
from kit.terminal.log_feed import Feed
from kit.workspace import shown

RESTART_DELAY = 1.0  # seconds before a process that has ended is started again
QUICK_DEATH = 5.0  # seconds; a process that ends earlier "died at once"
MAX_QUICK_DEATHS = 3  # one after the other; then `run` gives up
POLL_INTERVAL = 0.1  # seconds between two looks at logs and processes


class Saves(Protocol):
    """What tells which files of the project were saved."""

    def take(self) -> list[str]: ...


@dataclass(frozen=True)
class Requests:
    """What can ask for a restart: a key, or a save (with `reload`)."""

    saves: Saves
    keys: Keys
    reload: bool = False

    def saved(self) -> str:
        """The files saved since the last call, in words; empty for none."""
        try:
            names = self.saves.take()
        except KitError:  # the folder cannot be watched; what runs is not concerned
            return ""
        return ", ".join(names[:3]) + (" …" if names[3:] else "")

    def pressed(self) -> bool:
        """Whether the key for a restart was pressed."""
        return "r" in self.keys.pressed().lower()


@dataclass
class Service:
    """A process that should be up, and how to start it again."""

    start: Callable[[], Child]
    child: Child
    is_api: bool = False
    quick_deaths: int = 0
    restart_at: float | None = None
    given_up: bool = False


def run(
    project: Project,
    requests: Requests,
    *,
    notebook: Path | None = None,
    port: int = 0,
    api: int = 1,
    workers: int = 1,
    restart: bool = True,
) -> int:
    """Run a project until Ctrl-C, or until it cannot go on. Returns the exit code.

    `port` 0 takes a free one. `api` and `workers` are numbers of processes.
    """
    feed = Feed(Console())
    with free_socket(port) as sock, Stack() as stack:
        try:
            redis_url = stack.redis()
            _require_real_redis(project, stack)
            env = project_env(stack.env, redis_url=redis_url, state=stack.state, notebook=notebook)
            _introduce(project, stack, env, feed)
            services: list[Service] = []
            if stack.redis_server is not None:
                services.append(_redis_service(stack))
            for i in range(1, workers + 1 if project.has_worker else 1):
                services.append(_service(feed, partial(start_worker, stack, project, i, env)))
            for i in range(1, api + 1):
                start = partial(start_api, stack, project, i, sock, env, offline=True)
                services.append(_service(feed, start, is_api=True))
            for service in services:
                if service.is_api:
                    wait_for_api(service.child, sock, meanwhile=feed.show)
                elif service.child.name != "redis":
                    wait_for_worker(service.child, meanwhile=feed.show)
            feed.show()
            url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            adopted = "" if stack.redis_server else redis_url
            tell = partial(
                registry.write_running,
                project.path,
                url,
                env,
                stack.children,
                adopted_redis=without_password(adopted),
            )
            tell()
            feed.console.print(f"ready {url}", highlight=False)
            feed.say("Ctrl-C stops all of it")
            code = supervise(services, feed, requests, tell, restart=restart)
        except NotReady as error:
            feed.show(rest=True)
            # The feed has shown the log already, so the reason alone is enough.
            why = reason(error.detail)
            KitError(f"{error.message}: {why}" if why else error.message, error.fix).show()
            code = 1
        except KeyboardInterrupt:
            feed.say("stopping; Ctrl-C again kills")
            code = 0
        registry.remove()
        # Not left to the end of the block: the feed shows the last lines of the logs, too.
        stack.stop()
        feed.show(rest=True)
        feed.say(f"stopped; logs are in {shown(stack.logs)}")
    return code


def _require_real_redis(project: Project, stack: Stack) -> None:
    choice = stack.redis_choice
    if choice and choice.limits and (project.number or 0) >= FIRST_FOR_REAL:
        raise KitError(
            f"{project.path.name} needs a real Redis, and there is only {choice.tier} here: "
            f"{choice.limits}",
            INSTALL_OR_NAME_REDIS,
        )


def _introduce(project: Project, stack: Stack, env: dict[str, str], feed: Feed) -> None:
    feed.say(f"project   {shown(project.path)}")
    if stack.redis_choice:
        feed.say(f"redis     {without_password(env['REDIS_URL'])} ({stack.redis_choice.why})")
        if stack.redis_choice.limits:
            feed.say(f"          {stack.redis_choice.limits}")
    feed.say(f"notebook  {shown(Path(env['NOTEBOOK_PATH']))}")
    feed.say(f"logs      {shown(stack.logs)}")
    if left_out := overriding(stack.env):
        feed.say(f"without   {', '.join(left_out)}: Celery or uvicorn would obey it")


def _redis_service(stack: Stack) -> Service:
    server = stack.redis_server
    assert server is not None and server.child is not None

    def start() -> Child:
        server.start()
        assert server.child is not None
        return server.child

    return Service(start, server.child)


def _service(feed: Feed, start: Callable[[], Child], *, is_api: bool = False) -> Service:
    child = start()
    feed.follow(child.name, child.log)
    feed.say(f"{child.name} started (pid {child.pid})")
    return Service(start, child, is_api=is_api)


def _answer(requests: Requests, services: list[Service], feed: Feed) -> bool:
    """Restart what runs the project's files, if that is asked for. Whether it was."""
    saved = requests.saved()
    pressed = requests.pressed()
    if not pressed and not (saved and requests.reload):
        if saved:
            how = "press r to restart" if requests.keys.in_front else "`run --reload` restarts"
            feed.say(f"{saved} changed since the start; {how}")
        return False
    feed.say(f"{saved} saved: restarting" if saved else "restarting")
    ours = [service for service in services if service.child.name != "redis"]
    for service in ours:
        service.child.stop()
    for service in ours:
        service.child = service.start()
        service.quick_deaths, service.restart_at, service.given_up = 0, None, False
        feed.say(f"{service.child.name} started again (pid {service.child.pid})")
    return True


def supervise(
    services: list[Service],
    feed: Feed,
    requests: Requests,
    on_restart: Callable[[], None],
    *,
    restart: bool,
) -> int:
    """Show logs, and start again what dies, until nothing is left to serve. Returns the exit code.

    `on_restart` is called when a process was started again.
    """
    while True:
        feed.show()
        if _answer(requests, services, feed):
            on_restart()
        for service in services:
            name = service.child.name
            if service.given_up or service.child.running:
                continue
            if service.restart_at is None:
                feed.show()
                feed.say(f"{name} died: {exit_in_words(service.child.returncode)}", "bold red")
                if not restart:
                    service.given_up = True
                    continue
                quick = time.monotonic() - service.child.started < QUICK_DEATH
                service.quick_deaths = service.quick_deaths + 1 if quick else 0
                if service.quick_deaths >= MAX_QUICK_DEATHS and requests.reload:
                    feed.say(
                        f"{name} died at once {MAX_QUICK_DEATHS} times: the next save starts it"
                    )
                    service.given_up = True
                    continue
                if service.quick_deaths >= MAX_QUICK_DEATHS:
                    feed.say(
                        f"{name} died at once {MAX_QUICK_DEATHS} times: that is enough", "bold red"
                    )
                    return 1
                service.restart_at = time.monotonic() + RESTART_DELAY
            elif time.monotonic() >= service.restart_at:
                service.child, service.restart_at = service.start(), None
                on_restart()
                feed.say(f"{name} started again (pid {service.child.pid})")
        given_up = all(service.given_up for service in services if service.is_api)
        if given_up and not requests.reload:
            feed.say("no API process is left, so there is nothing to serve", "bold red")
            return 1
        time.sleep(POLL_INTERVAL)
