"""The executor of exercise 10 on two notebooks: one is well, one raises."""

import os
import sys
from pathlib import Path

from jupyter_client import KernelManager

ROOT = Path(__file__).parents[2]
os.environ["NOTEBOOK_PATH"] = str(ROOT / "notebooks" / "hello.ipynb")
sys.path.insert(0, str(ROOT / "solutions" / "10-run-the-notebook"))
# Over TCP, every kernel would begin with a warning.
KernelManager.transport.default_value = "ipc"

from nb_runner.config import settings  # type: ignore[import-not-found]  # noqa: E402
from nb_runner.executor import NotebookFailed, run  # type: ignore[import-not-found]  # noqa: E402

for name in ("hello.ipynb", "raises.ipynb"):
    print(f"--- {name}")
    try:
        left = run(settings.model_copy(update={"notebook_path": ROOT / "notebooks" / name}))
    except NotebookFailed as failed:
        print(failed)
        left = failed.left
    print(left["printed"], end="")
