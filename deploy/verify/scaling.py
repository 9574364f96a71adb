#!/usr/bin/env python3
"""Scales as KEDA would, by what the real `windlass serve` says to the URL that the chart gives to KEDA.

    scaling.py PROGRAMS      PROGRAMS: the folder of windlass and windlass-worker

Exit code 77: serve or a Redis is missing here.
"""

import json
import math
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy/verify/chart"))
from conftest import LEAST, Release  # noqa: E402

KEDA = {"serve": {"readToken": {"existingSecret": "read"}}, "worker": {"autoscaling": {"mode": "keda", "minReplicas": 0, "maxReplicas": 2000}}}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Fleet:
    """A Redis and a serve on loopback, and workers on demand."""

    def __init__(self, programs, folder):
        self.programs, self.folder, self.started = programs, folder, []

    def begin(self):
        folder = self.folder
        redis, self.port = free_port(), free_port()
        server = shutil.which("redis-server") or shutil.which("valkey-server")
        self.start([server, "--port", str(redis), "--bind", "127.0.0.1", "--save", "", "--maxmemory-policy", "noeviction", "--dir", folder])
        self.env = {"PATH": os.environ["PATH"], "HOME": folder, "WINDLASS_REDIS_URL": f"redis://127.0.0.1:{redis}", "WINDLASS_SERVE_TOKENS_FILE": f"{folder}/tokens.toml"}
        wait_for("Redis", lambda: self.run("queues", "--output", "json", check=False).returncode == 0)
        self.token = self.run("tokens", "generate", "keda", "--roles", "read", "--append", f"{folder}/tokens.toml").stdout.strip()
        self.start([self.programs / "windlass", "serve", f"--listen=127.0.0.1:{self.port}"])
        wait_for("serve", lambda: urllib.request.urlopen(f"http://127.0.0.1:{self.port}/livez", timeout=2).status == 200)

    def start(self, command):
        log = open(pathlib.Path(self.folder) / f"{len(self.started)}.log", "w")
        self.started.append(subprocess.Popen(command, env=getattr(self, "env", None), stdout=log, stderr=log))

    def run(self, *arguments, given="", check=True):
        return subprocess.run([self.programs / "windlass", *arguments], env=self.env, input=given, capture_output=True, text=True, check=check)

    def worker(self, *queues):
        self.start([self.programs / "windlass-worker", f"--queues={','.join(queues)}", "--concurrency=8", "--drain-timeout=1s"])

    def stop(self):
        for process in reversed(self.started):
            process.terminate()
        for process in self.started:
            process.wait(timeout=30)


def wait_for(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        if time.monotonic() > end:
            sys.exit(f"scaling: FAILED: {what} does not come about")
        time.sleep(0.1)


class Autoscaler:
    """KEDA's scaler `metrics-api` and the HPA that it makes, for a pool that serves these queues."""

    def __init__(self, fleet, *queues):
        release = Release(LEAST, KEDA, {"pools": {"default": {"queues": list(queues)}}})
        self.fleet, self.spec = fleet, release.get("ScaledObject", "windlass-worker-default")["spec"]
        self.trigger = self.spec["triggers"][0]["metadata"]

    def backlog(self):
        url = urllib.parse.urlsplit(self.trigger["url"])._replace(netloc=f"127.0.0.1:{self.fleet.port}").geturl()
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.fleet.token}"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)[self.trigger["valueLocation"]]

    def pods(self):
        backlog = self.backlog()
        wanted = math.ceil(backlog / float(self.trigger["targetValue"]))
        return max(self.spec["minReplicaCount"], min(self.spec["maxReplicaCount"], max(1, wanted) if backlog > 0 else 0))


# Longer than serve keeps its figures: what is asked after it is of now.
KEPT = 1.5


def expect(what, look, wanted):
    time.sleep(KEPT)
    found = look()
    if found != wanted:
        sys.exit(f"scaling: FAILED: {what}: {found}, not {wanted}")
    print(f"scaling: {what}: {found}")


def sleeps(count, milliseconds):
    return (json.dumps({"type": "sleep", "payload": {"ms": milliseconds}}) + "\n") * count


def check(fleet):
    pool = Autoscaler(fleet, "default", "other=3")
    expect("pods for queues that nobody has used", pool.pods, 0)
    fleet.run("submit", "--file", "-", "--queue", "default", given=sleeps(10_000, 1))
    expect("pods for a backlog of 10,000, as docs/kubernetes.md says", pool.pods, 1563)
    fleet.run("pause", "default")
    wait_for("a paused queue without a backlog", lambda: pool.backlog() == 0)
    expect("pods for a paused queue of which nothing runs", pool.pods, 0)

    later = Autoscaler(fleet, "later")
    fleet.run("submit", "--type", "noop", "--payload", "{}", "--queue", "later", "--delay", "1h")
    expect("pods for a task in an hour", later.pods, 0)
    fleet.run("submit", "--type", "noop", "--payload", "{}", "--queue", "later", "--delay", "20s")
    wait_for("a task that falls due soon in the backlog", lambda: later.backlog() == 1)
    expect("pods for a task that falls due in 20 s, before it does", later.pods, 1)

    busy = Autoscaler(fleet, "busy")
    fleet.run("submit", "--file", "-", "--queue", "busy", given=sleeps(3, 600_000))
    fleet.worker("busy")
    wait_for("three running tasks", lambda: json.loads(fleet.run("queues", "busy", "--output", "json").stdout)["running"] == 3)
    expect("pods for an empty queue whose tasks run", busy.pods, 1)
    scale_down(fleet, busy)


def scale_down(fleet, pool):
    """Three pods, of which one runs everything, become as many as the figure says. Kubernetes deletes those of the least deletion
    cost first, which workers set to the tasks that they run (worker/src/loops/pod_cost.rs)."""
    first = len(fleet.started)
    fleet.worker("busy")
    fleet.worker("busy")

    def nodes():
        return json.loads(fleet.run("nodes", "--output", "json").stdout)

    wait_for("three nodes", lambda: [node["state"] for node in nodes()].count("active") == 3)
    running = {node["pid"]: node["running_count"] for node in nodes()}
    expect("pods while one of three is busy", pool.pods, 1)
    chosen = sorted(running, key=running.get)[: len(running) - pool.pods()]
    expect("tasks on the pods that are chosen to die", lambda: sum(running[pid] for pid in chosen), 0)
    for process in fleet.started[first:]:
        if process.pid in chosen:
            process.terminate()
            expect("exit code of an idle pod that was told to end", lambda: process.wait(timeout=30), 0)
    expect("tasks that run on", lambda: json.loads(fleet.run("queues", "busy", "--output", "json").stdout)["running"], 3)
    expect("interrupted tasks", lambda: sum(task["interruptions"] for task in json.loads(fleet.run("tasks", "--queue", "busy", "--output", "json").stdout)), 0)


def main(programs):
    if subprocess.run([programs / "windlass", "serve", "--help"], capture_output=True).returncode:
        sys.exit(77)
    if not (shutil.which("redis-server") or shutil.which("valkey-server")):
        print("scaling: there is no Redis server here", file=sys.stderr)
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(programs, folder)
        try:
            fleet.begin()
            check(fleet)
        finally:
            fleet.stop()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
