"""Plans: choice of backend, keys along joins, states with their reasons, prices."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from fractions import Fraction
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from generator.backends.base import Backend, Licence
from generator.backends.footage import FootageBackend
from generator.backends.registry import InstalledBackends
from generator.budget import require_budget
from generator.picks import Pick
from generator.plan import Plan, PlanSettings, plan_shots, total_quote
from generator.plan_table import plan_dict, plan_table
from generator.requests import Raster
from generator.takes import TakeStore, record_plan
from media.errors import BudgetError, RefusalError, UsageError
from storyboards.film import Continuation, Film, OwnFootage, Shot, TakeEdit
from storyboards.schema import Budget, Finish
from storyboards.shot_schema import Checks
from tests.factories import make_asset, make_character, make_film, make_shot, make_staged
from tests.fakes import FakeBackend


@pytest.fixture
def store(tmp_path: Path) -> TakeStore:
    return TakeStore(tmp_path)


def plan_of(store: TakeStore, film: Film, *backends: Backend, **more: Any) -> Plan:
    picks = more.pop("picks", {})
    named = {backend.id: backend for backend in backends or (FakeBackend(),)}
    return plan_shots(film, named, store.entries, picks, PlanSettings(**more))


def pretend(store: TakeStore, plan: Plan, usd: float = 0.0) -> None:
    """Put an empty take in the store for each job."""
    from generator.keys import canonical

    for job in plan.jobs:
        details = {
            "backend": job.backend,
            "revision": job.revision,
            "request": canonical(job.request),
            "cost_usd": usd,
        }
        store.entries.make(job.key, lambda folder, details=details: details)
    record_plan(plan, store)


def shots_abc(**changes: Any) -> list[Shot]:
    return [make_shot(f"sc010/sh00{n}0", action=f"Action {n}", **changes) for n in (1, 2, 3)]


def test_a_job_a_take_in_film_order(store: TakeStore) -> None:
    plan = plan_of(store, make_film(shots_abc(take_count=2)))
    assert [(job.shot_id[-2:], job.take) for job in plan.jobs] == [
        ("10", 1),
        ("10", 2),
        ("20", 1),
        ("20", 2),
        ("30", 1),
        ("30", 2),
    ]
    assert len({job.key for job in plan.jobs}) == 6
    assert {job.state for job in plan.jobs} == {"new"}


def test_moving_renaming_and_retitling_cost_nothing(store: TakeStore) -> None:
    shots = shots_abc()
    pretend(store, plan_of(store, make_film(shots)))
    moved = [replace(shots[2], id="sc010/sh0005"), shots[0], shots[1]]
    plan = plan_of(store, make_film(moved, title="Another"))
    assert {job.state for job in plan.jobs} == {"cached"}
    assert total_quote(plan.jobs).cpu_seconds == 0
    assert plan.missing == ()


def test_an_edit_renders_one_shot_and_says_why(store: TakeStore) -> None:
    shots = shots_abc()
    pretend(store, plan_of(store, make_film(shots)))
    shots[1] = replace(shots[1], action="Another")
    plan = plan_of(store, make_film(shots))
    assert [job.state for job in plan.jobs] == ["cached", "stale", "cached"]
    assert plan.jobs[1].stale_reason == "action changed"


def reasons(store: TakeStore, before: Shot, after: Shot) -> str:
    pretend(store, plan_of(store, make_film([before])))
    return plan_of(store, make_film([after])).jobs[0].stale_reason


def test_reasons_are_in_the_storyboards_words(store: TakeStore) -> None:
    shot = make_shot(cast=(make_staged(),))
    mara = make_character(refs={"front": make_asset("refs/mara_new.png")})
    assert reasons(store, shot, replace(shot, num_frames=25)) == "duration changed"
    assert "mara_new.png changed" in reasons(store, shot, replace(shot, cast=(make_staged(mara),)))
    assert reasons(store, shot, replace(shot, options={"steps": 8})) == "options changed"
    assert reasons(store, shot, replace(shot, seeds=(3,))) == "seed changed"


def test_a_new_revision_is_named(store: TakeStore) -> None:
    film = make_film()
    pretend(store, plan_of(store, film))
    plan = plan_of(store, film, FakeBackend(revision="2"))
    assert plan.jobs[0].stale_reason == "backend revision 1 → 2"


def test_a_damaged_history_only_loses_the_reason(store: TakeStore) -> None:
    film = make_film()
    pretend(store, plan_of(store, film))
    for path in (store.entries.root / "history").glob("*.json"):
        path.write_bytes(b"{")
    assert plan_of(store, film).jobs[0].state == "cached"
    assert plan_of(store, film, FakeBackend(revision="2")).jobs[0].state == "new"


def joined() -> list[Shot]:
    first, second, third = shots_abc()
    return [
        replace(first, take_count=3),
        replace(second, continues=Continuation(first.id, "extend", 4)),
        replace(third, continues=Continuation(second.id, "shared_keyframe", 1)),
    ]


def test_keys_follow_the_picks_along_joins(store: TakeStore) -> None:
    film = make_film(joined())
    plan = plan_of(store, film)
    assert plan.job("sc010/sh0020").waits_for == plan.job("sc010/sh0010", 1).key
    picked = plan_of(store, film, picks={"sc010/sh0010": Pick(3)})
    assert picked.job("sc010/sh0020").waits_for == plan.job("sc010/sh0010", 3).key
    assert picked.job("sc010/sh0030").key != plan.job("sc010/sh0030").key
    pretend(store, plan)
    again = plan_of(store, film, picks={"sc010/sh0010": Pick(3)})
    assert again.job("sc010/sh0020").stale_reason == "the take it continues or edits changed"


def test_missing_has_parents_first_even_when_they_stand_later(store: TakeStore) -> None:
    first, second, third = joined()
    order = [job.shot_id for job in plan_of(store, make_film([third, second, first])).missing]
    assert order.index(first.id) < order.index(second.id) < order.index(third.id)


def test_only_some_shots_brings_the_takes_they_go_on_from(store: TakeStore) -> None:
    plan = plan_of(store, make_film(joined()), only=("sc010/sh0020",))
    assert [(job.shot_id[-2:], job.take) for job in plan.jobs] == [("10", 1), ("20", 1)]
    with pytest.raises(UsageError, match="did you mean"):
        plan_of(store, make_film(joined()), only=("sc010/sh002",))


def test_a_long_chain_of_extensions(store: TakeStore) -> None:
    shots = [make_shot("sc010/sh0000")]
    for n in range(1, 1200):
        shots.append(
            make_shot(f"sc010/sh{n:04}", continues=Continuation(shots[-1].id, "extend", 1))
        )
    plan = plan_of(store, make_film(shots[::-1]))
    assert len(plan.missing) == 1200


def test_an_edit_waits_for_the_take_it_names(store: TakeStore) -> None:
    first, second, _ = joined()
    edit = TakeEdit(first.id, 2, "remove", "the boat", None, ())
    plan = plan_of(store, make_film([first, replace(second, continues=None, edit=edit)]))
    assert plan.job(second.id).waits_for == plan.job(first.id, 2).key


def test_a_pick_follows_its_key_and_falls_back_when_it_is_gone(store: TakeStore) -> None:
    shot = make_shot(take_count=2, seeds=(5, 6))
    key = plan_of(store, make_film([shot])).job(shot.id, 2).key
    picks = {shot.id: Pick(2, key[:12]), "sc990/sh0010": Pick(1)}
    turned = plan_of(store, make_film([replace(shot, seeds=(6, 5))]), picks=picks)
    assert turned.picked[shot.id] == 1
    assert turned.notes == ("sc990/sh0010: its pick is kept, but the storyboard has no such shot",)
    edited = plan_of(store, make_film([replace(shot, action="Other")]), picks=picks)
    assert edited.picked[shot.id] == 1
    assert "the pick of take 2 no longer counts" in edited.notes[0]


def test_the_first_backend_that_takes_the_shot(store: TakeStore) -> None:
    shot = make_shot(backends=("ltx2", "no", "fake"))
    plan = plan_of(
        store, make_film([shot]), FakeBackend("no", refuses="too long"), FakeBackend("fake")
    )
    assert plan.jobs[0].backend == "fake"
    assert [loss.reason for loss in plan.jobs[0].losses] == [
        "ltx2 is not in this installation",
        "no refuses: too long",
        "fake is silent; the sound modules make the sound",
    ]


def test_every_refusal_in_one_go(store: TakeStore) -> None:
    film = make_film(shots_abc(backends=("ltx2",)))
    with pytest.raises(RefusalError) as caught:
        plan_of(store, film)
    assert str(caught.value).count("ltx2 is not in this installation") == 3
    assert "film.yaml:1: sc010/sh0010" in str(caught.value)


def test_auto_loses_least_then_costs_least(store: TakeStore) -> None:
    backends = (
        FakeBackend("lossy", loses=("camera",)),
        FakeBackend("dear", usd=1.0),
        FakeBackend("cheap", usd=0.5),
        FootageBackend(),
    )
    assert plan_of(store, make_film(), *backends).jobs[0].backend == "cheap"
    film = make_film([make_shot(tags=("hero",))])
    assert plan_of(store, film, *backends, routes={"hero": "dear"}).jobs[0].backend == "dear"
    assert plan_of(store, film, *backends, backend="lossy").jobs[0].backend == "lossy"


def test_snapping_is_in_the_plan(store: TakeStore) -> None:
    job = plan_of(store, make_film(), FakeBackend(frame_step=8)).jobs[0]
    assert (job.num_frames, job.request.num_frames) == (24, 25)
    assert job.adjustments == ("frames to 25",)


def test_a_preview_has_its_own_takes(store: TakeStore) -> None:
    film = make_film()
    raster = Raster((160, 90), Fraction(24))
    preview = plan_of(store, film, raster=raster)
    assert preview.jobs[0].request.size == (160, 90)
    assert preview.jobs[0].key != plan_of(store, film).jobs[0].key
    assert preview.jobs[0].request.seed == plan_of(store, film).jobs[0].request.seed


def test_losses_of_film_and_shots(store: TakeStore) -> None:
    film = make_film(
        [make_shot(checks=Checks(cuts=0), group="g1", audio="none")],
        exports=("otio", "c2pa"),
        approve=("picks",),
        finish=Finish(upscale="2x", interpolate_fps=Fraction(48), grain=0.1),
    )
    plan = plan_of(store, film)
    assert [loss.field for loss in plan.losses] == ["exports.c2pa"]
    assert [loss.field for loss in plan.jobs[0].losses] == ["checks", "group"]


def test_a_silent_model_is_said_to_be_and_loses_to_one_with_sound(store: TakeStore) -> None:
    silent, sounding = FakeBackend("silent"), FakeBackend("sounding", usd=1.0, native_audio=True)
    said = ["silent is silent; the sound modules make the sound"]
    for audio, chosen, losses in (
        ("native", [silent], said),
        ("voice", [silent], []),
        ("native", [silent, sounding], []),
        ("native", [silent, InstalledBackends()["animatic"]], said),
        ("native", [InstalledBackends()["animatic"]], []),
    ):
        plan = plan_of(store, make_film([make_shot(audio=audio)]), *chosen)
        assert [loss.reason for loss in plan.jobs[0].losses] == losses, (audio, chosen)
    plan = plan_of(store, make_film(), silent, sounding)
    assert (plan.jobs[0].backend, plan.jobs[0].request.audio) == ("sounding", "native")


def test_the_terms_of_what_is_used_are_said_once(store: TakeStore) -> None:
    strict = Licence("P-1", 10_000_000, ("EU", "UK"), True, "https://example.org/terms")
    film = make_film([make_shot(f"sc010/sh{n:04}", backends=(name,)) for n, name in
                      enumerate(("one", "two", "one", "free"))])  # fmt: skip
    backends = [FakeBackend(name, licence=strict) for name in ("one", "two", "unused")]
    plan = plan_of(store, film, *backends, FakeBackend("free"))
    out = StringIO()
    Console(file=out, width=160).print(plan_table(plan))
    (line,) = [line for line in out.getvalue().splitlines() if "P-1" in line]
    assert line.strip() == (
        "Licence of one, two: P-1, up to $10,000,000 of revenue, not in EU / UK, "
        "to be accepted before use, https://example.org/terms"
    )
    facts = plan_dict(plan)["licences"]
    assert sorted(facts) == ["free", "one", "two"]
    assert facts["two"] == {
        "id": "P-1", "revenue_cap_usd": 10_000_000, "excluded_territories": ["EU", "UK"],
        "needs_acknowledgement": True, "url": "https://example.org/terms",
    }  # fmt: skip


def test_own_footage_is_one_take_of_the_footage_backend(store: TakeStore) -> None:
    shot = make_shot(source=OwnFootage(make_asset("clip.mp4"), 0, True), take_count=4)
    plan = plan_of(store, make_film([shot]), FakeBackend(), FootageBackend())
    assert [job.backend for job in plan.jobs] == ["footage"]


def test_identical_shots_share_a_take_and_its_price(store: TakeStore) -> None:
    film = make_film([make_shot("sc010/sh0010"), make_shot("sc010/sh0020")])
    plan = plan_of(store, film, FakeBackend(usd=2.0))
    assert total_quote(plan.jobs).usd == 2.0
    assert len(plan.missing) == 1


def test_budget(store: TakeStore) -> None:
    plan = plan_of(store, make_film(shots_abc()), FakeBackend(usd=1.0, gpu_seconds=30))
    assert len(require_budget(plan, Budget(usd=3.0)).jobs) == 3
    assert len(require_budget(plan, Budget()).jobs) == 3
    allowed = require_budget(plan, Budget(usd=2.5))
    assert [job.shot_id[-2:] for job in allowed.jobs] == ["10", "20"]
    assert [job.shot_id[-2:] for job in allowed.held] == ["30"]
    assert len(require_budget(plan, Budget(usd=3.0), spent_usd=1.5).jobs) == 1
    with pytest.raises(BudgetError, match=r"costs 3\.00 USD; the cap is 2\.50"):
        require_budget(plan, Budget(usd=2.5, on_exceed="stop"))
    with pytest.raises(BudgetError, match=r"1\.5 GPU minutes; the cap is 1"):
        require_budget(plan, Budget(gpu_minutes=1, on_exceed="stop"))
    with pytest.raises(BudgetError):
        require_budget(plan, Budget(usd=0.5))


def test_what_goes_on_from_a_held_take_is_held(store: TakeStore) -> None:
    class Priced(FakeBackend):
        def quote(self, request: Any) -> Any:
            quote = super().quote(request)
            return replace(quote, usd=5.0 if request.description.action == "Action 2" else 0.1)

    first, second, third = joined()
    plan = plan_of(store, make_film([replace(first, take_count=1), second, third]), Priced())
    allowed = require_budget(plan, Budget(usd=1.0))
    assert [job.shot_id[-2:] for job in allowed.held] == ["20", "30"]


def test_plan_dict_golden(store: TakeStore) -> None:
    plan = plan_of(store, make_film([make_shot(take_count=1)]), FakeBackend(usd=0.25))
    (job,) = plan_dict(plan)["jobs"]
    key = job.pop("key")
    assert key == plan.jobs[0].key
    assert plan_dict(plan) | {"jobs": [job]} == {
        "version": 1,
        "film": {
            "title": "The Lighthouse",
            "code": "LHT",
            "variant": "",
            "size": [320, 180],
            "fps": "24",
        },
        "jobs": [
            {
                "shot": "sc010/sh0010",
                "take": 1,
                "picked": True,
                "backend": "fake",
                "revision": "1",
                "size": [320, 180],
                "fps": "24",
                "num_frames": 24,
                "take_frames": 24,
                "seed": plan.jobs[0].request.seed,
                "state": "new",
                "stale_reason": "",
                "waits_for": "",
                "quote": {"usd": 0.25, "gpu_seconds": 0.0, "cpu_seconds": 0.1},
                "note": "",
                "adjustments": [],
                "losses": [
                    {"field": "audio", "reason": "fake is silent; the sound modules make the sound"}
                ],
            }
        ],
        "losses": [],
        "notes": [],
        "licences": {
            "fake": {
                "id": "fake",
                "revenue_cap_usd": None,
                "excluded_territories": [],
                "needs_acknowledgement": False,
                "url": "",
            }
        },
        "total": {"usd": 0.25, "gpu_seconds": 0.0, "cpu_seconds": 0.1},
        "states": {"cached": 0, "stale": 0, "new": 1},
    }
    assert json.loads(json.dumps(plan_dict(plan))) == plan_dict(plan)


def test_the_table_shows_shots_states_and_losses(store: TakeStore) -> None:
    film = make_film(shots_abc(group="g1"), exports=("c2pa",))
    out = StringIO()
    Console(file=out, width=120).print(plan_table(plan_of(store, film, FakeBackend(usd=1.5))))
    text = out.getvalue()
    for words in ("sc010/sh0020", "new", "1.50 USD", "4.50 USD", "exports.c2pa", "group"):
        assert words in text


def test_a_thousand_shots_are_planned_at_once(store: TakeStore) -> None:
    """A wide bound, against quadratic planning; the real figure is in the benchmarks."""
    shots = [make_shot(f"sc010/sh{n:05}", action=f"Action {n}") for n in range(1000)]
    film = make_film(shots)
    started = time.process_time()
    plan_of(store, film)
    assert time.process_time() - started < 5
