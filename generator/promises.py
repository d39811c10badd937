"""What the runs of a film that are under way may still spend, so that two at once keep one cap.

What a run is allowed to make stands in the store as its promise, from when it was allowed until
it is made, and other runs of the film count it like what is spent. Runs count one after the other.
A promise holds as long as its run lives: the lock on its file tells, and on a store that machines
share that it is written again every few seconds, by the store's own clock.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from generator.budget import Allowance, require_budget
from generator.history import film_name
from generator.plan import Plan, ShotJob
from generator.takes import TakeStore, spent_usd
from media.errors import CancelledError, StoreError, translate_os_errors
from media.files import file_lock, write_atomic
from media.leases import hold_lease
from media.object_store import ObjectStore
from media.patience import Patience
from media.shared_store import shared_objects
from media.store import ContentStore

__all__ = ["allowance"]

_FOLDER = "promises"
_RENEW_S, _GONE_S = 10.0, 60.0
_LAST_WORDS_S = 5.0
"""A promise that could not be withdrawn is void a minute later."""

Takes = Mapping[str, tuple[str, float]]
"""By key of a take, what is paid for it: the name of the payment, and its quote in USD."""


@contextmanager
def allowance(
    plan: Plan, store: TakeStore, should_stop: Callable[[], bool] = lambda: False
) -> Iterator[Allowance]:
    """What fits the film's caps beside what is spent and what other runs may still spend.

    It is this run's to spend until the end of the block. BudgetError as `require_budget`,
    StoreError when the store cannot be written, CancelledError.
    """
    budget = plan.film.budget
    # What another run has made since the plan is quoted in it, and not spent besides.
    own = [job.key for job in plan.missing]
    alone = require_budget(plan, budget, spent_usd=spent_usd(plan.film, store, own))
    if budget.usd is None or not any(job.quote.usd for job in alone.jobs):
        yield alone
        return
    with _counting(plan, store.entries, should_stop) as counting:
        made = store.entries.details_of(counting.keys()).keys()
        allowed = require_budget(
            plan,
            budget,
            spent_usd=spent_usd(plan.film, store, own),
            promised_usd=counting.promised_usd(plan.missing, made),
        )
        counting.promise(allowed.jobs)
        yield allowed


@dataclass(frozen=True, slots=True)
class _Counting:
    """A run of the film that is about to count; nobody else does until it has promised."""

    others: tuple[Takes, ...]
    """What other runs may still make."""
    promise: Callable[[Sequence[ShotJob]], None]
    """Write down what this run may make. To be called once, or not at all."""

    def promised_usd(self, own: Sequence[ShotJob], made: Collection[str]) -> float:
        """What the others may still spend, but for takes that are `made` or among our `own`."""
        paid = {_payment(job) for job in own}
        paid |= {one for takes in self.others for key, (one, _) in takes.items() if key in made}
        usd: dict[str, float] = {}
        for takes in self.others:
            for payment, quote in takes.values():
                if payment not in paid:
                    usd[payment] = max(quote, usd.get(payment, 0.0))
        return sum(usd.values())

    def keys(self) -> set[str]:
        """Of all takes that others may still make."""
        return {key for takes in self.others for key in takes}


@contextmanager
def _counting(
    plan: Plan, store: ContentStore, should_stop: Callable[[], bool]
) -> Iterator[_Counting]:
    """To count in; what was promised then holds until the end of the block."""
    desk = _desk(plan, store, should_stop)
    with ExitStack() as held, ExitStack() as alone:
        desk.enter_alone(alone)

        def promise(jobs: Sequence[ShotJob]) -> None:
            text = {job.key: (_payment(job), job.quote.usd) for job in jobs if job.quote.usd}
            desk.write(json.dumps(text).encode(), held)
            alone.close()

        yield _Counting(tuple(map(_read, desk.others())), promise)


@dataclass(slots=True)
class _Here:
    """The promises on a folder, each a file with a lock."""

    folder: Path
    should_stop: Callable[[], bool]

    def enter_alone(self, alone: ExitStack) -> None:
        alone.enter_context(file_lock(self.folder / "counting.lock", should_stop=self.should_stop))

    def others(self) -> list[bytes]:
        found = []
        for path in sorted(self.folder.glob("*.json")):
            lock = path.with_suffix(".lock")
            with suppress(StoreError), file_lock(lock, timeout_s=0.0):
                _remove(path)  # its run is gone
                continue
            with translate_os_errors("read", path), suppress(FileNotFoundError):
                found.append(path.read_bytes())
        return found

    def write(self, data: bytes, held: ExitStack) -> None:
        path = self.folder / f"{uuid.uuid4().hex}.json"
        held.enter_context(file_lock(path.with_suffix(".lock"), timeout_s=0.0))
        held.callback(_remove, path)
        write_atomic(path, data)


@dataclass(slots=True)
class _Shared:
    """The promises on an object store, each an object that is written again and again."""

    objects: ObjectStore
    folder: str
    here: _Here
    """Runs of one machine wait for each other here, and at once."""
    should_stop: Callable[[], bool]

    def enter_alone(self, alone: ExitStack) -> None:
        self.here.enter_alone(alone)
        patience = Patience(self.objects.patience.seconds, self.should_stop)
        alone.enter_context(
            hold_lease(
                self.objects, f"leases/{self.folder}", uuid.uuid4().hex, patience,
                is_over=lambda: False,
            )
        )  # fmt: skip

    def others(self) -> list[bytes]:
        # What is written now has the time that it is by the store's clock.
        clock = f"{self.folder}/clock"
        self.objects.write(clock, uuid.uuid4().bytes)
        listed = self.objects.list(self.folder)
        self.objects.delete(clock)
        now = max((one.modified for one in listed if one.name == clock), default=0.0)
        found = []
        for one in listed:
            if one.name == clock:
                continue
            if now - one.modified > _GONE_S:
                self.objects.delete(one.name)
            elif (data := self.objects.read(one.name)) is not None:
                found.append(data)
        return found

    def write(self, data: bytes, held: ExitStack) -> None:
        name, over = f"{self.folder}/{uuid.uuid4().hex}.json", Event()
        self.objects.write(name, data)

        def renew() -> None:
            while not over.wait(_RENEW_S):
                # One try each time: the next comes soon, and none after it was withdrawn.
                with suppress(StoreError, CancelledError):
                    self.objects.write(name, data, Patience(0.0, over.is_set))

        renewing = Thread(target=renew, name="takeboard-promise", daemon=True)
        renewing.start()

        def withdraw() -> None:
            over.set()
            renewing.join(_RENEW_S)
            with suppress(StoreError):
                # Also of a run that was told to stop, which asks the store for nothing else.
                self.objects.delete(name, Patience(_LAST_WORDS_S))

        held.callback(withdraw)


def _desk(plan: Plan, store: ContentStore, should_stop: Callable[[], bool]) -> _Here | _Shared:
    name = f"{_FOLDER}/{film_name(store, plan.film)}"
    here = _Here(store.root / name, should_stop)
    objects = shared_objects(store.root)
    return here if objects is None else _Shared(objects, name, here, should_stop)


def _payment(job: ShotJob) -> str:
    """Takes that are cut from one generation are paid for once."""
    return job.generation or job.key


def _read(data: bytes) -> Takes:
    """What a run has promised; nothing where another version of Takeboard wrote it."""
    try:
        return {str(key): (str(name), float(usd)) for key, (name, usd) in json.loads(data).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _remove(path: Path) -> None:
    for one in (path, path.with_suffix(".lock")):
        with suppress(OSError):
            one.unlink(missing_ok=True)
