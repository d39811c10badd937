"""A real S3-speaking server on loopback, and a gate before it that lets things go wrong.

The server is localbucket in a process of its own: it keeps objects in files, over a kill and a
restart, and writes a name conditionally. The gate is an HTTP proxy that counts requests, and cuts,
spoils, slows or refuses what tests tell it to.
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from threading import Thread

import media.shared_store
from media.shared_store import local_root
from media.store import ContentStore

__all__ = [
    "SERVER",
    "Farm",
    "Gate",
    "ObjectServer",
    "forget_connections",
    "gate_before",
    "object_server",
]

SECRET = "canary-secret-AbCdEfGh123456"
KEY_ID = "CANARYKEYID0001"


SERVER = dedent("""
    import localbucket
    from http import HTTPStatus
    read_any = localbucket.S3Handler._read_body
    def read_whole(self):
        # As S3 does, and localbucket 1.2.1 does not: a client that dies leaves no part of a body.
        body = read_any(self)
        encodings = [self.headers.get(f"{of}-Encoding", "") for of in ("Content", "Transfer")]
        length = int(self.headers.get("Content-Length") or 0)
        if "chunked" not in "".join(encodings) and len(body) != length:
            raise localbucket.S3Error(HTTPStatus.BAD_REQUEST, "IncompleteBody", "cut short")
        return body
    localbucket.S3Handler._read_body = read_whole
    localbucket.main()
""")

_ENDS_WITH_US = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
"""
"""Also when the tests are killed: then nobody holds the pipe any more."""


@dataclass(slots=True)
class ObjectServer:
    """The server's process; it can be killed and started again."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        return environ_for(self.endpoint)

    def start(self) -> None:
        code = _ENDS_WITH_US + SERVER
        command = [sys.executable, "-c", code, str(self.folder), "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise AssertionError("the object server did not start")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate(timeout=10)
            self.process = None

    def bucket(self, name: str) -> Path:
        """The folder that holds the objects of an empty bucket, each a file."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / name).mkdir(parents=True)
        return self.folder / name


def environ_for(endpoint: str) -> dict[str, str]:
    """What a machine's environment says of the server at `endpoint`."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "TAKEBOARD_STORE_PATIENCE": "20",
    }


class Farm:
    """Machines that share one store: each has a local copy of its own."""

    def __init__(self, server: ObjectServer, folder: Path) -> None:
        # What an earlier test of this process knew of the address was of another server's.
        forget_connections()
        self.server, self.folder = server, folder
        self.bucket = server.bucket("films")
        self.url = "s3://films/lighthouse"

    def root(self, machine: str) -> Path:
        """The machine's local copy."""
        return local_root(self.url, {"TAKEBOARD_STORE_COPY": str(self.folder / machine)})

    def store(self, machine: str, kind: str = "takes") -> ContentStore:
        """As that machine sees it."""
        return ContentStore(self.root(machine), kind)

    def environ(self, machine: str, **more: str) -> dict[str, str]:
        """For a process on that machine."""
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "TAKEBOARD_"))}
        copy = {"TAKEBOARD_STORE_COPY": str(self.folder / machine)}
        return {**kept, **self.server.environ, **copy, **more}

    def objects(self, part: str = "") -> list[str]:
        """Names of the objects whose name has `part` in it."""
        return [name for name in objects_in(self.bucket) if part in name]


@contextmanager
def object_server(folder: Path) -> Iterator[ObjectServer]:
    """A server that keeps its buckets in `folder`; gone at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ObjectServer(folder, port)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@dataclass(slots=True)
class Answer:
    """What the server answered, as the gate may change it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(slots=True)
class Gate:
    """What passes between a client and the server."""

    endpoint: str = ""
    requests: list[str] = field(default_factory=list)
    """`GET /bucket/key?query`, in order."""
    before: Callable[[str, dict[str, str]], Answer | None] = lambda request, headers: None
    """May change the request's headers, or answer it instead of the server."""
    after: Callable[[str, Answer], Answer] = lambda request, answer: answer
    """May change the answer; its length is declared as it was, unless `mends_length`."""
    mends_length: bool = False

    def count(self, method: str, part: str = "") -> int:
        return sum(one.startswith(method) and part in one for one in self.requests)


def forget_connections() -> None:
    """As in a new process, which reads its environment anew."""
    media.shared_store._opened.cache_clear()
    media.shared_store._opened_kind.cache_clear()


@contextmanager
def gate_before(server: ObjectServer) -> Iterator[Gate]:
    """A gate before the server, in a thread of this process; gone at the end."""
    gate = Gate()

    class Passing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            request = f"{self.command} {self.path}"
            gate.requests.append(request)
            headers = dict(self.headers.items())
            body = self._body()
            answer = gate.before(request, headers) or self._answer(headers, body)
            declared = len(answer.body)
            answer = gate.after(request, answer)
            if gate.mends_length:
                declared = len(answer.body)
            self.send_response_only(answer.status)
            for name, value in answer.headers:
                if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                    self.send_header(name, value)
            if self.command == "HEAD":
                length = dict(answer.headers).get("Content-Length", "0")
                self.send_header("Content-Length", length)
            else:
                self.send_header("Content-Length", str(declared))
            self.end_headers()
            self.wfile.write(answer.body)
            if len(answer.body) != declared:
                self.close_connection = True

        do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815

        def _body(self) -> bytes:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _answer(self, headers: dict[str, str], body: bytes) -> Answer:
            passed = {n: v for n, v in headers.items() if n.lower() != "transfer-encoding"}
            passed["Content-Length"] = str(len(body))
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            try:
                connection.request(self.command, self.path, body, passed)
                got = connection.getresponse()
                return Answer(got.status, got.getheaders(), got.read())
            finally:
                connection.close()

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Passing)
    httpd.daemon_threads = True
    gate.endpoint = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield gate
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join(5)


def objects_in(bucket: Path) -> dict[str, bytes]:
    """Every object of the bucket, by name; what the server is still writing is none."""
    found: dict[str, bytes] = {}
    for folder, _, names in os.walk(bucket):  # unlike a glob it bears folders that go meanwhile
        for path in (Path(folder, name) for name in names if not name.startswith(".localbucket-")):
            with suppress(FileNotFoundError):
                found[path.relative_to(bucket).as_posix()] = path.read_bytes()
    return dict(sorted(found.items()))


def s3_error(status: int, code: str) -> Answer:
    """An error as S3 answers it."""
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"
    return Answer(status, [("Content-Type", "application/xml")], text.encode())
