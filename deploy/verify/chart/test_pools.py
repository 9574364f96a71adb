"""Pools do what their values say: slots, queues, draining, scaling."""

import re

import pytest
from conftest import LEAST, NAMESPACE, Release, text

KEDA = {"serve": {"readToken": {"existingSecret": "read"}}, "worker": {"autoscaling": {"mode": "keda", "minReplicas": 0}}}


def pools(**own):
    return {"pools": own}


def worker(release, name="default"):
    return release.container(f"windlass-worker-{name}")


def seconds(duration):
    return sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in re.findall(r"(\d+)([hms])", duration))


def test_a_pod_gets_as_long_as_its_drain_takes_and_a_quarter_of_a_minute(setup):
    for name, labels, spec in Release(setup).pods():
        if labels["app.kubernetes.io/component"] == "worker":
            drain = next(one for one in spec["containers"][0]["args"] if one.startswith("--drain-timeout=")).partition("=")[2]
            assert spec["terminationGracePeriodSeconds"] == seconds(drain) + 15, name


@pytest.mark.parametrize("drain, grace", [("30s", 45), ("2m", 135), ("1h30m", 5415), ("1h1m1s", 3676), ("90s", 105)])
def test_grace_follows_the_drain_time_out(drain, grace):
    release = Release(LEAST, pools(default={"drainTimeout": drain}))
    assert release.pod("windlass-worker-default")["spec"]["terminationGracePeriodSeconds"] == grace
    assert release.get("Deployment", "windlass-worker-default")["spec"]["progressDeadlineSeconds"] > grace


def test_serve_gets_as_long_as_its_requests_may_take():
    release = Release(LEAST, {"serve": {"drainTimeout": "1m"}})
    assert {"name": "WINDLASS_SERVE_DRAIN_TIMEOUT", "value": "1m"} in release.container("windlass-serve")["env"]
    assert release.pod("windlass-serve")["spec"]["terminationGracePeriodSeconds"] == 75
    assert release.container("windlass-serve")["lifecycle"]["preStop"]["sleep"]["seconds"] < 15


def test_a_pool_says_its_own_and_has_the_rest_of_worker():
    release = Release(
        LEAST,
        {"worker": {"slots": 4, "nodeSelector": {"disk": "fast"}}},
        pools(default={}, gpu={"queues": ["gpu=3", "default"], "slots": 2, "nodeSelector": {"gpu": "yes"}, "nodeLabels": {"zone": "a"}}),
    )
    assert "--concurrency=4" in worker(release)["args"]
    assert {"--concurrency=2", "--queues=gpu=3,default", "--labels=pool=gpu,k8s_node=$(NODE_NAME),zone=a"} <= set(worker(release, "gpu")["args"])
    assert release.pod("windlass-worker-gpu")["spec"]["nodeSelector"] == {"disk": "fast", "gpu": "yes"}


def test_false_and_zero_of_a_pool_win():
    release = Release(LEAST, {"worker": {"topologySpread": True, "replicas": 3}}, pools(default={"topologySpread": False, "replicas": 0, "podDisruptionBudget": {"enabled": False}}))
    assert "topologySpreadConstraints" not in release.pod("windlass-worker-default")["spec"]
    assert release.get("Deployment", "windlass-worker-default")["spec"]["replicas"] == 0
    assert "windlass-worker-default" not in {one["metadata"]["name"] for one in release.all("PodDisruptionBudget")}


@pytest.mark.parametrize("off", [None, {"enabled": False}])
def test_the_default_pool_can_be_left_out(off):
    release = Release(LEAST, pools(default=off, own={}))
    assert {one["metadata"]["name"] for one in release.all("Deployment")} == {"windlass-worker-own", "windlass-serve"}


def test_another_configuration_replaces_the_pods_of_its_pool_alone():
    def sums(**own):
        release = Release(LEAST, {"config": "[types.a]\nexecutor = 'noop'"}, pools(**own))
        return {one["metadata"]["name"]: one["spec"]["template"]["metadata"]["annotations"]["checksum/config"] for one in release.all("Deployment")}

    before = sums(default={}, gpu={})
    after = sums(default={}, gpu={"config": "[types.b]\nexecutor = 'noop'"})
    assert {name for name in before if before[name] != after[name]} == {"windlass-worker-gpu"}


