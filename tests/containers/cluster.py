"""The chart without a cluster: podman plays its pods, and the tests act what a cluster does beside.

podman plays what is in a pod: images, commands, users, locks, volumes, Secrets, ConfigMaps. Acted
here are: a StatefulSet (one pod, with the same name, address and volume again), a Service (the name
of its pod in /etc/hosts), probes and preStop, and the two rollouts. Not tried are: volumes of
several nodes, fsGroup, NetworkPolicy, the budget for disruptions and the Ingress.
"""

import base64
import copy
import ctypes
import json
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx
import yaml

from tests.containers.namespace import namespace
from tests.containers.stack import LONG
from tests.e2e.runner import wait_until
from tests.support.helm import Manifest
from tools.containers.commands import Failed, run

SUBNET = "10.89.7"
EMPTY = ("tmp", "socket")
CLONE_NEWNET = 0x40000000
T = TypeVar("T")


def enter(pid: int) -> None:
    """Have this thread, and no other one, use the network of a process."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{pid}/ns/net").open(encoding="utf-8") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


class Cluster:
    """Pods, each with an address."""

    def __init__(self, words: list[str], folder: Path, services: dict[str, str]) -> None:
        self.pid = int(words[words.index("--target") + 1])
        self._services = services  # the address of each
        self._pods: dict[str, Manifest] = {}
        self._config: list[Manifest] = []
        self._folder = folder
        conf = folder / "containers.conf"
        conf.write_text(_limits(), encoding="utf-8")
        others = {name: value for name, value in os.environ.items() if name != "DOCKER_CONFIG"}
        self._env = others | {"CONTAINERS_CONF": str(conf), "TMPDIR": str(folder)}
        # In the namespace, /run is its own. podman wants a short path there.
        places = ["--runroot=/run/pods", "--network-config-dir=/run/networks"]
        storage = [f"--root={folder / 'root'}", "--cgroup-manager=cgroupfs"]
        self._podman = [*words, "podman", *storage, *places]
        self._threads = ThreadPoolExecutor(1, initializer=enter, initargs=(self.pid,))
        self.podman("network", "create", f"--subnet={SUBNET}.0/24", "pods")

    def podman(self, *words: str | Path) -> str:
        """What podman prints for these words."""
        return run([*self._podman, *words], env=self._env).strip()

    def inside(self, call: Callable[[], T]) -> T:
        """Call it where the pods can be reached."""
        return self._threads.submit(call).result()

    def get(self, url: str) -> httpx.Response:
        """What a pod answers."""
        return self.inside(lambda: httpx.get(url, timeout=10, trust_env=False))

    def post(self, url: str) -> httpx.Response:
        """What a pod answers."""
        return self.inside(lambda: httpx.post(url, timeout=10, trust_env=False))

    def load(self, images: list[str], env: dict[str, str]) -> None:
        """Give podman images of the engine."""
        with subprocess.Popen(
            ["docker", "save", *images], env=env, stdout=subprocess.PIPE
        ) as saving:
            loading = subprocess.run(
                [*self._podman, "load", "--quiet"],
                env=self._env,
                stdin=saving.stdout,
                stdout=subprocess.DEVNULL,
                check=False,
            )
        assert saving.returncode == loading.returncode == 0

    def secret(self, name: str, values: dict[str, str]) -> None:
        """A Secret of Kubernetes, as podman keeps it."""
        coded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        file = self._folder / "secret.json"
        file.write_text(json.dumps(coded), encoding="utf-8")
        self.podman("secret", "create", name, file)

    def config_map(self, name: str, data: dict[str, str]) -> None:
        """A ConfigMap for all pods that are started from now on."""
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        self._config.append(config | {"data": data})

    def start(self, owner: Manifest, name: str, address: str) -> None:
        """The pod of a Deployment or StatefulSet, or a pod by itself."""
        pod = copy.deepcopy(owner if owner["kind"] == "Pod" else owner["spec"]["template"])
        self._pods[name] = copy.deepcopy(pod["spec"])
        spec = pod["spec"]
        spec["hostAliases"] = [
            {"ip": where, "hostnames": [service]} for service, where in self._services.items()
        ]
        for claim in owner["spec"].get("volumeClaimTemplates", ()):
            of_pod = f"{claim['metadata']['name']}-{name}"
            volume = {"name": claim["metadata"]["name"]}
            spec["volumes"].append(volume | {"persistentVolumeClaim": {"claimName": of_pod}})
        (container,) = spec["containers"]
        container["image"] = f"localhost/{container['image']}"
        for acted in ("startupProbe", "livenessProbe", "readinessProbe", "lifecycle"):
            container.pop(acted, None)
        container.pop("ports", None)  # podman would publish them, and two pods have the same
        # podman gives each container a /dev/shm; a volume in its place would belong to root.
        spec["volumes"] = [one for one in spec.get("volumes", ()) if one["name"] != "shm"]
        mounts = [one for one in container.get("volumeMounts", ()) if one["name"] != "shm"]
        container["volumeMounts"] = mounts
        # To podman, an emptyDir of the same name is the same one for all pods.
        for one in (*mounts, *spec["volumes"]):
            if one["name"] in EMPTY:
                one["name"] += f"-{name}"
        labels = pod["metadata"].get("labels", {})
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels},
            "spec": spec,
        }
        file = self._folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump_all([*self._config, manifest]), encoding="utf-8")
        self.podman("kube", "play", "--network=pods", f"--ip={address}", file)

    def stop(self, name: str) -> None:
        """End a pod as a kubelet does: preStop, SIGTERM, and SIGKILL after its time of grace."""
        spec = self._pods[name]
        (container,) = spec["containers"]
        if before := container.get("lifecycle", {}).get("preStop"):
            self.execute(name, *before["exec"]["command"])
        # Not the whole pod: podman would take the network away from a container that is ending.
        grace = spec["terminationGracePeriodSeconds"]
        self.podman("stop", f"--time={grace}", f"{name}-{container['name']}")
        self.podman("pod", "rm", "--force", name)
        del self._pods[name]

    def execute(self, name: str, *argv: str) -> str:
        """What a command prints in the container of a pod."""
        (container,) = self._pods[name]["containers"]
        return self.podman("exec", f"{name}-{container['name']}", *argv)

    def logs(self, name: str, container: str) -> str:
        """What a pod has printed."""
        return self.podman("logs", f"{name}-{container}")

    def wait_ready(self, name: str, address: str) -> None:
        """Wait until the readiness probe of a pod succeeds."""
        (container,) = self._pods[name]["containers"]
        probe = container["readinessProbe"]

        def ready() -> bool:
            try:
                if "exec" in probe:
                    self.execute(name, *probe["exec"]["command"])
                    return True
                path = probe["httpGet"]["path"]
                port = container["ports"][0]["containerPort"]
                return self.get(f"http://{address}:{port}{path}").is_success
            except (Failed, httpx.HTTPError):
                return False

        wait_until(ready, f"{name} to be ready", LONG, every=0.5)


@contextmanager
def cluster(folder: Path, services: dict[str, str]) -> Iterator[Cluster]:
    """One without a pod. Nothing of it is left afterwards."""
    with namespace(processes=True) as words:
        made = Cluster(words, folder, services)
        try:
            yield made
        finally:
            made.podman("pod", "rm", "--all", "--force", "--time=0")
    shutil.rmtree(folder / "root")


def _limits() -> str:
    """podman asks for more than a machine may give, and then starts nothing."""
    kinds = (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)
    files, processes = (min(resource.getrlimit(kind)[1], 4096) for kind in kinds)
    ulimits = [f"nofile={files}:{files}", f"nproc={processes}:{processes}"]
    return f"[containers]\ndefault_ulimits = {json.dumps(ulimits)}\n"
