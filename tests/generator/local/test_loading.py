"""A load waits until nothing computes; computing waits for a load; one load at a time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from generator.local.loading import computing, loading
from media.errors import CancelledError


def test_nothing_computes_while_something_loads() -> None:
    inside = {"computing": 0, "loading": 0}
    met: list[str] = []
    most = [0]
    lock = threading.Lock()

    def enter(what: str) -> None:
        with lock:
            inside[what] += 1
            most[0] = max(most[0], inside["computing"])
            if inside["loading"] and (inside["computing"] or inside["loading"] > 1):
                met.append(str(inside))

    def work(index: int) -> None:
        what, gate = ("loading", loading) if index % 5 == 0 else ("computing", computing)
        with gate():
            enter(what)
            time.sleep(0.002)
            with lock:
                inside[what] -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))
    assert not met
    assert most[0] > 1


def test_a_load_is_not_kept_waiting_by_new_work() -> None:
    began, loaded = threading.Event(), threading.Event()

    def load() -> None:
        with loading():
            loaded.set()

    with computing():
        loader = threading.Thread(target=load)
        loader.start()
        began.wait(0.1)
        stopped = time.monotonic() + 0.3
        with pytest.raises(CancelledError), computing(lambda: time.monotonic() > stopped):
            pass
        assert not loaded.is_set()
    loader.join(5)
    assert loaded.is_set()
    with computing():
        pass


def test_a_load_that_is_cancelled_lets_others_go_on() -> None:
    with computing(), pytest.raises(CancelledError), loading(lambda: True):
        pass
    with computing():
        pass
