"""What GPU workers can make: told to the server, and what films are planned with on the farm."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from threading import Event, Timer
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import VariableCreate, VariableUpdate, WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings
from rich.console import Console

from flows.commands import Choice, pick, plan, readiness_for
from flows.farm.names import GPU_POOL, WORKER_TYPE
from flows.farm.readiness import (
    FarmReadiness,
    Telling,
    farm_readiness,
    forget_gone,
    publish_readiness,
    readiness_here,
)
from flows.farm.submit import FarmShots
from flows.models import models_facts, models_table, workers_facts
from flows.options import FilmOptions
from flows.planning import plan_film
from flows.progress import Progress
from flows.settings import read_settings
from generator.backends.told import ToldBackend, ToldMachine
from generator.local.settings import ModelSettings
from media.errors import CancelledError, RefusalError, UsageError
from storyboards.film import Film
from storyboards.resolve import load_film
from tests.factories import make_film, make_shot
from tests.flows.prefect_server import running_server
from tests.told_machines import MODELS, machine, models_toml, told_by

ONE_SHOT = """
version: 1
project: {code: ONE, title: One, fps: 24, size: 1280x720}
scenes:
  - id: sc010
    slugline: EXT. BEACH - DAY
    shots:
      - {id: sh0010, size: LS, duration: 1s, action: A tin rolls., takes: 2, audio: none}
