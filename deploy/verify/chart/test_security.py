"""Every pod keeps to Kubernetes's restricted standard, and reaches and is reached by no more than it needs."""

import celpy
import pytest
import yaml
from conftest import CHART, LEAST, NAMESPACE, Release, merged
from network import Peer, allowed

TRIAL = yaml.safe_load((CHART / "ci/trial-values.yaml").read_text())
DELETION = {"pools": {"default": {"podDeletionCost": {"enabled": True}}, "plain": {}}, "podDeletionCost": {"admissionPolicy": True}}


def test_pods_keep_to_the_restricted_standard(setup):
    for name, _, spec in Release(setup).pods():
        pod = spec["securityContext"]
        assert pod["runAsNonRoot"] is True and pod.get("runAsUser", 1) > 0, name
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")), name
        allowed_volumes = {"configMap", "secret", "emptyDir", "projected", "persistentVolumeClaim", "csi", "ephemeral", "downwardAPI"}
        assert all((set(volume) - {"name"}) <= allowed_volumes for volume in spec["volumes"]), name
        for container in spec["containers"] + spec.get("initContainers", []):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["readOnlyRootFilesystem"] is True, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name
            assert "runAsUser" not in own and "privileged" not in own, name


def test_pods_have_bounded_memory_and_bounded_folders(setup):
    for name, _, spec in Release(setup).pods():
        assert "memory" in spec["containers"][0]["resources"]["limits"], name
        assert all("sizeLimit" in one["emptyDir"] for one in spec["volumes"] if "emptyDir" in one), name


def test_programs_run_as_65532_and_write_to_tmp_and_the_workspace_only():
    release = Release(LEAST)
    spec = release.pod("windlass-worker-default")["spec"]
    assert spec["securityContext"]["runAsUser"] == 65532
    writable = {one["mountPath"] for one in spec["containers"][0]["volumeMounts"] if not one.get("readOnly")}
    assert writable == {"/tmp", "/workspace"}
    serve = release.container("windlass-serve")
    assert {one["mountPath"] for one in serve["volumeMounts"] if not one.get("readOnly")} == {"/tmp"}


def test_the_platform_can_choose_the_user():
    for name, _, spec in Release(TRIAL, {"runAs": 0}).pods():
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(spec["securityContext"]), name
        assert spec["securityContext"]["runAsNonRoot"] is True


def test_nobody_has_a_token_or_a_right_unless_deletion_cost_is_on():
    release = Release(LEAST)
    assert all(spec["automountServiceAccountToken"] is False for _, _, spec in release.pods())
    assert all(one["automountServiceAccountToken"] is False for one in release.all("ServiceAccount"))
    assert [one["kind"] for one in release.objects if "Role" in one["kind"]] == []


