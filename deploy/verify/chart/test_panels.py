"""A real Prometheus scrapes what a fleet would say, and each panel shows something; no alert of a healthy fleet fires."""

import json
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request

import exporters
import pytest
import yaml
from conftest import ROOT, TOOLS
from test_alerts import DASHBOARD, PANELS, filled


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def config(port):
    """Two pods of serve and two workers, in a namespace, as the Prometheus operator would have it."""
    pods = [(path, pod) for path in ("serve", "worker") for pod in ("a", "b")]
    jobs = [
        {
            "job_name": f"{path}-{pod}",
            "metrics_path": f"/{path}",
            "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": "fleet", "pod": f"{path}-{pod}", "instance": f"{path}-{pod}"}}],
        }
        for path, pod in pods
    ]
    return {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(ROOT / "deploy/prometheus/rules.yml")], "scrape_configs": jobs}


class Prometheus:
    def __init__(self, folder):
        self.exporter = exporters.start()
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config(self.exporter.server_port)))
        self.url = f"http://127.0.0.1:{free_port()}"
        listen = self.url.removeprefix("http://")
        command = [TOOLS / "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={listen}", "--log.level=warn"]
        self.log = open(folder / "log", "w")
        self.process = subprocess.Popen(command, stderr=self.log)

    def ask(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=5) as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        return self.ask("query", query=expression)["result"]

    def wait_for(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except OSError:
                pass
            assert self.process.poll() is None, "Prometheus ended"
            assert time.monotonic() < end, "Prometheus does not get there"
            time.sleep(0.2)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)
        self.exporter.shutdown()
        self.log.close()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    server = Prometheus(tmp_path_factory.mktemp("prometheus"))
    try:
        # Rates need some scrapes of each target.
        server.wait_for(lambda: len(server.query("count_over_time(windlass_build_info[5m]) >= 4")) == 4)
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize("panel", PANELS, ids=lambda one: one["title"])
def test_each_panel_shows_something(prometheus, panel):
    for target in panel["targets"]:
        assert prometheus.query(filled(target["expr"])), target["expr"]


@pytest.mark.parametrize(
    "title, expected",
    [("Live nodes", 2), ("Backlog", 15), ("Slots used", 3 / 16), ("Queues that nobody serves", 0), ("Fullest budget", 0.24)],
)
def test_two_pods_of_serve_are_not_counted_twice(prometheus, title, expected):
    panel = next(one for one in PANELS if one["title"] == title)
    [result] = prometheus.query(filled(panel["targets"][0]["expr"]))
    assert float(result["value"][1]) == pytest.approx(expected)


def test_legends_name_labels_that_are_there(prometheus):
    for panel in PANELS:
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert all(label in one["metric"] for one in prometheus.query(filled(target["expr"]))), f"{panel['title']}: {label}"


def test_choices_of_the_dashboard_have_values(prometheus):
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            label = variable["query"]["query"].rpartition(", ")[2].rstrip(")")
            assert prometheus.ask(f"label/{label}/values"), variable["name"]


def test_every_rule_is_evaluated_and_none_of_a_healthy_fleet_is_critical(prometheus):
    prometheus.wait_for(lambda: all(rule["health"] == "ok" for group in prometheus.ask("rules")["groups"] for rule in group["rules"]))
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert [rule["lastError"] for rule in rules if rule.get("lastError")] == []
    assert [rule["name"] for rule in rules if rule["state"] != "inactive" and rule["labels"]["severity"] == "critical"] == []
