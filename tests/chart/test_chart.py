"""deploy/helm/nb-runner: what helm makes of it, and what it refuses. No cluster is asked."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from packaging.version import Version

from tests.e2e.compose import SERVICES
from tests.e2e.runner import PRODUCT
from tests.support.helm import CHART, Manifest, helm, rendered
from tests.support.requirements import skip_or_fail

NEWEST = 3  # versions of Kubernetes
MATRIX: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "all that can be switched on": {
        "seed": True,
        "images": {"pullSecrets": ["ours"]},
        "settings": {"OUTPUT_LIMIT": 50_000_000, "CANCEL_GRACE": 0.5, "DEMO_MODE": True},
        "notebook": {"name": "mine.ipynb", "configMap": "mine"},
        "redis": {"storageClass": "fast"},
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "host": "runner.example.org",
            "path": "/nb",
            "rule": "/nb(/|$)(.*)",
            "pathType": "ImplementationSpecific",
            "annotations": {"nginx.ingress.kubernetes.io/rewrite-target": "/$2"},
            "tlsSecret": "tls",
        },
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    },
    "all that can be switched off": {
        "redis": {"bundled": False},
        "postgres": {"bundled": False},
        "networkPolicy": False,
        "artifacts": {"existingClaim": "ours"},
    },
    "the handbook's": yaml.safe_load((CHART.parent / "mine.yaml").read_text(encoding="utf-8")),
    "one node": {"artifacts": {"accessMode": "ReadWriteOnce", "storageClass": "local"}},
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a password": ({"redis": {"password": "hello"}}, "password"),
    "a secret setting": ({"settings": {"RUNNER_API_KEY": "open sesame"}}, "RUNNER_API_KEY"),
    "a setting that is misspelt": ({"settings": {"CELL_TIMEOUTS": 5}}, "CELL_TIMEOUTS"),
    "a lease too short": ({"settings": {"LEASE_SECONDS": 1}}, "LEASE_SECONDS"),
    "no API": ({"api": {"replicas": 0}}, "replicas"),
    "a notebook elsewhere": ({"notebook": {"name": "../mine.ipynb"}}, "notebook"),
    "no Secret": ({"secret": ""}, "secret"),
    "a prefix with a slash behind it": ({"ingress": {"path": "/nb/"}}, "path"),
    "a volume of another kind": ({"artifacts": {"accessMode": "ReadOnlyMany"}}, "accessMode"),
}


@pytest.fixture(params=MATRIX.values(), ids=list(MATRIX))
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return rendered(request.param)


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """The manifests of a kind, by what comes after the name of the release."""
    found = (one for one in manifests if one["kind"] == kind)
    return {one["metadata"]["name"].partition("-")[2]: one for one in found}


def pods(manifests: list[Manifest]) -> Iterator[tuple[Manifest, Manifest]]:
    """The specification of each pod, and its container."""
    for one in manifests:
        pod = one["spec"] if one["kind"] == "Pod" else one["spec"].get("template", {}).get("spec")
        if pod:
            (container,) = pod["containers"]
            yield pod, container


def test_helm_finds_nothing_to_complain_about() -> None:
    done = helm("lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout


def test_the_manifests_are_valid_for_the_newest_kubernetes(manifests: list[Manifest]) -> None:
    try:
        import kubernetes_validate  # as apprise: not in the lock
    except ImportError:
        skip_or_fail("no kubernetes-validate; .ci/run installs it")
    versions = sorted(set(kubernetes_validate.utils.all_versions()), key=Version)[-NEWEST:]
    for one in manifests:
        if one["kind"] != "ServiceMonitor":  # of the operator of Prometheus
            for version in versions:
                kubernetes_validate.validate(one, version, strict=True)


def test_no_pod_may_more_than_its_twin_of_compose(manifests: list[Manifest]) -> None:
    for pod, container in pods(manifests):
        assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} <= set(container["resources"])
        for variable in container.get("env", ()):
            if variable["name"].endswith(("_URL", "_URLS", "_KEY", "PASSWORD", "AUTH")):
                assert "secretKeyRef" in variable["valueFrom"], variable


def test_the_containers_run_what_those_of_compose_do() -> None:
    manifests = rendered()
    deployed = of_kind(manifests, "Deployment") | of_kind(manifests, "StatefulSet")
    container = {
        name: one["spec"]["template"]["spec"]["containers"][0] for name, one in deployed.items()
    }
    for name in ("api", "worker"):
        assert container[name]["command"] == SERVICES[name]["command"]
        theirs = set(SERVICES[name]["environment"])
        ours = {variable["name"] for variable in container[name]["env"]}
        assert ours <= theirs
        assert {"DATABASE_URL", "RUNNER_API_KEY", "NOTIFY_URLS"} & ours == {
            "DATABASE_URL",
            "RUNNER_API_KEY",
            "NOTIFY_URLS",
        } & theirs
    server, *words = SERVICES["redis"]["command"]
    redis = container["redis"]["command"][-1].replace("\\\n", "")
    assert f"exec {server} - " in redis
    for word in words:
        assert (word or '""') in redis.split()


def test_a_rollout_makes_no_second_redis_and_leaves_an_api() -> None:
    manifests = rendered()
    assert set(of_kind(manifests, "StatefulSet")) == {"redis", "postgres"}
    for one in of_kind(manifests, "StatefulSet").values():
        assert one["spec"]["replicas"] == 1
    strategy = {
        name: one["spec"]["strategy"] for name, one in of_kind(manifests, "Deployment").items()
    }
    assert strategy["worker"] == {"type": "Recreate"}
    assert strategy["api"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert of_kind(manifests, "PodDisruptionBudget")["api"]["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize(("grace", "lease"), [(5, 15), (0.5, 2), (300, 60)])
def test_a_worker_has_the_time_that_it_needs_to_stop(grace: float, lease: float) -> None:
    values = {"settings": {"CANCEL_GRACE": grace, "LEASE_SECONDS": lease}}
    worker = of_kind(rendered(values), "Deployment")["worker"]
    given = worker["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace + 2 * lease + 5 <= given <= grace + 2 * lease + 15


def test_values_arrive_where_they_are_used() -> None:
    manifests = rendered(MATRIX["all that can be switched on"])
    deployed = of_kind(manifests, "Deployment")
    (api,) = deployed["api"]["spec"]["template"]["spec"]["containers"]
    given = {one["name"]: one.get("value") for one in api["env"]}
    assert given["OUTPUT_LIMIT"] == "50000000"
    assert given["CANCEL_GRACE"] == "0.5"
    assert given["DEMO_MODE"] == "true"
    assert given["NOTEBOOK_PATH"] == "/notebooks/mine.ipynb"
    assert api["command"][-2:] == ["--root-path", "/nb"]
    (rule,) = of_kind(manifests, "Ingress")[""]["spec"]["rules"]
    assert rule["http"]["paths"][0]["path"] == "/nb(/|$)(.*)"
    assert {"name": "notebook", "configMap": {"name": "mine"}} in (
        deployed["worker"]["spec"]["template"]["spec"]["volumes"]
    )


def test_pods_that_share_a_volume_of_one_node_go_to_one_node() -> None:
    for values, together in (({}, False), (MATRIX["one node"], True)):
        for one in of_kind(rendered(values), "Deployment").values():
            template = one["spec"]["template"]
            assert ("affinity" in template["spec"]) is together
            if together:
                affinity = template["spec"]["affinity"]["podAffinity"]
                (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]
                wanted = term["labelSelector"]["matchLabels"].items()
                assert wanted <= template["metadata"]["labels"].items()


@pytest.mark.parametrize(("values", "word"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_value_is_refused_and_named(values: dict[str, Any], word: str) -> None:
    done = helm("template", "nb", CHART, values=values)
    assert done.returncode != 0
    assert word in done.stderr


def test_the_settings_are_those_of_the_runner_with_its_limits() -> None:
    source = "import json, nb_runner.config as c; print(json.dumps(c.Settings.model_json_schema()))"
    told = subprocess.run(
        [sys.executable, "-c", source], cwd=PRODUCT.path, capture_output=True, check=True
    )
    theirs = json.loads(told.stdout)
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    ours = schema["properties"]["settings"]["properties"]
    elsewhere = {"redis_url", "database_url", "runner_api_key", "notify_urls"}
    elsewhere |= {"notebook_path", "artifacts_dir"}
    assert {name.lower() for name in ours} == set(theirs["properties"]) - elsewhere
    for name, rule in ours.items():
        said = theirs["properties"][name.lower()]
        said = said | said.get("anyOf", [{}])[0] | theirs["$defs"].get(said.get("$ref", "")[8:], {})
        for word in ("minimum", "maximum", "pattern", "enum"):
            assert rule.get(word) == said.get(word), (name, word)


def test_what_is_said_after_an_installation_names_the_test() -> None:
    done = helm("install", "nb", CHART, "--dry-run=client")
    assert done.returncode == 0, done.stderr
    assert "helm test --namespace default nb" in done.stdout
    hooks = done.stdout.partition("HOOKS:")[2].partition("MANIFEST:")[0]
    (test,) = (one for one in yaml.safe_load_all(hooks) if one)
    assert test["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert "/ready" in test["spec"]["containers"][0]["command"][-1]
