"""The chart: by Helm's own code where it is installed, against Kubernetes' own schemas."""

import json
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.deploy.deployed import DEPLOY, IMAGES, assert_commands, unknown_settings
from tunery_server.config import Settings
from tunery_server.gateway.routes import health
from tunery_server.supervisor import serve

CHART = DEPLOY / "helm" / "tunery"
VALUES = sorted((CHART / "ci").glob("*.yaml"))
OLDEST, NEWEST = "1.29", "1.37"


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


SCHEMA = json.loads((CHART / "values.schema.json").read_text())


@cache
def rendered(values: Path) -> list[dict[str, Any]]:
    """What Helm makes of the chart."""
    helm = pytest.importorskip("helm_python", reason="Helm is missing: 'make deploy-tools'")
    with helm.Chart.load(CHART) as chart:
        files = chart.render(values=read(values), name="demo", namespace="ai")
    manifests = [text for path, text in files.items() if not path.endswith("NOTES.txt")]
    return [one for text in manifests for one in yaml.safe_load_all(text) if one]


def of_kind(values: Path, kind: str) -> list[dict[str, Any]]:
    return [one for one in rendered(values) if one["kind"] == kind]


def pod(values: Path, kind: str = "Deployment") -> dict[str, Any]:
    [owner] = of_kind(values, kind)
    return owner["spec"]["template"]["spec"]


def containers(values: Path) -> dict[str, dict[str, Any]]:
    spec = pod(values)
    return {one["name"]: one for one in spec["initContainers"] + spec["containers"]}


def test_settings_are_those_that_there_are() -> None:
    script = runpy.run_path(str(DEPLOY / "helm" / "settings_schema.py"))
    assert script["schema"]() == SCHEMA, "run 'python deploy/helm/settings_schema.py --write'"


def test_the_schema_knows_every_default_value_and_no_other() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    values = read(CHART / "values.yaml")
    jsonschema.validate(values, SCHEMA)
    assert SCHEMA["properties"].keys() - {"global"} == values.keys()


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_the_examples_fit_the_schema(values: Path) -> None:
    jsonschema.validate(read(values), SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        {"settings": {"TUNERY_MAX_LORA": "4"}},
        {"settings": {"TUNERY_MAX_LORAS": 4}},
        {"device": "tpu"},
        {"replicaCount": 2},
    ],
    ids=str,
)
def test_a_wrong_value_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_helm_finds_nothing_to_say(values: Path) -> None:
    helm = pytest.importorskip("helm_python", reason="Helm is missing: 'make deploy-tools'")
    report = helm.lint(CHART, read(values), strict=True, kube_version=f"v{NEWEST}.0")
    said = {message["error"] for message in report["messages"]} - {"icon is recommended"}
    assert (report["errors"], said) == ([], set())


def test_helm_holds_values_to_the_schema() -> None:
    helm = pytest.importorskip("helm_python", reason="Helm is missing: 'make deploy-tools'")
    wrong = {"redis": {"existingSecret": "r"}, "settings": {"TUNERY_NONSENSE": "1"}}
    with helm.Chart.load(CHART) as chart, pytest.raises(helm.HelmError, match="TUNERY_NONSENSE"):
        chart.render(values=wrong, name="demo")


def test_a_redis_has_to_be_named() -> None:
    helm = pytest.importorskip("helm_python", reason="Helm is missing: 'make deploy-tools'")
    with helm.Chart.load(CHART) as chart, pytest.raises(helm.HelmError, match="existingSecret"):
        chart.render(values={}, name="demo")


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_manifests_fit_kubernetes_schemas(values: Path, version: str) -> None:
    reason = "kubernetes-validate is missing: 'make deploy-tools'"
    kubernetes = pytest.importorskip("kubernetes_validate", reason=reason)
    for manifest in rendered(values):
        if manifest["kind"] != "ServiceMonitor":  # the operator's own kind
            kubernetes.validate(manifest, version, strict=True)


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_containers_run_what_there_is(values: Path) -> None:
    found = containers(values)
    assert list(found) == ["engine", "gateway", "worker"]
    for name, container in found.items():
        assert_commands(container["args"])
        assert container["args"][0] == name
        assert container["image"].rpartition("-")[2] in IMAGES
        assert not unknown_settings(variable["name"] for variable in container["env"])
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_probes_ask_routes_that_need_no_key(values: Path) -> None:
    gateway = containers(values)["gateway"]
    probes = [gateway[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    assert [probe["path"] for probe in probes] == ["/livez", "/livez", "/readyz"]
    routes = {route.path for route in health.public.routes}  # type: ignore[attr-defined]
    assert routes.issuperset(probe["path"] for probe in probes)
    allowed = read(values).get("settings", {}).get("TUNERY_ALLOWED_HOSTS")
    hosts = [header["value"] for probe in probes for header in probe.get("httpHeaders", ())]
    assert hosts == ([allowed.split(",")[0]] * 3 if allowed else [])


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_secrets_come_by_reference(values: Path) -> None:
    assert not of_kind(values, "Secret")
    engine = containers(values)["engine"]
    assert [variable["name"] for variable in engine["env"]] == ["TUNERY_DEVICE"]
    for name in ("gateway", "worker"):
        env = {one["name"]: one for one in containers(values)[name]["env"]}
        for secret in env.keys() & {"REDIS_URL", "DATABASE_URL"}:
            assert env[secret]["valueFrom"]["secretKeyRef"]["name"]


def test_a_record_of_ones_own_is_migrated_before_the_pods_change() -> None:
    cpu, gpu = VALUES
    assert not of_kind(cpu, "Job")
    [job] = of_kind(gpu, "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    [migrate] = pod(gpu, "Job")["containers"]
    assert_commands(migrate["args"])


def test_the_pod_has_time_to_drain() -> None:
    drain_s = Settings.model_fields["drain_timeout_s"].default
    grace_s = pod(VALUES[0])["terminationGracePeriodSeconds"]
    assert grace_s >= serve._TRAINER_GRACE_S + drain_s


def test_the_storages_secret_is_not_the_engines() -> None:
    [values] = [path for path in VALUES if path.stem == "gpu-values"]
    named = {
        name: [entry["secretRef"]["name"] for entry in one["envFrom"] if "secretRef" in entry]
        for name, one in containers(values).items()
    }
    assert named == {"engine": [], "gateway": ["tunery-storage"], "worker": ["tunery-storage"]}
