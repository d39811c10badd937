"""Runs of which their server never heard the end, and how it is told when it is met again.

Each recorded run of this machine has a small file in Prefect's home folder, locked as long as its
process lives. It goes when the server has heard how the run ended. What is left are runs whose
server had gone by then, and runs whose process was killed: without them the server would show
both as running for ever.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.settings import PREFECT_HOME

from media.errors import StoreError
from media.files import write_atomic

__all__ = ["OpenRun", "tell_unheard_ends"]

_MOST_AT_ONCE = 20
"""Told before a film: more wait for the next."""
_KILLED = State[Any](type=StateType.CRASHED, message="its process ended without a word")


class OpenRun:
    """The run of this process, until its server has heard how it ended."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._path: Path | None = None
        self._lock: int | None = None

    def begin(self, run: str) -> None:
        """The flow run `run` is under way. A disk that takes no note costs no film."""
        path = _folder() / f"{run}.json"
        with suppress(OSError, StoreError):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            write_atomic(path, json.dumps({"server": self._server}))
            self._path = path

    def heard(self) -> None:
        """The server knows how it ended."""
        if self._path is not None:
            _forget(self._path)
        self._release()

    def unheard(self, end: State[Any]) -> None:
        """It ended so, and the server does not know."""
        if self._path is not None:
            note = {
                "server": self._server,
                "type": end.type.value,
                "name": end.name,
                "message": end.message or "",
            }
            with suppress(StoreError):
                write_atomic(self._path, json.dumps(note))
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def tell_unheard_ends(server: str) -> int:
    """How many ends the server at `server`, which answers, was told of now."""
    told = tried = 0
    for path in sorted(_folder().glob("*.json")):
        if tried == _MOST_AT_ONCE:
            break
        for end in _left_behind(path, server):
            tried += 1  # one of another server, which may never come back, is none
            with suppress(httpx.HTTPError, PrefectException, ValueError):
                told += _tell(UUID(path.stem), end)
                _forget(path)
    return told


def _left_behind(path: Path, server: str) -> Iterator[State[Any]]:
    """How the run ended, if it is of that server and its process is no more."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        lock = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: it lives
            note = json.loads(path.read_text(encoding="utf-8"))
            if note["server"] != server:
                return
            kind = note.get("type")
            yield (
                State(type=StateType(kind), name=note["name"], message=note["message"])
                if kind
                else _KILLED
            )
        finally:
            os.close(lock)


def _tell(run: UUID, end: State[Any]) -> int:
    with get_client(sync_client=True) as client:
        try:
            known = client.read_flow_run(run).state
        except ObjectNotFound:
            return 0  # deleted there
        # What only seemed to have crashed, because nothing was heard of it, is known better here.
        seemed = known is not None and known.type == StateType.CRASHED and end is not _KILLED
        if known is not None and known.is_final() and not seemed:
            return 0
        client.set_flow_run_state(run, end, force=True)
        return 1


def _forget(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
        path.with_suffix(".lock").unlink(missing_ok=True)


def _folder() -> Path:
    return Path(PREFECT_HOME.value()) / "takeboard" / "runs"
