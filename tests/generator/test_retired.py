"""Names of models that are gone: said with their date and what to use, wherever they stand."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from generator.backends.registry import backend_named
from generator.backends.retired import RETIRED, retired_note
from generator.plan import PlanSettings, plan_shots
from generator.takes import TakeStore
from media.errors import RefusalError, UsageError
from storyboards.resolve import load_film
from tests.factories import make_film, make_shot
from tests.fakes import FakeBackend


@pytest.mark.parametrize(
    ("name", "on"),
    [
        ("sora-2", "2026-09-24"),
        ("sora_2", "2026-09-24"),
        ("Sora2", "2026-09-24"),
        ("sora-2-pro", "2026-09-24"),
        ("veo-3.1", "2026-10-22"),
        ("veo3-1-generate-preview", "2026-10-22"),
        ("kling-v1-6", "2026-09-15"),
        ("kling_1_5", "2026-09-15"),
        ("kling2.1-master", "2026-09-15"),
    ],
)
def test_tells_the_date_under_any_spelling(name: str, on: str) -> None:
    note = retired_note(name)
    assert note.startswith(f"{name} was retired on {on}; ")
    assert "use " in note


@pytest.mark.parametrize("name", ["ltx2", "kling-3-omni", "sora-3", "openai_video", "", "veo"])
def test_says_nothing_of_what_is_not_retired(name: str) -> None:
    assert retired_note(name) == ""


def test_dates_are_dates_and_successors_are_not_retired() -> None:
    for name, retired in RETIRED.items():
        assert date.fromisoformat(retired.retired_on) < date(2026, 11, 1)
        assert retired_note(name)
        words = retired.use.replace(",", " ").split()
        assert not any(retired_note(word) for word in words)


def test_a_plan_says_it_where_nothing_else_takes_the_shot(tmp_path: Path) -> None:
    film = make_film([make_shot("sc010/sh0010", backends=("sora-2",))])
    backends = {"fake": FakeBackend()}
    with pytest.raises(RefusalError, match=r"sora-2 was retired on 2026-09-24; use openai_video"):
        plan_shots(film, backends, TakeStore(tmp_path).entries, {}, PlanSettings())


def test_what_refused_or_is_not_ready_is_not_proposed_instead(tmp_path: Path) -> None:
    film = make_film([make_shot("sc010/sh0010", backends=("no",))])
    backends = {
        "no": FakeBackend("no", refuses="too long"),
        "idle": FakeBackend("idle", unready="no weights"),
        "fake": FakeBackend("fake"),
    }
    with pytest.raises(RefusalError, match=r"too long; add auto to its backends, or one of: fake$"):
        plan_shots(film, backends, TakeStore(tmp_path).entries, {}, PlanSettings())


def test_a_plan_names_it_among_the_losses_and_goes_on(tmp_path: Path) -> None:
    film = make_film([make_shot("sc010/sh0010", backends=("kling-1-6", "fake"))])
    plan = plan_shots(film, {"fake": FakeBackend()}, TakeStore(tmp_path).entries, {})
    (job,) = plan.jobs
    assert job.backend == "fake"
    assert any("retired on 2026-09-15" in loss.reason for loss in job.losses)


def test_a_backend_of_that_name_is_used(tmp_path: Path) -> None:
    film = make_film([make_shot("sc010/sh0010", backends=("sora-2",))])
    plan = plan_shots(film, {"sora-2": FakeBackend("sora-2")}, TakeStore(tmp_path).entries, {})
    assert plan.jobs[0].backend == "sora-2"
    assert not [loss for loss in plan.jobs[0].losses if loss.field == "backend"]


def test_asking_for_it_by_name_says_it() -> None:
    with pytest.raises(UsageError, match="sora-2 was retired on 2026-09-24") as error:
        backend_named("sora-2")
    assert "animatic" in error.value.todo
    with pytest.raises(UsageError, match='no backend "animatik"'):
        backend_named("animatik")


def test_a_storyboard_may_name_it_as_its_maker_does(tmp_path: Path) -> None:
    path = tmp_path / "film.yaml"
    path.write_text(
        "version: 1\nproject: {code: OLD, title: Old}\n"
        "scenes:\n  - id: sc010\n    slugline: INT. A - DAY\n"
        "    shots: [{id: sh0010, action: A., backend: kling-1.6}]\n"
    )
    backends = {"fake": FakeBackend()}
    with pytest.raises(RefusalError, match=r"kling-1\.6 was retired on 2026-09-15; "):
        plan_shots(load_film(path), backends, TakeStore(tmp_path).entries, {}, PlanSettings())
