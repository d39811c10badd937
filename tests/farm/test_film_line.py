"""Many films before one worker: who gets a place, who is told what, who is blamed for a death."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import LogCreate
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse

from flows.farm import film_line
from flows.farm.blame import Blame
from flows.farm.deaths import RESCHEDULED
from flows.farm.dispatch import Waiting
from flows.farm.film_line import FilmLine
from flows.farm.names import CPU_POOL, KEPT_FOR_URGENT, QUEUES, SLOTS
from flows.farm.taking import together

URGENT, NORMAL = QUEUES["urgent"], QUEUES["normal"]


def film(name: str, urgency: int = NORMAL, *, suspect: bool = False) -> Waiting:
    return Waiting(name, "", urgency=urgency, suspect=suspect)


def taken(waiting: Sequence[Waiting], free: int, kept: int = 2) -> list[str]:
    return [one.id for one in together(waiting, [], free, alone=False, kept=kept)]


def test_some_places_are_for_urgent_films_alone() -> None:
    many = [film(f"n{number}") for number in range(9)]
    assert taken(many, free=5) == ["n0", "n1", "n2"]
    assert taken(many, free=2) == []
    urgent = [film("u0", URGENT), film("u1", URGENT), film("u2", URGENT)]
    assert taken([*urgent[:1], *many], free=2) == ["u0"]
    assert taken([*urgent, *many], free=5) == ["u0", "u1", "u2"]
    assert taken([*urgent, *many], free=2) == ["u0", "u1"]
    assert taken(many, free=0) == []


def test_fifty_films_and_an_urgent_one_have_a_place() -> None:
    variants = [film(f"v{number}") for number in range(50)]
    kept = KEPT_FOR_URGENT[CPU_POOL]
    assert len(together(variants, [], SLOTS[CPU_POOL], alone=False, kept=kept)) == 50
    full = [film(f"n{number}") for number in range(SLOTS[CPU_POOL])]
    under_way = together(full, [], SLOTS[CPU_POOL], alone=False, kept=kept)
    free = SLOTS[CPU_POOL] - len(under_way)
    assert together([film("u", URGENT)], under_way, free, alone=False, kept=kept)


def test_a_suspect_holds_up_no_film_but_other_suspects() -> None:
    waiting = [film("s0", suspect=True), film("s1", suspect=True), film("n0"), film("n1")]
    assert taken(waiting, free=9) == ["s0", "n0", "n1"]


@dataclass
class Server:
    """Knows queues, and keeps what it is told."""

    logs: list[LogCreate] = field(default_factory=list)
    queues: dict[str, UUID] = field(default_factory=lambda: {name: uuid4() for name in QUEUES})
    asked: int = 0

    async def read_work_queues(self, work_pool_name: str) -> list[Any]:
        self.asked += 1
        return [SimpleNamespace(id=queue, name=name) for name, queue in self.queues.items()]

    async def create_logs(self, lines: Sequence[LogCreate]) -> None:
        self.logs += lines

    def due(self, queue: str, **run: Any) -> WorkerFlowRunResponse:
        flow_run = FlowRun(flow_id=uuid4(), **run)
        return WorkerFlowRunResponse(
            work_pool_id=uuid4(), work_queue_id=self.queues[queue], flow_run=flow_run
        )

    def said(self) -> list[str]:
        said = [line.message for line in self.logs]
        self.logs.clear()
        return said


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def line(server: Server, monkeypatch: pytest.MonkeyPatch) -> FilmLine:
    monkeypatch.setattr(film_line, "_TOLD_AFTER_S", 0.0)
    return FilmLine("mill", 64, 8, lambda: cast(PrefectClient, server))


def test_a_film_is_as_urgent_as_its_queue(server: Server, line: FilmLine) -> None:
    async def look() -> None:
        due = [server.due("urgent"), server.due("later"), server.due("normal")]
        assert [one.urgency for one in await line.in_line(due)] == [1, 3, 2]
        await line.in_line(due)
        assert server.asked == 1

    asyncio.run(look())


def test_what_waits_is_told_how_many_come_before_and_what_to_do(
    server: Server, line: FilmLine
) -> None:
    async def look() -> None:
        waiting = [film(str(uuid4())) for _ in range(2)]
        await line.tell(waiting, free=8)
        first, second = server.said()
        assert first == (
            "waits for a place: all 56 of mill are taken; it is the next (asked for with "
            "--urgency urgent it begins at once; takeboard worker --pool cpu on another machine "
            "makes more places)"
        )
        assert "all 56 of mill are taken; 1 film before it (" in second
        await line.tell([film(str(uuid4()), URGENT)], free=0)
        (urgent,) = server.said()
        assert "all 64 of mill are taken" in urgent
        assert "--urgency" not in urgent

    asyncio.run(look())


def test_it_is_told_again_only_when_it_moved_up_and_not_often(
    server: Server, line: FilmLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look() -> None:
        one, two = film(str(uuid4())), film(str(uuid4()))
        await line.tell([one, two], free=8)
        assert len(server.said()) == 2
        await line.tell([two], free=8)
        assert server.said() == []
        monkeypatch.setattr(film_line, "_TOLD_AGAIN_S", 0.0)
        await line.tell([two], free=8)
        (said,) = server.said()
        assert "it is the next" in said
        await line.tell([two], free=8)
        assert server.said() == []

    asyncio.run(look())


def test_another_worker_has_time_to_take_it(server: Server) -> None:
    line = FilmLine("mill", 64, 8, lambda: cast(PrefectClient, server))
    asyncio.run(line.tell([film(str(uuid4()))], free=8))
    assert server.said() == []


def test_of_films_that_wait_for_another_suspect_nothing_is_said_of_places(
    server: Server, line: FilmLine
) -> None:
    asyncio.run(line.tell([film(str(uuid4()), suspect=True)], free=40))
    assert server.said() == [
        "waits: films whose process has died are begun one by one; it is the next"
    ]


def blamed(
    blame: Blame, films: int, at_work: Sequence[int] = (), suspects: Sequence[int] = ()
) -> set[int]:
    """Which of so many films are blamed for the death of their process."""
    runs = [uuid4() for _ in range(films)]
    under_way = {run: film(str(run), suspect=number in suspects) for number, run in enumerate(runs)}
    return {runs.index(run) for run in blame.of(under_way, {runs[one] for one in at_work})}


def test_a_film_that_only_waited_is_not_blamed_for_the_death_of_its_process() -> None:
    blame = Blame(films=True)
    assert blamed(blame, 60, at_work=(3, 7)) == {3, 7}
    assert blamed(blame, 60, at_work=(3, 7), suspects=(7,)) == {7}
    assert blamed(blame, 60, at_work=(3, 7), suspects=(20,)) == {3, 7}


def test_when_no_film_was_at_work_it_is_nobodys_fault_but_not_again_and_again() -> None:
    now = [0.0]
    blame = Blame(films=True, now=lambda: now[0])
    assert blamed(blame, 3) == set()
    assert blamed(blame, 3) == set()
    assert blamed(blame, 3) == {0, 1, 2}
    assert blamed(blame, 3, suspects=(1,)) == {1}
    now[0] += 601
    assert blamed(blame, 3) == set()


def test_of_takes_it_is_not_known_which_was_at_work() -> None:
    blame = Blame(films=False)
    assert blamed(blame, 2) == {0, 1}
    assert blamed(blame, 2, suspects=(1,)) == {1}


def test_what_a_pool_says_of_a_suspect_reaches_the_line(server: Server, line: FilmLine) -> None:
    async def look() -> None:
        (one,) = await line.in_line([server.due("normal", state_name=RESCHEDULED)])
        assert one.suspect

    asyncio.run(look())
