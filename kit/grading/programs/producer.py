"""Puts tasks into the queue, with the project's own Celery app.

    python -m kit.grading.programs.producer RESULT_FILE TASKS

TASKS is a JSON list of [id, name, arguments]. The result is the number of tasks that were sent.
"""

import json
import sys
from pathlib import Path

from celery.app.utils import find_app

APP = "nb_runner.tasks"  # found there as `celery -A` finds it


def main(result: str, tasks: str) -> None:
    """Send all tasks, in this order."""
    app = find_app(APP)
    sent = 0
    for task_id, name, arguments in json.loads(tasks):
        app.send_task(name, args=arguments, task_id=task_id)
        sent += 1
    Path(result).write_text(json.dumps(sent))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
