"""A real farm of processes that can be killed one by one: server, workers, and their processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from flows.farm.environment import server_environment, worker_environment
from flows.farm.home import open_home
from tests.farm.postgres import running_postgres
from tests.flows.prefect_server import free_port

__all__ = ["Farm", "Process", "processes_of", "running_farm", "until"]

T = TypeVar("T")

REPOSITORY = Path(__file__).parents[2]
PLUGIN = REPOSITORY / "tests/farm/plugin"
_MARK = "TAKEBOARD_FARM_UNDER_TEST"
"""In the environment of every process of a farm: what is left of it is found by it."""
_READY_WITHIN_S = 120.0
_TAKEBOARD = (sys.executable, "-c", "from flows.cli import main; main()")


@dataclass(slots=True)
class Process:
    """One of the farm's, which can be started again."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    lifeline: int
    """What it ends with: the end to read from of a pipe that only this process holds."""
    popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """0: it does not run."""
        return self.popen.pid if self.popen is not None and self.popen.poll() is None else 0

    def start(self) -> None:
        """Start it in a group of its own."""
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self.command, env=dict(self.environment), stdin=self.lifeline,
                stdout=log, stderr=log, start_new_session=True, cwd=self.log.parent,
            )  # fmt: skip

    def kill(self) -> int:
        """As a power cut would, but for what it has started; its process id."""
        pid = self.pid
        if self.popen is not None and pid:
            self.popen.kill()
            self.popen.wait(20)
        return pid

    def end(self) -> None:
        """In order; killed when that takes too long."""
        if self.popen is not None and self.pid:
            self.popen.terminate()
            try:
                self.popen.wait(40)
            except subprocess.TimeoutExpired:
                self.kill()

    def child(self) -> int:
        """The process that it has runs made by; 0: none."""
        for pid in _children(self.pid):
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"flows.farm.child" in words:
                    return pid
        return 0


@dataclass(slots=True)
class Farm:
    """A server with workers, and questions to it."""

    folder: Path
    url: str
    mark: str
    environment: dict[str, str]
    """Of its workers."""
    server: Process
    workers: dict[str, Process] = field(default_factory=dict)
    killed: set[int] = field(default_factory=set)
    """Process ids of all that were killed, and of what went with them."""

    @property
    def log(self) -> Path:
        """What the test's backends write down."""
        return self.folder / "sketch.log"

    def add_worker(self, pool: str, name: str, **environment: str) -> Process:
        """A worker, started."""
        worker = Process(
            name,
            (*_TAKEBOARD, "worker", "--pool", pool, "--name", f"{name}-{self.mark[:6]}"),
            {**self.environment, **environment},
            self.folder / f"{name}.log",
            self.server.lifeline,
        )
        self.workers[name] = worker
        worker.start()
        return worker

    def kill(self, name: str) -> bool:
        """Kill the server, a worker, or the child of one (`gpu-0 child`); False: not there."""
        name, _, child = name.partition(" ")
        process = self.server if name == "server" else self.workers[name]
        pid = process.child()
        if child:
            if pid:
                self.killed.add(pid)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return bool(pid)
        self.killed |= {process.kill(), pid} - {0}
        return True

    def ask(self, what: str, **question: Any) -> Any:
        """The answer to one of the API's filters."""
        return self.post(f"{what}/filter", **question)

    def post(self, what: str, **body: Any) -> Any:
        """What the API answers."""
        answer = httpx.post(f"{self.url}/{what}", json=body, timeout=30.0)
        answer.raise_for_status()
        return answer.json()

    def flow_runs(self, *states: str, pool: str = "") -> list[dict[str, Any]]:
        """Runs in one of the states, of one pool."""
        asked: dict[str, Any] = {"limit": 200}
        if states:
            asked["flow_runs"] = {"state": {"type": {"any_": list(states)}}}
        if pool:
            asked["work_pools"] = {"name": {"any_": [pool]}}
        return list(self.ask("flow_runs", **asked))

    def run(self, run: str) -> dict[str, Any]:
        """A flow run as it is now."""
        answer = httpx.get(f"{self.url}/flow_runs/{run}", timeout=30.0)
        answer.raise_for_status()
        return dict(answer.json())

    def start_film(self, storyboard: Path, **parameters: Any) -> str:
        """The id of a new run of `produce/farm`."""
        (deployment,) = self.ask("deployments", flows={"name": {"any_": ["produce"]}})
        given = {"storyboard": str(storyboard), **parameters}
        made = self.post(f"deployments/{deployment['id']}/create_flow_run", parameters=given)
        return str(made["id"])

    def over(self, run: str, within_s: float) -> dict[str, Any]:
        """The last state of a flow run, once it has one; the server may be away meanwhile."""

        def last() -> dict[str, Any] | None:
            with suppress(httpx.HTTPError):
                state = self.run(run)["state"]
                # A worker that is there speaks for what is only taken for silent.
                if state["type"] in ("COMPLETED", "FAILED", "CANCELLED"):
                    return dict(state)
            return None

        try:
            return until(last, within_s)
        except AssertionError:
            raise AssertionError(f"not over: {self.run(run)['state']}") from None

    def marks(self, word: str) -> list[tuple[str, int]]:
        """What the backends did: `begin`, `end` or `load`, of what, in which process."""
        if not self.log.exists():
            return []
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [(line[1], int(line[2])) for line in lines if len(line) == 3 and line[0] == word]

    def start_server(self) -> None:
        """Start it, and wait until it answers."""
        self.server.start()
        until(self._answers, _READY_WITHIN_S)

    def _answers(self) -> bool | None:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/health", timeout=2.0).is_success or None
        if not self.server.pid:
            raise AssertionError(f"no server: {self.server.log.read_text()[-2000:]}")
        return None


