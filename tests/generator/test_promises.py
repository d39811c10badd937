"""Two runs of one film at once: what one may still spend, the other does without."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from generator import promises
from generator.plan import Plan, plan_shots
from generator.promises import allowance
from generator.takes import TakeStore, record_plan
from media.errors import BudgetError, CancelledError
from media.patience import patient
from storyboards.film import Film
from storyboards.schema import Budget
from tests.factories import make_film, make_shot
from tests.fakes import FakeBackend
from tests.media.object_server import Farm, ObjectServer, object_server

BACKEND = FakeBackend(usd=4.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    with object_server(tmp_path_factory.mktemp("objects")) as started:
        yield started


@pytest.fixture(params=["a folder", "shared"])
def machines(
    request: pytest.FixtureRequest,
    server: ObjectServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[TakeStore, TakeStore]:
    """The film's store as two machines see it."""
    monkeypatch.setattr(promises, "_RENEW_S", 0.2)
    if request.param == "a folder":
        return TakeStore(tmp_path), TakeStore(tmp_path)
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    farm = Farm(server, tmp_path)
    return TakeStore(farm.root("a")), TakeStore(farm.root("b"))


def film(action: str, usd: float = 10.0, shots: int = 2) -> Film:
    """An edit of one storyboard, in which every take costs 4 USD."""
    made = make_film(
        [make_shot(f"sc010/sh{n:02}0", action=f"{action} {n}") for n in range(1, shots + 1)]
    )
    return replace(made, budget=Budget(usd=usd))


def planned(action: str, store: TakeStore, usd: float = 10.0, shots: int = 2) -> Plan:
    return plan_shots(film(action, usd, shots), {"fake": BACKEND}, store.entries, {})


def shots_of(plan: Plan, store: TakeStore) -> int:
    """How many a run that comes now may make."""
    with allowance(plan, store) as allowed:
        return len(allowed.jobs)


def test_what_another_run_may_still_spend_counts_until_it_ends(
    machines: tuple[TakeStore, TakeStore],
) -> None:
    here, there = machines
    edited = planned("Edited", there)
    with allowance(planned("First", here), here) as first:
        assert len(first.jobs) == 2
        with pytest.raises(BudgetError, match=r"of which other runs .* are spending 8\.00 now"):
            shots_of(edited, there)
        dearer = planned("Edited", there, usd=13.0)
        with allowance(dearer, there) as second:
            assert (len(second.jobs), len(second.held)) == (1, 1)
            assert (second.spent_usd, second.promised_usd) == (0.0, 8.0)
    assert shots_of(edited, there) == 2
    assert shots_of(planned("First", here), here) == 2


def test_takes_that_both_make_are_paid_once(machines: tuple[TakeStore, TakeStore]) -> None:
    here, there = machines
    with allowance(planned("Same", here), here), allowance(planned("Same", there), there) as same:
        assert len(same.jobs) == 2
        assert same.promised_usd == 0.0


def test_what_is_made_meanwhile_is_spent_and_no_longer_promised(
    machines: tuple[TakeStore, TakeStore],
) -> None:
    here, there = machines
    plan = planned("First", here)
    with allowance(plan, here) as first:
        record_plan(plan, here)
        here.entries.make(first.jobs[0].key, lambda folder: {"cost_usd": 3.0})
        with allowance(planned("Edited", there, usd=11.0), there) as second:
            assert (second.spent_usd, second.promised_usd) == (3.0, 4.0)
            assert len(second.jobs) == 1


def test_what_another_run_made_since_the_plan_does_not_count_twice(
    machines: tuple[TakeStore, TakeStore],
) -> None:
    here, there = machines
    plan, same = planned("Same", here, usd=8.0), planned("Same", there, usd=8.0)
    with allowance(plan, here) as first:
        record_plan(plan, here)
        here.entries.make(first.jobs[0].key, lambda folder: {"cost_usd": 4.0})
        assert shots_of(same, there) == 2


