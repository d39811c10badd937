"""Notes of runs whose end was not heard, some of a server that never comes back."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest
from prefect.settings import PREFECT_HOME, temporary_settings

from flows import unheard

OURS, GONE = "http://ours/api", "http://gone/api"


def test_a_server_hears_of_its_runs_behind_those_of_one_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def tell(run: UUID, end: object) -> int:
        told.append(run.int)
        return 1

    monkeypatch.setattr(unheard, "_tell", tell)
    runs = tmp_path / "takeboard" / "runs"
    runs.mkdir(parents=True)
    for number in range(70):
        note = {"server": GONE if number < 40 else OURS}
        (runs / f"{UUID(int=number)}.json").write_text(json.dumps(note))
    with temporary_settings({PREFECT_HOME: tmp_path}):
        assert unheard.tell_unheard_ends(OURS) == 20
        assert unheard.tell_unheard_ends(OURS) == 10, "the rest, before the next film"
    assert told == list(range(40, 70))
    assert len(list(runs.glob("*.json"))) == 40, "what is another server's is left alone"
