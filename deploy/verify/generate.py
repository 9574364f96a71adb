#!/usr/bin/env python3
"""Writes what is made of something else: the chart's README, its copies of rules and dashboard, and plain manifests.

    make charts
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/windlass"
BEGIN, END = "<!-- values: made by `make charts` of values.yaml -->", "<!-- end of values -->"

# Plain manifests, and what they are for.
MANIFESTS = {
    "trial": "Windlass with a Redis of its own, to try it out: that Redis has no replica, no password and no backup.",
    "plain": "Windlass on a Redis that is there, with a fixed number of workers.",
    "keda": "Windlass on a Redis that is there, scaled from zero to twenty pods by KEDA.",
}
CLUSTER_WIDE = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}


def values_table():
    """A Markdown table of every value that has a `# --` comment, with its default."""
    rows, path, comment = [], [], None
    for line in (CHART / "values.yaml").read_text().splitlines():
        if said := re.match(r"\s*# -- (.*)", line):
            comment = said[1]
        elif entry := re.match(r"( *)([A-Za-z]+):\s*(.*)$", line):
            path[len(entry[1]) // 2 :] = [entry[2]]
            if comment:
                rows.append((".".join(path), entry[3].split(" # ")[0] or "see values.yaml", comment))
            comment = None
    head = ["| value | default | what it is |", "| --- | --- | --- |"]
    return "\n".join(head + [f"| `{name}` | `{default}` | {text} |".replace("`see values.yaml`", "see values.yaml") for name, default, text in rows])


def chart_readme():
    text = (CHART / "README.md").read_text()
    return re.sub(f"(?s){re.escape(BEGIN)}.*{re.escape(END)}", lambda _: f"{BEGIN}\n{values_table()}\n{END}", text)


def dashboard():
    return subprocess.run([sys.executable, ROOT / "deploy/grafana/dashboard.py"], capture_output=True, text=True, check=True).stdout


def manifest(name):
    """One set-up in a file that needs no Helm, comments included."""
    import helm_python as helm
    import yaml

    values = yaml.safe_load((ROOT / f"deploy/manifests/values/{name}.yaml").read_text())
    with helm.Chart.load(CHART) as chart:
        rendered = chart.render(values, name="windlass", namespace="windlass")
    whole = "\n---\n".join(text for path, text in sorted(rendered.items()) if path.endswith(".yaml") and "/templates/tests/" not in path)
    parts = [plain(part) for part in re.split(r"(?m)^---$", whole) if re.search(r"(?m)^kind:", part)]
    secrets = "".join(f"#   {line}\n" for line in secrets_of(values))
    header = (
        f"# {MANIFESTS[name]}\n# Made by `make charts` of the chart and deploy/manifests/values/{name}.yaml: change those.\n#\n"
        f"#   kubectl create namespace windlass\n{secrets}#   kubectl apply -f {name}.yaml      # `image` is yours to set: see docs/kubernetes.md\n"
    )
    return header + NAMESPACE + "".join(f"---\n{part}\n" for part in parts)


NAMESPACE = """---
apiVersion: v1
kind: Namespace
metadata:
  name: windlass
  labels:
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/enforce-version: latest
"""


def plain(part):
    """An object without what only Helm wants, in a namespace."""
    lines = [line.rstrip() for line in part.strip().splitlines()]
    lines = [line for line in lines if line and not re.match(r"\s*(helm\.sh/chart|app\.kubernetes\.io/managed-by):", line)]
    text = "\n".join(lines)
    if re.search(r"(?m)^kind: (\w+)", text)[1] not in CLUSTER_WIDE:
        text = re.sub(r"(?m)^(metadata:\n  name: .*)$", r"\1\n  namespace: windlass", text, count=1)
    return text


def secrets_of(values):
    """The commands that make the Secrets that these values name."""
    create = "kubectl --namespace windlass create secret generic"
    serve = values["serve"]
    if name := values["redis"].get("existingSecret", {}).get("name"):
        yield f"{create} {name} --from-file=password=redis-password"
    if name := serve["tokens"].get("existingSecret"):
        yield "windlass tokens generate ops --roles read,operate,submit --append tokens.toml"
    if name := serve.get("readToken", {}).get("existingSecret"):
        yield f"{create} {name} --from-literal=token=\"$(windlass tokens generate keda --roles read --append tokens.toml)\""
    if name := serve["tokens"].get("existingSecret"):
        yield f"{create} {name} --from-file=tokens.toml"


FILES = {
    "deploy/grafana/windlass.json": dashboard,
    "deploy/helm/windlass/files/dashboard.json": dashboard,
    "deploy/helm/windlass/files/rules.yml": lambda: (ROOT / "deploy/prometheus/rules.yml").read_text(),
    "deploy/helm/windlass/README.md": chart_readme,
    **{f"deploy/manifests/{name}.yaml": lambda name=name: manifest(name) for name in MANIFESTS},
}

if __name__ == "__main__":
    for path, made in FILES.items():
        (ROOT / path).write_text(made())
        print(path)
