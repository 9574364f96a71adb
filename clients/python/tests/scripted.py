"""An HTTP server that answers as a test tells it, on a real socket, and remembers what it was asked."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines() if line]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    asked: Asked

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
        self.server.script.answer_for(self.asked)(self)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def begin(self, status: int, kind: str, **headers: str) -> None:
        """The head of a streamed answer."""
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def end(self) -> None:
        self.chunk(b"")

    def cut(self) -> None:
        """Breaks the connection."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


Answer = Callable[[Handler], None]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    script: Script

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients go away; that is what is tested.
        pass


@dataclass
class Script:
    """What is answered: for each method and path answers in order, of which the last is given again and again."""

    asked: list[Asked] = field(default_factory=list)
    answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def on(self, method: str, path: str, *answers: Answer) -> None:
        self.answers[method, path] = list(answers)

    def answer_for(self, asked: Asked) -> Answer:
        with self.lock:
            self.asked.append(asked)
            answers = self.answers.get((asked.method, unquote(asked.path)))
            if not answers:
                return problem(404, "not-found", f"no answer was told for {asked.method} {asked.path}")
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def of(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if unquote(asked.path) == path]


def give(value: Any, status: int = 200, kind: str = "application/json", **headers: str) -> Answer:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("content-type", kind)
        handler.send_header("content-length", str(len(body)))
        handler.send_header("x-request-id", "req-7")
        for name, told in headers.items():
            handler.send_header(name.replace("_", "-"), told)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def problem(status: int, name: str, detail: str = "it is so", **more: Any) -> Answer:
    headers = more.pop("headers", {})
    value = {"type": f"urn:windlass:problem:{name}", "title": name, "status": status, "detail": detail, **more}
    return give(value, status, "application/problem+json", **headers)


def hang_up(handler: Handler) -> None:
    """Says nothing, and breaks the connection."""
    handler.cut()


def stall(seconds: float) -> Answer:
    def answer(handler: Handler) -> None:
        time.sleep(seconds)
        handler.cut()

    return answer


def lines(*values: Any, cut: bool = False, half: bytes = b"", status: int = 200) -> Answer:
    """JSON Lines, one chunk each; `cut`: the connection then breaks, after `half` a line."""

    def answer(handler: Handler) -> None:
        handler.begin(status, "application/x-ndjson")
        for value in values:
            handler.chunk(json.dumps(value).encode() + b"\n")
        if half:
            handler.chunk(half)
        if cut:
            handler.cut()
        else:
            handler.end()

    return answer


def stream(kind: str, parts: Iterable[bytes], cut: bool = False) -> Answer:
    def answer(handler: Handler) -> None:
        handler.begin(200, kind)
        for part in parts:
            handler.chunk(part)
        if cut:
            handler.cut()
        else:
            handler.end()

    return answer


class Scripted:
    """A running one."""

    def __init__(self) -> None:
        self.script = Script()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.script = self.script
        self.script.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