def test_a_new_version_of_the_chart_alone_replaces_no_pod():
    for _, labels, _ in Release(LEAST).pods():
        if labels["app.kubernetes.io/component"] != "test":
            assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(labels)


def test_workers_are_probed_on_the_admin_port_and_redis_restarts_nobody():
    container = worker(Release(LEAST))
    assert "--admin=0.0.0.0:9464" in container["args"]
    assert container["ports"] == [{"name": "admin", "containerPort": 9464}]
    paths = {kind: container[kind]["httpGet"]["path"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}


def test_serve_listens_where_it_is_probed_and_served():
    release = Release(LEAST)
    container = release.container("windlass-serve")
    assert (container["command"], container["args"]) == (["windlass"], ["serve", "--listen=0.0.0.0:8642"])
    assert container["ports"] == [{"name": "http", "containerPort": 8642}]
    assert release.get("Service", "windlass-serve")["spec"]["ports"][0] == {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}
    assert release.get("Deployment", "windlass-serve")["spec"]["replicas"] == 2


def test_images_are_of_the_release_or_of_the_pool():
    release = Release(
        LEAST,
        {"image": {"repository": "r.example.com/windlass"}, "serve": {"image": {"tag": "slim"}}},
        pools(default={}, tools={"image": {"repository": "r.example.com/tools", "tag": "7"}}, pinned={"image": {"digest": "sha256:" + "a" * 64}}),
    )
    images = {one["metadata"]["name"].removeprefix("windlass-"): one["spec"]["template"]["spec"]["containers"][0]["image"] for one in release.all("Deployment")}
    assert images == {
        "worker-default": "r.example.com/windlass:0.1.0",
        "worker-tools": "r.example.com/tools:7",
        "worker-pinned": "r.example.com/windlass@sha256:" + "a" * 64,
        "serve": "r.example.com/windlass:slim",
    }


def test_serve_with_tls_is_probed_and_asked_by_https():
    release = Release(LEAST, KEDA, {"serve": {"tls": {"existingSecret": "cert"}, "service": {"port": 443}}})
    assert release.container("windlass-serve")["livenessProbe"]["httpGet"]["scheme"] == "HTTPS"
    assert release.all("ScaledObject")[0]["spec"]["triggers"][0]["metadata"]["url"].startswith(f"https://windlass-serve.{NAMESPACE}.svc/")


def test_pods_spread_over_zones_and_hosts_where_they_can():
    for name, labels in (("windlass-worker-default", {"windlass/pool": "default"}), ("windlass-serve", {"app.kubernetes.io/component": "serve"})):
        spread = Release(LEAST).pod(name)["spec"]["topologySpreadConstraints"]
        assert [one["topologyKey"] for one in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        assert {one["whenUnsatisfiable"] for one in spread} == {"ScheduleAnyway"}
        assert all(labels.items() <= one["labelSelector"]["matchLabels"].items() for one in spread)


def test_evictions_take_some_pods_at_a_time_and_broken_ones_always():
    for one in Release(LEAST).all("PodDisruptionBudget"):
        assert one["spec"]["maxUnavailable"] in ("25%", 1)
        assert one["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


# --- Scaling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode, there", [("none", True), ("keda", False), ("hpa", False)])
def test_replicas_are_given_only_where_nothing_scales(mode, there):
    release = Release(LEAST, KEDA, pools(default={"autoscaling": {"mode": mode, "minReplicas": 1}}))
    assert ("replicas" in release.get("Deployment", "windlass-worker-default")["spec"]) == there


def test_keda_asks_serve_for_the_backlog_of_the_pools_queues():
    release = Release(LEAST, KEDA, pools(default={"queues": ["b=3", "a"], "slots": 10, "autoscaling": {"utilisation": 0.7, "maxReplicas": 40}}))
    spec = release.get("ScaledObject", "windlass-worker-default")["spec"]
    assert spec["scaleTargetRef"] == {"name": "windlass-worker-default"}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"], spec["cooldownPeriod"]) == (0, 40, 300)
    trigger = spec["triggers"][0]
    assert trigger["type"] == "metrics-api"
    assert trigger["metadata"] == {
        "url": f"http://windlass-serve.{NAMESPACE}.svc/v1/autoscale?queue=a&queue=b",
        "valueLocation": "backlog",
        "targetValue": "7",
        "authMode": "bearer",
    }
    auth = release.get("TriggerAuthentication", trigger["authenticationRef"]["name"])
    assert auth["spec"]["secretTargetRef"] == [{"parameter": "token", "name": "read", "key": "token"}]


def test_a_fleet_that_cannot_be_asked_about_does_not_shrink():
    spec = Release(LEAST, KEDA).get("ScaledObject", "windlass-worker-default")["spec"]
    assert spec["fallback"] == {"failureThreshold": 3, "replicas": 2, "behavior": "currentReplicasIfHigher"}
    # KEDA applies a fallback to averages only.
    assert spec["triggers"][0]["metricType"] == "AverageValue"
    down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] == 300 and down["policies"] == [{"type": "Percent", "value": 25, "periodSeconds": 60}]


def test_keda_can_ask_prometheus_and_takes_silence_for_an_error():
    release = Release(LEAST, KEDA, pools(default={"queues": ["a.b", "c"], "autoscaling": {"keda": {"trigger": "prometheus", "prometheusAddress": "http://p:9090"}}}))
    metadata = release.get("ScaledObject", "windlass-worker-default")["spec"]["triggers"][0]["metadata"]
    assert metadata["ignoreNullValues"] == "false"
    assert metadata["query"] == 'sum(max by (queue) (windlass_queue_backlog_tasks{namespace="fleet",queue=~"a\\\\.b|c"}))'
    assert release.all("TriggerAuthentication") == []


# The parameters that KEDA 2.21 documents for the two triggers.
PARAMETERS = {
    "metrics-api": {"url", "format", "valueLocation", "targetValue", "activationTargetValue", "unsafeSsl", "timeout", "authMode", "method", "keyParamName", "aggregateFromKubeServiceEndpoints", "aggregationType"},
    "prometheus": {"serverAddress", "query", "queryParameters", "threshold", "activationThreshold", "namespace", "customHeaders", "ignoreNullValues", "unsafeSsl", "timeout", "authModes"},
}


def test_triggers_have_only_parameters_that_keda_knows(setup):
    for one in Release(setup).all("ScaledObject"):
        for trigger in one["spec"]["triggers"]:
            assert set(trigger["metadata"]) <= PARAMETERS[trigger["type"]]
            assert all(isinstance(value, str) for value in trigger["metadata"].values())


def test_an_hpa_goes_by_the_same_backlog():
    release = Release(LEAST, pools(default={"queues": ["a", "b"], "slots": 3, "autoscaling": {"mode": "hpa", "utilisation": 0.8}}))
    spec = release.get("HorizontalPodAutoscaler", "windlass-worker-default")["spec"]
    external = spec["metrics"][0]["external"]
    assert external["metric"] == {"name": "windlass_queue_backlog_tasks", "selector": {"matchExpressions": [{"key": "queue", "operator": "In", "values": ["a", "b"]}]}}
    assert external["target"] == {"type": "AverageValue", "averageValue": "2400m"}
    assert spec["scaleTargetRef"]["name"] == "windlass-worker-default"
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300


def test_notes_warn_of_two_pools_that_are_scaled_by_one_queue():
    scaled = {"autoscaling": {"mode": "hpa"}}
    assert "both scaled by the queue default" in text({**LEAST, **pools(default=scaled, other=scaled)})["NOTES.txt"]
    assert "both scaled" not in text({**LEAST, **pools(default=scaled, other={})})["NOTES.txt"]
