"""The wall clocks of a farm's machines jump, by hours and by a year, while it makes a film."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.farm_checks import (
    Film,
    board,
    require_kept,
    undisturbed,
    watched,
    write_board,
)
from tests.faults.farm_run import Farm, running_farm, until
from tests.faults.wall_clock import WallClock, clock_library

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(300)]

FILM = board(9)
HOURS = (-3, 2, -400 * 24, 400 * 24, 0)
"""How far ahead a clock is before the film begins, and then after every second take."""


@pytest.fixture(scope="module")
def clocks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, WallClock]:
    folder = tmp_path_factory.mktemp("clocks")
    library = clock_library(folder)
    return {name: WallClock(library, folder / name) for name in ("gpu-0", "cpu-0", "server")}


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory, clocks: dict[str, WallClock]) -> Iterator[Farm]:
    of = {name: clock.environment for name, clock in clocks.items()}
    with running_farm(tmp_path_factory.mktemp("farm"), of=of, SKETCH_STEP_S="0.4") as farm:
        yield farm


@pytest.fixture(scope="module")
def expected(farm: Farm) -> Film:
    return undisturbed(farm.folder / "undisturbed", FILM, farm)


@pytest.mark.parametrize(
    "jumping",
    # The two workers' in opposite directions; their processes' with them.
    [{"cpu-0": 1, "gpu-0": -1}, {"server": 1}],
    ids=["of the workers", "of the server"],
)
def test_clocks_jump_while_a_film_is_made(
    farm: Farm, clocks: dict[str, WallClock], expected: Film, jumping: Mapping[str, int]
) -> None:
    path = write_board(farm.folder / "".join(jumping), FILM)
    store, out, begun = path.parent / "store", path.parent / "out", len(farm.marks("begin"))
    with watched(farm, store) as watch:
        run = ""
        for nth, hours in enumerate(HOURS):
            # Takes are under way at every jump but the first, and more begin after it.
            until(lambda nth=nth: len(farm.marks("begin")) >= begun + 2 * nth or None, 60)
            for name, sign in jumping.items():
                clocks[name].set_ahead(sign * hours * 3600)
            run = run or farm.start_film(path, store=str(store), out=str(out))
        state = farm.over(run, 60)
        watch.look()
    assert state["type"] == "COMPLETED", state
    require_kept(farm, watch, out, expected, begun)
    first, last = _told(farm, str(store))
    assert last - first > timedelta(days=390), "no clock has moved"


def _told(farm: Farm, store: str) -> tuple[datetime, datetime]:
    """The first and the last time of day that the film's takes, or the server, have written."""
    runs = [run for run in farm.flow_runs() if run["parameters"].get("store") == store]
    asked = {"flow_run_id": {"any_": [run["id"] for run in runs]}}
    texts = [line["timestamp"] for line in farm.ask("logs", logs=asked, limit=200)]
    texts += [run["state"]["timestamp"] for run in runs]
    times = [datetime.fromisoformat(text).astimezone(UTC) for text in texts]
    return min(times), max(times)
