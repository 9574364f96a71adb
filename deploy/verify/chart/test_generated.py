"""What is made of something else is made of its present state: `make charts` does it."""

import shutil
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT

sys.path.insert(0, str(ROOT / "deploy/verify"))
import generate  # noqa: E402


@pytest.mark.parametrize("path", generate.FILES, ids=str)
def test_generated_files_are_up_to_date(path):
    assert (ROOT / path).read_text() == generate.FILES[path](), f"{path} is out of date: run `make charts`"


@pytest.mark.parametrize("name", generate.MANIFESTS)
def test_plain_manifests_are_whole_and_free_of_helm(name):
    many = [one for one in yaml.safe_load_all((ROOT / f"deploy/manifests/{name}.yaml").read_text()) if one]
    assert many[0]["kind"] == "Namespace"
    assert many[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for one in many:
        assert "helm.sh/chart" not in one["metadata"].get("labels", {})
        assert "helm.sh/hook" not in one["metadata"].get("annotations", {})
        assert one["kind"] in ("Namespace",) or one["metadata"]["namespace"] == "windlass"


@pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl")
@pytest.mark.parametrize("name", generate.MANIFESTS)
def test_plain_manifests_can_be_built_on_with_kustomize(name, tmp_path):
    shutil.copy(ROOT / f"deploy/manifests/{name}.yaml", tmp_path / "windlass.yaml")
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [windlass.yaml]\nimages: [{name: windlass, newName: registry.example.com/windlass, newTag: '9'}]\n"
        "replicas: [{name: windlass-serve, count: 3}]\n"
    )
    built = subprocess.run(["kubectl", "kustomize", tmp_path], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    many = list(yaml.safe_load_all(built.stdout))
    serve = next(one for one in many if one["kind"] == "Deployment" and one["metadata"]["name"] == "windlass-serve")
    assert serve["spec"]["replicas"] == 3
    assert serve["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example.com/windlass:9"
