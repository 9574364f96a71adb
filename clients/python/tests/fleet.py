"""A real fleet for a test session: Redis, `windlass serve`, a worker, and a stand-in for models."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def redis_server() -> str:
    named = os.environ.get("WINDLASS_TEST_SERVER")
    found = named or shutil.which("redis-server") or shutil.which("valkey-server")
    assert found, "no Redis server: install redis-server or valkey-server, or name one in WINDLASS_TEST_SERVER"
    return found


@dataclass
class Process:
    command: Sequence[str]
    log: Path
    env: Mapping[str, str]
    cwd: Path
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(self.command, stdout=log, stderr=log, env=self.env, cwd=self.cwd)

    def stop(self, seconds: float = 20) -> int:
        assert self.running is not None
        self.running.terminate()
        try:
            return self.running.wait(seconds)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()
            raise

    def kill(self) -> None:
        assert self.running is not None
        self.running.kill()
        self.running.wait()

    def alive(self) -> bool:
        return self.running is not None and self.running.poll() is None


@dataclass
class Fleet:
    """All listen on loopback, on ports that were free."""

    bin_dir: Path
    folder: Path
    redis_url: str = ""
    url: str = ""
    processes: list[Process] = field(default_factory=list)
    serve: Process | None = None

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        return {**kept, "WINDLASS_REDIS_URL": self.redis_url, **more}

    def process(self, name: str, *command: str, **env: str) -> Process:
        process = Process(command, self.folder / f"{name}.log", self.environment(**env), self.folder)
        process.start()
        self.processes.append(process)
        return process

    def start(self) -> None:
        port = free_port()
        self.redis_url = f"redis://127.0.0.1:{port}"
        options = [
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--loglevel",
            "warning",
        ]
        redis = self.process("redis", redis_server(), *options)
        until(lambda: listens(port), redis)
        scripted = self.process("scripted", self.windlass(), "scripted", "--duration", "30m")
        until(lambda: "http://" in scripted.log.read_text(), scripted)
        model_url = next(line for line in scripted.log.read_text().splitlines() if line.startswith("http://"))
        self.start_serve()
        self.process(
            "worker",
            str(self.bin_dir / "windlass-worker"),
            *("--queues", "default,urgent", "--concurrency", "8", "--drain-timeout", "1s", "--labels", "zone=a"),
            WINDLASS_LLM_BASE_URL=model_url,
            WINDLASS_LLM_MODEL="small",
        )

    def windlass(self) -> str:
        return str(self.bin_dir / "windlass")

    def start_serve(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        listen = ["--listen", f"127.0.0.1:{port}", "--anonymous"]
        self.serve = self.process("serve", self.windlass(), "serve", *listen)
        self.ready()

    def ready(self) -> None:
        assert self.serve is not None
        until(lambda: answers(self.url + "/readyz"), self.serve)

    def stop(self) -> None:
        for process in reversed(self.processes):
            if process.alive():
                process.stop()


def until(so: object, process: Process, seconds: float = 30.0) -> None:
    """Waits until `so()`, as long as the process lives."""
    assert callable(so)
    end = time.monotonic() + seconds
    while not so():
        said = process.log.read_text()[-2000:]
        assert process.alive(), f"{process.command} ended:\n{said}"
        assert time.monotonic() < end, f"{process.command} is not ready:\n{said}"
        time.sleep(0.05)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
