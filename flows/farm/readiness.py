"""What the workers of the pool `gpu` can make: told to the server, read by film flows.

Each worker keeps a Prefect variable `takeboard_worker_NAME` that says which backends are ready on
its machine, with the settings and the weights that a plan depends on (`generator/backends/told`).
A film counts on those whose workers are online by the pool's own list; a variable whose worker has
been gone for a day is removed by the next worker that comes.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING
from zlib import crc32

from flows.farm.names import GPU_POOL
from generator.backends.elsewhere import BackendsElsewhere
from generator.backends.registry import InstalledBackends
from generator.backends.told import ToldMachine, read_told, tell_machine
from generator.local.settings import LocalSettings, local_settings
from media.errors import UsageError

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient, SyncPrefectClient
    from prefect.client.schemas.objects import Worker

__all__ = [
    "FarmReadiness",
    "Telling",
    "farm_readiness",
    "forget_gone",
    "publish_readiness",
    "readiness_here",
    "readiness_of_farm",
]

_PREFIX = "takeboard_worker_"
_TAGS = ["takeboard", "readiness"]
_MISSED_S, _GONE_S = 3600.0, 86_400.0
_TELL_EVERY_S = 60.0
"""A models file that is changed, or weights that were copied, are known within a minute."""
_PAGE = 200
_LONGEST = 5000
"""Bytes of a variable's value (prefect.types.MAX_VARIABLE_VALUE_LENGTH)."""


@dataclass(frozen=True, slots=True)
class FarmReadiness:
    """What the farm could make when it was asked."""

    workers: Mapping[str, ToldMachine | None]
    """Those of the pool `gpu` that were online, by name; None: it had not told anything that
    this version can read."""
    missed: tuple[str, ...] = ()
    """Those that were seen within the hour and were not online."""

    def backends(self) -> BackendsElsewhere:
        """The installation as a film plans on it."""
        return BackendsElsewhere(self.workers)


class Telling:
    """What one worker can make, looked up anew every minute and told to the server."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._backends = InstalledBackends()
        self._told: ToldMachine | None = None
        self._first = True

    def can_make(self, setup: str) -> bool:
        """Whether this machine makes takes of the setup; nothing before it was looked up."""
        return self._told is not None and self._told.can_make(setup)

    async def tell(self, within_s: float = 30.0) -> None:
        """Look up what can be made here and tell it. A server that is silent is told later."""
        import anyio
        import httpx
        from prefect.client.orchestration import get_client
        from prefect.exceptions import PrefectException

        try:
            self._told = await anyio.to_thread.run_sync(self._look)
            with anyio.move_on_after(within_s):
                async with get_client() as client:
                    if self._first:
                        await forget_gone(client)
                    self._first = False
                    await publish_readiness(client, self._worker, self._told)
        except (httpx.HTTPError, PrefectException, UsageError, OSError) as error:
            # Also a disk of weights that does not answer now: what was told before still holds.
            log = logging.getLogger("prefect.takeboard.readiness")
            log.warning("cannot tell what this worker can make: %s", error)

    async def keep_told(self) -> None:
        """Tell it anew every minute, until cancelled."""
        import anyio

        while True:
            await anyio.sleep(_TELL_EVERY_S)
            await self.tell()

    def _look(self) -> ToldMachine:
        try:
            return tell_machine(self._backends, local_settings())
        except UsageError as error:
            logging.getLogger("prefect.takeboard.readiness").error("%s", error)
            # Nothing can be made with a models file that cannot be read.
            return tell_machine({}, LocalSettings())


async def publish_readiness(client: PrefectClient, worker: str, told: ToldMachine) -> None:
    """Have the server keep what the worker told; what it keeps already is left as it is."""
    from prefect.client.schemas.actions import VariableCreate, VariableUpdate
    from prefect.exceptions import ObjectAlreadyExists

    name, facts = _variable(worker), told.facts()
    num_chars = len(json.dumps(facts, ensure_ascii=False).encode())
    if num_chars > _LONGEST:
        raise UsageError(
            f"the models file says more than the server keeps of a worker: {num_chars} characters "
            f"of {_LONGEST}",
            where=worker,
            todo="name fewer models, parts or profiles for one worker",
        )
    kept = await client.read_variable_by_name(name)
    if kept is None:
        with suppress(ObjectAlreadyExists):
            await client.create_variable(VariableCreate(name=name, value=facts, tags=_TAGS))
    elif kept.value != facts:
        await client.update_variable(VariableUpdate(name=name, value=facts, tags=_TAGS))


async def forget_gone(client: PrefectClient) -> None:
    """Remove what workers have told that have been gone for a day."""
    from prefect.exceptions import ObjectNotFound

    for offset in count(0, _PAGE):
        with _no_pool_has_none():
            page = await client.read_workers_for_work_pool(GPU_POOL, offset=offset, limit=_PAGE)
            for worker in page:
                # By its clock this machine may be a day ahead: who is online is not gone.
                if worker.status != "ONLINE" and _gone_s(worker) > _GONE_S:
                    with suppress(ObjectNotFound):
                        await client.delete_variable_by_name(_variable(worker.name))
            if len(page) == _PAGE:
                continue
        return


def farm_readiness(client: SyncPrefectClient) -> FarmReadiness:
    """What the workers that are online now have told; nothing where there is no such pool."""
    told: dict[str, ToldMachine | None] = {}
    missed: list[str] = []
    for worker in _workers(client):
        if worker.status == "ONLINE":
            kept = client.read_variable_by_name(_variable(worker.name))
            told[worker.name] = read_told(kept.value) if kept else None
        elif _gone_s(worker) < _MISSED_S:
            missed.append(worker.name)
    return FarmReadiness(told, tuple(missed))


def readiness_here(say: Callable[[str], None]) -> FarmReadiness | None:
    """What the farm makes takes with that this machine is connected to.

    None where there is no farm, or nobody in it who has told: films are then planned for this
    machine. `say` is told when a farm that is configured does not answer.
    """
    from flows.farm.environment import connect_with_person

    try:
        server_url = connect_with_person()
    except UsageError:
        return None
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectException

    try:
        with get_client(sync_client=True) as client:
            found = farm_readiness(client)
    except (httpx.HTTPError, PrefectException):
        say(f"{server_url} does not answer: planned for the models of this machine")
        return None
    return found if any(found.workers.values()) else None


def readiness_of_farm() -> FarmReadiness:
    """What a film that the farm makes is planned with. UsageError when no farm answers."""
    from flows.farm.environment import connect_with_person

    connect_with_person()
    from flows.farm.person import farm_client

    with farm_client() as client:
        return farm_readiness(client)


def _workers(client: SyncPrefectClient) -> Iterator[Worker]:
    for offset in count(0, _PAGE):
        with _no_pool_has_none():
            page = client.read_workers_for_work_pool(GPU_POOL, offset=offset, limit=_PAGE)
            yield from page
            if len(page) == _PAGE:
                continue
        return


def _gone_s(worker: Worker) -> float:
    """Seconds since the server heard of it."""
    seen = worker.last_heartbeat_time
    return (datetime.now(UTC) - seen).total_seconds() if seen else math.inf


@contextmanager
def _no_pool_has_none() -> Iterator[None]:
    """The first worker that comes makes the pool: before that nobody is in it."""
    import httpx

    try:
        yield
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:
            raise


def _variable(worker: str) -> str:
    """Its name: lower-case letters, digits and dashes are all that a variable's may have."""
    plain = re.sub(r"[^a-z0-9_-]", "-", worker.lower())[:200]
    return _PREFIX + (plain if plain == worker else f"{plain}-{crc32(worker.encode()):08x}")
