"""The programs take what the chart gives them: flags, variables and files. Needs them built; skipped otherwise."""

import os
import pathlib
import subprocess

import pytest
from conftest import ROOT, Release

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BUILT = [pathlib.Path(one) for one in (os.environ.get("WINDLASS_BIN_DIR"), TARGET / "release", TARGET / "debug") if one]
# What is inside a pod and not here.
FOLDERS = {"/run/secrets/windlass-tls": "tls", "/run/secrets/windlass": "secrets", "/etc/windlass": "etc", "/workspace": "workspace"}


def program(name):
    for folder in BUILT:
        if (folder / name).exists():
            return folder / name
    pytest.skip(f"{name} is not built")


def here(tmp_path, text):
    """A path within the pod, as it is here."""
    for inside, folder in FOLDERS.items():
        text = text.replace(inside, str(tmp_path / folder))
    return text


def prepared(tmp_path, release, name):
    """The files that a pod has, and its environment."""
    for folder in FOLDERS.values():
        (tmp_path / folder).mkdir()
    volumes = release.pod(name)["spec"]["volumes"]
    for volume in volumes:
        for source in volume.get("projected", {}).get("sources", []):
            for item in source.get("secret", {}).get("items", []):
                text = "redis://from-a-secret" if item["path"] == "redis-url" else "secret"
                (tmp_path / "secrets" / item["path"]).write_text(text)
    toml = release.get("ConfigMap", name)["data"]["windlass.toml"]
    (tmp_path / "etc/windlass.toml").write_text(here(tmp_path, toml))
    env = {one["name"]: here(tmp_path, one["value"]) if "value" in one else "" for one in release.container(name)["env"]}
    return {**env, "NODE_NAME": "node-1.example.com"}


def test_workers_take_their_flags_variables_and_files(setup, tmp_path):
    release = Release(setup)
    names = [one["metadata"]["name"] for one in release.all("Deployment") if "-worker-" in one["metadata"]["name"]]
    for name in names:
        folder = tmp_path / name
        folder.mkdir()
        env = prepared(folder, release, name)
        arguments = [one.replace("$(NODE_NAME)", env["NODE_NAME"]) for one in release.container(name)["args"]]
        run = subprocess.run([program("windlass-worker"), *arguments, "config"], env=env, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        said = dict(line.split("  # ")[0].split(" = ", 1) for line in run.stdout.splitlines() if " = " in line)
        assert said["worker.admin"].strip('"').endswith(":9464")
        for flag in ("queues", "concurrency", "drain-timeout", "labels"):
            given = next(one for one in arguments if one.startswith(f"--{flag}=")).partition("=")[2]
            assert sorted(said[f"worker.{flag.replace('-', '_')}"].strip('"').split(",")) == sorted(given.split(","))


def test_the_producer_takes_its_variables_and_files(setup, tmp_path):
    release = Release(setup)
    if not [one for one in release.all("Deployment") if one["metadata"]["name"] == "windlass-serve"]:
        return
    env = prepared(tmp_path, release, "windlass-serve")
    run = subprocess.run([program("windlass"), "config"], env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
