"""A real `takeboard up` in a home of its own, and questions to the server that it runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.flows.prefect_server import free_port
from tests.prefect_database import place_database

__all__ = [
    "REPOSITORY",
    "START",
    "Machine",
    "environment",
    "gpu_worker",
    "kill_group",
    "machine_up",
    "takeboard",
    "until",
]

T = TypeVar("T")

REPOSITORY = Path(__file__).parents[2]
START = "from flows.cli import main; main()"
_UP_WITHIN_S = 120.0


@dataclass(slots=True)
class Machine:
    """What one `up` runs."""

    home: Path
    url: str
    process: subprocess.Popen[str]
    printed: Path
    password: str = ""
    _csrf: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """What `up` has printed."""
        return self.printed.read_text().splitlines()

    def processes(self) -> dict[str, int]:
        """What it runs, by name."""
        noted = json.loads((self.home / "up.json").read_text())
        return {name: one["pid"] for name, one in noted["processes"].items()}

    def ask(self, what: str, **question: Any) -> Any:
        """The answer to one of the API's filters."""
        return self.post(f"{what}/filter", **question)

    def post(self, what: str, **body: Any) -> Any:
        """What the API answers, asked as Prefect's own pages do."""
        user, _, password = self.password.partition(":")
        auth = httpx.BasicAuth(user, password) if user else None
        if not self._csrf:
            client = str(uuid.uuid4())
            token = httpx.get(f"{self.url}/csrf-token?client={client}", auth=auth, timeout=60.0)
            self._csrf = {
                "Prefect-Csrf-Client": client,
                "Prefect-Csrf-Token": token.json()["token"],
            }
        answer = httpx.post(
            f"{self.url}/{what}", json=body, headers=self._csrf, auth=auth, timeout=60.0
        )
        answer.raise_for_status()
        return answer.json()

    def start_film(self, flow: str, **parameters: Any) -> str:
        """The id of a new run of a deployment."""
        (deployment,) = self.ask(
            "deployments",
            flows={"name": {"any_": [flow]}},
            deployments={"name": {"any_": ["farm"]}},
        )
        made = self.post(f"deployments/{deployment['id']}/create_flow_run", parameters=parameters)
        return str(made["id"])

    def state(self, run: str) -> dict[str, Any]:
        """The state of a flow run."""
        (found,) = self.ask("flow_runs", flow_runs={"id": {"any_": [run]}})
        return dict(found["state"])

    def ended(self, run: str, within_s: float = 60.0) -> dict[str, Any]:
        """The last state of a flow run, once it has one."""

        def last() -> dict[str, Any] | None:
            state = self.state(run)
            return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED") else None

        return until(last, within_s)


@contextmanager
def machine_up(
    home: Path, *words: str, before: str = "", first_ever: bool = False, **variables: str
) -> Iterator[Machine]:
    """`takeboard up` once it says that it is; everything has ended when the context has.

    `before` is run in its process first. `first_ever`: nothing is there yet, not even a home.
    """
    port = free_port()
    if not first_ever:
        (home / "prefect").mkdir(parents=True, exist_ok=True)
        home.chmod(0o700)
        place_database(home / "prefect" / "prefect.db")
    printed = home.with_name(f"{home.name}.printed")
    with printed.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", before + START, "up", "--port", str(port), *words],
            env=environment(home, PYTHONUNBUFFERED="1", **variables), cwd=home.parent, text=True,
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    machine = Machine(home, f"http://127.0.0.1:{port}/api", process, printed)
    try:
        until(lambda: _is_up(machine), _UP_WITHIN_S)
        yield machine
    finally:
        started = [process.pid]
        if (home / "up.json").exists():
            started += machine.processes().values()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            for pid in started:
                kill_group(pid)
            process.wait(timeout=10)
            raise


@contextmanager
def gpu_worker(home: Path, **variables: str) -> Iterator[None]:
    """A worker for takes on the machine of that home, which needs no GPU for what tests make."""
    with home.with_name("gpu.log").open("w") as log:
        worker = subprocess.Popen(
            [sys.executable, "-c", START, "worker", "--pool", "gpu"],
            env=environment(home, **variables), cwd=home.parent,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(timeout=60)


def takeboard(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-c", START, *words],
        env=environment(home, **variables), cwd=home.parent, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Of a machine where nothing is configured but the farm's home."""
    dropped = ("PREFECT_", "TAKEBOARD_", "CUDA_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(dropped)}
    return {
        **kept,
        "HOME": str(home.parent),
        "TAKEBOARD_HOME": str(home),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_COLOR": "1",
        **variables,
    }


def until(look: Callable[[], T | None], within_s: float = 30.0) -> T:
    """The first answer that is not None."""
    deadline = time.monotonic() + within_s
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:.0f} s")
        time.sleep(0.1)
    return found


def kill_group(pid: int) -> None:
    """End a process that we started, and its group."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _is_up(machine: Machine) -> bool | None:
    if machine.process.poll() is not None:
        raise AssertionError(f"up ended: {machine.printed.read_text()}")
    return True if any(line.startswith("Next:") for line in machine.lines()) else None
