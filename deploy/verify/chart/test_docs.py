"""What docs/kubernetes.md shows works as it stands there."""

import re
import shutil
import subprocess

import pytest
import yaml
from conftest import LEAST, ROOT, Release, merged

PAGE = (ROOT / "docs/kubernetes.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
VALUES = [one for one in BLOCKS if "kustomization.yaml" not in one]
# What the page sets up before.
BEFORE = {"serve": {"readToken": {"existingSecret": "windlass-read-token"}}}


@pytest.mark.parametrize("block", VALUES, ids=lambda one: one.splitlines()[0])
def test_values_on_the_page_render(block):
    release = Release(LEAST, BEFORE, yaml.safe_load(block))
    assert release.all("Deployment")


def test_pools_of_the_page_are_scaled_as_it_says():
    scaled = Release(LEAST, BEFORE, yaml.safe_load(next(one for one in VALUES if "gke-spot" in one)))
    assert [one["metadata"]["name"] for one in scaled.all("ScaledObject")] == ["windlass-worker-spot"]
    assert scaled.pod("windlass-worker-spot")["spec"]["terminationGracePeriodSeconds"] <= 30


@pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl")
def test_the_kustomization_of_the_page_sets_image_and_redis(tmp_path):
    (tmp_path / "kustomization.yaml").write_text(next(one for one in BLOCKS if "kustomization.yaml" in one))
    shutil.copy(ROOT / "deploy/manifests/plain.yaml", tmp_path)
    built = subprocess.run(["kubectl", "kustomize", tmp_path], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    for one in yaml.safe_load_all(built.stdout):
        if one["kind"] == "Deployment":
            container = one["spec"]["template"]["spec"]["containers"][0]
            assert container["image"] == "registry.example.com/windlass:0.1.0"
            assert [env["value"].partition("@")[2] for env in container["env"] if env["name"] == "WINDLASS_REDIS_URL"] == ["redis.example.com:6379"]


def test_the_formula_of_the_page_is_that_of_the_chart():
    said = re.search(r"With (\d+) slots and a utilisation of ([\d.]+), a backlog of (\d+) makes (\d+) pods, one of ([\d,]+) would make ([\d,]+)", PAGE)
    slots, utilisation, small, few, large, many = (float(one.replace(",", "")) for one in said.groups())
    values = merged(LEAST, BEFORE, {"worker": {"slots": int(slots), "autoscaling": {"mode": "keda", "utilisation": utilisation}}})
    target = float(Release(values).all("ScaledObject")[0]["spec"]["triggers"][0]["metadata"]["targetValue"])
    assert (-(-small // target), -(-large // target)) == (few, many)
