"""A real Prefect server on loopback for tests, and questions to its API."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.prefect_database import place_database

__all__ = ["OF_UP", "PLAIN", "PrefectServer", "free_port", "heard", "running_server"]

T = TypeVar("T")

_READY_WITHIN_S = 90.0
_HEARD_WITHIN_S = 20.0
"""Task runs and logs reach the database a little after the client has gone."""


_NOT_NEEDED = (
    "CANCELLATION_CLEANUP", "EVENT_PERSISTER", "FOREMAN", "LATE_RUNS", "PAUSE_EXPIRATIONS",
    "SCHEDULER", "TRIGGERS",
)  # fmt: skip
"""Services that write to SQLite in the background and can hold it for a minute."""


@dataclass(frozen=True, slots=True)
class PrefectServer:
    """A server that answers, with the folder it keeps everything in."""

    url: str
    home: Path

    def ask(self, what: str, **question: Any) -> Any:
        """The answer to one of the API's filters."""
        answer = httpx.post(f"{self.url}/{what}/filter", json=question, timeout=20.0)
        answer.raise_for_status()
        return answer.json()

    def flow_runs(self, name: str) -> list[dict[str, Any]]:
        """Runs of that name, the oldest first."""
        runs = self.ask("flow_runs", sort="START_TIME_ASC", flow_runs={"name": {"any_": [name]}})
        return list(runs)

    def task_runs(self, flow_run: str, expected: int) -> dict[str, dict[str, Any]]:
        """The task runs of a flow run by name, once as many as `expected` have ended."""

        def ended() -> dict[str, dict[str, Any]] | None:
            runs = self.ask("task_runs", flow_runs={"id": {"any_": [flow_run]}})
            final = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}
            found = {run["name"]: run for run in runs if run["state"]["type"] in final}
            return found if len(found) >= expected else None

        return heard(ended)

    def artifacts(self, flow_run: str) -> dict[str, dict[str, Any]]:
        """The artifacts of a flow run by key."""
        found = self.ask("artifacts", flow_runs={"id": {"any_": [flow_run]}})
        return {one["key"]: one for one in found}

    def events(self, prefix: str, expected: int) -> list[dict[str, Any]]:
        """The events whose names begin with `prefix`, the oldest first, once so many are there."""

        def happened() -> list[dict[str, Any]] | None:
            wanted = {"event": {"prefix": [prefix]}, "order": "ASC"}
            found = self.ask("events", filter=wanted, limit=50)["events"]
            return found if len(found) >= expected else None

        return heard(happened)

    def log(self, flow_run: str, expected: str) -> list[str]:
        """The lines of a flow run's log and of its tasks', once `expected` is in one of them."""

        def lines() -> list[str] | None:
            found = self.ask(
                "logs", sort="TIMESTAMP_ASC", logs={"flow_run_id": {"any_": [flow_run]}}
            )
            texts = [line["message"] for line in found]
            return texts if any(expected in text for text in texts) else None

        return heard(lines)


PLAIN = (sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port")
"""A server that somebody else has started; the port comes last."""
OF_UP = (
    sys.executable,
    "-c",
    "import flows.farm.serve as s; s.end_with_parent = lambda **_: None; s.main()",
    "127.0.0.1",
)
"""One as `takeboard up` starts it, but that nothing ends with its parent."""


@contextmanager
def running_server(
    home: Path,
    *,
    services: Collection[str] = (),
    port: int = 0,
    command: Sequence[str] = PLAIN,
) -> Iterator[PrefectServer]:
    """A server with SQLite in `home`, ended with all its processes.

    `services` are those that it runs of the ones that most tests do not need.
    """
    port = port or free_port()
    url = f"http://127.0.0.1:{port}/api"
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PREFECT_")}
    environment = {
        **kept,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_API_URL": "/api",
        "DO_NOT_TRACK": "1",
        **{
            f"PREFECT_SERVER_SERVICES_{name}_ENABLED": str(name in services).lower()
            for name in _NOT_NEEDED
        },
    }
    home.mkdir(parents=True, exist_ok=True)
    place_database(home / "prefect.db")
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, str(port)], env=environment, cwd=home, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_until_ready(url, server, home)
        yield PrefectServer(url, home)
    finally:
        _end(server)


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(url: str, server: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=2.0).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise RuntimeError("no server: " + (home / "server.log").read_text()[-2000:])


def _end(server: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(timeout=10)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    server.wait(timeout=10)


def heard(look: Callable[[], T | None]) -> T:
    """What `look` finds, once it finds anything."""
    deadline = time.monotonic() + _HEARD_WITHIN_S
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise AssertionError("the server has not heard of it")
        time.sleep(0.2)
    return found
