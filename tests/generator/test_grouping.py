"""Takes are ordered so that a warm model makes all of its shots before another is loaded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from generator.backends.base import LoraWeight
from generator.grouping import setup_of, warm_order
from generator.plan import ShotJob, plan_shots
from media.store import ContentStore
from tests.factories import make_film, make_shot
from tests.fakes import FakeBackend


def job(
    name: str, backend: str = "ltx2", waits_for: str = "", frames: int = 24, lora: str = ""
) -> ShotJob:
    """A job called `name`, planned by nobody."""
    loras = (LoraWeight(lora, 1.0),) if lora else ()
    request = replace(_REQUEST, num_frames=frames, loras=loras)
    return replace(_JOB, key=name, backend=backend, waits_for=waits_for, request=request)


def planned() -> ShotJob:
    film, fake = make_film([make_shot()]), FakeBackend()
    return plan_shots(film, {"fake": fake}, ContentStore(film.folder / "none", "takes"), {}).jobs[0]


_JOB = planned()
_REQUEST = _JOB.request


def changes(jobs: Sequence[ShotJob]) -> int:
    """How often another model is loaded after the first."""
    return sum(before.backend != after.backend for before, after in pairwise(jobs))


def names(jobs: Sequence[ShotJob]) -> str:
    return " ".join(one.key for one in jobs)


def test_a_film_that_cuts_between_models_loads_each_once() -> None:
    film = [job(f"{n}", "ltx2" if n % 2 else "wan") for n in range(8)]
    ordered = warm_order(film)
    assert changes(film) == 7
    assert changes(ordered) == 1
    assert names(ordered) == "0 2 4 6 1 3 5 7", "the first shot's model first, in film order"


def test_a_model_is_begun_when_it_can_be_finished() -> None:
    film = [job("a"), job("b", "wan"), job("c", waits_for="b"), job("d"), job("e", "wan")]
    assert names(warm_order(film)) == "b e a c d"


def test_what_goes_on_from_another_comes_after_it_also_there_and_back() -> None:
    film = [job("a"), job("b", "wan", "a"), job("c", "ltx2", "b"), job("d"), job("e", "wan")]
    ordered = warm_order(film)
    assert names(ordered) == "a d b e c"
    assert changes(ordered) == 2


def test_within_a_model_adapters_then_shapes_stay_together() -> None:
    film = [
        job("a", lora="m", frames=24), job("b", lora="x", frames=24), job("c", lora="m", frames=48),
        job("d", lora="x", frames=48), job("e", lora="m", frames=24), job("f", "wan", frames=24),
    ]  # fmt: skip
    assert names(warm_order(film)) == "a e c b d f"
    assert setup_of(film[0]) == setup_of(film[2]) != setup_of(film[1])


def test_a_thousand_takes_of_many_shapes_are_ordered_at_once() -> None:
    film = [
        job(f"{n}", "ltx2" if n % 3 else "wan", f"{n - 1}" if n % 7 == 6 else "", frames=8 + n % 60)
        for n in range(1000)
    ]
    began = time.process_time()
    ordered = warm_order(film)
    assert time.process_time() - began < 5
    assert {one.key for one in ordered} == {one.key for one in film}


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(-6, 5)), min_size=1, max_size=6
    )
)
@settings(deadline=None, max_examples=60)
def test_no_order_changes_models_less_often(drawn: list[tuple[str, int]]) -> None:
    film = [
        job(f"{n}", backend, f"{parent}" if 0 <= parent < n else "")
        for n, (backend, parent) in enumerate(drawn)
    ]
    ordered = warm_order(film)
    assert allowed(ordered)
    assert len({one.backend for one in film}) > 2 or changes(ordered) == min(
        changes(other) for other in permutations(film) if allowed(other)
    )


def allowed(jobs: Sequence[ShotJob]) -> bool:
    there = [one.key for one in jobs]
    return all(
        not one.waits_for or there.index(one.waits_for) < index for index, one in enumerate(jobs)
    )
