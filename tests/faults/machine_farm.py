"""A farm of machines, set up as docs/farm.md says: each machine is told what a person would type.

office    the server, and its PostgreSQL
store     the object store
studio    the storyboards, the films, and a worker for films
gpu1 …    a worker for takes each
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.farm.one_machine import until
from tests.faults.machines import DISK, REPOSITORY, Lan, Machine, Program, lan
from tests.media.object_server import SERVER, environ_for

__all__ = ["MachineFarm", "machine_farm"]

_READY_WITHIN_S = 120.0
_POSTGRES = """
import signal
from tests.farm.postgres import running_postgres
with running_postgres() as url:
    print(url, flush=True)
    signal.pause()
"""
_PLUGINS = f"{REPOSITORY}:{REPOSITORY / 'tests/farm/plugin'}"


@dataclass(slots=True)
class MachineFarm:
    """What runs where, and questions to the server."""

    lan: Lan
    office: Machine
    store: Machine
    studio: Machine
    gpus: list[Machine]
    environment: dict[str, str]
    """Of workers and commands: how to reach the server and the store."""
    programs: dict[str, Program] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The API's address."""
        return f"http://{self.office.address}:4200/api"

    def start_server(self) -> None:
        """On the office machine; `up` makes the password."""
        up = ("up", "--host", self.office.address, "--no-worker")
        self.programs["server"] = self.office.takeboard(
            *up, PREFECT_API_DATABASE_CONNECTION_URL=self._database()
        )
        self.until_said("server", "Next:")
        secret = self.office.disk / "home/.local/share/takeboard/api-password"
        self.environment["PREFECT_API_AUTH_STRING"] = secret.read_text().strip()

    def start_store(self) -> None:
        """On the store machine, with an empty bucket the first time."""
        (self.store.disk / "work/takes").mkdir(exist_ok=True)
        where = ("--host", self.store.address, "--port", "9000")
        command = (sys.executable, "-c", SERVER, str(DISK / "work"), *where)
        self.programs["store"] = self.store.start(*command)

    def start_worker(self, machine: Machine, pool: str, *more: str, **environment: str) -> None:
        """A worker, with the name that it gives itself unless told otherwise."""
        self.programs[f"{machine.name} {pool}"] = machine.takeboard(
            "worker", "--pool", pool, *more, **{**self.environment, **environment}
        )

    def until_said(self, program: str, words: str, within_s: float = _READY_WITHIN_S) -> None:
        """Wait until it has printed that; AssertionError with all it printed when it ended."""
        one = self.programs[program]

        def said() -> bool | None:
            assert one.runs, f"{program} ended: {one.printed()[-3000:]}"
            return words in one.printed() or None

        until(said, within_s)

    def ask(self, what: str, **question: Any) -> Any:
        """The answer to one of the API's filters, asked from the studio."""
        user, _, password = self.environment["PREFECT_API_AUTH_STRING"].partition(":")
        url, auth = f"{self.url}/{what}/filter", httpx.BasicAuth(user, password)

        def post() -> httpx.Response:
            client = {"Prefect-Csrf-Client": "test"}
            with httpx.Client(auth=auth, timeout=30.0, headers=client) as session:
                token = session.get(f"{self.url}/csrf-token?client=test").json()["token"]
                return session.post(url, json=question, headers={"Prefect-Csrf-Token": token})

        answer = self.studio.from_here(post)
        answer.raise_for_status()
        return answer.json()

    def marks(self, word: str) -> list[tuple[str, str]]:
        """What the backends did: `begin`, `end` or `load`, of what, on which machine."""
        found = []
        for gpu in self.gpus:
            log = gpu.disk / "sketch.log"
            lines = log.read_text().splitlines() if log.exists() else []
            found += [(line.split()[1], gpu.name) for line in lines if line.startswith(f"{word} ")]
        return found

    def is_at_a_take(self, gpu: Machine) -> bool:
        """Whether a take is under way there."""
        counts = [sum(one == gpu.name for _, one in self.marks(word)) for word in ("begin", "end")]
        return counts[0] > counts[1]

    def _database(self) -> str:
        """The address of a PostgreSQL on the office machine."""
        if "database" not in self.programs:
            command = (sys.executable, "-c", _POSTGRES)
            self.programs["database"] = self.office.start(*command)
            self.until_said("database", "postgresql")
        return self.programs["database"].printed().strip()


@contextmanager
def machine_farm(folder: Path, gpus: int = 2, **environment: str) -> Iterator[MachineFarm]:
    """A farm whose workers are all known to the server; gone with its machines at the end."""
    with lan(folder) as network:
        office, store, studio = (network.add(name) for name in ("office", "store", "studio"))
        farm = MachineFarm(
            network, office, store, studio, [network.add(f"gpu{n + 1}") for n in range(gpus)],
            {
                **environ_for(f"http://{store.address}:9000"),
                "TAKEBOARD_STORE": "s3://takes/studio",
                "PREFECT_API_URL": f"http://{office.address}:4200/api",
                "PYTHONPATH": _PLUGINS,
                "SKETCH_LOG": str(DISK / "sketch.log"),
                **environment,
            },
        )  # fmt: skip
        farm.environment.pop("TAKEBOARD_STORE_PATIENCE", None)
        farm.start_store()
        farm.start_server()
        farm.start_worker(studio, "cpu", "--root", str(DISK / "work"), TAKEBOARD_JOBS="2")
        for gpu in farm.gpus:
            farm.start_worker(gpu, "gpu")
        for program in farm.programs:
            if program not in ("server", "store", "database"):
                farm.until_said(program, "serves the pool")
        yield farm
