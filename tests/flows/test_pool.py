"""The pool: order by need, failures contained, cancellation prompt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.pool import Lane, LaneView, Work, run_all
from media.errors import CancelledError, MediaError, RenderError


@given(
    needs=st.lists(st.lists(st.integers(0, 11), max_size=3), min_size=1, max_size=12),
    jobs=st.integers(1, 4),
)
@settings(deadline=None, max_examples=60)
def test_everything_runs_once_and_after_what_it_needs(needs: list[list[int]], jobs: int) -> None:
    order: list[str] = []
    lock = threading.Lock()

    def piece(name: str) -> Callable[[], str]:
        def run() -> str:
            with lock:
                order.append(name)
            return name

        return run

    work = {
        str(index): Work(piece(str(index)), tuple(str(n) for n in set(before) if n < index))
        for index, before in enumerate(needs)
    }
    outcome = run_all(work, jobs=jobs, stop=threading.Event())
    assert sorted(order) == sorted(work)
    assert outcome.done == {name: name for name in work}
    for name, one in work.items():
        assert all(order.index(need) < order.index(name) for need in one.needs)


def test_a_failure_leaves_out_only_what_needs_it() -> None:
    def fail() -> str:
        raise RenderError("no such lamp", where="sc010/sh0020")

    outcome = run_all(
        {
            "a": Work(lambda: "a"),
            "b": Work(fail),
            "c": Work(lambda: "c", ("b",)),
            "d": Work(lambda: "d", ("c",)),
            "e": Work(lambda: "e", ("a",)),
        },
        jobs=2,
        stop=threading.Event(),
    )
    assert outcome.done == {"a": "a", "e": "e"}
    assert str(outcome.failed["b"]) == "sc010/sh0020: no such lamp"
    assert outcome.left_out == {"c": "b", "d": "c"}


class Desk:
    """Pieces that say when they begin and end, and wait until they are told to go on."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.most: dict[str, int] = {}
        self._now: dict[str, int] = {}
        self._lock = threading.Lock()

    def piece(
        self, name: str, lane: str, takes_s: float = 0.01, wait_for: threading.Event | None = None
    ) -> Callable[[], str]:
        def run() -> str:
            with self._lock:
                self.begun.append(name)
                self._now[lane] = self._now.get(lane, 0) + 1
                self.most[lane] = max(self.most.get(lane, 0), self._now[lane])
            if wait_for is not None:
                assert wait_for.wait(20)
            time.sleep(takes_s)
            with self._lock:
                self._now[lane] -= 1
            return name

        return run


LANES = {"device": 2, "remote": 4}


def test_every_lane_has_its_own_limit_and_none_waits_for_another() -> None:
    desk, drawn = Desk(), threading.Event()
    last = desk.piece("cpu7", "cpu")

    def draw_last() -> str:
        name = last()
        drawn.set()
        return name

    # What is slow stands first and ends only when the whole CPU lane has been worked off.
    work = {
        f"{lane}{n}": Work(desk.piece(f"{lane}{n}", lane, wait_for=drawn), lane=lane)
        for lane in ("device", "remote")
        for n in range(6)
    }
    work |= {f"cpu{n}": Work(desk.piece(f"cpu{n}", "cpu", 0.05)) for n in range(7)}
    work["cpu7"] = Work(draw_last, tuple(f"cpu{n}" for n in range(7)))
    outcome = run_all(work, jobs=3, stop=threading.Event(), lanes=LANES)
    assert sorted(outcome.done) == sorted(work)
    assert desk.most == {"device": 2, "remote": 4, "cpu": 3}


def test_a_lane_works_one_setup_off_before_it_begins_another() -> None:
    desk = Desk()

    def piece(name: str, *needs: str) -> Work[str]:
        return Work(desk.piece(name, "device", 0.03), needs, "device", name[0])

    work = {
        "a1": piece("a1"), "b1": piece("b1"), "a2": piece("a2", "a1"), "b2": piece("b2"),
        "a3": piece("a3", "a2"), "a4": piece("a4", "b2"), "a5": piece("a5", "a4"),
    }  # fmt: skip
    run_all(work, jobs=1, stop=threading.Event(), lanes=LANES)
    assert desk.begun[:3] == ["a1", "a2", "a3"], "the second place stays free for a2 and a3"
    assert sorted(desk.begun[3:5]) == ["b1", "b2"]
    assert desk.begun[5:] == ["a4", "a5"], "what waits for another setup holds nothing up"


