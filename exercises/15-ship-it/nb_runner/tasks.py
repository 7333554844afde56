"""The Celery app, its one task, and what happens when a worker starts and stops."""

import os
import signal
from contextlib import suppress
from functools import cache
from logging import Logger
from typing import Any

import billiard
from celery import signals
from redis import Redis, RedisError

from . import logs, process_tree, redis_words
from .broker import celery_app
from .config import settings
from .names import Names
from .pool import EndsRuns, signals_end_the_run
from .worker import Worker, connect

SEEN_SECONDS = 7  # how long a worker counts as alive; Celery's workers beat every 2 seconds

# A worker takes a message from the queue on one connection and notes it on another one. If that
# one has died in silence, the message would be gone: so the note is tried once more, on a new one.
app = celery_app(settings(), socket_timeout=5, socket_connect_timeout=1, retry_on_timeout=True)
app.conf.update(
    # The state of a run is ours to keep: no rule hangs on a result backend, so there is none.
    task_ignore_result=True,
    # A worker takes a message when it is free, never while another run still occupies it.
    worker_disable_prefetch=True,
    # A pool process is up when its kernel is, which can take a while on a busy machine.
    worker_proc_alive_timeout=90,
    broker_connection_retry_on_startup=True,
)
app.steps["worker"].add(EndsRuns)
worker: Worker  # one in each pool process; made when the process starts
worker_name = ""  # the main process gets it before it forks


@app.task(name="nb_runner.run_notebook")
def run_notebook(run_id: str) -> None:
    """Run the notebook as the run of that id."""
    with signals_end_the_run() as told_to_stop, logs.apart():
        worker.run(run_id, told_to_stop)
    worker.warm_up()


@signals.after_setup_logger.connect
@signals.after_setup_task_logger.connect
def logs_are_set_up(logger: Logger, **_: Any) -> None:
    """In the main process, and so in the pool processes that are forked from it."""
    logs.set_up(settings().log_format, logger)


@signals.celeryd_init.connect
def main_process_is_named(sender: str, **_: Any) -> None:
    """In the main process: remember what it is called, for its pool processes, too."""
    global worker_name
    worker_name = sender


@signals.worker_process_init.connect
def pool_process_starts(**_: Any) -> None:
    """In the pool process: make what runs notebooks."""
    global worker
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # that was for the main process
    process_tree.contain()
    worker = Worker(settings())
    worker.warm_up()
    worker.report(Names(settings().namespace).pool(worker_name, os.getpid()))


@signals.worker_process_shutdown.connect
def pool_process_ends(**_: Any) -> None:
    """In the pool process: leave no kernel behind."""
    worker.close()


@cache
def main_redis() -> Redis:
    """The main process's own connection. A new one for each heartbeat would cost four trips."""
    return connect(settings())


@signals.worker_init.connect
def main_process_starts(**_: Any) -> None:
    """In the main process, before anything else: refuse a Redis that cannot do."""
    with suppress(RedisError):  # it is not up yet, or we may not ask
        if unfit := redis_words.unfit(main_redis().info()):
            raise SystemExit(unfit)


@signals.worker_init.connect
def main_process_keeps_kernels(**_: Any) -> None:
    """In the main process: if a pool process dies, what its kernel has started falls to us."""
    process_tree.contain()
    process_tree.conceal()
    signal.signal(signal.SIGCHLD, lambda *_: process_tree.kill_kernels(timeout=1, grace=0.5))


@signals.heartbeat_sent.connect
def main_process_lives(**_: Any) -> None:
    """In the main process, every 2 seconds: say so, for GET /ready."""
    names = Names(settings().namespace)
    pools = max(1, len(billiard.active_children()))  # one that has died is replaced at once
    try:
        with main_redis().pipeline() as all_three:
            all_three.set(names.worker(worker_name), settings().notebook_path.name, ex=SEEN_SECONDS)
            all_three.set(names.pools(worker_name), pools, ex=SEEN_SECONDS)
            all_three.set(names.heard, worker_name, ex=SEEN_SECONDS)
            all_three.execute()
    except RedisError:
        pass  # the worker itself is looking for Redis, and says so
