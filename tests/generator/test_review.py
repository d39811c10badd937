"""Approvals and retakes: what counts, what no longer does, and what a note changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.backends.base import Backend, Capabilities
from generator.picks import Pick, load_picks, pick_take, picks_path
from generator.picks_file import (
    KEY_CHARS,
    MOST_NOTE_CHARS,
    ApprovedBudget,
    Choices,
    read_choices,
    write_choices,
)
from generator.plan import Plan, PlanSettings, ShotJob, plan_shots
from generator.prompts import write_prompt
from generator.requests import Raster
from generator.retakes import retake_of
from generator.review import (
    approve_budget,
    approve_picks,
    ask_retake,
    unapproved_budget,
    unapproved_picks,
)
from generator.takes import TakeStore
from media.errors import StoryboardError, UsageError
from storyboards.film import Continuation, Film, OwnFootage, TakeEdit
from tests.factories import make_asset, make_film, make_line, make_shot, make_staged
from tests.fakes import FakeBackend

FIRST, SECOND, THIRD = "sc010/sh0010", "sc010/sh0020", "sc010/sh0030"
PROMPTS = ("base", "ltx2", "wan", "hunyuanvideo", "cogvideox", "minimax_h3", "openai_video")


@pytest.fixture
def film(tmp_path: Path) -> Film:
    """Three shots; the third goes on from the second, which has two takes."""
    third = make_shot(THIRD, action="Gulls.", continues=Continuation(SECOND, "extend", 8))
    shots = [make_shot(FIRST), make_shot(SECOND, action="Rain.", take_count=2), third]
    return make_film(shots, path=tmp_path / "film.yaml")


def plan_of(film: Film, *backends: Backend, **settings: Any) -> Plan:
    store = TakeStore(film.path.parent / "store")
    named = {backend.id: backend for backend in backends or (FakeBackend(),)}
    return plan_shots(film, named, store.entries, load_picks(film), PlanSettings(**settings))


def keys_of(plan: Plan) -> Mapping[tuple[str, int], str]:
    return {(job.shot_id, job.take): job.key for job in plan.jobs}


def all_keys(plan: Plan) -> frozenset[str]:
    return frozenset(job.key for job in plan.jobs)


def pretend(film: Film, jobs: tuple[ShotJob, ...]) -> None:
    store = TakeStore(film.path.parent / "store").entries
    for job in jobs:
        store.make(job.key, lambda folder: {})


def test_the_file_reads_like_a_list_of_decisions(film: Film) -> None:
    pretend(film, plan_of(film).missing)
    approve_budget(
        plan_of(replace(film, seed=2), FakeBackend(usd=1.25, gpu_seconds=60)), "mara, noon"
    )
    approve_picks(plan_of(film), all_keys(plan_of(film)), "jo, 3 pm")
    ask_retake(film, SECOND, 'slower, "less" smile: 少し')
    key = plan_of(film).job(FIRST).key[:KEY_CHARS]
    lines = picks_path(film).read_text(encoding="utf-8").splitlines()
    assert lines[2:4] == [
        'budget: {usd: 5.0, gpu_seconds: 240.0, approved: "mara, noon"}',
        f"{FIRST}: {{take: 1, key: '{key}', approved: \"jo, 3 pm\"}}",
    ]
    assert lines[4] == f'{SECOND}: {{retakes: ["slower, \\"less\\" smile: 少し"]}}'
    assert read_choices(film).shots[SECOND].retakes == ('slower, "less" smile: 少し',)


@given(
    st.dictionaries(
        st.sampled_from([FIRST, SECOND, "sc990/sh0990"]),
        st.builds(
            Pick,
            take=st.integers(1, 64),
            key=st.text("0123456789abcdef", min_size=1, max_size=KEY_CHARS),
            approved=st.text(max_size=40),
            retakes=st.lists(st.text(max_size=40), max_size=4).map(tuple),
        ),
    ),
    st.none()
    | st.builds(ApprovedBudget, st.floats(0, 1e6), st.floats(0, 1e9), st.text(max_size=40)),
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    shots: Mapping[str, Pick],
    budget: ApprovedBudget | None,
) -> None:
    film = make_film(path=tmp_path_factory.getbasetemp() / "back.yaml")

    def legible(text: str) -> str:
        return "".join(sign for sign in text if sign.isprintable())

    write_choices(film, Choices(shots, budget))
    found = read_choices(film)
    assert found.budget == (budget and replace(budget, approved=legible(budget.approved)))
    assert found.shots == {
        name: replace(
            pick, approved=legible(pick.approved), retakes=tuple(map(legible, pick.retakes))
        )
        for name, pick in shots.items()
    }


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: {retakes: slower}\n", "1:4: a: expected retakes: [NOTE, ...]"),
        ("a: 1\nb: {retakes: [[x]]}\n", "2:4: b: expected retakes: [NOTE, ...]"),
        (f"a: {{retakes: [{'x' * 401}]}}\n", "1:4: a: expected notes of at most 400"),
        ("a: {approved: mara}\n", "1:4: a: expected a take from 1 to 64, got ''"),
        ("a: {take: 1, approved: mara}\n", "1:4: a: expected a take and its key beside approved"),
        ("budget: 12\n", "1:9: budget: expected {usd: NUMBER"),
        ("budget: {usd: much, gpu_seconds: 1}\n", "1:9: budget: expected a number from 0 up"),
        ("budget: {usd: nan, gpu_seconds: 1}\n", "1:9: budget: expected a number from 0 up"),
        ("budget: {usd: 1, gpu_seconds: 1}\nbudget: {usd: 2, gpu_seconds: 1}\n", "2:1: budget:"),
    ],
)
def test_errors_say_where(film: Film, text: str, where: str) -> None:
    picks_path(film).write_text(text)
    with pytest.raises(StoryboardError) as caught:
        read_choices(film)
    assert f"film.picks.yaml:{where}" in str(caught.value)


def test_a_retake_is_one_new_take_and_the_pick(film: Film) -> None:
    first = plan_of(film)
    pretend(film, first.missing)
    assert ask_retake(film, FIRST, "slower,  less\tsmile") == 2
    plan = plan_of(film)
    [new] = plan.missing
    assert (new.shot_id, new.take, new.note) == (FIRST, 2, "slower, less smile")
    assert plan.picked[FIRST] == 2
    assert {**keys_of(first), (FIRST, 2): new.key} == keys_of(plan)
    assert new.request.prompt.endswith("Slower, less smile.")
    assert new.request.seed != plan.job(FIRST, 1).request.seed
    assert replace(new.request, seed=0, prompt="") == replace(
        plan.job(FIRST, 1).request, seed=0, prompt=""
    )


def test_without_a_note_it_is_another_seed(film: Film) -> None:
    assert [ask_retake(film, FIRST), ask_retake(film, FIRST)] == [2, 3]
    jobs = [plan_of(film).job(FIRST, take) for take in (1, 2, 3)]
    assert len({job.request.seed for job in jobs}) == 3
    assert len({replace(job.request, seed=0) for job in jobs}) == 1


def test_what_goes_on_from_the_shot_is_made_again(film: Film) -> None:
    first = plan_of(film)
    pretend(film, first.missing)
    ask_retake(film, SECOND, "slower")
    plan = plan_of(film)
    assert [(job.shot_id, job.take) for job in plan.missing] == [(SECOND, 3), (THIRD, 1)]
    assert plan.job(THIRD).waits_for == plan.job(SECOND, 3).key
    pick_take(film, SECOND, 1, plan.job(SECOND, 1).key)
    assert plan_of(film).picked[SECOND] == 1
    assert [job.take for job in plan_of(film).missing] == [3]
    assert load_picks(film)[SECOND].retakes == ("slower",)


def test_more_takes_in_the_storyboard_leave_the_retakes_as_they_are(film: Film) -> None:
    shot = make_shot(FIRST, seeds=(5,))
    ask_retake(replace_shots(film, shot), FIRST, "slower")
    before = plan_of(replace_shots(film, shot))
    more = replace_shots(film, replace(shot, take_count=3, seeds=(5, 6, 7)))
    after = plan_of(more)
    assert after.job(FIRST, 4).key == before.job(FIRST, 2).key
    assert after.picked[FIRST] == 4
    pick_take(more, FIRST, 4, after.job(FIRST, 4).key)
    assert plan_of(replace_shots(film, shot)).picked[FIRST] == 2


def replace_shots(film: Film, *shots: Any) -> Film:
    return make_film(shots, path=film.path)


@pytest.mark.parametrize("backend", PROMPTS)
def test_the_note_reaches_the_prompt_of_every_backend(backend: str) -> None:
    shot = make_shot(cast=(make_staged(),), dialogue=(make_line(),), prompt="Grain")
    directed = retake_of(make_film([shot]), shot, 1, "no rain, less smile")
    written, plain = (write_prompt(one, "en", backend) for one in (directed, shot))
    assert "Grain. No rain, less smile." in written
    assert written.replace("Grain. No rain, less smile.", "Grain") == plain


def test_every_prompt_template_is_tried_above() -> None:
    folder = Path(__file__).parents[2] / "templates/prompts"
    names = {path.stem for path in folder.glob("[!_]*.j2") if "shot_list" not in path.stem}
    assert names == set(PROMPTS)


def test_the_note_reaches_the_instruction_of_an_edit(film: Film) -> None:
    edit = TakeEdit(FIRST, None, "remove", "the boat", None, ())
    shot = make_shot(SECOND, edit=edit)
    directed = retake_of(film, shot, 1, "and its wake!")
    assert directed.edit == replace(edit, instruction="the boat. And its wake!")


@dataclass
class Grouping(FakeBackend):
    """Makes up to six shots at a time."""

    @property
    def capabilities(self) -> Capabilities:
        # Not super(): a dataclass's copy of the class is not the one that super() looks for.
        return replace(FakeBackend.capabilities.fget(self), shots_per_generation=6)  # type: ignore[attr-defined]


def test_a_shot_of_a_group_is_made_again_alone(film: Film) -> None:
    together = make_film(
        [make_shot(FIRST, group="g"), make_shot(SECOND, group="g", action="Rain.")], path=film.path
    )
    before = plan_of(together, Grouping())
    assert before.job(FIRST).generation == before.job(SECOND).generation != ""
    ask_retake(together, SECOND, "slower")
    after = plan_of(together, Grouping())
    assert after.job(SECOND, 2).generation == ""
    assert after.job(SECOND, 2).request.cut_from is None
    assert keys_of(before).items() < keys_of(after).items()


def test_what_cannot_be_made_again(film: Film) -> None:
    clip = OwnFootage(make_asset("clip.mp4"), 0, with_audio=False)
    own = make_film([make_shot(FIRST, source=clip)], path=film.path)
    with pytest.raises(UsageError, match="your own footage"):
        ask_retake(own, FIRST)
    with pytest.raises(UsageError, match=f'did you mean "{FIRST}"'):
        ask_retake(film, "sc010/sh001")
    with pytest.raises(UsageError, match="note of at most 400 characters, got 401"):
        ask_retake(film, FIRST, "x" * (MOST_NOTE_CHARS + 1))
    assert not picks_path(film).exists()
    write_choices(film, Choices({FIRST: Pick(retakes=("",) * 63)}))
    with pytest.raises(UsageError, match="at most 64 takes"):
        ask_retake(film, FIRST)


def test_a_dearer_plan_than_the_approved_one_does_not_count(film: Film) -> None:
    def plan(usd: float, gpu_seconds: float) -> Plan:
        return plan_of(film, FakeBackend(usd=usd, gpu_seconds=gpu_seconds))

    assert "nobody has approved it" in unapproved_budget(plan(1, 10), read_choices(film))
    approve_budget(plan(1, 10), "mara")
    assert unapproved_budget(plan(1, 10), read_choices(film)) == ""
    assert unapproved_budget(plan(0.5, 10), read_choices(film)) == ""
    dearer = unapproved_budget(plan(1.01, 10), read_choices(film))
    assert dearer == ("4 takes for 4.04 USD and 40 s of GPU: 4.00 USD and 40 s of GPU was approved")
    assert unapproved_budget(plan(0.5, 11), read_choices(film))


def test_nobody_is_asked_for_nothing(film: Film) -> None:
    pretend(film, plan_of(film).missing)
    assert unapproved_budget(plan_of(film), read_choices(film)) == ""


def test_an_approval_is_of_these_takes(film: Film) -> None:
    plan = plan_of(film)
    assert set(unapproved_picks(plan, read_choices(film)).values()) == {"is not approved"}
    assert approve_picks(plan, all_keys(plan), "mara") == (FIRST, SECOND, THIRD)
    assert unapproved_picks(plan_of(film), read_choices(film)) == {}
    pick_take(film, SECOND, 2, plan.job(SECOND, 2).key)
    assert unapproved_picks(plan_of(film), read_choices(film)) == {
        SECOND: "has another pick since",
        THIRD: "has changed since",
    }
    ask_retake(film, FIRST)
    assert unapproved_picks(plan_of(film), read_choices(film))[FIRST] == "has a retake since"


def test_moving_a_shot_keeps_its_approval_and_editing_it_does_not(film: Film) -> None:
    one, two = make_shot(FIRST), make_shot(SECOND, action="Rain.")
    plan = plan_of(replace_shots(film, one, two))
    approve_picks(plan, all_keys(plan), "mara")
    choices = read_choices(film)
    assert unapproved_picks(plan_of(replace_shots(film, two, one)), choices) == {}
    edited = replace_shots(film, one, replace(two, action="Hail."), make_shot(THIRD))
    assert unapproved_picks(plan_of(edited), choices) == {
        SECOND: "has changed since",
        THIRD: "is new since",
    }
    assert plan_of(edited).notes == ()


def test_only_what_is_made_can_be_approved(film: Film) -> None:
    plan = plan_of(film)
    made = frozenset({plan.job(FIRST).key})
    assert approve_picks(plan, made, "mara") == (FIRST,)
    assert set(unapproved_picks(plan, read_choices(film))) == {SECOND, THIRD}


def test_a_preview_shows_the_picked_takes_by_their_number(film: Film) -> None:
    plan = plan_of(film)
    pick_take(film, SECOND, 2, plan.job(SECOND, 2).key)
    preview = plan_of(film, raster=Raster((160, 90), film.fps))
    assert preview.picked[SECOND] == 2
    assert preview.notes == ()
