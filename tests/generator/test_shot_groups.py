"""Several shots in one generation: planned together, made once, cut apart at measured cuts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generator.backends.base import (
    Backend,
    Capabilities,
    FrameRule,
    Frames,
    ListedShot,
    Rendered,
    RenderRequest,
    RenderTools,
)
from generator.backends.footage import FootageBackend
from generator.budget import require_budget
from generator.plan import Plan, PlanSettings, plan_shots, total_quote
from generator.rendering import prepare_takes, render_take, tools_for
from generator.requests import assets_for
from generator.shot_cuts import ChangeMeter, cut_places
from generator.takes import Take, TakeStore, record_plan, spent_usd
from media.errors import CancelledError, RenderError
from media.sound import read_sound
from media.timebase import samples_at, seconds_to_frames
from media.video import read_frames
from storyboards.film import Continuation, Film, Keyframe, Shot
from storyboards.schema import Budget
from tests.factories import make_asset, make_film, make_line, make_shot, make_staged
from tests.fakes import FakeBackend

COLOURS = (
    (200, 40, 40),
    (40, 180, 60),
    (50, 60, 210),
    (190, 180, 40),
    (150, 50, 170),
    (30, 30, 30),
)


@dataclass
class Sequences(FakeBackend):
    """Makes several shots in one go, each in its own colour, and cuts a little off the plan."""

    id: str = "sequences"
    off: tuple[int, ...] = (0, 4, -3, 5, -2, 1)
    """By shot, frames that its beginning is late."""
    colours: tuple[tuple[int, int, int], ...] = COLOURS
    most: int = 6
    longest: int = 400
    asked: list[RenderRequest] = field(default_factory=list)

    @property
    def capabilities(self) -> Capabilities:
        return replace(
            FootageBackend.capabilities,
            shots_per_generation=self.most,
            native_audio=True,
            frame_rule=FrameRule(1, 0, 1, self.longest),
        )

    def starts(self, request: RenderRequest) -> list[int]:
        return [
            seconds_to_frames(shot.start_s, request.fps) + self.off[index]
            for index, shot in enumerate(request.shots)
        ]

    def render(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        self.asked.append(request)
        rendered = super().render(request, tools)
        rendered.audio = lambda: self._sound(request)
        return rendered

    def _frames(self, request: RenderRequest, tools: RenderTools) -> Iterator[Frames]:
        width, height = request.size
        starts = self.starts(request) or [0]
        for at in range(request.num_frames):
            if tools.should_stop():
                raise CancelledError("cancelled")
            index = sum(start <= at for start in starts) - 1
            picture = np.full((1, height, width, 3), self.colours[index], np.uint8)
            # Something moves in every shot.
            picture[0, : height // 4, (at * 2) % width] = 255
            yield picture

    def _sound(self, request: RenderRequest) -> np.ndarray:
        """A level for each shot, in whole samples of where its picture begins."""
        sound = np.zeros((1, samples_at(request.num_frames, request.fps)), np.float32)
        for index, start in enumerate(self.starts(request) or [0]):
            sound[:, samples_at(start, request.fps) :] = (index + 1) / 10
        return sound


def shots(count: int = 3, **changes: Any) -> list[Shot]:
    return [
        make_shot(f"sc010/sh00{n}0", action=f"Action {n}", group="walk", **changes)
        for n in range(1, count + 1)
    ]


@pytest.fixture
def store(tmp_path: Path) -> TakeStore:
    return TakeStore(tmp_path / "store")


def planned(store: TakeStore, film: Film, *backends: Backend, **more: Any) -> Plan:
    named = {backend.id: backend for backend in backends}
    return plan_shots(film, named, store.entries, {}, PlanSettings(**more))


def film_of(members: list[Shot], **changes: Any) -> Film:
    return make_film(members, size=(64, 36), **changes)


def rendered(plan: Plan, backend: Backend, store: TakeStore) -> list[Take]:
    takes = []
    for job in plan.missing:
        tools = tools_for(job, assets_for(plan.film), store, RenderTools({}))
        takes.append(render_take(job, backend, store, tools))
    return takes


def pictures(take: Take) -> np.ndarray:
    return np.concatenate(list(read_frames(take.picture)))


def test_members_share_one_generation(store: TakeStore) -> None:
    plan = planned(store, film_of(shots()), Sequences(usd=3.0))
    assert [job.shot_id for job in plan.jobs] == ["sc010/sh0010", "sc010/sh0020", "sc010/sh0030"]
    assert len({job.key for job in plan.jobs}) == 3
    (generation,) = {job.generation for job in plan.jobs}
    assert generation
    cuts = [job.request.cut_from for job in plan.jobs]
    assert [cut.index for cut in cuts if cut] == [0, 1, 2]
    assert cuts[0] is not None
    whole = cuts[0].request
    # A quarter of a second of room for each end of a shot that is a cut.
    assert whole.num_frames == 3 * 24 + 4 * 6
    assert [shot.start_s for shot in whole.shots] == [0, Fraction(30, 24), Fraction(66, 24)]
    assert [job.request.num_frames for job in plan.jobs] == [24, 24, 24]
    assert total_quote(plan.jobs).usd == 3.0
    assert require_budget(plan, Budget(usd=3.0)).jobs == plan.missing
    assert plan.jobs[0].adjustments == ("in one generation with sc010/sh0020, sc010/sh0030",)


def test_a_cap_counts_a_generation_once(store: TakeStore) -> None:
    other = make_shot("sc010/sh0090", action="Apart")
    plan = planned(store, film_of([*shots(), other]), Sequences(usd=3.0))
    allowed = require_budget(plan, Budget(usd=4.0, on_exceed="hold"))
    assert len(allowed.jobs) == 3
    assert [job.shot_id for job in allowed.held] == [other.id]


def test_the_prompt_lists_the_shots(store: TakeStore) -> None:
    cut = planned(store, film_of(shots(2)), Sequences()).jobs[1].request.cut_from
    assert cut is not None
    prompt = cut.request.prompt
    assert prompt.startswith("A sequence of 2 shots with hard cuts")
    assert "[0.0s-1.2s] Shot 1: Medium shot." in prompt
    assert "[1.2s-2.5s] Shot 2: Medium shot." in prompt
    assert prompt.index("Action 1") < prompt.index("Hard cut.") < prompt.index("Action 2")


def test_takes_are_cut_where_the_model_cut(store: TakeStore) -> None:
    backend = Sequences(usd=3.0)
    plan = planned(store, film_of(shots(6)), backend)
    takes = rendered(plan, backend, store)
    assert len(backend.asked) == 1
    for index, take in enumerate(takes):
        frames = pictures(take)
        assert len(frames) == take.num_frames == 24
        seen = frames[:, 20:, :, :].reshape(-1, 3)
        assert np.abs(seen.astype(int) - COLOURS[index]).max() < 12, index
        assert take.sound is not None
        heard = read_sound(take.sound)
        assert heard.shape == (1, samples_at(24, Fraction(24)))
        assert (heard == np.float32((index + 1) / 10)).all()
        assert take.manifest["warnings"] == []
    record_plan(plan, store)
    assert spent_usd(plan.film, store) == 3.0


def test_a_generation_is_kept_and_then_costs_nothing(store: TakeStore) -> None:
    backend = Sequences(usd=3.0)
    film = film_of(shots())
    plan = planned(store, film, backend)
    first = plan.missing[0]
    render_take(first, backend, store, tools_for(first, assets_for(film), store, RenderTools({})))
    again = planned(store, film, backend)
    assert [job.state for job in again.jobs] == ["cached", "new", "new"]
    assert total_quote(again.jobs).usd == 0
    rendered(again, backend, store)
    assert len(backend.asked) == 1


def test_each_take_is_a_generation_of_its_own(store: TakeStore) -> None:
    backend = Sequences()
    plan = planned(store, film_of(shots(2, take_count=2, seeds=(5, 6))), backend)
    assert len({job.generation for job in plan.jobs}) == 2
    assert [job.request.seed for job in plan.jobs] == [5, 6, 5, 6]
    rendered(plan, backend, store)
    assert [request.seed for request in backend.asked] == [5, 6]


def test_an_edit_of_one_makes_all_of_them_again_and_says_so(store: TakeStore) -> None:
    backend = Sequences()
    members = shots()
    plan = planned(store, film_of(members), backend)
    rendered(plan, backend, store)
    record_plan(plan, store)
    members[1] = replace(members[1], action="Another")
    again = planned(store, film_of(members), backend)
    assert [job.state for job in again.jobs] == ["stale"] * 3
    assert [job.stale_reason for job in again.jobs] == [
        "group changed",
        "group, action changed",
        "group changed",
    ]


def test_asking_for_one_shot_plans_the_same_generation(store: TakeStore) -> None:
    before = make_shot("sc010/sh0005", action="Before")
    members = shots()
    members[0] = replace(members[0], continues=Continuation(before.id, "extend", 1))
    film = film_of([before, *members])
    whole = planned(store, film, Sequences())
    alone = planned(store, film, Sequences(), only=("sc010/sh0030",))
    assert [job.shot_id for job in alone.jobs] == ["sc010/sh0005", "sc010/sh0030"]
    assert alone.job("sc010/sh0030") == whole.job("sc010/sh0030")
    # All of them wait for the take that the generation goes on from.
    assert {job.waits_for for job in whole.jobs[1:]} == {whole.jobs[0].key}
    assert next(job.shot_id for job in whole.missing) == before.id


def why_alone_of(plan: Plan) -> list[str]:
    return [
        next((loss.reason for loss in job.losses if loss.field == "group"), "") for job in plan.jobs
    ]


def test_a_backend_of_one_shot_makes_them_alone_and_says_so(store: TakeStore) -> None:
    plan = planned(store, film_of(shots()), FakeBackend())
    assert {job.generation for job in plan.jobs} == {""}
    assert why_alone_of(plan) == ["fake makes one shot at a time"] * 3
    alone = planned(store, film_of([replace(shot, group="") for shot in shots()]), FakeBackend())
    assert [job.key for job in plan.jobs] == [job.key for job in alone.jobs]


def test_what_cannot_go_together_goes_alone(store: TakeStore) -> None:
    members = shots(4)
    members[1] = replace(members[1], continues=Continuation(members[0].id, "extend", 1))
    plan = planned(store, film_of(members), Sequences())
    assert [bool(job.generation) for job in plan.jobs] == [False, False, True, True]
    assert why_alone_of(plan) == [
        "it is made alone: so is sc010/sh0020 beside it",
        "it is made alone: it goes on from sc010/sh0010 without a cut",
        "",
        "",
    ]


def test_a_generation_holds_no_more_than_the_model_makes(store: TakeStore) -> None:
    counted = planned(store, film_of(shots(5)), Sequences(most=2))
    assert [job.request.cut_from and job.request.cut_from.index for job in counted.jobs] == [
        0,
        1,
        0,
        1,
        None,
    ]
    assert why_alone_of(counted)[4] == "it is made alone: sequences makes at most 2 shots at a time"
    timed = planned(store, film_of(shots(3)), Sequences(longest=70))
    assert [bool(job.generation) for job in timed.jobs] == [True, True, False]
    assert "makes at most 70 frames at a time" in why_alone_of(timed)[2]


def test_other_settings_are_another_generation(store: TakeStore) -> None:
    members = shots(3)
    members[2] = replace(members[2], profile="draft")
    plan = planned(store, film_of(members), Sequences())
    assert [bool(job.generation) for job in plan.jobs] == [True, True, False]
    assert "another profile" in why_alone_of(plan)[2]


def test_people_lines_and_pictures_keep_their_order_and_time(store: TakeStore) -> None:
    board = Keyframe(3, make_asset("board.png"), 1.0)
    members = shots(
        2, cast=(make_staged(),), dialogue=(make_line(start_frame=0),), keyframes=(board,)
    )
    cut = planned(store, film_of(members), Sequences()).jobs[0].request.cut_from
    assert cut is not None
    (mara,) = cut.request.description.placements
    assert [start for start, _ in mara.speaking] == [0, 30]
    assert len(cut.request.description.dialogue) == 2
    assert len(cut.request.references) == 1
    assert [key.frame for key in cut.request.key_pictures] == [3, 33]


def test_a_cut_that_is_not_there_is_made_as_asked_with_a_warning(store: TakeStore) -> None:
    backend = Sequences(colours=(COLOURS[0], COLOURS[0], COLOURS[2]))
    takes = rendered(planned(store, film_of(shots()), backend), backend, store)
    told = [take.manifest["warnings"] for take in takes]
    assert told[0] == told[1]
    assert "no cut was found between shots 1 and 2" in told[0][0]
    assert told[2] == []


def test_a_cut_too_far_off_costs_as_few_frames_as_can_be(store: TakeStore) -> None:
    backend = Sequences(off=(0, 15, 0))
    takes = rendered(planned(store, film_of(shots()), backend), backend, store)
    # The second shot begins 15 late: its 24 frames reach three into the third, which has six more.
    assert [take.num_frames for take in takes] == [24, 24, 24]
    warnings = takes[2].manifest["warnings"]
    assert any("3 frames of one are in the other" in text for text in warnings)
    late = Sequences(id="late", off=(0, -11, 0))
    takes = rendered(planned(store, film_of(shots()), late), late, store)
    assert any("5 frames of one are in the other" in text for text in takes[0].manifest["warnings"])


def test_prepare_is_given_the_generation_once(store: TakeStore) -> None:
    backend = Sequences()
    plan = planned(store, film_of(shots()), backend)
    prepare_takes(plan.missing, backend, assets_for(plan.film), store, RenderTools({}))
    assert len(backend.prepared) == 1
    assert backend.prepared[0].startswith("A sequence of 3 shots")


def test_a_generation_that_fails_names_shot_and_take(store: TakeStore) -> None:
    class Broken(Sequences):
        def _frames(self, request: Any, tools: Any) -> Any:
            yield from list(super()._frames(request, tools))[:-1]

    backend = Broken()
    plan = planned(store, film_of(shots()), backend)
    with pytest.raises(RenderError, match="sc010/sh0010 take 1: expected 96 frames, got 95"):
        rendered(plan, backend, store)
    assert store.entries.litter() == []


def flat(*levels: float) -> list[ListedShot]:
    return [ListedShot("", Fraction(index), Fraction(1)) for index, _ in enumerate(levels)]


def test_smeared_cuts_begin_where_the_picture_has_settled() -> None:
    changes = [0.0, *[1.0] * 47]
    changes[25:28] = [12.0, 20.0, 11.0]
    places = cut_places(changes, flat(0, 1), (20, 20), Fraction(24))
    assert places.starts == (0, 27)
    assert places.warnings == ("", "")


def test_motion_alone_is_no_cut() -> None:
    changes = [0.0, *[9.0] * 47]
    changes[20] = 14.0
    places = cut_places(changes, flat(0, 1), (20, 20), Fraction(24))
    assert places.starts == (0, 24)
    assert "no cut was found" in places.warnings[1]


def test_the_nearest_of_several_cuts_is_taken() -> None:
    changes = [0.0, *[0.5] * 47]
    changes[15] = changes[22] = changes[30] = 40.0
    assert cut_places(changes, flat(0, 1), (20, 10), Fraction(24)).starts == (0, 22)


def test_hue_is_an_angle() -> None:
    meter = ChangeMeter()
    reds = [np.full((1, 9, 16, 3), colour, np.uint8) for colour in ((255, 0, 9), (255, 9, 0))]
    list(meter.over(iter(reds)))
    assert meter.changes[0] == 0
    assert meter.changes[1] < 3


def test_a_thousand_shots_in_groups_are_planned_in_seconds(store: TakeStore) -> None:
    members = [
        make_shot(f"sc010/sh{n:04}0", action=f"Action {n}", group=f"g{n // 4}") for n in range(1000)
    ]
    film = film_of(members)
    started = time.perf_counter()
    plan = planned(store, film, Sequences())
    assert time.perf_counter() - started < 10
    assert len({job.generation for job in plan.jobs}) == 250
