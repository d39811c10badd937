"""Models of a device: warm, in one pair of hands at a time, gone when room is short."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from generator.local import pool as pools
from generator.local.device_lock import DeviceLock
from generator.local.family import Placing
from generator.local.pool import ModelPool, PartKey, shared_pool
from media.errors import CancelledError


class Weights:
    """Something that can be seen to be gone."""


def key(model: str, part: Any = "denoiser") -> PartKey:
    return PartKey(model, part, Placing())


def use(pool: ModelPool, name: str, load: Callable[[], Any] = Weights) -> Any:
    with pool.lease(key(name), load) as part:
        return part.value


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def pool() -> ModelPool:
    return ModelPool("cpu")


def test_a_part_is_loaded_once_and_stays(pool: ModelPool) -> None:
    assert use(pool, "a") is use(pool, "a", lambda: pytest.fail("loaded again"))
    assert use(pool, "b") is not use(pool, "a")
    assert pool.loaded == (key("b"), key("a"))


def test_the_longest_unused_goes_first_and_its_memory_with_it(
    pool: ModelPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = {name: weakref.ref(use(pool, name)) for name in ("a", "b", "c")}
    use(pool, "a")
    free = {0: 10, 1: 50, 2: 90, 3: 100}
    monkeypatch.setattr(pools, "free_bytes", lambda device: free[3 - len(pool.loaded)])
    pool.make_room(90)
    assert pool.loaded == (key("a"),)
    assert [gone[name]() is None for name in "abc"] == [False, True, True]
    pool.make_room(1000)
    assert pool.loaded == ()


def test_what_is_in_use_stays(pool: ModelPool) -> None:
    use(pool, "idle")
    with pool.lease(key("a"), Weights):
        assert pool.drop_idle()
        pool.clear()
        pool.drop("a", "denoiser")
        assert pool.loaded == (key("a"),)
    assert not pool.drop_idle(besides=key("a"))
    assert pool.loaded == ()


def test_one_part_of_a_model_is_dropped_alone(pool: ModelPool) -> None:
    for part in ("encoder", "denoiser"):
        with pool.lease(key("a", part), Weights):
            pass
    pool.drop("a", "encoder")
    assert pool.loaded == (key("a"),)


def test_a_failed_load_leaves_nothing(pool: ModelPool) -> None:
    def fail() -> None:
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        use(pool, "a", fail)
    assert pool.loaded == ()
    assert use(pool, "a")


def test_what_its_user_spoilt_is_dropped(pool: ModelPool) -> None:
    with pool.lease(key("a"), Weights) as part:
        part.spoilt = True
    assert pool.loaded == ()


def test_a_second_thread_waits_for_the_part(pool: ModelPool) -> None:
    got: list[Any] = []
    with pool.lease(key("a"), Weights) as part:
        waiting = in_thread(lambda: got.append(use(pool, "a")))
        time.sleep(0.1)
        assert got == []
    waiting.join(5)
    assert got == [part.value]


def test_the_same_thread_is_given_a_second_one(pool: ModelPool) -> None:
    # A take whose frames are half read keeps its decoder; the next take must not wait for it.
    with pool.lease(key("a"), Weights) as first, pool.lease(key("a"), Weights) as second:
        assert first.value is not second.value


def test_one_take_at_a_time_has_its_turn(pool: ModelPool) -> None:
    order: list[str] = []

    def second() -> None:
        with pool.turn():
            order.append("second")

    with pool.turn(), pool.turn():
        waiting = in_thread(second)
        time.sleep(0.1)
        order.append("first")
    waiting.join(5)
    assert order == ["first", "second"]


def test_a_lease_needs_no_turn(pool: ModelPool) -> None:
    done: list[Any] = []
    with pool.turn():
        decoding = in_thread(lambda: done.append(use(pool, "decoder")))
        decoding.join(5)
    assert len(done) == 1


def test_waiting_can_be_cancelled(pool: ModelPool) -> None:
    errors: list[BaseException] = []

    def wait_for(enter: Callable[[], Any]) -> None:
        try:
            with enter():
                pass
        except CancelledError as error:
            errors.append(error)

    with pool.turn(), pool.lease(key("a"), Weights):
        threads = [
            in_thread(lambda: wait_for(lambda: pool.turn(lambda: True))),
            in_thread(lambda: wait_for(lambda: pool.lease(key("a"), Weights, lambda: True))),
        ]
        for thread in threads:
            thread.join(5)
    assert len(errors) == 2


def test_the_device_is_locked_while_models_are_on_it(tmp_path: Path) -> None:
    lock, other = (DeviceLock(tmp_path, "gpu") for _ in range(2))
    pool = ModelPool("cpu", lock)
    assert not lock.held
    use(pool, "a")
    assert lock.held
    with pytest.raises(CancelledError):
        other.hold(lambda: True)
    pool.clear()
    assert not lock.held
    other.hold()
    assert other.held


def test_an_idle_pool_makes_way_for_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "_IDLE_S", 0.0)
    monkeypatch.setattr(pools, "_WATCH_S", 0.05)
    lock, other = (DeviceLock(tmp_path, "gpu") for _ in range(2))
    pool = ModelPool("cpu", lock)
    with pool.lease(key("a"), Weights):
        waiting = in_thread(other.hold)
        time.sleep(0.5)
        # Not while it works.
        assert lock.held
    waiting.join(10)
    assert other.held
    assert pool.loaded == ()


def test_a_pool_between_two_takes_does_not_make_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "_IDLE_S", 60.0)
    monkeypatch.setattr(pools, "_WATCH_S", 0.02)
    lock, other = (DeviceLock(tmp_path, "gpu") for _ in range(2))
    pool = ModelPool("cpu", lock)
    use(pool, "a")
    waiting = in_thread(other.hold)
    time.sleep(0.5)
    assert pool.loaded == (key("a"),)
    pool.clear()
    waiting.join(10)
    assert other.held


def test_a_warm_pool_that_nobody_waits_for_stays_warm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "_IDLE_S", 0.0)
    monkeypatch.setattr(pools, "_WATCH_S", 0.02)
    pool = ModelPool("cpu", DeviceLock(tmp_path, "gpu"))
    use(pool, "a")
    time.sleep(0.3)
    assert pool.loaded == (key("a"),)
    pool.clear()


def test_there_is_one_pool_for_a_device() -> None:
    assert shared_pool("cpu") is shared_pool("cpu")
