"""A real HTTP server in a thread that answers as it is told to, badly where it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Script:
    """What the server does. Each request to a path of completions is given to `act` with its number, from 0.

    models: what /v1/models lists, None: no such path. gone: requests whose client went away while they were answered.
    """

    act: Callable[[Handler, dict[str, Any], int], None]
    models: list[dict[str, Any]] | None = field(default_factory=lambda: [{"id": "m"}])
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    gone: set[int] = field(default_factory=set)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Handler(BaseHTTPRequestHandler):
    script: Script

    def do_GET(self) -> None:
        if self.script.models is None:
            self.plain(404, '{"detail": "Not Found"}')
        else:
            self.plain(200, json.dumps({"object": "list", "data": self.script.models}))

    def do_POST(self) -> None:
        script = self.script
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with script.lock:
            number = len(script.bodies)
            script.bodies.append({**body, "path": self.path})
            script.headers.append({name.lower(): value for name, value in self.headers.items()})
            script.at_once += 1
            script.most_at_once = max(script.most_at_once, script.at_once)
        try:
            script.act(self, body, number)
        except (BrokenPipeError, ConnectionResetError):
            with script.lock:
                script.gone.add(number)
            self.close_connection = True
        finally:
            with script.lock:
                script.at_once -= 1

    def plain(self, status: int, text: str, **headers: str) -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def begin(self, kind: str = "text/event-stream") -> None:
        """A stream that ends with the connection."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("connection", "close")
        self.end_headers()

    def event(self, value: Any) -> None:
        self.wfile.write(f"data: {value if isinstance(value, str) else json.dumps(value)}\n\n".encode())
        self.wfile.flush()

    def text(self, text: str, finish: str | None = None) -> None:
        self.event({"model": "m-1", "choices": [{"index": 0, "text": text, "finish_reason": finish}]})

    def stream(self, pieces: list[str], finish: str = "stop", pause: float = 0.0) -> None:
        self.begin()
        for piece in pieces:
            self.text(piece)
            time.sleep(pause)
        self.text("", finish)
        self.event("[DONE]")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(script: Script) -> Iterator[str]:
    """The server's address, /v1 included."""
    handler = type("Told", (Handler,), {"script": script})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