def test_deletion_cost_gives_its_pool_a_token_and_the_right_to_patch_pods():
    release = Release(LEAST, DELETION)
    rules = release.get("Role", "windlass-pod-deletion-cost")["rules"]
    assert rules == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]}]
    subjects = release.get("RoleBinding", "windlass-pod-deletion-cost")["subjects"]
    assert subjects == [{"kind": "ServiceAccount", "name": "windlass-worker", "namespace": NAMESPACE}]
    tokens = {name: spec["automountServiceAccountToken"] for name, _, spec in release.pods()}
    assert tokens == {"windlass-worker-default": True, "windlass-worker-plain": False, "windlass-serve": False, "windlass-doctor": False}
    env = {one["name"]: one for one in release.container("windlass-worker-default")["env"]}
    assert env["WINDLASS_POD_DELETION_COST"]["value"] == "true"
    assert env["POD_NAME"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert env["POD_NAMESPACE"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.namespace"
    assert "WINDLASS_POD_DELETION_COST" not in {one["name"] for one in release.container("windlass-worker-plain")["env"]}


COST = "controller.kubernetes.io/pod-deletion-cost"
POD = {"metadata": {"name": "p1", "labels": {"a": "b"}, "annotations": {"x": "y"}}, "spec": {"containers": [{"image": "windlass:1"}]}}


@pytest.mark.parametrize(
    "what, change, by, admitted",
    [
        ("its own cost", {"metadata": {"annotations": {"x": "y", COST: "12"}}}, "p1", True),
        ("its own cost, the first annotation", {"metadata": {"annotations": {COST: "0", "x": "y"}}}, "p1", True),
        ("the cost of another pod", {"metadata": {"annotations": {"x": "y", COST: "12"}}}, "p2", False),
        ("another annotation", {"metadata": {"annotations": {"x": "z"}}}, "p1", False),
        ("an annotation away", {"metadata": {"annotations": {}}}, "p1", False),
        ("its labels", {"metadata": {"labels": {"a": "c"}}}, "p1", False),
        ("its image", {"spec": {"containers": [{"image": "evil:1"}]}}, "p1", False),
        ("its owner", {"metadata": {"ownerReferences": [{"name": "o"}]}}, "p1", False),
    ],
)
def test_the_admission_policy_lets_a_worker_change(what, change, by, admitted):
    """Its expressions, evaluated by another implementation of CEL than Kubernetes's."""
    spec = Release(LEAST, DELETION).all("ValidatingAdmissionPolicy")[0]["spec"]
    user = {"username": f"system:serviceaccount:{NAMESPACE}:windlass-worker", "extra": {"authentication.kubernetes.io/pod-name": [by]}}
    after = merged(POD, change)
    if "annotations" in change.get("metadata", {}):
        after["metadata"]["annotations"] = change["metadata"]["annotations"]
    given = {"object": after, "oldObject": POD, "request": {"userInfo": user}, "variables": {}}

    def evaluated(expression):
        environment = celpy.Environment()
        return environment.program(environment.compile(expression)).evaluate(celpy.json_to_cel(given))

    assert bool(evaluated(spec["matchConditions"][0]["expression"]))
    for one in spec["variables"]:
        given["variables"][one["name"]] = evaluated(one["expression"])
    assert all(bool(evaluated(one["expression"])) for one in spec["validations"]) == admitted


def test_secrets_are_files_and_never_stand_in_an_object():
    release = Release(LEAST, {"pools": {"default": {"secretFiles": [{"secretName": "models", "key": "openrouter", "path": "openrouter", "env": "WINDLASS_LLM_API_KEY_FILE"}]}}})
    assert release.all("Secret") == []
    for name in ("windlass-worker-default", "windlass-serve"):
        env = {one["name"]: one for one in release.container(name)["env"]}
        assert env["WINDLASS_REDIS_PASSWORD_FILE"]["value"] == "/run/secrets/windlass/redis-password"
        assert not [one for one in env.values() if "secretKeyRef" in one.get("valueFrom", {})]
    worker = {one["name"]: one.get("value") for one in release.container("windlass-worker-default")["env"]}
    assert worker["WINDLASS_LLM_API_KEY_FILE"] == "/run/secrets/windlass/openrouter"
    assert "WINDLASS_LLM_API_KEY_FILE" not in {one["name"] for one in release.container("windlass-serve")["env"]}


def test_a_url_with_a_password_is_a_file_too():
    release = Release({**LEAST, "redis": {"existingSecret": {"name": "managed", "urlKey": "uri"}}})
    for name in ("windlass-worker-default", "windlass-serve"):
        env = {one["name"]: one for one in release.container(name)["env"]}
        assert env["WINDLASS_REDIS_URL_FILE"]["value"] == "/run/secrets/windlass/redis-url"
        assert "WINDLASS_REDIS_URL" not in env and "WINDLASS_REDIS_PASSWORD_FILE" not in env
        assert not [one for one in env.values() if "secretKeyRef" in one.get("valueFrom", {})]
        mount = next(one for one in release.container(name)["volumeMounts"] if one["mountPath"] == "/run/secrets/windlass")
        volume = next(one for one in release.pod(name)["spec"]["volumes"] if one["name"] == mount["name"])
        assert {"name": "managed", "items": [{"key": "uri", "path": "redis-url"}]} in [one.get("secret") for one in volume["projected"]["sources"]]


def test_tokens_are_in_a_folder_that_kubernetes_renews():
    release = Release(LEAST)
    mounts = {one["mountPath"]: one for one in release.container("windlass-serve")["volumeMounts"]}
    assert "subPath" not in mounts["/etc/windlass"]
    volume = {one["name"]: one for one in release.pod("windlass-serve")["spec"]["volumes"]}[mounts["/etc/windlass"]["name"]]
    assert {"name": "windlass-tokens", "items": [{"key": "tokens.toml", "path": "tokens.toml"}]} in [one.get("secret") for one in volume["projected"]["sources"]]
    env = {one["name"]: one.get("value") for one in release.container("windlass-serve")["env"]}
    assert env["WINDLASS_SERVE_TOKENS_FILE"] == "/etc/windlass/tokens.toml"


def test_serve_may_have_a_redis_user_of_its_own():
    own = {"serve": {"redis": {"url": "redis://windlass-producer@redis.example.com:6379", "existingSecret": {"name": "producer"}}}}
    release = Release(LEAST, own)
    urls = {name: {one["name"]: one.get("value") for one in release.container(name)["env"]}["WINDLASS_REDIS_URL"] for name in ("windlass-worker-default", "windlass-serve")}
    assert urls == {"windlass-worker-default": LEAST["redis"]["url"], "windlass-serve": own["serve"]["redis"]["url"]}
    sources = {one["name"]: one for one in release.pod("windlass-serve")["spec"]["volumes"]}["secrets"]["projected"]["sources"]
    assert [one["secret"]["name"] for one in sources] == ["producer"]


# --- Who reaches whom -------------------------------------------------------------------------------------------------

SERVE, WORKER, OUTSIDE = "windlass-serve", "windlass-worker-default", Peer(address="203.0.113.9")
EVERYTHING = yaml.safe_load((CHART / "ci/keda-values.yaml").read_text())



def peer(release, name):
    labels = {pod: has for pod, has, _ in release.pods()}[name]
    ports = {pod: spec["containers"][0].get("ports", []) for pod, _, spec in release.pods()}[name]
    return Peer(labels=labels, namespace=NAMESPACE, ports={one["name"]: one["containerPort"] for one in ports})


def test_workers_and_serve_reach_names_and_redis():
    release = Release(LEAST)
    for name in (WORKER, SERVE, "windlass-doctor"):
        assert allowed(release, peer(release, name), OUTSIDE, 6379)
        assert allowed(release, peer(release, name), Peer(namespace="kube-system", labels={"k8s-app": "kube-dns"}), 53, "UDP")


def test_workers_reach_models_but_not_the_metadata_service_nor_other_ports():
    release = Release(LEAST)
    worker = peer(release, WORKER)
    assert allowed(release, worker, OUTSIDE, 443)
    assert not allowed(release, worker, Peer(address="169.254.169.254"), 443)
    assert not allowed(release, worker, Peer(address="169.254.169.254"), 80)
    assert not allowed(release, worker, OUTSIDE, 22)
    assert not allowed(release, worker, OUTSIDE, 6443)
    assert not allowed(release, peer(release, SERVE), OUTSIDE, 443)


def test_workers_reach_the_api_server_only_for_the_deletion_cost():
    release = Release(LEAST, DELETION)
    api = Peer(address="10.0.0.1")
    assert allowed(release, peer(release, WORKER), api, 6443)
    assert not allowed(release, peer(release, "windlass-worker-plain"), api, 6443)


def test_nobody_reaches_a_worker_but_prometheus():
    release = Release(LEAST)
    worker = peer(release, WORKER)
    assert allowed(release, Peer(namespace="monitoring"), worker, 9464)
    assert not allowed(release, Peer(namespace="monitoring"), worker, 22)
    assert not allowed(release, Peer(namespace="default"), worker, 9464)
    assert not allowed(release, peer(release, SERVE), worker, 9464)


def test_prometheus_reaches_serve_and_so_do_keda_and_the_ingress_when_they_are_used():
    least, every = Release(LEAST), Release(EVERYTHING)
    for namespace, always in (("monitoring", True), ("keda", False), ("ingress-nginx", False)):
        assert allowed(least, Peer(namespace=namespace), peer(least, SERVE), 8642) == always
        assert allowed(every, Peer(namespace=namespace), peer(every, SERVE), 8642)
    assert not allowed(every, Peer(namespace="default"), peer(every, SERVE), 8642)
    assert allowed(least, Peer(namespace=NAMESPACE, labels={"app": "mine"}), peer(least, SERVE), 8642)


def test_the_embedded_redis_is_reached_by_windlass_alone():
    release = Release(TRIAL)
    redis = peer(release, "windlass-redis")
    for name in (WORKER, SERVE, "windlass-doctor"):
        assert allowed(release, peer(release, name), redis, 6379)
    assert not allowed(release, Peer(namespace=NAMESPACE, labels={"app": "mine"}), redis, 6379)
    assert not allowed(release, Peer(namespace="default"), redis, 6379)
    assert not allowed(release, redis, OUTSIDE, 443)


def test_further_egress_is_added():
    release = Release(LEAST, {"networkPolicy": {"redis": {"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}], "ports": [6380]}}})
    assert allowed(release, peer(release, WORKER), Peer(address="10.1.2.3"), 6380)
    assert not allowed(release, peer(release, WORKER), Peer(address="10.2.2.3"), 6380)
    assert not allowed(release, peer(release, WORKER), Peer(address="10.1.2.3"), 6379)
