"""What a worker takes from look to look: one take ahead, and no other model at first sight."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from flows.farm.choosing import AHEAD_S, LISTED, Chooser
from flows.farm.dispatch import LOAD_S, Waiting


def take(name: str, setup: str = "wan", seconds: float = 100, worker: str = "") -> Waiting:
    return Waiting(name, setup, seconds=seconds, worker=worker)


def chosen(
    chooser: Chooser,
    waiting: list[Waiting],
    in_hand: list[Waiting] | None = None,
    others: list[Waiting] | None = None,
) -> list[str]:
    hand = in_hand or []
    best = chooser.choose(
        waiting, hand, others or [], free=2 - len(hand), workers=4, all_listed=True
    )
    return [one.id for one in best]


def at_work(*begun: Waiting) -> Chooser:
    chooser = Chooser("gpu0")
    for one in begun:
        chooser.begin(one, 0.0)
    return chooser


def test_the_next_take_is_taken_ahead_shortly_before_the_device_is_free() -> None:
    first = take("first")
    chooser = at_work(first)
    free_at = LOAD_S + first.seconds
    assert not chooser.looks([first], free_at - AHEAD_S - 1)
    assert chooser.looks([first], free_at - AHEAD_S + 1)
    assert chosen(chooser, [take("next")], [first]) == ["next"]
    second = take("next")
    chooser.begin(second, free_at - 1)
    chooser.end([second], free_at + 7)
    assert not chooser.looks([second], free_at + 7)
    assert chooser.looks([], free_at + 7)


def test_two_short_takes_are_taken_at_once_and_of_long_ones_only_the_first() -> None:
    short = [take("a", seconds=10), take("b", seconds=10)]
    chooser = at_work(take("made"))
    assert len(chosen(chooser, short)) == 2
    assert len(chosen(chooser, [take("a"), take("b")])) == 1
    assert at_work(short[0]).looks([short[0]], 0.0)


def test_nothing_is_taken_ahead_that_others_of_the_crew_will_soon_be_free_for() -> None:
    first = take("first")
    crew = [take("x", worker="gpu1"), take("y", worker="gpu2")]
    assert chosen(at_work(first), [take("a"), take("b")], [first], crew) == []
    assert chosen(at_work(first), [take("a"), take("b"), take("c")], [first], crew) == ["a"]
    elsewhere = [take("z", "ltx2", worker="gpu3")]
    assert chosen(at_work(first), [take("a")], [first], elsewhere) == ["a"]


def test_another_model_is_loaded_at_the_second_look_that_says_so_and_no_later() -> None:
    chooser = at_work(take("made", "ltx2"))
    assert chosen(chooser, [take("a")]) == []
    assert chosen(chooser, [take("a")]) == ["a"]
    chooser.begin(take("a"), 9.0)
    chooser.forget()
    assert chosen(chooser, [take("b", "h3")]) == [], "one of the others may have it"
    busy = [take(f"x{n}", worker=f"gpu{n}") for n in (1, 2, 3)]
    assert chosen(Chooser("gpu0"), [take("b", "h3")], others=busy) == ["b"], "nobody has it"


def test_a_look_that_shows_its_own_model_begins_the_count_anew() -> None:
    chooser = at_work(take("made", "ltx2"))
    assert chosen(chooser, [take("a")]) == []
    assert chosen(chooser, [take("own", "ltx2")]) == ["own"]
    assert chosen(chooser, [take("a")]) == []


def test_a_worker_that_would_change_its_model_takes_nothing_more_before() -> None:
    first = take("first", "ltx2")
    chooser = at_work(first)
    urgent = [Waiting(f"u{n}", "wan", urgency=1, seconds=300) for n in range(4)]
    own = [take("own", "ltx2"), take("more", "ltx2")]
    for _ in range(3):
        assert chosen(chooser, [*own, *urgent], [first]) == []
    assert chosen(chooser, [*own, *urgent])[0].startswith("u")


waitings = st.builds(
    Waiting,
    id=st.uuids().map(str),
    setup=st.sampled_from(["wan", "wan mara", "ltx2", "h3"]),
    urgency=st.integers(1, 3),
    seconds=st.floats(0, 300),
    chain_s=st.floats(0, 900),
    suspect=st.booleans(),
)


@given(
    st.lists(waitings, min_size=1, max_size=12, unique_by=lambda one: one.id),
    st.sampled_from(["", "wan", "ltx2"]),
)
def test_a_worker_with_free_hands_takes_something_at_its_second_look_at_the_latest(
    waiting: list[Waiting], loaded: str
) -> None:
    chooser = at_work(take("made", loaded)) if loaded else Chooser("gpu0")
    looks = [chosen(chooser, waiting), chosen(chooser, waiting)]
    assert looks[0] or looks[1], "nobody else is busy with these models"
    assert all(len(set(look)) == len(look) <= 2 for look in looks)


def test_a_look_at_a_full_pool_takes_milliseconds() -> None:
    waiting = [take(f"{n}", f"model{n % 4} {'a' * (n % 3)}".rstrip()) for n in range(LISTED)]
    others = [take(f"x{n}", f"model{n % 4}", worker=f"gpu{n}") for n in range(64)]
    chooser = at_work(take("made", "h3"))
    times = []
    for _ in range(20):
        began = time.perf_counter()
        chosen(chooser, waiting, others=others)
        times.append(time.perf_counter() - began)
    assert min(times) < 0.02
