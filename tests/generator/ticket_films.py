"""Films of one shot whose takes travel as tickets."""

from __future__ import annotations

from generator.backends.base import (
    Backend,
    RenderTools,
)
from generator.keys import canonical
from generator.plan import Plan, ShotJob, plan_shots
from generator.takes import TakeStore
from generator.tickets import (
    publish_ticket,
    read_ticket,
)
from storyboards.film import Film
from tests.fakes import FakeBackend

TOOLS = RenderTools({})


def planned(film: Film, store: TakeStore, *backends: Backend) -> Plan:
    return plan_shots(film, {one.id: one for one in backends}, store.entries, {})


def one_job(film: Film, store: TakeStore) -> ShotJob:
    return planned(film, store, FakeBackend()).jobs[0]


def read_back(job: ShotJob, film: Film, store: TakeStore) -> ShotJob:
    publish_ticket(job, film, store)
    return read_ticket(job.key, store).job


def require_same(read: ShotJob, job: ShotJob) -> None:
    assert canonical(read.request) == canonical(job.request)
    assert read == job
    # 1, 1.0 and true are equal, yet different things to a backend.
    kinds = [[type(value) for _, value in one.request.options] for one in (read, job)]
    assert kinds[0] == kinds[1]
