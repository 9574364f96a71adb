"""Alert rules and the dashboard: they parse, fire when they should, and name figures that exist."""

import json
import re
import subprocess

import pytest
import yaml
from conftest import CHART, ROOT, TOOLS, Release

PROMTOOL = TOOLS / "promtool"
RULES = ROOT / "deploy/prometheus/rules.yml"
DASHBOARD = json.loads((ROOT / "deploy/grafana/windlass.json").read_text())
METRICS = ROOT / "docs/metrics.md"
PANELS = [one for one in DASHBOARD["panels"] if one["type"] != "row"]

ALERTS = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
# What Grafana fills in, filled in.
FILLED = {"$__rate_interval": "5m", "$__range": "1h", "$namespace": ".*", "$queue": ".*"}


def filled(expression):
    for name, value in FILLED.items():
        expression = expression.replace(name, value)
    return expression


def expressions():
    yield from ((f"alert {one['alert']}", one["expr"]) for one in ALERTS)
    yield from ((f"panel {one['title']}", filled(target["expr"])) for one in PANELS for target in one["targets"])
    release = Release(yaml.safe_load((CHART / "ci/keda-values.yaml").read_text()))
    for one in release.all("ScaledObject"):
        yield from (("trigger", trigger["metadata"]["query"]) for trigger in one["spec"]["triggers"] if "query" in trigger["metadata"])


def metrics_of(expression):
    """Names of windlass_* and process_* metrics in it."""
    return set(re.findall(r"\b(?:windlass|process)_[a-z_]+\b(?!\s*=)", re.sub(r'"[^"]*"', '""', expression)))


def listed(page):
    """Names in the first column of the page's tables, without labels."""
    rows = re.findall(r"^\|\s*`?([a-z_]+)(?:\{[^}]*\})?`?\s*\|", page, re.MULTILINE)
    names = {name for name in rows if name.startswith(("windlass_", "process_"))}
    return names | {name + end for name in names if name.endswith(("_seconds", "_bytes")) for end in ("_bucket", "_sum", "_count")}


def promtool(*arguments):
    run = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_rules_are_valid():
    promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


def test_alerts_fire_when_they_should_and_only_then():
    promtool("test", "rules", ROOT / "deploy/prometheus/rules_test.yml")


def test_every_alert_is_tested():
    tests = yaml.safe_load((ROOT / "deploy/prometheus/rules_test.yml").read_text())["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]}
    assert fired == {one["alert"] for one in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda one: one["alert"])
def test_every_alert_says_how_bad_it_is_and_what_to_do(alert):
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert {"summary", "description", "runbook_url"} == set(alert["annotations"])
    assert alert["annotations"]["runbook_url"] == f"docs/operations.md#alert-{alert['alert'].lower()}"


def test_every_expression_parses(tmp_path):
    rules = [{"record": f"verify:expression:{n}", "expr": expression} for n, (_, expression) in enumerate(expressions())]
    file = tmp_path / "expressions.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "expressions", "rules": rules}]}))
    promtool("check", "rules", file)


def test_every_metric_that_is_named_exists():
    if not METRICS.exists():
        pytest.skip("docs/metrics.md is not there yet")
    known = listed(METRICS.read_text())
    missing = {f"{where}: {name}" for where, expression in expressions() for name in metrics_of(expression) - known}
    assert missing == set()


def test_names_of_metrics_are_found_in_expressions_and_pages():
    assert metrics_of('rate(windlass_a_total{b=~"windlass_no"}[5m]) / on (x) windlass_c_seconds_bucket') == {"windlass_a_total", "windlass_c_seconds_bucket"}
    page = "| name | kind |\n| --- | --- |\n| `windlass_a_seconds{type}` | histogram |\n| windlass_b_total | counter |\n"
    assert {"windlass_a_seconds_bucket", "windlass_a_seconds_count", "windlass_b_total"} <= listed(page)


def test_every_panel_says_what_it_shows_and_in_which_unit():
    for one in PANELS:
        assert one["title"] and one["description"] and one["fieldConfig"]["defaults"]["unit"], one["title"]
        assert one["datasource"]["uid"] == "${datasource}"
        assert all(target["datasource"]["uid"] == "${datasource}" for target in one["targets"])


def test_panels_are_apart_and_within_the_page():
    places = [one["gridPos"] for one in DASHBOARD["panels"]]
    assert all(one["x"] + one["w"] <= 24 for one in places)
    for n, one in enumerate(places):
        for other in places[n + 1 :]:
            apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"] or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
            assert apart, (one, other)
    assert len({one["id"] for one in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_dashboard_has_the_rows_that_people_on_call_look_for():
    assert [one["title"] for one in DASHBOARD["panels"] if one["type"] == "row"] == ["Fleet", "Queues", "Nodes", "Models and money", "Redis", "HTTP"]


def test_rates_over_time_fit_the_zoom_and_figures_can_be_filtered():
    for one in PANELS:
        for target in one["targets"]:
            if one["type"] == "timeseries":
                assert re.findall(r"\[(.*?)\]", target["expr"]) in ([], ["$__rate_interval"], ["$__rate_interval"] * 2), one["title"]
            assert "$namespace" in target["expr"], one["title"]


def test_the_dashboard_can_be_provisioned_anywhere():
    variables = {one["name"]: one["type"] for one in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource": "datasource", "namespace": "query", "queue": "query"}
    assert DASHBOARD["editable"] is False and DASHBOARD["uid"] == "windlass"


def test_the_chart_carries_the_alerts_and_leaves_out_those_that_are_unwanted():
    values = yaml.safe_load((CHART / "ci/monitoring-values.yaml").read_text())
    rule = Release(values).get("PrometheusRule", "windlass")
    names = {one["alert"] for group in rule["spec"]["groups"] for one in group["rules"]}
    assert names == {one["alert"] for one in ALERTS} - set(values["metrics"]["prometheusRule"]["disabled"])
    base = values["metrics"]["prometheusRule"]["runbookBaseUrl"]
    assert all(one["annotations"]["runbook_url"].startswith(base + "docs/operations.md#alert-") for group in rule["spec"]["groups"] for one in group["rules"])