def test_a_lane_may_choose_what_begins() -> None:
    desk, seen = Desk(), list[LaneView]()

    def last(view: LaneView) -> str:
        seen.append(view)
        return view.ready[-1]

    work = {
        name: Work(desk.piece(name, "device"), needs, "device", name[0])
        for name, needs in {"a1": (), "a2": ("a1",), "b1": (), "b2": ("b1",)}.items()
    }
    lanes = {"device": Lane(1, last)}
    outcome = run_all(work, jobs=1, stop=threading.Event(), lanes=lanes)
    assert desk.begun == ["b1", "b2", "a1", "a2"]
    assert outcome.done.keys() == work.keys()
    assert seen[0] == LaneView(ready=["a1", "b1"], under_way=[], blocked=["a2", "b2"])


def test_a_limit_may_change_and_a_lane_may_wait_with_nothing_under_way() -> None:
    desk = Desk()
    limits = iter([0, 0, 1, 1, *[4] * 1000])
    asked = iter(["", "", *["x"] * 1000])
    work = {f"{n}": Work(desk.piece(f"{n}", "device", 0.05), lane="device") for n in range(12)}
    lane = Lane(lambda: next(limits), lambda view: next(asked) and view.ready[0])
    outcome = run_all(work, jobs=1, stop=threading.Event(), lanes={"device": lane})
    assert outcome.done.keys() == work.keys()
    assert desk.most == {"device": 4}


def test_a_lane_that_never_chooses_ends_when_stopped() -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(CancelledError):
        run_all({"a": Work(int)}, jobs=1, stop=stop, lanes={"cpu": Lane(1, lambda _: "")})


def test_what_is_optional_is_done_last_and_dropped_at_the_end() -> None:
    desk, warm = Desk(), threading.Event()

    def warmed() -> str:
        warm.set()
        return "warm0"

    work: dict[str, Work[str]] = {"warm0": Work(warmed, optional=True)}
    for n in range(1, 9):
        work[f"warm{n}"] = Work(desk.piece(f"warm{n}", "cpu", 0.2), ("cpu0",), optional=True)
    work["cpu0"] = Work(desk.piece("cpu0", "cpu"))
    work["slow"] = Work(desk.piece("slow", "device", 0.3, wait_for=warm), lane="device")
    outcome = run_all(work, jobs=1, stop=threading.Event(), lanes=LANES)
    assert desk.begun[0] == "cpu0" or desk.begun[:2] == ["slow", "cpu0"]
    assert {"warm0", "slow", "cpu0"} <= outcome.done.keys()
    assert len(outcome.done) < len(work)
    assert not outcome.left_out


def test_a_thousand_pieces_cost_little() -> None:
    work = {
        f"{n}": Work(str, (f"{n - 1}",) if n % 5 else (), "device", f"{n % 3}") for n in range(1000)
    }
    began = time.process_time()
    assert len(run_all(work, jobs=2, stop=threading.Event(), lanes=LANES).done) == 1000
    assert time.process_time() - began < 5


def test_stop_ends_the_run_soon_and_starts_nothing_more() -> None:
    stop = threading.Event()
    started: list[int] = []

    def slow(number: int) -> Callable[[], None]:
        def run() -> None:
            started.append(number)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                if stop.wait(0.01):
                    raise CancelledError("cancelled")

        return run

    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    with pytest.raises(CancelledError):
        run_all({str(n): Work(slow(n)) for n in range(10)}, jobs=2, stop=stop)
    assert time.monotonic() - began < 5
    assert sorted(started) == [0, 1]


def test_a_defect_rises_as_it_is_and_stops_the_others() -> None:
    stop = threading.Event()

    def broken() -> None:
        raise ZeroDivisionError("a defect")

    with pytest.raises(ZeroDivisionError):
        run_all({"a": Work(broken)}, jobs=1, stop=stop)
    assert stop.is_set()


def test_a_circle_is_refused_not_waited_for() -> None:
    with pytest.raises(ValueError, match="needs what is not there"):
        run_all({"a": Work(int, ("b",)), "b": Work(int, ("a",))}, jobs=1, stop=threading.Event())


def test_errors_cross_processes_whole() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(MediaError("torn", where="a.mp4", todo="render again")))
    assert str(error) == "a.mp4: torn; render again"
