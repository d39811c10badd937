"""Leases: over many machines, one at a time makes a thing.

    leases/<name>/1     written only if the name is free; its writer holds the lease
    leases/<name>/2     written likewise by who takes it over from 1; the highest number counts

A holder writes its object again every few seconds. One that stays the same for a minute, by the
clock of who watches it, has been left by a holder that is gone, and the next number may be taken;
clocks of machines need not agree. So a lease asks of a store only what a manifest asks: that a
name can be taken once.

A holder that was slow, not gone, finds out nothing and needs not: what it publishes is published
once, whoever does it, and both hold the same. A lease only saves work.
"""

from __future__ import annotations

import json
import logging
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Thread

from media.errors import CancelledError, StoreError
from media.object_store import ObjectStore
from media.patience import Patience

__all__ = ["LeaseTimes", "hold_lease"]

_log = logging.getLogger("takeboard.store")


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """How often a lease is renewed, looked at, and when it is taken over."""

    renew_s: float = 10.0
    look_s: float = 2.0
    gone_s: float = 60.0
    """Of no renewal: six in a row were missed."""


@contextmanager
def hold_lease(
    objects: ObjectStore,
    folder: str,
    owner: str,
    patience: Patience,
    *,
    is_over: Callable[[], bool],
    times: LeaseTimes | None = None,
) -> Iterator[bool]:
    """Hold the lease at `folder`; False when what it is for got done while somebody else held it.

    `owner` names who asks in such a way that two holders of one name cannot be alive at once:
    a lease of its own name was left by a process that died, and is taken over without a wait.
    """
    times = times or LeaseTimes()
    number = _acquire(objects, folder, owner, patience, is_over, times)
    if number is None:
        yield False
        return
    ended = Event()
    mine = _Mine(objects, f"{folder}/{number}", owner, times, ended)
    renewing = Thread(target=mine.renew, name="takeboard-lease", daemon=True)
    renewing.start()
    try:
        yield True
    finally:
        ended.set()
        renewing.join(times.renew_s)
        _release(objects, folder, number)


@dataclass(frozen=True, slots=True)
class _Mine:
    """The lease held here."""

    objects: ObjectStore
    name: str
    owner: str
    times: LeaseTimes
    ended: Event

    def renew(self) -> None:
        while not self.ended.wait(self.times.renew_s):
            # One try each time: the next comes soon, and an outage is for the builder to bear.
            with suppress(StoreError, CancelledError):
                self.objects.write(self.name, _facts(self.owner), Patience(0.0, self.ended.is_set))


@dataclass(slots=True)
class _Watch:
    """What a watcher saw of a lease, and since when by its own clock."""

    times: LeaseTimes
    state: tuple[int, bytes] | None = None
    since: float = 0.0
    last: float = 0.0

    def is_gone(self, state: tuple[int, bytes]) -> bool:
        """Whether the holder has not renewed for too long, now that `state` is what was seen."""
        now = time.monotonic()
        # Whoever could not look could not see a renewal, nor could the holder write one: after a
        # gap the count begins anew.
        if state != self.state or now - self.last > self.times.gone_s / 2:
            self.state, self.since = state, now
        self.last = now
        return now - self.since >= self.times.gone_s


def _acquire(
    objects: ObjectStore,
    folder: str,
    owner: str,
    patience: Patience,
    is_over: Callable[[], bool],
    times: LeaseTimes,
) -> int | None:
    """The number that was taken, or None when there is nothing left to do."""
    watch, waits = _Watch(times), False
    number = 1
    while True:
        if number:
            if objects.create(f"{folder}/{number}", _facts(owner), patience):
                highest = _highest(objects, folder, patience)
                if highest is None or highest[0] <= number:
                    break
                # Free only because who had it is done; a later one was taken over from it.
                objects.delete(f"{folder}/{number}")
            number = 0
        state = _highest(objects, folder, patience)
        if state is None:
            number = 1
        elif _said(state, "owner") == owner or watch.is_gone(state):
            number = state[0] + 1
        elif is_over():
            return None
        else:
            if not waits:
                _log.info("waiting for %s, which makes %s", _said(state, "host"), folder)
            waits = True
            _pause(times.look_s, patience, objects.url)
    # Who held it before may have been done just then.
    if is_over():
        _release(objects, folder, number)
        return None
    return number


def _highest(objects: ObjectStore, folder: str, patience: Patience) -> tuple[int, bytes] | None:
    """The lease that counts, and what it says."""
    names = [one.name.rpartition("/")[2] for one in objects.list(folder, patience)]
    highest = max((int(name) for name in names if name.isdigit()), default=0)
    said = objects.read(f"{folder}/{highest}", patience) if highest else None
    return (highest, said) if said is not None else None


def _release(objects: ObjectStore, folder: str, number: int) -> None:
    """Remove ours and those before it: the lowest first, so that ours guards them to the end."""
    with suppress(StoreError):
        for one in range(max(1, number - _OLDER), number + 1):
            objects.delete(f"{folder}/{one}", Patience(_LAST_WORDS_S))


_OLDER = 8
"""So many holders before ours can have died; more were swept."""
_LAST_WORDS_S = 5.0


def _facts(owner: str) -> bytes:
    """What a lease says: new each time, so that a renewal is seen."""
    facts = {"owner": owner, "host": socket.gethostname(), "beat": uuid.uuid4().hex}
    return json.dumps(facts).encode()


def _said(state: tuple[int, bytes], field: str) -> str:
    try:
        return str(json.loads(state[1])[field])
    except (ValueError, KeyError, TypeError):
        return ""


def _pause(pause_s: float, patience: Patience, url: str) -> None:
    until = time.monotonic() + pause_s
    while (left_s := until - time.monotonic()) > 0:
        if patience.should_stop():
            raise CancelledError("cancelled while another machine makes it", where=url)
        time.sleep(min(0.2, left_s))
