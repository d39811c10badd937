"""Films whose shots are made on a device: prepared at once, by warm models, cut while they wait."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from flows import ahead
from flows.made import MadeFilm
from flows.options import FilmRun
from flows.progress import Progress
from generator.backends.base import Capabilities, Rendered, RenderRequest, RenderTools
from media.errors import RenderError
from tests.fakes import FakeBackend
from tests.flows.films import board, install, make, tree, write_film

Board = dict[str, Any]


@dataclass
class OnDevice(FakeBackend):
    """A backend that takes seconds of a GPU, in name only; `log` is shared by all of a test."""

    log: list[str] = field(default_factory=list)
    remote: bool = False
    cannot_prepare: bool = False
    fails: tuple[int, ...] = ()
    """Seeds of the takes that it cannot make."""
    waits_for: tuple[Path, int] | None = None
    """Its take of seed 99 waits until so many entries lie in that folder."""
    caches: list[Path | None] = field(default_factory=list)

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, gpu_seconds_per_second=2.0, remote=self.remote)

    def prepare(self, requests: Sequence[RenderRequest], tools: RenderTools) -> None:
        self.log.append(f"prepare {self.id} {len(requests)}")
        self.caches.append(tools.cache)
        if self.cannot_prepare:
            raise MemoryError("no room for the encoder")

    def render(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        self.log.append(f"render {self.id} {request.seed}")
        self.caches.append(tools.cache)
        if request.seed in self.fails:
            raise RenderError("the model fell over")
        if request.seed == 99 and self.waits_for is not None:
            wait_until(*self.waits_for)
        return super().render(request, tools)


def wait_until(folder: Path, entries: int) -> None:
    deadline = time.monotonic() + 20
    while len(list(folder.glob("??/*/manifest.json"))) < entries:
        assert time.monotonic() < deadline, "the cut was not prepared"
        time.sleep(0.02)


class Notes(Progress):
    """Remembers what a person should read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def note(self, text: str) -> None:
        self.read.append(text)


def on_devices(**by_shot: tuple[str, Sequence[int]]) -> Board:
    """The tiny film with some shots on a backend, with these seeds; the others are drawn."""
    storyboard = board() | {"defaults": {"backend": "animatic"}}
    for scene in storyboard["scenes"]:
        for shot in scene["shots"]:
            if shot["id"] in by_shot:
                backend, seeds = by_shot[shot["id"]]
                shot |= {"backend": backend, "takes": {"count": len(seeds), "seeds": list(seeds)}}
    return storyboard


def made_with(
    folder: Path, monkeypatch: pytest.MonkeyPatch, storyboard: Board, *backends: OnDevice
) -> tuple[MadeFilm, list[str]]:
    install(monkeypatch, *backends)
    notes = Notes()
    return make(write_film(folder, storyboard), FilmRun(notes)), notes.read


def test_each_model_is_prepared_once_and_makes_all_its_shots_while_it_is_warm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    first, second = OnDevice("first", log=log), OnDevice("second", log=log)
    storyboard = on_devices(
        sh0010=("first", [1]), sh0020=("second", [2]), sh0030=("first", [3]),
        sh0040=("first", [4]), sh0050=("second", [5, 6]),
    )  # fmt: skip
    made, _ = made_with(tmp_path, monkeypatch, storyboard, first, second)
    assert made.rendered == 6
    assert log[0] == "prepare first 3"
    assert set(log[1:3]) == {"render first 1", "render first 3"}
    # The last take of one model may still be under way when the next model is begun.
    assert set(log[3:5]) == {"render first 4", "prepare second 3"}
    assert set(log[5:]) == {f"render second {seed}" for seed in (2, 5, 6)}
    assert {*first.caches, *second.caches} == {tmp_path / "store"}
    again = make(tmp_path / "film.yaml")
    assert (again.rendered, len(log)) == (0, 8), "nothing is prepared for nothing"


def test_takes_are_made_also_when_they_cannot_be_prepared_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storyboard = on_devices(sh0010=("gpu", [1]), sh0050=("gpu", [2]))
    gpu = OnDevice("gpu", cannot_prepare=True)
    made, notes = made_with(tmp_path, monkeypatch, storyboard, gpu)
    assert made.rendered == 5
    (note,) = notes
    assert note.startswith("gpu: could not prepare its 2 takes at once (gpu: MemoryError: no room")


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize("captions", ["burned", "none"])
def test_the_cut_is_prepared_while_the_last_take_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, captions: str, remote: bool
) -> None:
    storyboard = on_devices(sh0020=("gpu", [99]), sh0050=("gpu", [5]))
    storyboard["deliverables"] = [{"name": "master", "captions": captions}]
    # The body of the last take and the dissolve out of it wait; burnt words part both in two.
    alone, touched = 4, 4 if captions == "burned" else 2
    gpu = OnDevice("gpu", remote=remote, waits_for=(tmp_path / "store/segments", alone))
    made, notes = made_with(tmp_path, monkeypatch, storyboard, gpu)
    (film,) = made.deliveries
    assert notes == []
    assert (film.segments_encoded, film.segments_reused) == (touched, alone)
    assert len(list((tmp_path / "store/sounds").glob("??/*/manifest.json"))) >= 2


def test_what_goes_wrong_ahead_of_the_cut_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall_over(*given: object, **named: object) -> int:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(ahead, "encode_spans", fall_over)
    monkeypatch.setattr(ahead, "render_sound", fall_over)
    storyboard = on_devices(sh0020=("gpu", [9]), sh0050=("gpu", [5]))
    made, notes = made_with(tmp_path, monkeypatch, storyboard, OnDevice("gpu"))
    assert (made.rendered, notes) == (5, [])
    assert made.deliveries[0].film.is_file()


def test_a_drawn_film_is_not_cut_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> None:
        raise AssertionError("there is nothing to gain")

    monkeypatch.setattr("flows.film.AheadCut", refuse)
    assert make(write_film(tmp_path)).rendered == 5


def test_a_take_that_fails_and_is_not_the_pick_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = OnDevice("gpu", fails=(7,))
    storyboard = on_devices(sh0020=("gpu", [6, 7, 8]))
    made, notes = made_with(tmp_path, monkeypatch, storyboard, gpu)
    said = "failed: sc010/sh0020 take 2: the model fell over"
    assert (made.failed, notes) == ((said,), [said])
    assert (made.rendered, made.reused) == (6, 0)
    assert made.deliveries[0].film.is_file()
    assert said in made.report.read_text(encoding="utf-8")
    before = tree(tmp_path / "out")
    again = make(tmp_path / "film.yaml")
    assert (again.rendered, again.reused, again.failed) == (0, 6, (said,)), "it is tried again"
    after = tree(tmp_path / "out")
    assert {name for name in after if after[name] != before[name]} <= {"report.html"}


def test_a_picked_take_that_fails_ends_the_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = OnDevice("gpu", fails=(6, 7))
    storyboard = on_devices(sh0020=("gpu", [6, 7, 8]))
    with pytest.raises(RenderError, match=r"2 of 7 takes .* the first: the model fell over") as no:
        made_with(tmp_path, monkeypatch, storyboard, gpu)
    assert no.value.where == "sc010/sh0020 take 1", "the take that the film needs is named"
    assert not (tmp_path / "out").exists()
    with pytest.raises(RenderError):
        make(tmp_path / "film.yaml", only=("sc010/sh0020",))
