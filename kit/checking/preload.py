"""What graders import, imported before they begin: each grader is forked, and finds it there."""

import importlib
import signal
from multiprocessing import forkserver, resource_tracker

# What every grader needs at once.
FIRST = ("kit.checking.grader_process", "pytest", "kit.grading.plugin", "kit.grading.submission")
# What a grader can import while the project starts. An httpx client imports httpcore.
LATER = ("httpx", "httpcore")
# A third of a second, for projects with a worker only. The gates import redis; graders from 10 on
# write notebooks.
WORKER = ("kit.grading.gated.rules", "nbformat")


def start_forkserver(*, everything: bool = False) -> None:
    """Start multiprocessing's fork server, which imports while this process goes on.

    Graders are forked from the fork server, because it has no threads: a fork copies one thread
    only, and this process may have several. `everything`: import also what is needed later.
    """
    forkserver.set_forkserver_preload([*FIRST, *(LATER + WORKER if everything else ())])
    # Ctrl-C during the imports would print a traceback. The fork server inherits the mask; each
    # grader takes it off. The resource tracker comes first, because its start takes the mask off.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def import_here(*, worker: bool) -> None:
    """Import it in this process, which forks graders itself.

    `worker`: also what only graders of projects with a worker need.
    """
    for name in (*FIRST, *LATER, *(WORKER if worker else ())):
        importlib.import_module(name)
