"""The executor of exercise 10 on two notebooks: one is well, one raises."""

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
os.environ["NOTEBOOK_PATH"] = str(ROOT / "notebooks" / "hello.ipynb")
sys.path.insert(0, str(ROOT / "solutions" / "10-run-the-notebook"))

from nb_runner.config import settings  # type: ignore[import-not-found]  # noqa: E402
from nb_runner.executor import NotebookFailed, run  # type: ignore[import-not-found]  # noqa: E402


def only_errors(folder: Path) -> None:
    """Let kernels log errors alone: each would begin with a warning about its TCP sockets."""
    profile = folder / "profile_default"
    profile.mkdir()
    (profile / "ipython_kernel_config.py").write_text("c.Application.log_level = 'ERROR'\n")
    os.environ["IPYTHONDIR"] = str(folder)


with tempfile.TemporaryDirectory() as folder:
    only_errors(Path(folder))
    for name in ("hello.ipynb", "raises.ipynb"):
        print(f"--- {name}")
        try:
            left = run(settings.model_copy(update={"notebook_path": ROOT / "notebooks" / name}))
        except NotebookFailed as failed:
            print(failed)
            left = failed.left
        print(left["printed"], end="")
