"""Values that cannot work are refused, and the message says what to do."""

import helm_python as helm
import pytest
from conftest import LEAST, Release, merged

READ = {"serve": {"readToken": {"existingSecret": "read"}}}


def pool(**own):
    return {"pools": {"default": own}}


def scaling(**own):
    return pool(autoscaling=own)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"redis": {"url": "", "existingSecret": {"name": ""}}}, "where is Redis? Set `redis.url`"),
        ({"redis": {"embedded": {"enabled": True}}}, "Redis is given more than once (redis.embedded.enabled, redis.url)"),
        ({"redis": {"url": "redis://windlass:secret@r:6379"}}, "`redis.url` holds a password"),
        ({"serve": {"redis": {"url": "rediss://:secret@r:6379"}}}, "`serve.redis.url` holds a password"),
        ({"redis": {"url": "", "existingSecret": {"name": "", "urlKey": "url"}}}, "needs `redis.existingSecret.name`"),
        ({"redis": {"existingSecret": {"passwordKey": ""}}}, "neither `passwordKey` nor `urlKey`"),
        ({"redis": {"tls": {"certKey": "tls.crt"}}}, "belong together"),
        ({"serve": {"tokens": {"existingSecret": ""}}}, "windlass tokens generate"),
        ({"serve": {"tokens": {"toml": "[tokens.a]"}}}, "both set"),
        ({"serve": {"tokens": {"existingSecret": "", "toml": "[tokens"}}}, "serve.tokens.toml is no TOML"),
        ({"serve": {"ingress": {"enabled": True}}}, "the Ingress has no host"),
        ({"metrics": {"serviceMonitor": {"enabled": True}}}, "Prometheus needs a token for serve's /metrics"),
        ({"serve": {"enabled": False}, "metrics": {"serviceMonitor": {"enabled": True}}}, "needs serve"),
        ({"config": "[types.a\n"}, "config with serve.config is no TOML: toml: line 1"),
        (pool(config="a = = 1"), "config with pools.default.config is no TOML"),
        (pool(enabled=False), "no pool is on"),
        (pool(queues=["default", "batch=3"]), 'the name "batch" is reserved'),
        (pool(drainTimeout="0s"), "pools.default.drainTimeout \"0s\" is zero"),
        (pool(env=[{"name": "WINDLASS_DRAIN_TIMEOUT", "value": "9h"}]), "use pools.default.drainTimeout"),
        ({"env": [{"name": "WINDLASS_CONCURRENCY", "value": "9"}]}, "use pools.default.slots"),
        ({"serve": {"env": [{"name": "WINDLASS_SERVE_DRAIN_TIMEOUT", "value": "9h"}]}}, "use serve.drainTimeout"),
        ({"env": [{"name": "WINDLASS_REDIS_URL", "value": "redis://r"}]}, "the variable WINDLASS_REDIS_URL is set by the chart"),
        (pool(secretFiles=[{"secretName": "a", "key": "k", "path": "p"}] * 2), "two secretFiles with the path"),
        (pool(config='[llm]\napi_key_file = "/run/secrets/windlass/openai"'), "names /run/secrets/windlass/openai, which is not mounted"),
        (scaling(mode="hpa", minReplicas=0), "an HPA does not scale to zero"),
        (scaling(mode="hpa", minReplicas=5, maxReplicas=3), "minReplicas (5) is more than maxReplicas (3)"),
        (scaling(mode="keda"), "KEDA needs a token to ask serve"),
        (merged(READ, {"serve": {"enabled": False}}, scaling(mode="keda")), "asks serve, which is off"),
        (merged(READ, scaling(mode="keda", maxReplicas=1)), "fallbackReplicas (2) is more than maxReplicas (1)"),
        (scaling(mode="keda", keda={"trigger": "prometheus"}), "needs pools.default.autoscaling.keda.prometheusAddress"),
    ],
)
def test_combinations_that_cannot_work(values, message):
    with pytest.raises(helm.HelmRenderError) as refused:
        Release(LEAST, values)
    assert "windlass: " in str(refused.value)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "values, where",
    [
        ({"workers": {}}, "workers"),
        (pool(slot=3), "slot"),
        (pool(slots=0), "slots"),
        (pool(slots="8"), "slots"),
        (pool(queues=[]), "queues"),
        (pool(queues=["a b"]), "queues"),
        (pool(queues=["a=101"]), "queues"),
        (pool(drainTimeout="30"), "drainTimeout"),
        (pool(drainTimeout="500ms"), "drainTimeout"),
        (pool(nodeLabels={"zone": "a,b"}), "zone"),
        (pool(podDisruptionBudget={"maxUnavailable": 0}), "maxUnavailable"),
        (scaling(mode="vpa"), "mode"),
        (scaling(utilisation=0), "utilisation"),
        ({"pools": {"GPU": {}}}, "GPU"),
        ({"redis": {"url": "http://r"}}, "url"),
        ({"serve": {"replicas": 0}}, "replicas"),
        ({"image": {"digest": "sha256:12"}}, "digest"),
        ({"secretFiles": [{"secretName": "a", "key": "k", "path": "p", "env": "WINDLASS_LLM_API_KEY"}]}, "env"),
    ],
)
def test_values_that_the_schema_refuses(values, where):
    with pytest.raises(helm.HelmError) as refused:
        Release(LEAST, values)
    assert "values.schema.json" in str(refused.value) or "schema" in str(refused.value)
    assert where in str(refused.value)
