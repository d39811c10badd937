"""A film and the runs of its takes, with a server that does as it is told."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Completed, Crashed, Failed, Running, Scheduled

from flows.farm import answers, store_patience, submit, watching
from flows.farm.deaths import SET_ASIDE, STORE_AWAY
from flows.farm.store_patience import StorePatience, is_out_of_reach
from flows.farm.submit import MOST_TRIES, FarmShots
from flows.progress import Progress
from generator.backends.base import RenderTools
from generator.plan import Plan, ShotJob, plan_shots
from generator.rendering import render_take
from generator.takes import Take, TakeStore
from generator.tickets import read_ticket
from media.errors import CancelledError, RenderError, StoreError, UsageError
from media.store import ContentStore
from tests.factories import make_film, make_shot
from tests.fakes import FakeBackend

FILM = make_film((make_shot(backends=("fake",)),))
BACKEND = FakeBackend()


@dataclass
class Run:
    """A flow run on the server."""

    state: State[Any]
    parent_task_run_id: UUID
    parameters: dict[str, Any]
    tags: list[str]
    id: UUID = field(default_factory=uuid4)


@dataclass
class Server:
    """Answers what Prefect's client asks; `end` decides how a run that was just made goes on."""

    end: Callable[[Run, int], State[Any]]
    api_url: str = "http://farm/api"
    runs: dict[str, Run] = field(default_factory=dict)
    places: dict[str, UUID] = field(default_factory=dict)
    closed: dict[UUID, State[Any]] = field(default_factory=dict)
    deployments_read: int = 0
    away: bool = False
    refuses: int = 0
    known: bool = True
    made: list[Any] = field(default_factory=list)
    """Runs of the film's takes that workers are busy with."""
    begun: int = 1
    """How often the film's own run has begun."""

    def _be_there(self) -> None:
        if self.away:
            raise httpx.ConnectError("no route")
        if self.refuses:
            request = httpx.Request("POST", self.api_url)
            answer = httpx.Response(self.refuses, request=request)
            raise httpx.HTTPStatusError("no", request=request, response=answer)

    def read_deployment_by_name(self, name: str) -> Any:
        self._be_there()
        self.deployments_read += 1
        if not self.known:
            raise ObjectNotFound(http_exc=Exception("404"))
        return SimpleNamespace(id=uuid4())

    def create_task_run(self, task: Any, flow_run: UUID, key: str, name: str) -> Any:
        self._be_there()
        return SimpleNamespace(id=self.places.setdefault(f"{flow_run}{key}", uuid4()))

    def request(
        self, method: str, path: str, path_params: dict[str, UUID], json: dict[str, Any]
    ) -> Any:
        self._be_there()
        assert path.endswith("/create_flow_run")
        assert "state" not in json, "when a run is due is the server's to say"
        key, state = json["idempotency_key"], Scheduled()
        if key in self.runs:
            state = self.runs[key].state
        else:
            parent = UUID(json["parent_task_run_id"])
            self.runs[key] = Run(state, parent, json["parameters"], json["tags"])
            self.runs[key].state = self.end(self.runs[key], len(self.runs))
        run = self.runs[key]
        made = FlowRun(
            id=run.id, flow_id=uuid4(), parent_task_run_id=run.parent_task_run_id, state=state
        )
        return SimpleNamespace(json=lambda: made.model_dump(mode="json"))

    def read_flow_run(self, run: UUID) -> Any:
        self._be_there()
        return SimpleNamespace(run_count=self.begun)

    def read_task_runs(self, **asked: Any) -> list[Any]:
        return [SimpleNamespace(id=place) for place in self.places.values()]

    def read_flow_runs(
        self, flow_run_filter: Any, limit: int, work_pool_filter: Any = None, sort: Any = None
    ) -> list[Run]:
        self._be_there()
        if work_pool_filter is not None:
            return []
        if flow_run_filter.parent_flow_run_id:
            return self.made
        if flow_run_filter.parent_task_run_id:
            parents = flow_run_filter.parent_task_run_id.any_
            return [run for run in self.runs.values() if run.parent_task_run_id in parents]
        asked = set(flow_run_filter.id.any_)
        return [run for run in self.runs.values() if run.id in asked]

    def set_flow_run_state(self, run: UUID, state: State[Any]) -> None:
        self._be_there()
        next(one for one in self.runs.values() if one.id == run).state = state

    def set_task_run_state(self, place: UUID, state: State[Any], force: bool) -> None:
        self.closed[place] = state

    def read_workers_for_work_pool(self, pool: str, limit: int) -> list[Any]:
        self._be_there()
        return [SimpleNamespace(status="ONLINE"), SimpleNamespace(status="OFFLINE")]


