"""`run`: start a project's processes, show their logs, start again what dies, stop all."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kit.errors import KitError
from kit.grading.diagnosis import reason
from kit.processes import registry
from kit.processes.child import Child, NotReady, ending
from kit.processes.ports import free_socket
from kit.processes.project import (
    Project,
    find_project,
    project_env,
    start_api,
    start_worker,
    wait_for_api,
    wait_for_worker,
)
from kit.processes.redis_tiers import FIRST_FOR_REAL, INSTALL_REDIS
from kit.processes.stack import Stack
from kit.terminal.log_feed import Feed
from kit.workspace import shown

PAUSE = 1.0  # seconds before a dead process is started again
QUICK = 5.0  # seconds; who lives no longer died at once
TRIES = 3  # deaths at once, one after the other, before we give up
LOOK = 0.1  # seconds between looks at logs and processes


@dataclass
class Post:
    """A process that should be there, and how to start it again."""

    start: Callable[[], Child]
    child: Child
    is_api: bool = False
    quick_deaths: int = 0
    due: float | None = None  # when to start it again
    given_up: bool = False


def run(
    n: Annotated[
        str | None, typer.Argument(metavar="N", help="Exercise: its number or its name.")
    ] = None,
    solution: Annotated[bool, typer.Option("--solution", help="The solution, not yours.")] = False,
    path: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Any folder with an nb_runner in it.")
    ] = None,
    notebook: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The notebook that the runner runs.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    api: Annotated[int, typer.Option(min=1, max=20, help="uvicorn processes.")] = 1,
    workers: Annotated[int, typer.Option(min=0, max=20, help="Celery workers.")] = 1,
    no_restart: Annotated[
        bool, typer.Option("--no-restart", help="Leave dead processes dead.")
    ] = False,
) -> None:
    """Start a runner: Redis, Celery workers and the API. Ctrl-C stops all of it.

    Example: ./workshop run 13 --solution --workers 2
    """
    project = find_project(n, solution=solution, path=path)
    feed = Feed(Console())
    with free_socket(port) as sock, Stack() as stack:
        try:
            redis_url = stack.redis()
            _refuse_imitations(project, stack)
            env = project_env(stack.env, redis_url=redis_url, state=stack.state, notebook=notebook)
            _introduce(project, stack, env, feed)
            posts: list[Post] = []
            if stack.redis_server is not None:
                posts.append(_redis_post(stack))
            for i in range(1, workers + 1 if project.has_worker else 1):
                posts.append(_post(feed, partial(start_worker, stack, project, i, env)))
            for i in range(1, api + 1):
                start = partial(start_api, stack, project, i, sock, env, offline=True)
                posts.append(_post(feed, start, is_api=True))
            for post in posts:
                if post.is_api:
                    wait_for_api(post.child, sock, meanwhile=feed.show)
                elif post.child.name != "redis":
                    wait_for_worker(post.child, meanwhile=feed.show)
            feed.show()
            url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            adopted = "" if stack.redis_server else redis_url
            tell = partial(
                registry.tell, project.path, url, env, stack.children, adopted_redis=adopted
            )
            tell()
            feed.console.print(f"ready {url}", highlight=False)
            feed.say("Ctrl-C stops all of it")
            code = _watch(posts, feed, tell, restart=not no_restart)
        except NotReady as error:
            feed.show(rest=True)
            # The log has been shown already; what it comes to is enough.
            why = reason(error.detail)
            KitError(f"{error.message}: {why}" if why else error.message, error.fix).show()
            code = 1
        except KeyboardInterrupt:
            feed.say("stopping; Ctrl-C again kills")
            code = 0
        registry.forget()
        # Not left to the end of the block: the last words are worth showing too.
        stack.stop()
        feed.show(rest=True)
        feed.say(f"stopped; logs are in {shown(stack.logs)}")
    raise typer.Exit(code)


def _refuse_imitations(project: Project, stack: Stack) -> None:
    choice = stack.redis_choice
    if choice and choice.limits and (project.number or 0) >= FIRST_FOR_REAL:
        raise KitError(
            f"{project.path.name} needs a real Redis, and there is only {choice.tier} here: "
            f"{choice.limits}",
            INSTALL_REDIS,
        )


def _introduce(project: Project, stack: Stack, env: dict[str, str], feed: Feed) -> None:
    feed.say(f"project   {shown(project.path)}")
    if stack.redis_choice:
        feed.say(f"redis     {env['REDIS_URL']} ({stack.redis_choice.why})")
        if stack.redis_choice.limits:
            feed.say(f"          {stack.redis_choice.limits}")
    feed.say(f"notebook  {shown(Path(env['NOTEBOOK_PATH']))}")
    feed.say(f"logs      {shown(stack.logs)}")


def _redis_post(stack: Stack) -> Post:
    server = stack.redis_server
    assert server is not None and server.child is not None

    def start() -> Child:
        server.start()
        assert server.child is not None
        return server.child

    return Post(start, server.child)


def _post(feed: Feed, start: Callable[[], Child], *, is_api: bool = False) -> Post:
    child = start()
    feed.follow(child.name, child.log)
    feed.say(f"{child.name} started (pid {child.pid})")
    return Post(start, child, is_api=is_api)


def _watch(posts: list[Post], feed: Feed, tell: Callable[[], None], *, restart: bool) -> int:
    """Show logs and mind the posts until there is no point in going on. Returns the exit code.

    `tell` is called when a process was started again.
    """
    while True:
        feed.show()
        for post in posts:
            name = post.child.name
            if post.given_up or post.child.running:
                continue
            if post.due is None:
                feed.show()
                feed.say(f"{name} died: {ending(post.child.returncode)}", "bold red")
                if not restart:
                    post.given_up = True
                    continue
                quick = time.monotonic() - post.child.started < QUICK
                post.quick_deaths = post.quick_deaths + 1 if quick else 0
                if post.quick_deaths >= TRIES:
                    feed.say(f"{name} died at once {TRIES} times: that is enough", "bold red")
                    return 1
                post.due = time.monotonic() + PAUSE
            elif time.monotonic() >= post.due:
                post.child, post.due = post.start(), None
                tell()
                feed.say(f"{name} started again (pid {post.child.pid})")
        if all(post.given_up for post in posts if post.is_api):
            feed.say("no API process is left, so there is nothing to serve", "bold red")
            return 1
        time.sleep(LOOK)
