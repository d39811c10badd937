"""One worker for each GPU of a machine that joins a farm: `takeboard worker --pool gpu`."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from flows.farm.environment import WITH_UP
from flows.farm.gpus import Gpu, find_gpus
from flows.farm.home import open_home
from flows.farm.names import GPU_POOL
from flows.farm.processes import Tended, end_all
from flows.farm.stopping import stop_signals

__all__ = ["SERVES", "TAKEBOARD", "gpus_of_crew", "tend_crew"]

TAKEBOARD = (sys.executable, "-c", "from flows.cli import main; main()")
"""The command line, whatever is on PATH."""
SERVES = "serves the pool"
"""What a worker says once the server knows of it."""

_END_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.5


def gpus_of_crew(pool: str, environ: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """The GPUs that a worker each is for; none where one worker is enough."""
    gpus = find_gpus(environ=environ) if pool == GPU_POOL else ()
    return gpus if len(gpus) > 1 else ()


def tend_crew(
    gpus: Sequence[Gpu], say: Callable[[str], None], environ: Mapping[str, str] = os.environ
) -> None:
    """Run a worker for each, started again when it dies, until Ctrl-C or SIGTERM.

    They find the farm in `environ`. UsageError when there is no private place for their logs.
    """
    home = open_home(environ)
    lifeline, ours = os.pipe()
    crew = [_member(gpu, environ, home.logs) for gpu in gpus]
    with stop_signals() as stop:
        running = {one.name: one.start(lifeline) for one in crew}
        say(f"workers {', '.join(running)}; logs in {home.logs}; Ctrl-C ends them")
        while not stop.asked.wait(_LOOK_EVERY_S):
            for one in crew:
                one.bound_log()
                if died := one.death():
                    say(died)
                if one.is_due():
                    running[one.name] = one.start(lifeline)
        say("stopping: the workers hand back what they are doing")
        end_all(list(running.values()), within_s=_END_WITHIN_S, hurry=stop.now.is_set)
        for one in crew:
            one.forget()
    os.close(ours)
    os.close(lifeline)


def _member(gpu: Gpu, environ: Mapping[str, str], logs: Path) -> Tended:
    name = f"{socket.gethostname()}-{gpu.name}"
    alone = {**environ, WITH_UP: "1", "CUDA_VISIBLE_DEVICES": gpu.uuid}
    command = (*TAKEBOARD, "worker", "--pool", GPU_POOL, "--name", name)
    return Tended(name, command, alone, logs / f"{name}.log")
