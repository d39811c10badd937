"""A deliveries folder is held by one run at a time and swept of what a killed one left."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread

import pytest

from flows.delivery_folder import WORK_PREFIX, hold_delivery_folder
from media.errors import CancelledError
from media.files import temp_sibling


def test_only_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / f"{WORK_PREFIX}x1").mkdir(parents=True)
    temp_sibling(out / "film.mp4").mkdir()
    temp_sibling(out / "deliveries.json").write_text("{")
    kept = [out / "film.mp4", out / ".hidden", out / ".notes.tmp"]
    for path in kept:
        path.write_text("a person's")
    with hold_delivery_folder(out, tmp_path / "store", Event()):
        assert sorted(out.iterdir()) == sorted(kept)


def test_a_second_run_waits_for_the_first(tmp_path: Path) -> None:
    began, stop = Event(), Event()

    def second() -> None:
        with hold_delivery_folder(tmp_path / "out", tmp_path / "store", Event()):
            began.set()

    with hold_delivery_folder(tmp_path / "out", tmp_path / "store", stop):
        other = Thread(target=second)
        other.start()
        assert not began.wait(0.3)
        stop.set()
        with (
            pytest.raises(CancelledError),
            hold_delivery_folder(tmp_path / "out", tmp_path / "store", stop),
        ):
            pass
    other.join(5)
    assert began.is_set()
