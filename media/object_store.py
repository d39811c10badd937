"""An object store, asked so that no request lasts for ever and a short outage is nobody's problem.

Every request is watched: one that moves nothing for two minutes, or whose caller is to stop, is
given up. What fails in passing (no connection, a busy or broken server) is tried again with
growing pauses until the patience is over; what will not mend by itself (keys, bucket, address) is
said at once. All of it goes through fsspec, and asks only this of a store: writes are whole or
absent, listings are true, and a write can be made conditional on the name being free.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from media.errors import CancelledError, StoreError
from media.object_faults import Fault, FaultKind, fault_of
from media.patience import Patience, patience_here, read_patience

__all__ = ["ObjectStore", "StoredObject", "open_objects"]

_log = logging.getLogger("takeboard.store")

_STALL_S = 120.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
_SAME_OUTAGE_S = 60.0
"""Failures that are further apart are two outages: nobody asked in between."""
_PART_BYTES = 5 * 2**20
"""The smallest part of an upload that S3 takes: so little is sent again, and so little held."""
_PARTS_AT_ONCE = 4

_S3_OPTIONS = {
    # Listings are kept, where they may be, by those who know how old they may be.
    "use_listings_cache": False,
    "max_concurrency": _PARTS_AT_ONCE,
    "config_kwargs": {
        "connect_timeout": 5,
        "read_timeout": 30,
        "retries": {"mode": "standard", "total_max_attempts": 1},
    },
}


_NOTHING: Mapping[FaultKind, Any] = {}
_ABSENT: Mapping[FaultKind, Any] = {"absent": None}
_TAKEN = object()


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing."""

    name: str
    """Below the store's prefix."""
    num_bytes: int
    modified: float
    """By the store's clock, in whole seconds since 1970; 0 where the store does not say."""


