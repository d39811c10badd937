"""The models of one device: loaded once, kept warm between takes, dropped when room is short.

One pool for each device of a process (`shared_pool`). A part (encoder, denoiser or decoder of a
model) is leased to one user at a time. `turn` gives the device to one take at a time for
denoising; an earlier take's decoding runs beside it with a lease of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from generator.local.device import device_name, free_bytes, free_memory
from generator.local.device_lock import DeviceLock, runtime_folder
from generator.local.family import Placing
from media.errors import CancelledError

__all__ = ["ModelPool", "Part", "PartKey", "PartName", "shared_pool"]

PartName = Literal["encoder", "denoiser", "decoder"]

_POLL_S = 0.1
_WATCH_S = 1.0

_IDLE_S = 5.0
"""A device is handed to a waiting process when nothing was done on it for so long: longer than
the gap between two takes of one film, since every hand-over loads the models anew."""


@dataclass(frozen=True, slots=True)
class PartKey:
    """What makes two loaded parts the same."""

    model: str
    """Backend id and revision."""
    part: PartName
    placing: Placing


@dataclass(eq=False, slots=True)
class Part:
    """A loaded part, in the hands of one user at a time."""

    key: PartKey
    value: Any = None
    loras: tuple[tuple[str, str, float], ...] = ()
    """Adapters that it has now."""
    user: int | None = None
    """The thread that uses it."""
    used_at: float = field(default_factory=time.monotonic)
    spoilt: bool = False
    """Set by a user who leaves it in an unknown state: it is dropped afterwards."""


class ModelPool:
    """The loaded parts of one device."""

    def __init__(self, device: str, lock: DeviceLock | None = None) -> None:
        self.device = device
        self._lock = lock
        self._parts: list[Part] = []
        self._changed = threading.Condition()
        self._owner: int | None = None
        self._depth = 0
        self._holding = threading.Lock()

    @property
    def loaded(self) -> tuple[PartKey, ...]:
        """What is loaded, the longest unused first."""
        with self._changed:
            return tuple(part.key for part in sorted(self._parts, key=lambda part: part.used_at))

    @contextmanager
    def turn(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Have the device for denoising; one take at a time, again in the same thread at will."""
        me = threading.get_ident()
        with self._changed:
            self._wait(lambda: self._owner in (None, me), should_stop)
            self._owner = me
            self._depth += 1
        try:
            yield
        finally:
            with self._changed:
                self._depth -= 1
                if not self._depth:
                    self._owner = None
                self._changed.notify_all()

    @contextmanager
    def lease(
        self,
        key: PartKey,
        load: Callable[[], Any],
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Part]:
        """The part of that key, loaded when it is not there.

        Waits while another thread uses it. A thread that uses it already, in a take whose frames
        it has half read, is given a second one.
        """
        part = self._take(key, load, should_stop)
        try:
            yield part
        finally:
            with self._changed:
                part.user = None
                part.used_at = time.monotonic()
                if part.spoilt:
                    self._parts.remove(part)
                self._changed.notify_all()

    def wait_for_others(
        self, timeout_s: float, should_stop: Callable[[], bool] = lambda: False
    ) -> bool:
        """Wait until no other thread uses a part; whether one did, and is done.

        For want of room beside an earlier take's decoding: waiting for that is cheaper than a
        slower rung. Bounded, since whoever reads those frames may have gone away.
        """
        me = threading.get_ident()
        deadline = time.monotonic() + timeout_s

        def others() -> bool:
            return any(part.user not in (None, me) for part in self._parts)

        with self._changed:
            if not others():
                return False
            self._wait(lambda: not others() or time.monotonic() > deadline, should_stop)
            return not others()

    def make_room(self, num_bytes: int) -> None:
        """Drop idle parts, the longest unused first, until so much is free or none is idle."""
        while True:
            free = free_bytes(self.device)
            if free is None or free >= num_bytes or not self._drop_oldest():
                return

    def drop_idle(self, besides: PartKey | None = None) -> bool:
        """Drop all idle parts; whether there was one with another key than `besides`."""
        with self._changed:
            idle = [part for part in self._parts if part.user is None]
            others = any(part.key != besides for part in idle)
            self._parts = [part for part in self._parts if part.user is not None]
        del idle
        free_memory(self.device)
        return others

    def drop(self, model: str, name: PartName) -> None:
        """Drop a model's idle parts of one name, however they are placed."""
        with self._changed:
            self._parts = [
                part
                for part in self._parts
                if (part.key.model, part.key.part) != (model, name) or part.user is not None
            ]
        free_memory(self.device)

    def clear(self) -> None:
        """Drop what is idle and, when nothing is in use, let other processes have the device."""
        with self._changed:
            self.drop_idle()
            if self._lock is not None and not self._parts:
                self._lock.release()

    def _take(self, key: PartKey, load: Callable[[], Any], should_stop: Callable[[], bool]) -> Part:
        me = threading.get_ident()
        with self._changed:
            self._wait(lambda: self._pick(key, me) is not None, should_stop)
            part = self._pick(key, me)
            if isinstance(part, Part):
                part.user = me
                return part
            part = Part(key, user=me)
            self._parts.append(part)
        try:
            self._hold_device(should_stop)
            part.value = load()
            part.loras = key.placing.loras
        except BaseException:
            with self._changed:
                self._parts.remove(part)
                self._changed.notify_all()
            raise
        return part

    def _pick(self, key: PartKey, me: int) -> Part | Literal["load"] | None:
        """An idle part, that one must be loaded, or None: wait."""
        same = [part for part in self._parts if part.key == key]
        idle = next((part for part in same if part.user is None), None)
        if idle is not None:
            return idle
        return None if same and all(part.user != me for part in same) else "load"

    def _wait(self, ready: Callable[[], bool], should_stop: Callable[[], bool]) -> None:
        while not ready():
            if should_stop():
                raise CancelledError("cancelled while waiting for the device", where=self.device)
            self._changed.wait(_POLL_S)

    def _drop_oldest(self) -> bool:
        with self._changed:
            idle = [part for part in self._parts if part.user is None]
            if idle:
                self._parts.remove(min(idle, key=lambda part: part.used_at))
        had = bool(idle)
        del idle
        free_memory(self.device)
        return had

    def _hold_device(self, should_stop: Callable[[], bool]) -> None:
        """Have the device's lock, and a watch that gives it up when others wait and we idle.

        Called by who has a part in use, so the watch cannot give it up meanwhile.
        """
        lock = self._lock
        if lock is None:
            return
        while not self._holding.acquire(timeout=_POLL_S):
            if should_stop():
                raise CancelledError("cancelled while waiting for the device", where=self.device)
        try:
            if not lock.held:
                lock.hold(should_stop)
                watch = threading.Thread(target=self._watch_for_others, args=(lock,), daemon=True)
                watch.start()
        finally:
            self._holding.release()

    def _watch_for_others(self, lock: DeviceLock) -> None:
        while lock.held:
            time.sleep(_WATCH_S)
            with self._changed:
                busy = self._owner is not None or any(part.user for part in self._parts)
                latest = max((part.used_at for part in self._parts), default=0.0)
                idle = not busy and time.monotonic() - latest > _IDLE_S
                if idle and lock.wanted:
                    self.clear()


@cache
def shared_pool(device: str) -> ModelPool:
    """The process's pool for `device` (`cuda:0`, `mps` or `cpu`), made when first asked for.

    A GPU is locked against other processes. The CPU is not: its memory is everybody's.
    """
    if device == "cpu":
        return ModelPool(device)
    name = f"device-{device_name(device)}"
    return ModelPool(device, DeviceLock(runtime_folder(), name))