class Notes(Progress):
    def __init__(self) -> None:
        self.read: list[str] = []
        self.then: Callable[[], object] = lambda: None
        """Done when the first note is read."""

    def note(self, text: str) -> None:
        self.read.append(text)
        if len(self.read) == 1:
            self.then()


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit, "_POLL_S", 0.01)
    monkeypatch.setattr(submit, "_ASK_AGAIN_S", 0.05)
    monkeypatch.setattr(submit, "_LOOK_S", 0.2)
    monkeypatch.setattr(submit, "_SEEN_WITHIN_S", 0.1)
    monkeypatch.setattr(answers, "_ASK_AGAIN_S", 0.01)
    monkeypatch.setattr(watching, "_EVERY_S", 0.01)
    monkeypatch.setattr(store_patience, "_FIRST_WAIT_S", 0.01)


@dataclass
class Desk:
    """A film that asks the server for one take."""

    server: Server
    store: TakeStore
    job: ShotJob
    notes: Notes = field(default_factory=Notes)
    stop: threading.Event = field(default_factory=threading.Event)
    film_run: UUID = field(default_factory=uuid4)

    def make(self, monkeypatch: pytest.MonkeyPatch) -> Take:
        monkeypatch.setattr(submit, "get_client", lambda **_: self.server)
        shots = FarmShots(self.film_run, "normal", self.notes, self.stop)
        shots.lane([self.job])
        return shots.rendering(self.job, FILM, self.store)()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "store").mkdir()
    store = TakeStore(tmp_path / "store")
    plan: Plan = plan_shots(FILM, {"fake": BACKEND}, store.entries, {})
    return Desk(Server(lambda run, number: Failed()), store, plan.jobs[0])


def made(desk: Desk) -> State[Any]:
    """What a worker does, in one step."""
    assert read_ticket(desk.job.key, desk.store).job == desk.job
    render_take(desk.job, BACKEND, desk.store, RenderTools({}))
    return Completed()


def test_a_take_is_asked_for_with_all_that_a_worker_needs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.server.end = lambda run, number: made(desk)
    assert desk.make(monkeypatch).num_frames == desk.job.request.num_frames
    (run,) = desk.server.runs.values()
    assert run.parameters == {
        "film": FILM.title,
        "shot": desk.job.shot_id,
        "take": desk.job.take,
        "key": desk.job.key,
        "store": str(desk.store.entries.root),
        "attempt": 1,
    }
    names = {tag.partition(":")[0] for tag in run.tags}
    assert names == {
        "film", "shot", "take", "backend", "setup", "seconds", "urgency", "chain", "left",
    }  # fmt: skip
    assert not desk.server.closed, "Prefect itself follows the run that is ours"


