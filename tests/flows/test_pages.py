"""The pages and events of a film's run, written into a recorder that remembers them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import flows.shots
from flows.events import FilmEvent
from flows.options import FilmRun
from flows.recorder import Recorder, Watch
from generator.backends.base import RenderTools
from generator.plan import ShotJob
from generator.takes import Take
from media.errors import BudgetError, RenderError
from tests.fakes import FakeBackend
from tests.flows.films import board, install, make, write_film


class Clerk(Recorder):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.pages: dict[str, list[str]] = {}
        self.tables: dict[str, Sequence[Mapping[str, object]]] = {}
        self.events: list[FilmEvent] = []
        self.watched: list[str] = []

    @property
    def seen(self) -> bool:
        return True

    def watch(self, label: str, num_frames: int) -> Watch:
        clerk = self

        class Told(Watch):
            def step(self, done: int, total: int) -> None:
                clerk.watched.append(f"{label}: {done} of {total}")

            def end(self, ok: bool, why: str = "") -> None:
                clerk.watched.append(f"{label}: {'done' if ok else why}")

        return Told()

    def event(self, event: FilmEvent) -> None:
        self.events.append(event)

    def table(self, key: str, rows: Sequence[Mapping[str, object]], title: str) -> None:
        self.tables[key] = rows

    def markdown(self, key: str, text: str, title: str) -> None:
        self.pages.setdefault(key, []).append(text)

    def names(self) -> list[str]:
        """Of the events, with their shots."""
        return [f"{event.name.removeprefix('takeboard.')} {event.shot}" for event in self.events]


def test_costs_are_quoted_before_and_told_after(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, FakeBackend("dear", usd=1.5, gpu_seconds=90))
    clerk = Clerk()
    made = make(_film(tmp_path, budget={"usd": 4}), FilmRun(recorder=clerk))
    before, after = clerk.pages["costs"]
    assert "| dear | 1 | 1 | 1.50 | 1.5 | 0.0 |" in before
    assert "| **cap** | **4.00** | **none** |" in before
    assert "| left under the cap after this run | 2.50 |  |" in before
    assert "Made in this run" not in before
    assert "made for 1.50 USD" in after
    assert "| dear | 1 |" in after.partition("Made in this run")[2]
    rows = {str(row["shot"]): row for row in clerk.tables["takes-made"]}
    assert len(rows) == made.rendered
    assert rows["sc010/sh0020"]["USD"] == rows["sc010/sh0020"]["quoted USD"] == 1.5

    again = Clerk()
    make(tmp_path / "film.yaml", FilmRun(recorder=again))
    assert "| spent before, on takes that are kept | 1.50 |  |" in again.pages["costs"][0]
    assert "**0 takes to make for 0.00 USD**" in again.pages["costs"][0]


def test_held_back_takes_are_on_the_page_of_costs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, FakeBackend("dear", usd=3.0))
    clerk = Clerk()
    with pytest.raises(BudgetError):
        make(_film(tmp_path, budget={"usd": 2, "on_exceed": "hold"}), FilmRun(recorder=clerk))
    before, after = clerk.pages["costs"]
    assert "**1 take held back by the budget**" in before
    assert "| held back | 3.00 | 0.0 |" in before
    assert "made for 0.00 USD" in after


def test_takes_that_fail_alike_stand_under_one_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(job: ShotJob, *rest: object) -> Take:
        raise RenderError("the <brush>\nbroke", where=job.shot_id, todo="buy a new one")

    monkeypatch.setattr(flows.shots, "render_take", broken)
    clerk = Clerk()
    with pytest.raises(RenderError):
        make(_film(tmp_path, "animatic"), FilmRun(recorder=clerk))
    (page,) = clerk.pages["failures"]
    assert page.splitlines() == [
        "# Tiny: 5 takes could not be made",
        "",
        "## the &lt;brush> broke",
        "",
        "**What to do:** buy a new one.",
        "",
        *(
            f"- `{shot} take 1`, animatic, **the film needs it**"
            for shot in ("sc010/sh0010", "sc010/sh0020", "sc020/sh0030", "sc020/sh0050")
        ),
        "",
        "## Left out: needs sc020/sh0030 take 1",
        "",
        "**What to do:** see there.",
        "",
        "- `sc020/sh0040 take 1`, animatic, **the film needs it**",
        "",
        "Every take that was finished is kept. Run the film again to try the others.",
    ]
    assert clerk.names().count("shot.failed sc010/sh0020") == 1
    assert "shot.started sc020/sh0040" not in clerk.names()


def test_a_take_is_told_from_its_start_to_its_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = flows.shots.render_take

    def stepping(job: ShotJob, backend: FakeBackend, store: object, tools: RenderTools) -> Take:
        tools.on_step(1, 2)
        return real(job, backend, store, tools)  # type: ignore[arg-type]

    monkeypatch.setattr(flows.shots, "render_take", stepping)
    install(monkeypatch, FakeBackend("dear", usd=1.5))
    clerk = Clerk()
    made = make(_film(tmp_path), FilmRun(recorder=clerk))
    names = clerk.names()
    assert names.index("shot.started sc010/sh0020") < names.index("shot.finished sc010/sh0020")
    assert names[-1] == "film.delivered "
    finished = next(
        one for one in clerk.events if one.name.endswith("finished") and one.shot == "sc010/sh0020"
    )
    assert finished.facts["cost_usd"] == 1.5
    assert Path(str(finished.facts["path"])).is_file()
    delivered = clerk.events[-1]
    assert delivered.resource["prefect.resource.id"] == f"takeboard.film.{made.film.code}"
    assert delivered.facts["films"] == [str(one.film) for one in made.deliveries]
    told = [line for line in clerk.watched if line.startswith("sc010/sh0020 take 1")]
    assert told[0] == "sc010/sh0020 take 1: 1 of 2"
    assert told[-1] == "sc010/sh0020 take 1: done"


def _film(folder: Path, backend: str = "dear", **changes: object) -> Path:
    """The tiny film, its second shot made by `backend`."""
    storyboard = board() | {"defaults": {"backend": "animatic"}} | changes
    storyboard["scenes"][0]["shots"][1]["backend"] = backend
    return write_film(folder, storyboard)