"""

WAN = {"wan": MODELS["wan"]}


@pytest.fixture(autouse=True)
def no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine has no models file."""
    monkeypatch.delenv("TAKEBOARD_MODELS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


@dataclass
class Server:
    """What the server keeps, asked as a blocking client asks."""

    variables: dict[str, Any] = field(default_factory=dict)
    workers: dict[str, tuple[str, datetime | None]] = field(default_factory=dict)
    """Status and last heartbeat by name."""
    has_pool: bool = True
    answers: int = 404

    def comes(self, worker: str, *, status: str = "ONLINE", days_ago: float = 0) -> None:
        self.workers[worker] = (status, datetime.now(UTC) - timedelta(days=days_ago))

    def read_workers_for_work_pool(self, pool: str, *, offset: int, limit: int) -> list[Any]:
        if not self.has_pool:
            request = httpx.Request("POST", "http://127.0.0.1/api")
            answer = httpx.Response(self.answers, request=request)
            raise httpx.HTTPStatusError("no", request=request, response=answer)
        assert pool == GPU_POOL
        found = [
            SimpleNamespace(name=name, status=status, last_heartbeat_time=seen)
            for name, (status, seen) in self.workers.items()
        ]
        return found[offset : offset + limit]

    def read_variable_by_name(self, name: str) -> Any:
        kept = self.variables.get(name)
        return None if kept is None else SimpleNamespace(value=kept)


@dataclass
class Asked:
    """The same, asked as an asynchronous client asks."""

    server: Server
    writes: list[str] = field(default_factory=list)
    beaten: bool = False
    """Another worker of the name is always a moment earlier."""

    async def read_workers_for_work_pool(self, pool: str, **page: int) -> list[Any]:
        return self.server.read_workers_for_work_pool(pool, **page)

    async def read_variable_by_name(self, name: str) -> Any:
        return self.server.read_variable_by_name(name)

    async def create_variable(self, variable: VariableCreate) -> None:
        if self.beaten:
            raise ObjectAlreadyExists(http_exc=Exception("409"))
        self.server.variables[variable.name] = variable.value
        self.writes.append(f"create {variable.name}")

    async def update_variable(self, variable: VariableUpdate) -> None:
        assert variable.name in self.server.variables
        self.server.variables[variable.name] = variable.value
        self.writes.append(f"update {variable.name}")

    async def delete_variable_by_name(self, name: str) -> None:
        if self.server.variables.pop(name, None) is None:
            raise ObjectNotFound(http_exc=Exception("404"))
        self.writes.append(f"delete {name}")


def publish(client: Any, worker: str, told: ToldMachine) -> None:
    asyncio.run(publish_readiness(client, worker, told))


def test_is_written_once_and_when_it_changes(tmp_path: Path) -> None:
    server = Server()
    client = Asked(server)
    one, other = (told_by(tmp_path / word, **WAN) for word in ("a", "b"))
    for told in (one, one, other, other):
        publish(client, "studio-gpu-0", told)
    name = "takeboard_worker_studio-gpu-0"
    assert client.writes == [f"create {name}", f"update {name}"]
    publish(Asked(Server(), beaten=True), "studio-gpu-0", one)


def test_only_those_who_are_online_count(tmp_path: Path) -> None:
    server = Server()
    told = told_by(tmp_path, **WAN)
    for worker in ("on", "off", "strange"):
        publish(Asked(server), worker, told)
    server.variables["takeboard_worker_strange"] = {"form": 7}
    server.comes("on")
    server.comes("off", status="OFFLINE")
    server.comes("long off", status="OFFLINE", days_ago=0.1)
    server.comes("silent")
    server.comes("strange")
    assert farm_readiness(server) == FarmReadiness(  # type: ignore[arg-type]
        {"on": told, "silent": None, "strange": None}, missed=("off",)
    )


def farm_shots(server: Server, stop: Event, monkeypatch: pytest.MonkeyPatch) -> FarmShots:
    """A film's side of the farm."""
    monkeypatch.setattr("flows.farm.submit.get_client", lambda **_: server)
    monkeypatch.setattr("flows.farm.submit._ASK_AGAIN_S", 0.01)
    return FarmShots(uuid4(), "normal", Progress(), stop)


def test_a_farm_that_was_just_started_again_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, stop = Server(), Event()
    waits = film_with("auto")
    shots = farm_shots(server, stop, monkeypatch)
    said: list[str] = []
    monkeypatch.setattr(shots._progress, "note", said.append)
    assert shots.readiness(waits) == FarmReadiness({}), "nobody was ever there"
    assert not said
    server.comes("gpu0", status="OFFLINE")
    Timer(0.1, server.comes, ["gpu0"]).start()
    assert shots.readiness(waits) == FarmReadiness({"gpu0": None})
    (line,) = said
    assert line.startswith("no GPU worker is there: gpu0 may come back within 60 s")
    server.comes("gpu0", status="OFFLINE")
    monkeypatch.setattr("flows.farm.submit._COME_BACK_S", 0.05)
    assert shots.readiness(waits) == FarmReadiness({}, missed=("gpu0",))
    stop.set()
    monkeypatch.setattr("flows.farm.submit._COME_BACK_S", 60)
    for drawn in (film_with("animatic"), film_with("openai_video", "animatic")):
        assert shots.readiness(drawn) == FarmReadiness({}, missed=("gpu0",)), "waits for nobody"
    with pytest.raises(CancelledError):
        shots.readiness(waits)


def test_of_hundreds_of_workers_each_is_asked(tmp_path: Path) -> None:
    server = Server()
    for number in range(450):
        server.comes(f"w{number}")
    assert len(farm_readiness(server).workers) == 450  # type: ignore[arg-type]


def test_no_pool_makes_nothing() -> None:
    server = Server(has_pool=False)
    assert farm_readiness(server).workers == {}  # type: ignore[arg-type]
    asyncio.run(forget_gone(Asked(server)))  # type: ignore[arg-type]
    server.answers = 401
    with pytest.raises(httpx.HTTPStatusError):
        farm_readiness(server)  # type: ignore[arg-type]


def test_any_worker_s_name_gives_a_variable_of_its_own() -> None:
    server, told = Server(), ToldMachine(form=1, takeboard="1")
    names = ["gpu.studio", "gpu-studio", "GPU-studio", "gpü studio", "x" * 300]
    for name in names:
        publish(Asked(server), name, told)
        server.comes(name)
    assert len(server.variables) == len(names)
    assert farm_readiness(server).workers == dict.fromkeys(names, told)  # type: ignore[arg-type]


def test_more_than_the_server_keeps_is_refused() -> None:
    models = {
        f"model{n}": ToldBackend(revision="1", model=ModelSettings(source="told:" + "a" * 200))
        for n in range(30)
    }
    told = ToldMachine(form=1, takeboard="1", backends=models)
    with pytest.raises(UsageError, match="gpu0: the models file says more than the server keeps"):
        publish(Asked(Server()), "gpu0", told)


def test_who_has_been_gone_for_a_day_is_forgotten() -> None:
    server = Server()
    for worker, days_ago in [("here", 0.0), ("asleep", 0.5), ("gone", 1.5), ("untold", 9.0)]:
        server.comes(worker, status="OFFLINE", days_ago=days_ago)
        if worker != "untold":
            publish(Asked(server), worker, ToldMachine(form=1, takeboard="1"))
    server.comes("by a clock that is ahead", days_ago=2.0)
    publish(Asked(server), "by a clock that is ahead", ToldMachine(form=1, takeboard="1"))
    client = Asked(server)
    asyncio.run(forget_gone(client))  # type: ignore[arg-type]
    assert client.writes == ["delete takeboard_worker_gone"]


def film_with(*backends: str) -> Film:
    return make_film([make_shot(backends=backends)], size=(1280, 720))


def options(folder: Path, *, preview: bool = False) -> FilmOptions:
    return FilmOptions(store=folder / "store", out=folder / "out", jobs=1, preview=preview)


def test_a_film_is_planned_for_the_models_of_the_workers(tmp_path: Path) -> None:
    told = told_by(tmp_path / "gpu0", **WAN)
    readiness = FarmReadiness({"gpu0": told})
    for asked in (("auto",), ("wan",), ("ltx2", "wan", "animatic")):
        plan = plan_film(film_with(*asked), options(tmp_path), readiness)
        (job,) = plan.jobs
        assert (job.backend, job.revision) == ("wan", told.backends["wan"].revision)
        assert bool(plan.notes) == ("ltx2" in asked)
    assert plan.notes[0].startswith("ltx2, which sc010/sh0010 asks for, is ready on no machine")
    assert any("is ready on no machine" in loss.reason for loss in plan.jobs[0].losses)
    (here,) = plan_film(film_with("auto"), options(tmp_path)).jobs
    assert here.backend == "animatic"


def test_without_a_worker_the_plan_says_what_is_done_instead(tmp_path: Path) -> None:
    plan = plan_film(film_with("auto"), options(tmp_path), FarmReadiness({}))
    assert [job.backend for job in plan.jobs] == ["animatic"]
    assert any("no machine of the farm that is online has a model" in one for one in plan.notes)
    with pytest.raises(RefusalError, match="wan refuses: is ready on no machine of the farm"):
        plan_film(film_with("wan"), options(tmp_path), FarmReadiness({}))


def test_a_preview_needs_no_worker(tmp_path: Path) -> None:
    plan = plan_film(film_with("wan"), options(tmp_path, preview=True), FarmReadiness({}))
    assert [job.backend for job in plan.jobs] == ["animatic"]
    assert plan.notes == ()


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The server that this process is connected to."""
    client = Asked(Server())

    @asynccontextmanager
    async def connected() -> Any:
        yield client

    monkeypatch.setattr("prefect.client.orchestration.get_client", connected)
    return client


def write_models(path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path.write_text(text)
    monkeypatch.setenv("TAKEBOARD_MODELS", str(path))


def test_a_worker_takes_what_its_models_file_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: Asked
) -> None:
    settings, backends = machine(tmp_path / "gpu0", **WAN)
    setup = f"wan@{backends['wan'].revision} a1b2x0.8"
    write_models(tmp_path / "models.toml", monkeypatch, models_toml(settings))
    telling = Telling("gpu0")
    assert not telling.can_make(setup)
    asyncio.run(telling.tell())
    assert telling.can_make(setup)
    assert not telling.can_make("wan@1+other")
    assert not telling.can_make("ltx2@1")
    heard.server.comes("gpu0")
    told = farm_readiness(heard.server).workers["gpu0"]  # type: ignore[arg-type]
    assert told is not None
    assert told.can_make(setup)
    write_models(tmp_path / "models.toml", monkeypatch, "[models.wan]\nsource = 3\n")
    asyncio.run(telling.tell())
    assert not telling.can_make(setup), "a models file that cannot be read makes nothing"
    assert heard.writes == ["create takeboard_worker_gpu0", "update takeboard_worker_gpu0"]


def test_a_worker_works_on_when_the_server_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: Asked
) -> None:
    settings, backends = machine(tmp_path / "gpu0", **WAN)
    write_models(tmp_path / "models.toml", monkeypatch, models_toml(settings))

    async def away(worker: str) -> None:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(heard, "read_variable_by_name", away)
    telling = Telling("gpu0")
    asyncio.run(telling.tell())
    assert telling.can_make(f"wan@{backends['wan'].revision}")

    async def silent(worker: str) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(heard, "read_variable_by_name", silent)
    asyncio.run(telling.tell(within_s=0.1))


def test_a_worker_works_on_when_its_disk_of_weights_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: Asked
) -> None:
    settings, backends = machine(tmp_path / "gpu0", **WAN)
    write_models(tmp_path / "models.toml", monkeypatch, models_toml(settings))
    telling = Telling("gpu0")
    asyncio.run(telling.tell())

    def stale(*asked: object) -> ToldMachine:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr("flows.farm.readiness.tell_machine", stale)
    asyncio.run(telling.tell())
    assert telling.can_make(f"wan@{backends['wan'].revision}"), "what was told before still holds"


@pytest.fixture
def server_url(tmp_path: Path) -> Iterator[str]:
    with (
        running_server(tmp_path / "prefect") as server,
        temporary_settings({PREFECT_API_URL: server.url}),
    ):
        yield server.url


def connect(monkeypatch: pytest.MonkeyPatch, server: Server | None) -> None:
    """Have this machine be connected to the farm of `server`, or to none."""

    def connect_with_person() -> str:
        if server is None:
            raise UsageError("no farm runs on this machine and none is configured")
        return "http://127.0.0.1:4200/api"

    @contextmanager
    def client(**_: object) -> Iterator[Any]:
        yield server

    monkeypatch.setattr("flows.farm.environment.connect_with_person", connect_with_person)
    monkeypatch.setattr("prefect.client.orchestration.get_client", client)
    monkeypatch.setattr("flows.farm.person.get_client", client)


def test_a_person_s_commands_plan_as_the_farm_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    connect(monkeypatch, None)
    assert readiness_here(said.append) is None
    server = Server()
    connect(monkeypatch, server)
    assert readiness_here(said.append) is None, "a server that only records"
    publish(Asked(server), "gpu0", told_by(tmp_path / "gpu0", **WAN))
    server.comes("gpu0")
    assert said == []
    path = tmp_path / "film.yaml"
    path.write_text(ONE_SHOT)
    choice = Choice(path, {}, store=tmp_path / "store")
    words = pick(choice, "sc010/sh0010", 2, read_settings({}))
    film = load_film(path)
    planned = plan_film(film, options(tmp_path), farm_readiness(server))  # type: ignore[arg-type]
    assert planned.picked == {"sc010/sh0010": 2}
    assert planned.notes == ()
    assert "does not answer" not in words
    server.has_pool, server.answers = False, 500
    assert "does not answer: planned for the models of this machine" in pick(
        choice, "sc010/sh0010", 1, read_settings({})
    )


def test_a_plan_for_the_farm_is_not_one_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    connect(monkeypatch, server)
    publish(Asked(server), "gpu0", told_by(tmp_path / "gpu0", **WAN))
    server.comes("gpu0")
    path = tmp_path / "film.yaml"
    path.write_text(ONE_SHOT)
    choice = Choice(path, {}, store=tmp_path / "store")
    here = plan(choice, read_settings({}))
    there = plan(replace(choice, farm=True), read_settings({}))
    assert ({job.backend for job in here.jobs}, {job.backend for job in there.jobs}) == (
        {"animatic"},
        {"wan"},
    )
    connect(monkeypatch, None)
    with pytest.raises(UsageError, match="no farm runs on this machine"):
        plan(replace(choice, farm=True), read_settings({}))


def test_the_models_of_the_farm_are_shown_by_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    connect(monkeypatch, server)
    publish(Asked(server), "gpu0", told_by(tmp_path / "gpu0", **WAN))
    for name in ("gpu0", "gpu1"):
        server.comes(name)
    farm = readiness_for(farm=True)
    assert farm is not None
    ready = {one["backend"] for one in models_facts(farm) if one["ready"]}
    assert "wan" in ready
    assert "wan" not in {one["backend"] for one in models_facts() if one["ready"]}
    shown = Console(file=StringIO(), width=160, color_system=None)
    shown.print(models_table(farm))
    text = cast(StringIO, shown.file).getvalue()
    workers = [line.split(maxsplit=3) for line in text.splitlines() if line.startswith("gpu")]
    assert [line[:3] for line in workers] == [["gpu0", "yes", "wan"], ["gpu1", "yes", "has"]]
    assert "Models file" not in text
    assert [one["online"] for one in workers_facts(farm)] == [True, True]
    none = Console(file=StringIO(), width=160)
    none.print(models_table(FarmReadiness({})))
    assert "takeboard worker --pool gpu" in cast(StringIO, none.file).getvalue()


@pytest.mark.server
@pytest.mark.timeout(120)
def test_a_real_server_keeps_it(tmp_path: Path, server_url: str) -> None:
    one, other = (told_by(tmp_path / word, **MODELS) for word in ("a", "b"))

    async def work() -> None:
        async with get_client() as client:
            await client.create_work_pool(WorkPoolCreate(name=GPU_POOL, type=WORKER_TYPE))
            await publish_readiness(client, "studio.GPU-0", one)
            await publish_readiness(client, "studio.GPU-0", other)
            await publish_readiness(client, "never.came", one)
            await client.send_worker_heartbeat(GPU_POOL, "studio.GPU-0", 30)
            await client.send_worker_heartbeat(GPU_POOL, "silent", 30)
            await forget_gone(client)
            assert len(await client.read_variables()) == 2

    with get_client(sync_client=True) as client:
        assert farm_readiness(client).workers == {}
        asyncio.run(work())
        assert farm_readiness(client).workers == {"studio.GPU-0": other, "silent": None}
