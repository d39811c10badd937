"""Serve a pool from this process until it is asked to stop."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack

import anyio
from prefect.settings import PREFECT_API_URL

from flows.farm.asking import require_let_in
from flows.farm.left_over import keep_published
from flows.farm.names import GPU_POOL, SLOTS
from flows.farm.readiness import Telling
from flows.farm.worker import WarmWorker
from flows.settings import read_settings
from generator.local.device_lock import runtime_folder
from media.errors import StoreError, UsageError
from media.files import file_lock

__all__ = ["run_worker", "worker_name"]


async def run_worker(
    pool: str,
    name: str,
    *,
    slots: int | None = None,
    can: Callable[[str], bool] | None = None,
    on_start: Callable[[], None] = lambda: None,
) -> None:
    """Serve `pool` until SIGINT or SIGTERM; what is under way then is handed back to the pool.

    A GPU's worker tells the server what its machine can make, and takes nothing else; `can` tells
    it instead for a setup. `on_start` is called once the server knows of the worker. UsageError
    when the server does not let us in, or a worker of that name runs on this machine already.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    telling = Telling(name) if pool == GPU_POOL and can is None else None
    chosen = telling.can_make if telling else can or (lambda setup: True)
    with _alone(name):
        refused: list[UsageError] = []
        worker = WarmWorker(pool, name, slots=slots or SLOTS.get(pool, 1), can=chosen)

        async def work() -> None:
            try:
                await require_let_in()
            except UsageError as error:
                refused.append(error)
                stop.set()
                return
            if telling is not None:
                await telling.tell()  # before films find the worker in the pool's list
                group.start_soon(telling.keep_told)
            if (store := read_settings().store) is not None:
                group.start_soon(keep_published, store)
            await worker.work()

        async def tell_start() -> None:
            while not worker.is_setup:
                await anyio.sleep(0.05)
            on_start()

        async with anyio.create_task_group() as group:
            group.start_soon(work)
            group.start_soon(tell_start)
            await stop.wait()
            await worker.leave()
            group.cancel_scope.cancel()
        if refused:
            raise refused[0]


def worker_name(pool: str, number: int = 0) -> str:
    """What a worker of this machine is called."""
    return f"{socket.gethostname()}-{pool}-{number}".replace("/", "-").replace("%", "-")


def _alone(name: str) -> ExitStack:
    """Held while this process bears the name: what ran under it before is handed back by it."""
    held = ExitStack()
    # Of one server: the workers of another farm on this machine may have the same names.
    server = hashlib.sha256((PREFECT_API_URL.value() or "").encode()).hexdigest()[:12]
    lock = runtime_folder() / "workers" / f"{name}@{server}.lock"
    try:
        held.enter_context(file_lock(lock, timeout_s=1.0))
    except StoreError as error:
        raise UsageError(
            f"a worker called {name} runs on this machine already",
            where=str(lock),
            todo="stop it, or give this one another name with --name",
        ) from error
    return held
