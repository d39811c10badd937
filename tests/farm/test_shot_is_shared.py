"""A take that lies on one GPU machine is made only once all machines can have it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.schemas.objects import StateType
from prefect.logging import disable_run_logger

from flows.farm.deaths import STORE_AWAY
from flows.farm.shot import shot
from generator.backends.base import RenderTools
from generator.plan import ShotJob, plan_shots
from generator.rendering import render_take
from generator.takes import TakeStore
from media.store import ContentStore
from tests.factories import make_film, make_shot
from tests.fakes import FakeBackend
from tests.media.object_server import Farm, object_server

BACKEND = FakeBackend()


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Farm]:
    """The machines `gpu`, which this process is, and `studio`."""
    with object_server(tmp_path / "objects") as server:
        farm = Farm(server, tmp_path)
        ours = {**server.environ, "TAKEBOARD_STORE_COPY": str(tmp_path / "gpu")}
        for name, text in {**ours, "TAKEBOARD_STORE_PATIENCE": "0.5"}.items():
            monkeypatch.setenv(name, text)
        yield farm


@pytest.fixture
def job(farm: Farm) -> ShotJob:
    """Of a take that the GPU machine has made."""
    takes = TakeStore(farm.root("gpu"))
    film = make_film((make_shot(backends=("fake",)),))
    (job,) = plan_shots(film, {"fake": BACKEND}, takes.entries, {}).jobs
    render_take(job, BACKEND, takes, RenderTools({}))
    return job


def asked_for(job: ShotJob, farm: Farm) -> tuple[StateType, str | None]:
    """How its run ends on the GPU machine."""
    with disable_run_logger():
        end = asyncio.run(shot.fn("Film", job.shot_id, job.take, job.key, farm.url))
    return end.type, end.name


def test_a_take_that_was_cleared_away_elsewhere_is_shared_again(farm: Farm, job: ShotJob) -> None:
    assert farm.store("studio").peek(job.key)
    assert farm.store("studio").remove(job.key, used_before=float("inf"))
    assert asked_for(job, farm) == (StateType.COMPLETED, "Completed")
    assert farm.store("studio").find(job.key) is not None


def test_a_take_that_cannot_be_shared_is_not_called_made(farm: Farm, job: ShotJob) -> None:
    there = ContentStore(farm.root("studio"), "takes")
    assert there.remove(job.key, used_before=float("inf"))
    farm.server.kill()
    assert asked_for(job, farm) == (StateType.CRASHED, STORE_AWAY)
    farm.server.start()
    assert asked_for(job, farm)[0] == StateType.COMPLETED
    assert there.find(job.key) is not None


def test_a_machine_that_cannot_keep_its_copy_leaves_the_take_to_another(
    farm: Farm, job: ShotJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = farm.folder / "full"
    full.write_bytes(b"")
    monkeypatch.setenv("TAKEBOARD_STORE_COPY", str(full))
    assert asked_for(job, farm) == (StateType.CRASHED, STORE_AWAY)


def test_an_address_that_cannot_be_one_fails_in_a_line(farm: Farm, job: ShotJob) -> None:
    farm.url = "gopher://films/farm"
    assert asked_for(job, farm) == (StateType.FAILED, "Wrong request")
