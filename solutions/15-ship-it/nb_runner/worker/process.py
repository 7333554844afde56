"""How a worker's processes start and stop: the main process, and the pool processes it forks."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from logging import Logger
from typing import Any

import billiard
from celery import signals
from redis import RedisError

from ..config import environment_without_secrets, get_settings
from ..connection import worker_redis
from ..executor import Executor
from ..extras import fencing, logs, redis_words
from ..lease import ANSWER_SHARE
from ..names import names
from ..notebook import process_tree
from .self_report import SelfReport

SEEN_SECONDS = 7  # how long a worker counts as alive; Celery's workers beat every 2 seconds


class PoolProcess:
    """What a pool process has for its runs. There is one run at a time."""

    def __init__(self) -> None:
        settings = get_settings()
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        # The run waits for a number before it is claimed, and its admission lasts for one lease.
        self.database_timeout = min(5.0, settings.lease_seconds / 3)
        self.database = fencing.connect(settings.database_url, self.database_timeout)
        self.executor = Executor(settings, settings.lease_seconds * ANSWER_SHARE)
        self._trial: subprocess.Popen[str] | None = None

    def warm_up(self, timeout: float | None = None) -> None:
        """Get the next run's kernel ready."""
        self.executor.warm_up(get_settings().notebook_path, timeout)

    def report(self) -> None:
        """Tell Redis from now on whether a run would work here."""
        key = names().pool(main_process, os.getpid())
        SelfReport(key, self.database, self._no_kernel).start()

    def _no_kernel(self) -> str:
        """Why no kernel starts. Where none did, another process tries it meanwhile."""
        if (self.executor.no_kernel or self.executor.gave_up) and self._trial is None:
            command = [sys.executable, "-m", "nb_runner.worker.kernel_trial"]
            self._trial = subprocess.Popen(
                command,
                env=environment_without_secrets(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        elif self._trial and self._trial.poll() is not None:
            why, _ = self._trial.communicate()
            if self._trial.returncode == 0:
                self.executor.no_kernel, self.executor.gave_up = why, False
            self._trial = None
        return self.executor.no_kernel


this: PoolProcess  # one in each pool process; made when the process starts
main_process = ""  # its name; it gets one before it forks


def pool_process() -> PoolProcess:
    """This pool process."""
    return this


@signals.after_setup_logger.connect
@signals.after_setup_task_logger.connect
def logs_are_set_up(logger: Logger, **_: Any) -> None:
    """In the main process, and so in the pool processes that are forked from it."""
    logs.set_up(get_settings().log_format, logger)


@signals.celeryd_init.connect
def main_process_is_named(sender: str, **_: Any) -> None:
    """In the main process: remember what it is called, for its pool processes, too."""
    global main_process
    main_process = sender


@signals.worker_process_init.connect
def pool_process_starts(**_: Any) -> None:
    """In the pool process: make what runs notebooks."""
    global this
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # that was for the main process
    process_tree.contain()
    worker_redis.cache_clear()  # those connections are the main process's
    this = PoolProcess()
    this.warm_up()
    this.report()


@signals.worker_process_shutdown.connect
def pool_process_ends(**_: Any) -> None:
    """In the pool process: leave no kernel behind."""
    this.executor.close()


@signals.worker_init.connect
def main_process_starts(**_: Any) -> None:
    """In the main process, before anything else: refuse a Redis that cannot do."""
    with suppress(RedisError):  # it is not up yet, or we may not ask
        if unfit := redis_words.unfit(worker_redis().info()):
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
    pools = max(1, len(billiard.active_children()))  # one that has died is replaced at once
    notebook = get_settings().notebook_path.name
    try:
        with worker_redis().pipeline() as all_three:
            all_three.set(names().worker(main_process), notebook, ex=SEEN_SECONDS)
            all_three.set(names().pools(main_process), pools, ex=SEEN_SECONDS)
            all_three.set(names().heard, main_process, ex=SEEN_SECONDS)
            all_three.execute()
    except RedisError:
        pass  # the worker itself is looking for Redis, and says so
