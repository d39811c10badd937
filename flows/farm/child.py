"""The process behind a worker: it lives as long as it can, keeps models loaded, and runs flow runs.

    python -m flows.farm.child WORKER POOL

It reads lines of JSON from its standard input and answers on its standard output:

    {"run": FLOW_RUN_ID}    →  {"ended": FLOW_RUN_ID, "state": …, "state_name": …} or, when the
                               engine did not come to its end, with "error" or "lost": why
    {"stop": FLOW_RUN_ID}      ends the run at its next step, as cancelled

and says of a film {"works": FLOW_RUN_ID} while it uses the cores, and {"waits": …} when it does
not: what dies is more likely to have died of the former.

Each run has a thread of its own. When the worker is gone, so is the input, and this process ends
at once with everything that it started: nobody would hear of what it makes.

This is the one place that calls `prefect.flow_engine`, which Prefect does not promise to keep
(tests/farm/test_child.py holds what is used of it).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextvars import copy_context
from inspect import iscoroutine
from typing import Any, TextIO
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Abort, Pause
from prefect.flow_engine import run_flow

from flows.farm.asking import is_away
from flows.farm.last_word import say_that_it_waits
from flows.farm.seat import THIS_SEAT, Seat
from flows.farm.shot import shot
from flows.farm.watching import RunWatch
from flows.preview import preview
from flows.produce import produce
from flows.settings import read_settings
from flows.turns import Turns
from generator.backends.registry import InstalledBackends

__all__ = ["FLOWS", "Child", "main"]

FLOWS: Mapping[str, Flow[..., Any]] = {flow.name: flow for flow in (produce, preview, shot)}
"""What a worker can run, by the name that Prefect knows it by."""


def main() -> None:
    """Serve the worker that started this process until it closes our input."""
    worker, pool = sys.argv[1:3]
    # Whatever a library prints goes to the log: standard output is the worker's.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # A Ctrl-C in the terminal reaches the whole group; the worker decides what becomes of us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = Child(worker, pool, answers)
    child.say(ready=os.getpid())
    try:
        for line in sys.stdin:
            child.hear(json.loads(line))
    finally:
        _end_with_everything()


class Child:
    """The runs under way in this process."""

    def __init__(self, worker: str, pool: str, answers: TextIO) -> None:
        self._worker, self._pool = worker, pool
        self._answers = answers
        self._saying = threading.Lock()
        self._backends = InstalledBackends()
        self._client: SyncPrefectClient = get_client(sync_client=True)
        self._turns = Turns(read_settings().jobs, self._tell_work)
        self._watch = RunWatch(self._client)
        self._flow_names: dict[UUID, str] = {}
        self._stops: dict[str, threading.Event] = {}

    def hear(self, message: Mapping[str, str]) -> None:
        """Begin or stop a run."""
        if run := message.get("run"):
            self._stops[run] = threading.Event()
            context = copy_context()
            threading.Thread(
                target=context.run, args=(self._run, run), name=run, daemon=True
            ).start()
        elif (stop := self._stops.get(message.get("stop", ""))) is not None:
            stop.set()

    def say(self, **answer: object) -> None:
        """One line to the worker."""
        with self._saying:
            self._answers.write(json.dumps(answer) + "\n")

    def _tell_work(self, run: str, works: bool) -> None:
        self.say(**{"works" if works else "waits": run})

    def _run(self, run: str) -> None:
        ended: dict[str, str] = {}
        try:
            THIS_SEAT.set(self._seat(self._stops[run]))
            if (state := self._run_flow(UUID(run))) is not None:
                ended = {"state": state.type.value, "state_name": state.name or ""}
        except (Abort, Pause):
            pass  # the server or the flow itself decided so: suspended, or somebody else has it
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            ended = {"lost" if is_away(error) else "error": why}
            print(f"flow run {run}: {why}", file=sys.stderr, flush=True)
        finally:
            del self._stops[run]
            self.say(ended=run, **ended)

    def _seat(self, stop: threading.Event) -> Seat:
        return Seat(self._worker, self._pool, self._backends, stop, self._turns, self._watch)

    def _run_flow(self, run: UUID) -> State[Any] | None:
        flow_run = self._client.read_flow_run(run)
        name = self._flow_name(flow_run.flow_id)
        flow = FLOWS.get(name)
        if flow is None:
            raise LookupError(f"this worker knows no flow {name!r}")
        try:
            running = run_flow(flow, flow_run=flow_run, return_type="state")
            ended = asyncio.run(running) if iscoroutine(running) else running
        except Pause:
            say_that_it_waits(flow_run, name)
            raise
        return ended if isinstance(ended, State) else None

    def _flow_name(self, flow_id: UUID) -> str:
        if flow_id not in self._flow_names:
            self._flow_names[flow_id] = self._client.read_flow(flow_id).name
        return self._flow_names[flow_id]


def _end_with_everything() -> None:
    """End this process and the ffmpeg processes that it started: the worker made us their group."""
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
