"""The pool: order by need, failures contained, cancellation prompt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.pool import Work, run_all
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
