"""A JupyterLab on the learner's copies of the labs."""

import json
import sys
from pathlib import Path

from kit.labs.copies import copies
from kit.processes.child import Child, wait_until
from kit.processes.stack import Stack
from kit.workspace import workspace

# JupyterLab is large, and its first start on a machine reads all of it from the disk.
START_TIMEOUT = 90.0  # seconds

# No requests to the outside for news, newer versions or extensions: there may be no network.
QUIETLY = (
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)


def start_jupyter(stack: Stack, port: int, token: str, *, fixed: bool) -> Child:
    """Start JupyterLab, and wait until it answers. `fixed`: this port, and no other."""
    argv = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--ServerApp.root_dir={copies()}"]
    argv += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
    argv += [f"--ServerApp.port_retries={0 if fixed else 50}", *QUIETLY]
    # In a container the user is root; JupyterLab listens on 127.0.0.1 only.
    argv += ["--allow-root"]
    env = stack.env | {
        # Settings of its own: a password or a certificate of the user's would do harm.
        "JUPYTER_CONFIG_DIR": str(_home() / "config"),
        "JUPYTER_DATA_DIR": str(_home() / "data"),
        "JUPYTER_RUNTIME_DIR": str(_home() / "runtime"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        # In the environment, because all users of a machine can read a command line.
        "JUPYTER_TOKEN": token,
    }
    jupyter = stack.start("jupyter", argv, cwd=copies(), env=env)
    wait_until(lambda: _answers(jupyter, token), "JupyterLab to answer", START_TIMEOUT, jupyter)
    return jupyter


def address(jupyter: Child) -> str:
    """Its address; the port that it was given may have been taken before it could bind it."""
    file = _home() / "runtime" / f"jpserver-{jupyter.pid}.json"
    port = json.loads(file.read_text(encoding="utf-8"))["port"]
    return f"http://127.0.0.1:{port}/"


def _home() -> Path:
    return workspace().state / "jupyter"


def _answers(jupyter: Child, token: str) -> bool:
    import httpx

    headers = {"Authorization": f"token {token}"}
    try:
        url = f"{address(jupyter)}api/status"
        return httpx.get(url, headers=headers, timeout=5, trust_env=False).is_success
    except (OSError, ValueError, httpx.HTTPError):
        return False
