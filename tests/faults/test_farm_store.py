"""A farm whose machines share an object store that goes away in the middle of takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.farm_checks import (
    Film,
    board,
    require_once,
    require_settled,
    undisturbed,
    write_board,
)
from tests.faults.farm_run import Farm, running_farm, until
from tests.media.object_server import ObjectServer, object_server, objects_in

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(300)]

URL = "s3://films/farm"
FILM = board(6)
AWAY_S = 10.0


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    with object_server(tmp_path_factory.mktemp("objects")) as server:
        server.bucket("films")
        yield server


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory, objects: ObjectServer) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("farm")
    # As on two machines: they share nothing but the store. One gives up what it has made before
    # the store is back, the other would not look up for longer than the test lasts.
    of = {
        name: {
            "TAKEBOARD_HOME": str(folder / name),
            "TAKEBOARD_STORE_COPY": str(folder / name / "copy"),
            "TAKEBOARD_STORE_PATIENCE": patience_s,
        }
        for name, patience_s in (("gpu-0", "3"), ("cpu-0", "600"))
    }
    shared = {**objects.environ, "TAKEBOARD_STORE": URL, "SKETCH_STEP_S": "0.4"}
    with running_farm(folder, of=of, **shared) as farm:
        yield farm


@pytest.fixture(scope="module")
def expected(farm: Farm) -> Film:
    return undisturbed(farm.folder / "undisturbed", FILM, farm)


def published(objects: ObjectServer) -> dict[str, bytes]:
    """The manifests of the takes that all machines see."""
    found = objects_in(objects.folder / "films")
    return {name: data for name, data in found.items() if "/takes/manifests/" in f"/{name}"}


def test_a_film_outlasts_its_store_and_another_goes_on_meanwhile(
    farm: Farm, objects: ObjectServer, expected: Film
) -> None:
    path, begun = write_board(farm.folder / "away", FILM), len(farm.marks("begin"))
    run = farm.start_film(path, store=URL, out=str(path.parent / "out"))
    until(lambda: len(published(objects)) >= 2 or None, 90)
    until(lambda: len(farm.marks("begin")) > len(farm.marks("end")) or None)
    gone = time.monotonic()
    objects.kill()
    kept = published(objects)
    try:
        beside = write_board(farm.folder / "beside", _beside())
        folder = beside.parent
        other = farm.start_film(beside, store=str(folder / "store"), out=str(folder / "out"))
        assert farm.over(other, 60)["type"] == "COMPLETED"
        time.sleep(max(0.0, AWAY_S - (time.monotonic() - gone)))
        assert farm.run(run)["state"]["type"] == "RUNNING"
    finally:
        objects.start()
    state = farm.over(run, 120)
    assert state["type"] == "COMPLETED", state
    assert Film.at(path.parent / "out") == expected
    assert kept.items() <= published(objects).items()
    require_once(farm, begun)
    require_settled(farm)
    told = [line["message"] for line in farm.ask("logs", logs={"flow_run_id": {"any_": [run]}})]
    assert sum("waiting for the take store" in line for line in told) <= 2, told


def test_a_film_is_cancelled_while_its_store_is_away(farm: Farm, objects: ObjectServer) -> None:
    words = dict.fromkeys(range(6), "It rains.")
    path, begun = write_board(farm.folder / "cancelled", board(6, words)), len(farm.marks("begin"))
    pids = {name: worker.child() for name, worker in farm.workers.items()}
    run = farm.start_film(path, store=URL, out=str(path.parent / "out"))
    until(lambda: len(farm.marks("begin")) > begun or None, 90)
    objects.kill()
    try:
        time.sleep(AWAY_S)
        farm.post(f"flow_runs/{run}/set_state", state={"type": "CANCELLING"})
        assert farm.over(run, 20)["type"] == "CANCELLED"
        require_settled(farm)
    finally:
        objects.start()
    assert pids == {name: worker.child() for name, worker in farm.workers.items()}, "one was ended"
    require_once(farm, begun)


def _beside() -> dict[str, Any]:
    """A film with no take in common."""
    film = board(2)
    for number, shot in enumerate(film["scenes"][0]["shots"]):
        shot["action"] = f"Beat z{number} of the day."
    return film
