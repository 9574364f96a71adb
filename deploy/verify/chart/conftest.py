"""Renders the chart as Helm does (the SDK of Helm 4, no cluster) and reads what comes out."""

import functools
import json
import os
import pathlib

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
CHART = ROOT / "deploy/helm/windlass"
TOOLS = pathlib.Path(os.environ.get("VERIFY_DIR", ROOT / ".windlass/verify"))
RELEASE, NAMESPACE = "windlass", "fleet"

# The one in C, if PyYAML has it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# The least that a release needs.
LEAST = {
    "redis": {"url": "redis://windlass-worker@redis.example.com:6379", "existingSecret": {"name": "windlass-redis"}},
    "serve": {"tokens": {"existingSecret": "windlass-tokens"}},
}


def merged(*parts):
    """Values laid over each other, as Helm does with several files."""
    whole = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, dict) and isinstance(whole.get(key), dict)
            whole[key] = merged(whole[key], value) if both else value
    return whole


# Its schemas are megabytes, which it would read anew for each object.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)


def text(values, name=RELEASE, namespace=NAMESPACE):
    """Each template's output by its path below templates/."""
    return _text(json.dumps(values), name, namespace)


@functools.cache
def _text(values, name, namespace):
    with helm.Chart.load(CHART) as chart:
        rendered = chart.render(json.loads(values), name=name, namespace=namespace)
    return {path.split("/templates/")[1]: out for path, out in rendered.items()}


def objects(values, **release):
    """All objects of a release, tests of Helm's included."""
    out = []
    for path, rendered in sorted(text(values, **release).items()):
        if path.endswith(".yaml"):
            out += [one for one in yaml.load_all(rendered, LOADER) if one]
    return out


class Release:
    """Objects of a release, to be found by kind and name."""

    def __init__(self, *values, **release):
        self.objects = objects(merged(*values), **release)

    def all(self, kind):
        return [one for one in self.objects if one["kind"] == kind]

    def get(self, kind, name):
        found = [one for one in self.all(kind) if one["metadata"]["name"] == name]
        assert len(found) == 1, f"{kind} {name}: there are {[one['metadata']['name'] for one in self.all(kind)]}"
        return found[0]

    def pod(self, name, kind="Deployment"):
        return self.get(kind, name)["spec"]["template"]

    def container(self, name):
        return self.pod(name)["spec"]["containers"][0]

    def pods(self):
        """Every pod specification with its name and labels."""
        for one in self.objects:
            if one["kind"] == "Pod":
                yield one["metadata"]["name"], one["metadata"]["labels"], one["spec"]
            elif one["kind"] in ("Deployment", "StatefulSet"):
                template = one["spec"]["template"]
                yield one["metadata"]["name"], template["metadata"]["labels"], template["spec"]


def values_files():
    """Values of set-ups that must work: those of ci/ and those of the plain manifests."""
    return sorted((CHART / "ci").glob("*-values.yaml")) + sorted((ROOT / "deploy/manifests/values").glob("*.yaml"))


@pytest.fixture(params=values_files(), ids=lambda path: path.stem)
def setup(request):
    """Values of one set-up after the other."""
    return yaml.safe_load(request.param.read_text())
