"""What Kubernetes and proxies do to a runner that is deployed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.runner import Runner, start_runner, write_notebook

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

PREFIX = "/nb"  # under which a proxy shows the runner


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A runner behind a prefix, whose notebook is mounted as Kubernetes mounts a ConfigMap."""
    folder = tmp_path_factory.mktemp("deployed")
    (folder / "mounted").mkdir()
    (folder / "mounted" / "it.ipynb").symlink_to("..data/it.ipynb")
    mount(folder / "mounted", "first")
    notebook = folder / "mounted" / "it.ipynb"
    env = {"UVICORN_ROOT_PATH": PREFIX}
    with start_runner(folder, notebook=notebook, env=env) as runner:
        yield runner


def mount(folder: Path, word: str) -> None:
    """Put a new version into a mounted ConfigMap: a new folder, a link, and the old one goes."""
    (folder / f"..{word}").mkdir()
    write_notebook(folder / f"..{word}" / "it.ipynb", f"print({word!r})")
    (folder / "..new").symlink_to(f"..{word}")
    old = (folder / "..data").resolve()
    (folder / "..new").rename(folder / "..data")
    if old.name != "..data":
        shutil.rmtree(old)


def test_29_a_configmap_that_is_updated_is_what_runs_next(deployed: Runner) -> None:
    output = f"/output/{deployed.run()['run_id']}"
    assert deployed.client.get(output).text == "first\n"
    mount(Path(deployed.env["NOTEBOOK_PATH"]).parent, "second")
    assert deployed.client.get("/ready").json()["notebook"] == "ok"
    output = f"/output/{deployed.run()['run_id']}"
    assert deployed.client.get(output).text == "second\n"


def test_29_location_has_the_prefix_of_the_proxy(deployed: Runner) -> None:
    started = deployed.client.post("/start")
    run_id = started.json()["run_id"]
    assert started.headers["Location"] == f"{PREFIX}/status/{run_id}"
    deployed.wait_for(run_id, "SUCCEEDED")


def test_29_events_ask_proxies_not_to_keep_them_back(deployed: Runner) -> None:
    run_id = deployed.run()["run_id"]
    headers = deployed.client.get(f"/status/{run_id}/events").headers
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["Cache-Control"] == "no-cache, no-transform"
