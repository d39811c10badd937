"""What workers take and what films put into the pool; and a whole farm in virtual time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.farm_bound import lower_bound_s
from bench.farm_drawn import Farm, Film, Machine, draw_farm, without_trouble
from bench.farm_simulation import FirstInFirstOut, Played, play
from flows.farm.dispatch import Waiting, by_preference, model_of
from flows.farm.window import Planned, Window, window_size


def take(name: str, setup: str = "wan", seconds: float = 100, **other: float) -> Waiting:
    return Waiting(name, setup, seconds=seconds, **other)  # type: ignore[arg-type]


def ids(takes: list[Waiting]) -> list[str]:
    return [one.id for one in takes]


def test_what_is_loaded_goes_before_other_adapters_and_before_another_model() -> None:
    waiting = [take("a", "ltx2"), take("b", "wan mara"), take("c", "wan"), take("d", "wan")]
    under_way = [take(f"x{n}", "wan") for n in range(9)]
    assert ids(by_preference(waiting, ["wan"], under_way))[:3] == ["c", "d", "b"]


def test_the_last_takes_are_left_to_those_who_have_their_model() -> None:
    crew = [take(f"x{n}", "wan") for n in range(4)]
    assert by_preference([take("a"), take("b")], ["ltx2"], crew) == []
    many = [take(f"a{n}") for n in range(12)]
    assert ids(by_preference(many, ["ltx2"], crew))[0] == "a5", "what they begin after a load"
    assert ids(by_preference([take("a")], ["ltx2"], [])) == ["a"], "nobody has it"


def test_the_urgent_go_first_and_a_model_is_left_only_where_they_would_wait_long() -> None:
    urgent = take("u", "wan", urgency=1)
    waiting = [take("a"), urgent, *[take(f"l{n}", "ltx2") for n in range(4)]]
    assert ids(by_preference(waiting, ["wan"], []))[0] == "u"
    crew = [take("x", "wan")]
    assert ids(by_preference(waiting, ["ltx2"], crew))[0].startswith("l"), "soon begun by its crew"
    assert ids(by_preference(waiting, ["ltx2"], []))[0] == "u", "nobody else has its model"
    later = [replace(one, urgency=3) for one in waiting[2:]]
    assert ids(by_preference([take("a"), *later], ["ltx2"], []))[0].startswith("l")


def test_another_model_is_chosen_by_the_work_for_each_of_its_crew() -> None:
    waiting = [take(f"w{n}", "wan") for n in range(6)] + [take(f"l{n}", "ltx2") for n in range(4)]
    assert by_preference(waiting, [], [])[0].model == "wan"
    assert by_preference(waiting, [], [take("x", "wan", 200)])[0].model == "ltx2"
    assert by_preference(waiting, ["h3", "wan"], [])[0].model == "ltx2", "wan was left before"
    behind = [replace(one, film="LHT", left_s=9000.0) for one in waiting[6:]]
    assert by_preference([*waiting[:6], *behind], [], [])[0].model == "ltx2"


def test_what_would_end_last_does_not_wait_for_a_loading() -> None:
    chain = replace(take("c", film="LHT", left_s=9000.0), chain_s=600.0)
    more = [take(f"a{n}", film="LHT", left_s=9000.0) for n in range(40)]
    crew = [take(f"x{n}", worker=f"gpu{n}", film="LHT", left_s=9000.0) for n in range(2)]
    best = by_preference([chain, *more], ["ltx2"], crew, all_listed=False)
    assert best[0] != chain, "one of the crew is free before"
    assert by_preference([chain, *more], ["wan"], crew)[0] == chain


def test_a_crew_is_counted_by_its_workers_and_busy_with_all_they_have_in_hand() -> None:
    waiting = [take(f"a{n}") for n in range(3)]
    two = [take("x0", worker="gpu0"), take("x1", worker="gpu1")]
    ahead = [take("y0", worker="gpu0"), take("y1", worker="gpu1")]
    assert by_preference(waiting[:2], ["ltx2"], two) == []
    assert ids(by_preference(waiting[:2], ["ltx2"], [*two, *ahead])) == ["a0", "a1"]


def test_workers_that_are_free_at_once_reach_for_different_takes() -> None:
    waiting = [take(f"a{n}") for n in range(32)]
    names = [f"gpu{n}" for n in range(16)]
    first = [by_preference(waiting, [], [], who=who, workers=16)[0].id for who in names]
    assert len(set(first)) >= 9
    assert by_preference(waiting, [], [], who="gpu1") == by_preference(waiting, [], [], who="gpu2")
    own = [by_preference(waiting, ["wan"], [], who=who, workers=16)[0].id for who in names]
    assert set(own) == {"a0"}, "what is loaded is made in its order"


def test_nothing_is_offered_twice_when_a_critical_take_goes_before_its_urgency() -> None:
    waiting = [take("a", urgency=3, seconds=300), take("b"), take("c", urgency=3)]
    others = [take(f"x{n}", "ltx2") for n in range(4)]
    for who in ("gpu1", "gpu2", "gpu3"):
        assert sorted(ids(by_preference(waiting, [], others, who=who, workers=7))) == list("abc")


waitings = st.builds(
    Waiting,
    id=st.uuids().map(str),
    setup=st.sampled_from(["wan", "wan mara", "ltx2", "h3"]),
    urgency=st.integers(1, 3),
    seconds=st.floats(0, 300),
    place=st.integers(0, 500),
    chain_s=st.floats(0, 900),
    film=st.sampled_from(["A", "B"]),
    left_s=st.floats(0, 5000),
    worker=st.sampled_from(["", "gpu1", "gpu2", "gpu3"]),
)


@given(
    st.lists(waitings, max_size=12, unique_by=lambda one: one.id),
    st.lists(st.sampled_from(["wan", "wan mara", "ltx2"]), max_size=2, unique=True),
    st.lists(waitings, max_size=8),
    st.integers(0, 12),
    st.booleans(),
)
def test_a_choice_is_of_what_waits_and_never_idle_without_a_reason(
    waiting: list[Waiting],
    warm: list[str],
    under_way: list[Waiting],
    workers: int,
    all_listed: bool,
) -> None:
    best = by_preference(
        waiting, warm, under_way, who="gpu0", workers=workers, all_listed=all_listed
    )
    assert len(set(ids(best))) == len(best)
    assert set(best) <= set(waiting)
    loaded = model_of(warm[0]) if warm else ""
    own = [one for one in waiting if one.model == loaded]
    assert set(own) <= set(best), "whoever has the model may take all that waits for it"
    crews = {one.model for one in under_way}
    assert best or all(one.model in crews for one in waiting), "others will come to it"
    mine = [one for one in best if one.model == loaded]
    urgent = [one.urgency for one in mine if one.urgency == 1]
    assert not urgent or mine[0].urgency == 1


planned = st.lists(
    st.tuples(st.sampled_from(["wan", "wan mara", "ltx2"]), st.floats(1, 300), st.booleans()),
    min_size=1,
    max_size=30,
)


@given(planned, st.integers(0, 6))
def test_a_window_submits_every_take_once_after_what_it_goes_on_from(
    drawn: list[tuple[str, float, bool]], workers: int
) -> None:
    takes: list[Planned] = []
    for number, (setup, seconds, goes_on) in enumerate(drawn):
        after = takes[-1].id if goes_on and takes else ""
        takes.append(Planned(f"{number}", setup, seconds, after))
    window = Window(takes)
    blocked = [one for one in takes if one.after]
    ready = [one.id for one in takes if not one.after]
    in_pool: list[str] = []
    made: list[str] = []
    while len(made) < len(takes):
        while one := window.choose(ready, in_pool, [b.id for b in blocked], workers):
            ready.remove(one)
            in_pool.append(one)
        assert 0 < len(in_pool) <= window_size(workers)
        made.append(in_pool.pop(0))
        ready += [one.id for one in blocked if one.after == made[-1]]
        blocked = [one for one in blocked if one.after != made[-1]]
    assert sorted(made) == sorted(one.id for one in takes)


def test_the_mix_of_a_window_follows_the_work_and_strands_no_model() -> None:
    takes = [Planned(f"w{n}", "wan", 100) for n in range(60)]
    takes += [Planned(f"l{n}", "ltx2", 100) for n in range(20)] + [Planned("h", "h3", 20)]
    window, ready, in_pool = Window(takes), [one.id for one in takes], list[str]()
    while one := window.choose(ready, in_pool, [], 8):
        ready.remove(one)
        in_pool.append(one)
    assert {model: sum(one[0] == model for one in in_pool) for model in "wlh"} == {
        "w": 12, "l": 3, "h": 1,
    }  # fmt: skip


def test_a_long_chain_goes_early_and_goes_on_when_workers_have_gone() -> None:
    takes = [Planned(f"s{n}", "wan", 100) for n in range(20)]
    takes += [Planned("c0", "wan", 50), *[Planned(f"c{n}", "wan", 50, f"c{n - 1}") for n in (1, 2)]]
    window = Window(takes)
    assert window.chain_s("c0") == 150
    ready = [one.id for one in takes if not one.after]
    assert window.choose(ready, [], ["c1", "c2"], 4) == "c0"
    assert window.choose([*ready, "c1"], ["s18"] * 16, ["c2"], 1) == "c1"
    assert window.choose(ready, ["s18"] * 16, ["c2"], 1) == ""


@given(st.integers(0, 10_000))
@settings(max_examples=12)
def test_a_farm_makes_every_take_once_in_order_and_where_it_can(seed: int) -> None:
    farm = draw_farm(seed, num_takes=60, num_machines=8)
    played = play(farm)
    _check(farm, played)


def _check(farm: Farm, played: Played) -> None:
    takes = {one.id: one for film in farm.films for one in film.takes}
    machines = {one.name: one for one in farm.machines}
    assert played.ended.keys() == takes.keys()
    times = [when for when, _, _ in played.begun]
    assert all(first <= then for first, then in pairwise(times))
    begun_on: dict[str, list[str]] = {}
    for when, name, machine in played.begun:
        begun_on.setdefault(name, []).append(machine)
        one = takes[name]
        assert model_of(one.setup) not in machines[machine].cannot
        assert not one.after or played.ended[one.after] <= when
    for name, on in begun_on.items():
        assert all(machines[one].ends_s < played.ended[name] for one in on[:-1]), "made twice"


def test_an_urgent_film_is_done_long_before_the_others_of_its_size() -> None:
    farm = draw_farm(5, num_takes=200, num_machines=16)
    ended = play(farm).ended
    done = {film.name: max(ended[one.id] for one in film.takes) for film in farm.films}
    urgent = next(film.name for film in farm.films if film.urgency == 1)
    assert done[urgent] < 0.8 * min(when for name, when in done.items() if name != urgent)


def test_the_bound_is_what_a_perfect_schedule_needs() -> None:
    takes = tuple(Planned(f"{n}", "wan", 100) for n in range(4))
    film = Film("A", 2, 0.0, takes, {one.id: 100.0 for one in takes})
    machines = (Machine("a"), Machine("b"))
    assert lower_bound_s(Farm((film,), machines, {"wan": 60.0})) == pytest.approx(260, abs=0.1)
    chain = tuple(replace(one, after=f"{n - 1}" if n else "") for n, one in enumerate(takes))
    farm = Farm((replace(film, takes=chain),), machines, {"wan": 60.0})
    assert lower_bound_s(farm) == pytest.approx(460)
    assert play(farm).makespan_s == pytest.approx(460, abs=25)


@pytest.mark.parametrize("seed", range(2))
def test_a_thousand_takes_on_sixty_four_machines(seed: int) -> None:
    farm = without_trouble(draw_farm(seed))
    played, peer = play(farm), play(farm, FirstInFirstOut, seats=1, windowed=False)
    assert played.makespan_s <= 1.06 * lower_bound_s(farm)
    assert played.reloads() == 0, "no machine loads a model twice"
    assert played.makespan_s < 0.7 * peer.makespan_s
