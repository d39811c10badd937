"""A worker's hold on its one child process: start it, give it runs, hear how they ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

__all__ = ["Ended", "WarmChild"]

_CHILD = (sys.executable, "-m", "flows.farm.child")
_LONGEST_LINE = 1 << 20
_READY_WITHIN_S = 300.0
"""Python, Prefect and ffmpeg from a slow disk; models are loaded later, by the runs."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run left the child. With nothing said it has told the server itself."""

    died: str = ""
    """How the process died under the run, or empty."""
    error: str = ""
    """What Prefect's engine could not settle itself, or empty."""
    lost: str = ""
    """Why nobody can say how it ended, which is not its own fault, or empty."""
    beside: str = ""
    """How the process died under it that is taken to have died of something else, or empty."""
    state: str = ""
    """Type of the last state that the engine knew of, or empty."""
    state_name: str = ""

    @property
    def is_untold(self) -> bool:
        """Whether the server has to be told by somebody else."""
        return bool(self.died or self.error or self.lost or self.beside)


class _StartError(Exception):
    """The process did not start; says how it ended."""


@dataclass(eq=False, slots=True)
class WarmChild:
    """One long-lived process that runs flow runs, started when it is needed.

    All methods belong to one event loop.
    """

    worker: str
    pool: str
    on_death: Callable[[str], None] = lambda died: None
    command: tuple[str, ...] = _CHILD
    at_work: set[UUID] = field(default_factory=set)
    """Runs that use the process's cores now; the others wait for something elsewhere."""
    _process: Process | None = None
    _ready: asyncio.Future[None] | None = None
    _runs: dict[UUID, asyncio.Future[Ended]] = field(default_factory=dict)
    _reading: asyncio.Task[None] | None = None
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _closed: bool = False

    @property
    def pid(self) -> int:
        """Of the process; 0: there is none."""
        return self._process.pid if self._process is not None else 0

    async def run(self, flow_run: UUID) -> Ended:
        """Have the child run it, and wait until it is done or the child has died."""
        async with self._starting:
            if self._process is None and not self._closed:
                try:
                    await self._start()
                except (_StartError, OSError) as error:
                    return Ended(lost=f"the process of its worker did not start: {error}")
        if self._process is None:
            return Ended(lost="its worker was stopped")
        ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._runs[flow_run] = ended
        self._say(run=str(flow_run))
        try:
            return await ended
        finally:
            self._runs.pop(flow_run, None)

    def stop(self, flow_run: UUID) -> None:
        """End a run at its next step, as cancelled."""
        self._say(stop=str(flow_run))

    async def kill(self) -> None:
        """End the process and all that it started, now; runs under way are told that it died."""
        if (process := self._process) is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if self._reading is not None:
            await self._reading

    async def close(self) -> None:
        """As `kill`, and start none again."""
        self._closed = True
        await self.kill()

    async def _start(self) -> None:
        # A group of its own, so that it can be ended with the ffmpeg processes that it started.
        process = await asyncio.create_subprocess_exec(
            *self.command, self.worker, self.pool, stdin=PIPE, stdout=PIPE,
            limit=_LONGEST_LINE, start_new_session=True,
        )  # fmt: skip
        self._process = process
        self._ready = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(process))
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), _READY_WITHIN_S)
        except TimeoutError:
            await self.kill()
            raise _StartError(f"not ready after {_READY_WITHIN_S:.0f} s") from None

    def _say(self, **message: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            # To a process that has just died the line is lost, and `_read` says so to its runs.
            with suppress(ConnectionError, RuntimeError):
                self._process.stdin.write((json.dumps(message) + "\n").encode())

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        assert self._ready is not None
        while line := await process.stdout.readline():
            answer = _answer(line)
            if "ready" in answer and not self._ready.done():
                self._ready.set_result(None)
            if "works" in answer:
                self.at_work.add(UUID(answer["works"]))
            if "waits" in answer:
                self.at_work.discard(UUID(answer["waits"]))
            if "ended" in answer:
                self._settle(UUID(answer.pop("ended")), _ended(answer))
        code = await process.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # what it left behind
        self._process = None
        died = _cause(code)
        self.on_death(died)
        self.at_work.clear()
        if not self._ready.done():
            self._ready.set_exception(_StartError(died))
        for flow_run in list(self._runs):
            self._settle(flow_run, Ended(died=died))

    def _settle(self, flow_run: UUID, ended: Ended) -> None:
        waiting = self._runs.get(flow_run)
        if waiting is not None and not waiting.done():
            waiting.set_result(ended)


def _answer(line: bytes) -> dict[str, Any]:
    """What the child says; nothing in a line that is not its own."""
    try:
        answer = json.loads(line)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _ended(answer: dict[str, Any]) -> Ended:
    return Ended(
        error=str(answer.get("error", "")),
        lost=str(answer.get("lost", "")),
        state=str(answer.get("state", "")),
        state_name=str(answer.get("state_name", "")),
    )


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    names = {number.value: number.name for number in signal.Signals}
    hint = ", which is what a machine does that is out of memory" if code == -signal.SIGKILL else ""
    return f"{names.get(-code, f'signal {-code}')}{hint}"