class ObjectStore:
    """The objects below one URL."""

    def __init__(self, url: str, filesystem: Any, patience: Patience) -> None:
        self.url, self._patience = url, patience
        self._files = filesystem
        self._prefix = str(filesystem._strip_protocol(url)).rstrip("/")
        self._is_s3 = "s3" in filesystem.protocol
        self._away_since: float | None = None
        self._last_failure = 0.0

    @property
    def patience(self) -> Patience:
        """Of whoever asks now and does not say."""
        return patience_here(self._patience)

    def read(self, name: str, patience: Patience | None = None) -> bytes | None:
        """The object's bytes, or None when there is none."""
        # Of s3fs: one request instead of a look at the size before it.
        once = {"max_concurrency": 1} if self._is_s3 else {}
        read = partial(self._files._cat_file, self._at(name), **once)
        data: bytes | None = self._asked(f"read {name}", read, patience, otherwise=_ABSENT)
        return data

    def write(self, name: str, data: bytes, patience: Patience | None = None) -> None:
        """Make the object, or replace it."""
        write = partial(self._files._pipe_file, self._at(name), data)
        self._asked(f"write {name}", write, patience)

    def create(self, name: str, data: bytes, patience: Patience | None = None) -> bool:
        """Make the object unless the name is taken; whether it is ours, be it from an earlier try.

        `data` must say who wrote it: the answer to a write that was carried out can get lost.
        """
        create = partial(self._files._pipe_file, self._at(name), data, mode="create")
        made = self._asked(f"write {name}", create, patience, otherwise={"taken": _TAKEN})
        return made is not _TAKEN or self.read(name, patience) == data

    def upload(self, path: Path, name: str, patience: Patience | None = None) -> None:
        """Make the object from a file."""
        put = partial(self._files._put_file, str(path), self._at(name))
        if self._is_s3:
            put = partial(put, chunksize=_PART_BYTES)
        self._asked(f"upload {name}", put, patience, watched=True)

    def download(self, name: str, path: Path, patience: Patience | None = None) -> bool:
        """Write the object to `path`; False when there is none. Nothing is verified."""
        get = partial(self._files._get_file, self._at(name), str(path))
        got = self._asked(f"download {name}", get, patience, otherwise=_ABSENT, watched=True)
        return got is not None

    def list(self, prefix: str, patience: Patience | None = None) -> tuple[StoredObject, ...]:
        """All objects below the folder `prefix`, by name."""
        find = partial(self._files._find, self._at(prefix), detail=True, withdirs=False)
        found = self._asked(f"list {prefix}", find, patience, otherwise=_ABSENT) or {}
        below = len(self._prefix) + 1
        return tuple(
            StoredObject(name[below:], int(facts["size"]), _modified(facts))
            for name, facts in sorted(found.items())
            if name.startswith(f"{self._at(prefix)}/")
        )

    def stat(self, name: str, patience: Patience | None = None) -> StoredObject | None:
        """The object's size and time, or None when there is none."""
        facts = self._asked(
            f"look at {name}",
            partial(self._files._info, self._at(name)),
            patience,
            otherwise=_ABSENT,
        )
        if facts is None or facts.get("type") == "directory":
            return None
        return StoredObject(name, int(facts["size"]), _modified(facts))

    def delete(self, name: str, patience: Patience | None = None) -> None:
        """Remove the object; one that is not there is removed."""
        remove = partial(self._files._rm_file, self._at(name))
        self._asked(f"remove {name}", remove, patience, otherwise=_ABSENT)

    def _at(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def _asked(
        self,
        what: str,
        ask: Callable[..., Coroutine[Any, Any, Any]],
        patience: Patience | None,
        *,
        otherwise: Mapping[FaultKind, Any] = _NOTHING,
        watched: bool = False,
    ) -> Any:
        """The answer, or what `otherwise` has for a fault that is an answer too."""
        patience = patience or self.patience
        since, pause_s = time.monotonic(), _FIRST_PAUSE_S
        while True:
            try:
                answer = self._watched(ask, patience, watched)
            except CancelledError:
                raise
            except Exception as error:
                fault = fault_of(error)
                if fault.kind != "passing":
                    self._say_back()
                    if fault.kind in otherwise:
                        return otherwise[fault.kind]
                    raise self._refused(what, fault) from None
                tried_s = time.monotonic() - min(since, self._outage_since())
                if tried_s >= patience.seconds:
                    raise self._unreachable(what, fault, tried_s) from None
                self._say_away(fault, patience)
                _wait(min(pause_s, patience.seconds - tried_s), patience, self.url)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                self._say_back()
                return True if answer is None else answer

    def _watched(
        self, ask: Callable[..., Coroutine[Any, Any, Any]], patience: Patience, watched: bool
    ) -> Any:
        """The answer of one try."""
        # A plan on a plain folder must not wait for what it does not need.
        from asyncio import run_coroutine_threadsafe

        moved = _Moved()
        if patience.should_stop():
            raise CancelledError("cancelled while using the shared store", where=self.url)
        call = ask(callback=moved) if watched else ask()
        future = run_coroutine_threadsafe(call, self._files.loop)
        try:
            while True:
                try:
                    return future.result(timeout=0.25)
                except TimeoutError:
                    if future.done():  # the answer itself is a time-out, or came just now
                        return future.result()
                if patience.should_stop():
                    raise CancelledError("cancelled while using the shared store", where=self.url)
                if time.monotonic() - moved.at > _STALL_S:
                    raise TimeoutError(f"nothing moved for {_STALL_S:g} s")
        finally:
            future.cancel()

    def _refused(self, what: str, fault: Fault) -> StoreError:
        return StoreError(f"cannot {what}: {fault.what}", where=self.url, todo=fault.todo)

    def _unreachable(self, what: str, fault: Fault, tried_s: float) -> StoreError:
        return StoreError(
            f"cannot {what}: {fault.what}, tried for {tried_s:.0f} s",
            where=self.url,
            todo="run again when the store answers: finished takes are kept",
        )

    def _outage_since(self) -> float:
        """When what fails now began to fail: patience is with an outage, not with each request."""
        now = time.monotonic()
        if self._away_since is None or now - self._last_failure > _SAME_OUTAGE_S:
            self._away_since = None
        self._last_failure = now
        return now if self._away_since is None else self._away_since

    def _say_away(self, fault: Fault, patience: Patience) -> None:
        # One line for an outage, not one for every try of every thread.
        if self._away_since is None:
            self._away_since = time.monotonic()
            _log.warning(
                "%s: %s; trying again for up to %g s", self.url, fault.what, patience.seconds
            )

    def _say_back(self) -> None:
        if self._away_since is not None:
            self._away_since = None
            _log.warning("%s answers again", self.url)


def open_objects(url: str, environ: Mapping[str, str] = os.environ) -> ObjectStore:
    """The store at `url`; nothing is asked of it yet."""
    from fsspec import filesystem
    from fsspec.asyn import AsyncFileSystem
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

    patience = read_patience(environ)
    protocol = url.partition("://")[0]
    options = _S3_OPTIONS if protocol in ("s3", "s3a") else {}
    try:
        # Of its own, because what fsspec keeps was opened with the environment of its time.
        opened = filesystem(protocol, skip_instance_cache=True, **options)
    except Exception as error:
        fault = fault_of(error)
        raise StoreError(f"cannot be opened: {fault.what}", where=url, todo=fault.todo) from None
    if not isinstance(opened, AsyncFileSystem):
        opened = AsyncFileSystemWrapper(opened, asynchronous=False)
    # Trying again is done here, where it can be watched and stopped.
    opened.retries = 1
    return ObjectStore(url, opened, patience)


class _Moved:
    """What fsspec tells of a transfer's progress; only the time of it is of interest."""

    def __init__(self) -> None:
        self.at = time.monotonic()

    def __getattr__(self, name: str) -> Callable[..., None]:
        def note(*_args: object, **_more: object) -> None:
            self.at = time.monotonic()

        return note


def _modified(facts: Mapping[str, Any]) -> float:
    when = facts.get("LastModified") or facts.get("created") or facts.get("mtime")
    timestamp = getattr(when, "timestamp", None)
    # In whole seconds, because some stores tell more of it in a listing than of one object.
    return float(math.floor(timestamp())) if timestamp else 0.0


def _wait(pause_s: float, patience: Patience, url: str) -> None:
    until = time.monotonic() + pause_s
    while (left_s := until - time.monotonic()) > 0:
        if patience.should_stop():
            raise CancelledError("cancelled while the shared store was away", where=url)
        time.sleep(min(0.2, left_s))