def test_a_run_that_was_refused_promises_nothing(machines: tuple[TakeStore, TakeStore]) -> None:
    here, there = machines
    with pytest.raises(BudgetError), allowance(planned("First", here, usd=1.0), here):
        raise AssertionError
    assert shots_of(planned("Edited", there), there) == 2


def test_a_run_that_is_stopped_takes_its_promise_back_and_ends_as_it_would(
    machines: tuple[TakeStore, TakeStore],
) -> None:
    here, there = machines
    stop = threading.Event()

    def run() -> None:
        with patient(stop.is_set), allowance(planned("First", here), here, stop.is_set):
            stop.set()  # as a defect does, too, to what is under way beside it
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()
    assert shots_of(planned("Edited", there), there) == 2


def test_the_promise_of_a_run_that_was_killed_is_void(tmp_path: Path) -> None:
    store = TakeStore(tmp_path)
    plan = planned("First", store)
    ready, tell = os.pipe()
    if not (child := os.fork()):
        with suppress(BaseException), allowance(plan, store):
            os.write(tell, b"!")
            time.sleep(60)
        os._exit(1)
    assert os.read(ready, 1)
    with pytest.raises(BudgetError):
        shots_of(planned("Edited", store), store)
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert shots_of(planned("Edited", store), store) == 2
    assert not list(tmp_path.rglob("promises/*/*.json"))


def test_a_promise_that_goes_while_others_count_is_none(tmp_path: Path) -> None:
    store = TakeStore(tmp_path)
    desk = promises._desk(planned("First", store), store.entries, lambda: False)
    with ExitStack() as held:
        desk.write(b"{}", held)
        (written,) = tmp_path.rglob("promises/*/*.json")
        written.unlink()
        written.symlink_to("gone")  # listed, and not there when it is read
        assert desk.others() == []


def test_what_is_not_renewed_is_void_on_a_shared_store(
    server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(promises, "_RENEW_S", 60.0)
    monkeypatch.setattr(promises, "_GONE_S", 1.0)
    farm = Farm(server, tmp_path)
    here, there = TakeStore(farm.root("a")), TakeStore(farm.root("b"))
    with allowance(planned("First", here), here):
        with pytest.raises(BudgetError):
            shots_of(planned("Edited", there), there)
        time.sleep(2.5)
        assert shots_of(planned("Edited", there), there) == 2


def test_two_never_count_at_once(
    machines: tuple[TakeStore, TakeStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    over = threading.Event()

    def slowly(film: Film, store: TakeStore, but: Sequence[str]) -> float:
        time.sleep(0.2)
        return 0.0

    monkeypatch.setattr(promises, "spent_usd", slowly)

    def run(name: str, store: TakeStore) -> None:
        with suppress(BudgetError), allowance(planned(name, store), store) as allowed:
            made.append(len(allowed.jobs))
            over.wait(20)
            return
        made.append(0)

    pair = zip("ab", machines, strict=True)
    threads = [threading.Thread(target=run, args=one, daemon=True) for one in pair]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while len(made) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    over.set()
    for thread in threads:
        thread.join(20)
    assert sorted(made) == [0, 2]


def test_who_is_cancelled_waits_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TakeStore(tmp_path)
    plan = planned("First", store)
    desk = promises._desk(plan, store.entries, lambda: False)
    with ExitStack() as alone:
        desk.enter_alone(alone)
        with pytest.raises(CancelledError), allowance(plan, store, lambda: True):
            raise AssertionError


def test_without_a_cap_or_a_price_nothing_is_written(tmp_path: Path) -> None:
    store = TakeStore(tmp_path)
    free = plan_shots(film("Free"), {"fake": FakeBackend()}, store.entries, {})
    uncapped = replace(planned("Dear", store), film=make_film())
    assert shots_of(free, store) == 2
    assert shots_of(uncapped, store) == 2
    assert not (tmp_path / "promises").exists()
