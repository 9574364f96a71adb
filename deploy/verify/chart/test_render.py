"""What the chart renders is what Kubernetes, KEDA and the Prometheus operator take."""

import json
import re
import subprocess
import tomllib

import helm_python as helm
import jsonschema
import kubernetes_validate
import pytest
import yaml
from conftest import CHART, LEAST, NAMESPACE, ROOT, TOOLS, Release, merged, objects, text

VERSIONS = ["1.33", "1.35", "1.37"]
CUSTOM = ("keda.sh/", "monitoring.coreos.com/")


def custom(one):
    return one["apiVersion"].startswith(CUSTOM)


def faults_of_custom(many):
    """What the schemas of KEDA and the Prometheus operator have against these objects."""
    run = subprocess.run(["node", ROOT / "deploy/verify/crd.mjs", TOOLS / "node_modules"], input=json.dumps(many), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("version", VERSIONS)
def test_helm_lint_finds_nothing(setup, version):
    report = helm.lint(CHART, setup, strict=True, namespace=NAMESPACE, kube_version=f"v{version}.0")
    assert [one for one in report["messages"] if one["severity"] > 1] == []
    assert report["errors"] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid_in_kubernetes(setup, version):
    for one in objects(setup):
        if not custom(one):
            kubernetes_validate.validate(one, version, strict=True)


def test_every_object_of_an_operator_is_valid(setup):
    many = [one for one in objects(setup) if custom(one)]
    for one, faults in zip(many, faults_of_custom(many)):
        assert faults == [], f"{one['kind']} {one['metadata']['name']}"


def test_unknown_fields_would_be_found():
    release = Release(yaml.safe_load((CHART / "ci/keda-values.yaml").read_text()))
    deployment = release.get("Deployment", "windlass-serve")
    deployment["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenesProbe"):
        kubernetes_validate.validate(deployment, VERSIONS[0], strict=True)
    scaled = release.all("ScaledObject")[0]
    scaled["spec"]["fallback"]["behaviour"] = "static"
    assert faults_of_custom([scaled]) == [["/spec/fallback/behaviour: there is no such field"]]


def test_names_are_unique_and_short_enough(setup):
    seen = set()
    longest = {"pools": {"a-pool-of-twenty-let": {}}}
    for one in objects(merged(setup, longest), name="a-release-with-a-name-that-is-fifty-three-letters-lo"):
        key = (one["kind"], one["metadata"]["name"])
        assert key not in seen
        seen.add(key)
        # Names become values of labels, except for those of policies.
        assert len(one["metadata"]["name"]) <= (253 if "Policy" in one["kind"] else 63), key


def test_objects_leave_their_namespace_to_helm(setup):
    assert [one["kind"] for one in objects(setup) if "namespace" in one["metadata"]] == []


def test_selectors_find_the_pods_that_they_mean(setup):
    release = Release(setup)
    labels = {name: pod for name, pod, _ in release.pods()}
    selecting = [(one["metadata"]["name"], one["spec"]["selector"]["matchLabels"]) for kind in ("Deployment", "StatefulSet", "PodDisruptionBudget") for one in release.all(kind)]
    selecting += [(one["metadata"]["name"], one["spec"]["selector"]) for one in release.all("Service")]
    for name, selector in selecting:
        found = [pod for pod, has in labels.items() if selector.items() <= has.items()]
        assert found == [name]


def test_configuration_of_every_program_is_toml(setup):
    maps = [one["data"]["windlass.toml"] for one in objects(setup) if one["kind"] == "ConfigMap" and "windlass.toml" in one["data"]]
    assert maps
    for one in maps:
        tomllib.loads(one)


def test_variables_are_settings_that_exist(setup):
    documented = set(re.findall(r"`(WINDLASS_[A-Z_]+)`", (ROOT / "docs/configuration.md").read_text())) | {"WINDLASS_CONFIG"}
    for name, _, spec in Release(setup).pods():
        used = {one["name"] for one in spec["containers"][0].get("env", []) if one["name"].startswith("WINDLASS_")}
        assert used <= documented, name


def test_every_mounted_volume_is_there_and_every_file_that_a_variable_names_is_mounted(setup):
    for name, _, spec in Release(setup).pods():
        container = spec["containers"][0]
        volumes = {one["name"]: one for one in spec.get("volumes", [])}
        mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
        claims = {"data"} if name == "windlass-redis" else set()
        assert set(mounts.values()) - claims <= set(volumes), name
        secret = volumes.get(mounts.get("/run/secrets/windlass"), {}).get("projected", {"sources": []})
        files = {item["path"] for source in secret["sources"] for item in source["secret"]["items"]}
        for variable in container.get("env", []):
            value = variable.get("value", "")
            if value.startswith("/run/secrets/windlass/"):
                assert value.removeprefix("/run/secrets/windlass/") in files, f"{name}: {variable['name']}"


def test_notes_say_what_to_do_next(setup):
    notes = text(setup)["NOTES.txt"]
    assert "helm test windlass --namespace fleet" in notes
    assert ("WARNING: this Redis is for trials" in notes) == setup["redis"].get("embedded", {}).get("enabled", False)


def test_the_chart_can_be_packaged_and_carries_what_it_needs(tmp_path):
    archive = helm.package(CHART, destination=tmp_path)
    with helm.Chart.load(archive) as chart:
        files = {one["name"] for one in chart.files}
        assert {"files/rules.yml", "files/dashboard.json", "README.md"} <= files
        assert not any(name.startswith("ci/") for name in files)


def test_the_schema_of_the_values_is_a_schema():
    jsonschema.Draft7Validator.check_schema(json.loads((CHART / "values.schema.json").read_text()))


def test_values_and_their_schema_name_the_same_things():
    schema = json.loads((CHART / "values.schema.json").read_text())

    def named(node, path=""):
        node = schema["definitions"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
        inner = {key: one for key, one in node.get("properties", {}).items()}
        return {path} | {one for key, sub in inner.items() for one in named(sub, f"{path}.{key}")}

    def given(value, path=""):
        return {path} | ({one for key, sub in value.items() for one in given(sub, f"{path}.{key}")} if isinstance(value, dict) else set())

    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    # What a default of these holds is the user's own, or Kubernetes's.
    free = re.compile(r"\.(global|.*(resources|image|labels|scaleUp|scaleDown)\..*|pools\..*)$")
    only_schema = {one for one in named(schema) - given(defaults) if not free.match(one)}
    only_values = {one for one in given(defaults) - named(schema) if not free.match(one)}
    assert (only_schema, only_values) == (set(), set())


def test_versions_of_chart_and_programs_agree():
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == version


def test_a_release_of_any_name_has_its_own_names():
    names = {one["metadata"]["name"] for one in objects(merged(LEAST), name="nightly")}
    assert all(name.startswith("nightly-windlass-") for name in names)