@contextmanager
def running_farm(
    folder: Path,
    gpus: int = 1,
    cpus: int = 1,
    *,
    of: Mapping[str, Mapping[str, str]] | None = None,
    **environment: str,
) -> Iterator[Farm]:
    """A farm on PostgreSQL; when it is over, or this process was killed, nothing of it is left.

    `environment` is that of every worker, `of` has more for a single process, by its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    more = of or {}
    with ExitStack() as stack:
        lifeline = stack.enter_context(_held_pipe())
        database = stack.enter_context(running_postgres())
        farm = _laid_out(folder, database, environment, lifeline)
        farm.server.environment = {**farm.server.environment, **more.get("server", {})}
        stack.callback(_end_all, farm)
        farm.start_server()
        furnish = [sys.executable, "-m", "flows.farm.furnish"]
        done = subprocess.run(
            furnish, env=farm.environment, cwd=folder, stdin=lifeline,
            capture_output=True, text=True, timeout=_READY_WITHIN_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        for number in range(gpus):
            farm.add_worker("gpu", f"gpu-{number}", **more.get(f"gpu-{number}", {}))
        for number in range(cpus):
            farm.add_worker("cpu", f"cpu-{number}", **more.get(f"cpu-{number}", {}))
        until(lambda: _all_online(farm, gpus, cpus), _READY_WITHIN_S)
        yield farm
    assert processes_of(farm.mark) == []


def processes_of(mark: str) -> list[str]:
    """Process ids with command lines of what runs with the farm's mark."""
    wanted = f"{_MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if words:
                    found.append(f"{entry.name} {words[:120]}")
    return found


def until(look: Callable[[], T | None], within_s: float = 30.0) -> T:
    """The first answer that is not None."""
    deadline = time.monotonic() + within_s
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:.0f} s")
        time.sleep(0.2)
    return found


def _laid_out(folder: Path, database: str, environment: Mapping[str, str], lifeline: int) -> Farm:
    """Nothing runs yet."""
    mark, port = uuid.uuid4().hex, free_port()
    url = f"http://127.0.0.1:{port}/api"
    dropped = ("PREFECT_", "TAKEBOARD_", "CUDA_", "COVERAGE")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(dropped)}
    ours = {
        **kept,
        _MARK: mark,
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "TAKEBOARD_HOME": str(folder / "home"),
        "PYTHONPATH": os.pathsep.join((str(REPOSITORY), str(PLUGIN))),
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    }
    home = open_home(ours)
    for_server = {
        **server_environment(ours, home, database=database, password="", origin=url[:-4]),
        _MARK: mark,
    }
    for_workers = {
        **worker_environment(ours, home, url=url, password=""),
        "TAKEBOARD_ROOTS": str(folder.resolve()),
        "TAKEBOARD_JOBS": "2",
        "SKETCH_LOG": str(folder / "sketch.log"),
        **environment,
    }
    for_server["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] = "false"
    command = (sys.executable, "-m", "flows.farm.serve", "127.0.0.1", str(port))
    server = Process("server", command, for_server, folder / "server.log", lifeline)
    return Farm(folder, url, mark, for_workers, server)


@contextmanager
def _held_pipe() -> Iterator[int]:
    ours, theirs = os.pipe()
    try:
        yield ours
    finally:
        os.close(ours)
        os.close(theirs)


def _end_all(farm: Farm) -> None:
    for worker in farm.workers.values():
        if worker.popen is not None and worker.pid:
            worker.popen.terminate()
    for worker in farm.workers.values():
        worker.end()
    farm.server.end()


def _all_online(farm: Farm, gpus: int, cpus: int) -> bool | None:
    """Also that those that have died are said."""
    for worker in farm.workers.values():
        assert worker.pid, (worker.popen, worker.log.read_text()[-2000:])
    for pool, expected in (("gpu", gpus), ("cpu", cpus)):
        found = farm.post(f"work_pools/{pool}/workers/filter", limit=50)
        if sum(worker["status"] == "ONLINE" for worker in found) < expected:
            return None
    return True


def _children(pid: int) -> list[int]:
    if not pid:
        return []
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text().split())
    return found
