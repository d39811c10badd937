"""Pools, queues and deployments on a real server, the run form, and prefect.yaml beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, TypeVar

import httpx
import pytest
import yaml
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
from prefect.utilities.callables import parameter_schema

from flows import in_flow
from flows.farm import deployments
from flows.farm.confine import confined_storyboard
from flows.farm.deployments import DEPLOYMENTS, POOLS, ensure_deployments, ensure_pool
from flows.farm.names import FARM, QUEUES, URGENCIES, WORKER_TYPE, Urgency
from flows.farm.seat import Seat
from flows.preview import preview
from flows.produce import produce
from flows.progress import Progress
from flows.turns import FilmTurns, Turns
from media.errors import UsageError
from tests.flows.prefect_server import PrefectServer, running_server

T = TypeVar("T")

REPOSITORY = Path(__file__).parents[2]


def test_prefect_yaml_says_the_same() -> None:
    written = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text(encoding="utf-8"))
    assert written["pull"] == []
    found = {
        (
            one["name"],
            one["entrypoint"],
            one["description"],
            one["work_pool"]["name"],
            one["work_pool"]["work_queue_name"],
            one["enforce_parameter_schema"],
        )
        for one in written["deployments"]
        if one["name"] == FARM
    }
    assert found == {
        (one.name, one.entrypoint, one.description, one.pool, one.queue, True)
        for one in DEPLOYMENTS
    }


def test_nightly_film_of_prefect_yaml_is_an_example_that_does_nothing() -> None:
    written = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text(encoding="utf-8"))
    (nightly,) = [one for one in written["deployments"] if one["name"] != FARM]
    assert [schedule["active"] for schedule in nightly["schedules"]] == [False]
    assert set(nightly["parameters"]) <= set(parameter_schema(produce).properties)
    assert "missed:once" in nightly["tags"]


@pytest.mark.parametrize("flow", [produce, preview], ids=["produce", "preview"])
def test_fields_of_the_run_form_are_plain_titled_and_explained(flow: Any) -> None:
    fields = parameter_schema(flow).properties
    assert next(iter(fields)) == "storyboard"
    for name, field in fields.items():
        assert field["title"] != name, f"{name}: no title of its own"
        assert field["description"], name
        assert "anyOf" not in field, f"{name}: drawn as a choice of types"
        assert "default" in field or name == "storyboard"


def test_urgency_in_the_form_is_one_of_the_queues() -> None:
    assert parameter_schema(produce).properties["urgency"]["enum"] == list(URGENCIES)


def test_shots_in_the_form_are_named_as_people_name_them() -> None:
    only = ("sc010/sh0010", "sh0020")
    given = produce.validate_parameters({"storyboard": "film.yaml", "only": only})
    assert given["only"] == only


@pytest.mark.parametrize(
    ("asked", "queue", "takes"),
    [
        ("normal", "later", "later"),  # a film of the night: its takes wait as it did
        ("urgent", "later", "urgent"),
        ("later", "urgent", "later"),
        ("normal", "default", "normal"),
        ("normal", None, "normal"),
    ],
)
def test_takes_wait_where_it_was_asked_or_else_where_the_film_did(
    asked: Urgency, queue: str | None, takes: Urgency, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = SimpleNamespace(flow_run=SimpleNamespace(work_queue_name=queue))
    monkeypatch.setattr(in_flow, "FlowRunContext", SimpleNamespace(get=lambda: run))
    assert in_flow._urgency(asked) == takes


def test_a_film_that_is_resumed_has_its_old_place_at_the_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def turns_of(run: str, due: datetime) -> FilmTurns:
        told = SimpleNamespace(id=run, scheduled_start_time=due)
        monkeypatch.setattr(in_flow, "flow_run", told)
        turns = in_flow._turns(seat, "normal", Progress())
        assert isinstance(turns, FilmTurns)
        return turns

    seat = Seat("mill", "cpu", {}, Event(), Turns(1))
    now = datetime.now(UTC)
    came_second, resumed = turns_of("b", now), turns_of("a", now - timedelta(days=2))
    assert resumed._place < came_second._place
    assert resumed._name == "a"


def test_a_relative_storyboard_is_looked_for_in_the_roots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films, more = tmp_path / "films", tmp_path / "more"
    for folder in (films, more):
        folder.mkdir()
        (folder / f"{folder.name}.yaml").touch()
    (films / "link.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    (tmp_path / "elsewhere.yaml").touch()
    monkeypatch.setenv("TAKEBOARD_ROOTS", f"{films}:{more}")
    assert confined_storyboard(Path("more.yaml")) == more / "more.yaml"
    assert confined_storyboard(films / "films.yaml") == films / "films.yaml"
    with pytest.raises(UsageError, match=r"^nope\.yaml: there is no such storyboard"):
        confined_storyboard(Path("nope.yaml"))
    for outside in (Path("../elsewhere.yaml"), Path("link.yaml"), tmp_path / "elsewhere.yaml"):
        with pytest.raises(UsageError, match="outside this worker's roots"):
            confined_storyboard(outside)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with running_server(tmp_path_factory.mktemp("prefect") / "server") as running:
        ask(running, ensure_deployments)
        yield running


def ask(server: PrefectServer, what: Callable[[PrefectClient], Awaitable[T]]) -> T:
    """What the client answers."""

    async def asked() -> T:
        async with PrefectClient(server.url) as client:
            return await what(client)

    return asyncio.run(asked())


@pytest.mark.server
def test_pools_have_our_queues_in_order_before_prefects_own(server: PrefectServer) -> None:
    pools = {pool["name"]: pool for pool in server.ask("work_pools")}
    assert set(pools) == set(POOLS)
    for name, pool in pools.items():
        assert pool["type"] == WORKER_TYPE
        assert pool["base_job_template"] == deployments.JOB_TEMPLATE
        queues = server.ask(f"work_pools/{name}/queues")
        assert [queue["name"] for queue in queues] == [*QUEUES, "default"]
        assert [queue["priority"] for queue in queues] == [1, 2, 3, 4]


@pytest.mark.server
def test_deployments_stand_on_their_pools_without_limits(server: PrefectServer) -> None:
    found = {one["entrypoint"]: one for one in server.ask("deployments")}
    for one in DEPLOYMENTS:
        deployment = found[one.entrypoint]
        assert (deployment["name"], deployment["work_pool_name"]) == (FARM, one.pool)
        assert deployment["work_queue_name"] == "normal"
        assert deployment["global_concurrency_limit"] is None
        assert not deployment["pull_steps"]


@pytest.mark.server
def test_a_second_time_changes_nothing(server: PrefectServer) -> None:
    before = server.ask("deployments"), server.ask("work_pools")
    ask(server, ensure_deployments)
    assert (server.ask("deployments"), server.ask("work_pools")) == before


@pytest.mark.server
def test_what_is_wrong_is_put_right_and_what_people_set_stays(server: PrefectServer) -> None:
    ids = ask(server, ensure_deployments)
    changed = DeploymentUpdate(
        entrypoint="somewhere.else", tags=["mine"], paused=True, parameters={"slates": False}
    )
    ask(server, lambda client: client.update_deployment(ids["preview/farm"], changed))
    ask(server, ensure_deployments)
    one = {one["id"]: one for one in server.ask("deployments")}[str(ids["preview/farm"])]
    assert one["entrypoint"] == "flows.preview.preview"
    assert (one["tags"], one["paused"], one["parameters"]) == (["mine"], True, {"slates": False})


@pytest.mark.server
def test_queues_that_somebody_reordered_are_put_right(server: PrefectServer) -> None:
    urgent = next(one for one in server.ask("work_pools/gpu/queues") if one["name"] == "urgent")
    ask(server, lambda client: client.update_work_queue(urgent["id"], priority=9))
    ask(server, ensure_deployments)
    queues = server.ask("work_pools/gpu/queues")
    assert [queue["name"] for queue in queues] == [*QUEUES, "default"]


@pytest.mark.server
def test_a_pool_of_another_kind_is_refused(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployments, "POOLS", {"theirs": "Somebody's."})
    ask(server, lambda client: client.create_work_pool(WorkPoolCreate(name="theirs", type="k8s")))
    with pytest.raises(UsageError, match="type takeboard, got k8s"):
        ask(server, lambda client: ensure_pool(client, "theirs"))
    ask(server, lambda client: client.delete_work_pool("theirs"))


@pytest.mark.server
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "'storyboard' is a required property"),
        ({"storyboard": ""}, "'' should be non-empty"),
        ({"storyboard": "a.yaml", "jobs": 999}, "999 is greater than the maximum of 256"),
        ({"storyboard": "a.yaml", "urgency": "now"}, "'now' is not one of"),
        ({"storyboard": "a.yaml", "only": ["sc010/"]}, "'sc010/' does not match"),
    ],
)
def test_wrong_values_in_the_form_are_refused_in_one_line(
    server: PrefectServer, wrong: dict[str, Any], said: str
) -> None:
    (one,) = [one for one in server.ask("deployments") if one["entrypoint"].endswith("produce")]
    answer = httpx.post(
        f"{server.url}/deployments/{one['id']}/create_flow_run",
        json={"parameters": wrong},
        timeout=20.0,
    )
    assert answer.status_code == httpx.codes.CONFLICT
    detail = answer.json()["detail"]
    assert said in detail
    assert "\n" not in detail.strip()
