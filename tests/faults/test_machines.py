"""A film made by machines that see of each other only addresses, and one is unplugged meanwhile.

What was done once, and for longer, stands in docs/reliability.md.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.farm.one_machine import until
from tests.faults.farm_checks import board, write_board
from tests.faults.machine_farm import MachineFarm, machine_farm
from tests.faults.machines import why_no_machines

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(why := why_no_machines()), reason=f"no machines here: {why}"),
]

AWAY_S = 12.0
"""Longer than a connection is tried for, shorter than a worker is missed."""


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MachineFarm]:
    with machine_farm(tmp_path_factory.mktemp("machines"), SKETCH_STEP_S="0.4") as farm:
        yield farm


def test_a_gpu_machine_is_unplugged_in_the_middle_of_a_take(farm: MachineFarm) -> None:
    write_board(farm.studio.disk / "work/film", board(4))
    command = farm.studio.takeboard("produce", "film/film.yaml", "--farm", **farm.environment)
    lost = until(lambda: next(filter(farm.is_at_a_take, farm.gpus), None), 90)
    lost.unplug()
    time.sleep(AWAY_S)
    lost.plug()
    assert command.ended(within_s=120) == 0, command.printed()
    printed = command.printed()
    assert "4 takes rendered" in printed
    assert (farm.studio.disk / "work/film/deliveries/FRM/FRM_master_en.mp4").is_file()
    begun = Counter(take for take, _ in farm.marks("begin"))
    assert set(begun.values()) == {1}, f"rendered twice: {begun}"
    assert Counter(take for take, _ in farm.marks("end")) == begun
    assert {machine for _, machine in farm.marks("end")} == {gpu.name for gpu in farm.gpus}
    left = [run for run in farm.ask("flow_runs") if run["state"]["type"] != "COMPLETED"]
    assert left == []


def test_a_machine_without_the_password_is_told_so(farm: MachineFarm) -> None:
    guessed = {**farm.environment, "PREFECT_API_AUTH_STRING": "takeboard:guessed"}
    none = {**farm.environment, "PREFECT_API_AUTH_STRING": ""}
    strangers = [
        farm.gpus[1].takeboard("worker", "--pool", "gpu", "--name", "stranger", **none),
        farm.gpus[1].takeboard("worker", "--pool", "cpu", "--name", "stranger", **guessed),
    ]
    for stranger in strangers:
        assert stranger.ended(within_s=60) == 2, stranger.printed()
        said = stranger.printed()
        assert "refuses (401); set PREFECT_API_AUTH_STRING to its password" in said
        assert "Traceback" not in said


def test_a_storyboard_that_only_the_asking_machine_has(farm: MachineFarm) -> None:
    laptop = farm.gpus[0]
    write_board(laptop.disk / "work/mine", board(2))
    command = laptop.takeboard("produce", "mine/film.yaml", "--farm", **farm.environment)
    assert command.ended(within_s=90) == 2, command.printed()
    assert "studio, which makes films, has no such storyboard" in command.printed()