def test_what_is_in_the_store_is_asked_of_nobody(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    render_take(desk.job, BACKEND, desk.store, RenderTools({}))
    desk.make(monkeypatch)
    assert not desk.server.runs


def test_a_film_that_was_killed_finds_its_run(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.server.end = lambda run, number: Running()
    first = threading.Thread(target=desk.make, args=(monkeypatch,))
    first.start()
    _until(lambda: bool(desk.server.runs))
    (run,) = desk.server.runs.values()
    again = threading.Thread(target=desk.make, args=(monkeypatch,))
    again.start()
    run.state = made(desk)
    first.join(10)
    again.join(10)
    assert len(desk.server.runs) == 1
    assert not desk.server.closed, "both are the film's own"


def test_two_films_share_a_run_and_each_says_so_in_its_own_list(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.server.end = lambda run, number: Running()
    other = replace(desk, film_run=uuid4())
    threads = [threading.Thread(target=one.make, args=(monkeypatch,)) for one in (desk, other)]
    for thread in threads:
        thread.start()
    _until(lambda: len(desk.server.places) == 2)
    _until(lambda: bool(desk.server.runs))
    (run,) = desk.server.runs.values()
    run.state = made(desk)
    for thread in threads:
        thread.join(10)
    assert len(desk.server.runs) == 1
    (place,) = desk.server.closed
    assert place != run.parent_task_run_id
    assert desk.server.closed[place].is_completed()


def _ended(desk: Desk, *states: State[Any]) -> Callable[[Run, int], State[Any]]:
    """Runs that end like that, one after the other, and then well."""
    return lambda run, number: states[number - 1] if number <= len(states) else made(desk)


def test_it_is_asked_for_again_when_its_run_crashed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.server.end = _ended(desk, Crashed(message="a power cut"))
    desk.make(monkeypatch)
    assert [run.parameters["attempt"] for run in desk.server.runs.values()] == [1, 2]
    assert any("a power cut; asked for again" in note for note in desk.notes.read)


def test_not_for_ever(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.server.end = lambda run, number: Crashed(message="a power cut")
    with pytest.raises(RenderError, match=rf"set aside after {MOST_TRIES} runs.*a power cut"):
        desk.make(monkeypatch)
    assert len(desk.server.runs) == MOST_TRIES


def test_what_failed_or_was_set_aside_is_not_asked_for_again_by_this_film(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.server.end = lambda run, number: Failed(name=SET_ASIDE, message="it died, 3 times")
    with pytest.raises(RenderError, match=r"sc010/sh0010 take 1: it died, 3 times"):
        desk.make(monkeypatch)
    assert len(desk.server.runs) == 1
    # The next one does try again: attempt 1 was over before.
    desk.server.end = lambda run, number: made(desk)
    desk.make(monkeypatch)
    assert [run.parameters["attempt"] for run in desk.server.runs.values()] == [1, 2]


def test_a_run_that_another_film_cancelled_is_asked_for_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(run: Run, number: int) -> State[Any]:
        if number == 1:
            run.parent_task_run_id = uuid4()  # another film was quicker
            return Cancelled()
        return made(desk)

    desk.server.end = end
    desk.server.places = {}
    desk.make(monkeypatch)
    assert len(desk.server.runs) == 2


def test_a_run_that_was_cancelled_on_the_server_is_missing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.server.end = lambda run, number: Cancelled()
    with pytest.raises(RenderError, match="cancelled on the farm"):
        desk.make(monkeypatch)


def test_the_store_counts_when_the_server_says_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(run: Run, number: int) -> State[Any]:
        made(desk)
        desk.server.away = True
        return Running()

    desk.server.end = end
    assert desk.make(monkeypatch).num_frames == desk.job.request.num_frames


def test_the_store_counts_before_the_server_has_heard(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(run: Run, number: int) -> State[Any]:
        made(desk)
        return Running()

    desk.server.end = end
    assert desk.make(monkeypatch).num_frames == desk.job.request.num_frames


def test_a_server_that_is_away_is_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.server.end, desk.server.away = lambda run, number: made(desk), True
    desk.notes.then = lambda: setattr(desk.server, "away", False)
    desk.make(monkeypatch)
    assert desk.notes.read.count("the Prefect server does not answer; waiting for it") == 1


def test_a_server_that_stays_away_is_not_waited_for_without_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "SERVER_PATIENCE_S", 0.1)
    desk.server.away = True
    with pytest.raises(RenderError, match="has not answered"):
        desk.make(monkeypatch)


@pytest.mark.parametrize("status", [401, 409, 422])
def test_a_server_that_refuses_is_not_asked_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    desk.server.refuses = status
    with pytest.raises(UsageError, match=str(status)):
        desk.make(monkeypatch)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_is_asked_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    desk.server.end, desk.server.refuses = lambda run, number: made(desk), status
    desk.notes.then = lambda: setattr(desk.server, "refuses", 0)
    desk.make(monkeypatch)


def test_a_server_without_the_deployment_says_what_to_do(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.server.known = False
    with pytest.raises(UsageError, match="takeboard up"):
        desk.make(monkeypatch)


def test_cancelled_it_has_the_worker_stop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.server.end = lambda run, number: Running()
    threading.Timer(0.1, desk.stop.set).start()
    with pytest.raises(CancelledError):
        desk.make(monkeypatch)
    (run,) = desk.server.runs.values()
    assert run.state.type == StateType.CANCELLING


def test_cancelled_while_it_looks_into_the_store_it_has_the_worker_stop(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(store: ContentStore, key: str) -> bool:
        desk.stop.set()
        raise CancelledError("as whatever asks an object store ends then")

    desk.server.end = lambda run, number: Running()
    plain = ContentStore.peek
    monkeypatch.setattr(
        ContentStore,
        "peek",
        lambda store, key: (stopped if desk.server.runs else plain)(store, key),
    )
    with pytest.raises(CancelledError):
        desk.make(monkeypatch)
    (run,) = desk.server.runs.values()
    assert run.state.type == StateType.CANCELLING


def test_cancelled_it_leaves_the_run_of_another_film_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(run: Run, number: int) -> State[Any]:
        run.parent_task_run_id = uuid4()
        return Running()

    desk.server.end = end
    threading.Timer(0.1, desk.stop.set).start()
    with pytest.raises(CancelledError):
        desk.make(monkeypatch)
    (run,) = desk.server.runs.values()
    assert run.state.type == StateType.RUNNING
    (state,) = desk.server.closed.values()
    assert state.is_cancelled()


def test_a_worker_that_does_not_reach_the_store_is_no_try(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    away: State[Any] = Crashed(name=STORE_AWAY, message="the take store is not there")
    desk.server.end = _ended(desk, *([away] * (MOST_TRIES + 2)))
    desk.make(monkeypatch)
    assert len(desk.server.runs) == MOST_TRIES + 3
    away, back = desk.notes.read
    assert away.endswith("the take store is not there; waiting for the take store")
    assert back.startswith("the take store is there again")


@pytest.mark.parametrize(("busy_s", "waits"), [(600, True), (5, False)])
def test_a_film_goes_on_while_another_worker_makes_its_takes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, busy_s: float, waits: bool
) -> None:
    monkeypatch.setattr(store_patience, "_PATIENCE_S", 0.1)
    monkeypatch.setattr(store_patience, "_LONGEST_WAIT_S", 0.01)
    monkeypatch.setattr(
        StorePatience, "_waited_s", property(lambda _: 0.0, lambda *_: None), raising=False
    )
    away: State[Any] = Crashed(name=STORE_AWAY, message="no space left")
    desk.server.end = _ended(desk, *([away] * 40))
    desk.server.made = [SimpleNamespace(estimated_run_time=timedelta(seconds=busy_s))]
    if waits:
        assert desk.make(monkeypatch)
    else:
        with pytest.raises(StoreError, match="no space left"):
            desk.make(monkeypatch)


def test_a_store_that_is_gone_is_not_made_anew_elsewhere(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = desk.store.entries.root
    gone = root.with_name("unmounted")
    root.rename(gone)
    desk.server.end = lambda run, number: made(desk)

    def come_back() -> None:
        assert not root.exists()
        gone.rename(root)

    desk.notes.then = come_back
    desk.make(monkeypatch)
    assert "waiting for the take store" in desk.notes.read[0]


def test_a_store_that_stays_away_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_patience, "_PATIENCE_S", 0.05)
    desk.store.entries.root.rmdir()
    with pytest.raises(StoreError, match="is not there"):
        desk.make(monkeypatch)
    assert not desk.server.runs


def test_what_the_disk_is_to_blame_for(tmp_path: Path) -> None:
    def caused(number: int) -> RenderError:
        error = RenderError("cannot write")
        error.__cause__ = OSError(number, "")
        return error

    there, gone = str(tmp_path), str(tmp_path / "gone")
    assert is_out_of_reach(StoreError("gone"), there)
    assert is_out_of_reach(caused(errno.ENOSPC), there)
    assert not is_out_of_reach(caused(errno.ENOENT), there)
    assert is_out_of_reach(caused(errno.ENOENT), gone)
    assert not is_out_of_reach(RenderError("the paint ran"), gone)


def test_the_deployment_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = make_film(
        [make_shot(f"sc010/sh{n:04}", backends=("fake",), action=f"Beat {n}.") for n in (10, 20)]
    )
    (tmp_path / "store").mkdir()
    store = TakeStore(tmp_path / "store")
    jobs = plan_shots(film, {"fake": BACKEND}, store.entries, {}).jobs
    server = Server(lambda run, number: Completed())

    def end(run: Run, number: int) -> State[Any]:
        job = next(job for job in jobs if job.key == run.parameters["key"])
        render_take(job, BACKEND, store, RenderTools({}))
        return Completed()

    server.end = end
    monkeypatch.setattr(submit, "get_client", lambda **_: server)
    shots = FarmShots(uuid4(), "normal", Progress(), threading.Event())
    shots.lane(jobs)
    for job in jobs:
        shots.rendering(job, film, store)()
    assert (server.deployments_read, len(server.runs)) == (1, 2)


def test_what_a_killed_film_left_in_its_list_is_closed_but_not_its_runs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "get_client", lambda **_: desk.server)
    ours, theirs = uuid4(), uuid4()
    desk.server.places = {"ours": ours, "another film's": theirs}
    desk.server.runs = {"ours": Run(Running(), ours, {}, [])}
    shots = FarmShots(desk.film_run, "normal", desk.notes, desk.stop)
    shots.take_up()
    assert not desk.server.closed, "a film that begins has left nothing"
    desk.server.begun = 2
    shots.take_up()
    assert list(desk.server.closed) == [theirs]


def _until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)
