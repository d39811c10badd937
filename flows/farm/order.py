"""Have a film made by the farm, and follow it from here: what `produce --farm` does.

The film flow runs on a worker of the pool `cpu`; this process only asks, tells what the run's log
says, and passes Ctrl-C on.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterType,
    FlowRunFilter,
    FlowRunFilterId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import Log, State, StateType
from prefect.client.schemas.sorting import LogSort
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.states import Cancelling
from prefect.utilities.urls import url_for

from flows.approval import how_to_approve
from flows.commands import Choice
from flows.farm.asking import SoonTold
from flows.farm.deaths import SILENT
from flows.farm.links import linked_path
from flows.farm.names import CPU_POOL, PREVIEW, PRODUCE
from flows.farm.new_runs import new_run
from flows.farm.person import farm_client
from flows.progress import Progress
from flows.settled import error_of
from media.errors import CancelledError, TakeboardError, UsageError, WaitingError
from media.shared_store import address_of
from storyboards.film import Film

__all__ = ["OrderedFilm", "follow_film", "order_film"]

_EVERY_S = 1.0
_LATE_LINES = 50
_ENGINE_SAYS = (
    "Beginning ",
    "View at ",
    "Finished in state ",
    "Downloading flow code",
    "Task run failed with state",
    "Suspending flow run",
)
"""Lines of Prefect's own in the log of a run, which say what is said here anyway."""
_ANSWER_WITHIN_S = 15.0
"""To one look. A server that was unplugged closes no connection, and somebody waits here."""
_STOP_WITHIN_S = 180.0
"""A cancelled film ends at its next step; after that it is left to its worker, and so is one of
which the server cannot be told."""


@dataclass(frozen=True, slots=True)
class OrderedFilm:
    """A film that the farm makes, or has made."""

    title: str
    variant: str
    flow_run: UUID
    address: str
    """Of its page in Prefect's UI."""
    said: str = ""
    """What the run ended with; empty: it is not over."""
    films: tuple[Path, ...] = ()
    """As the worker sees them."""
    report: Path | None = None
    approve: str = "takeboard approve"
    """The command that says yes where the film waits for a person."""


def order_film(film: Film, choice: Choice) -> OrderedFilm:
    """Ask for the film. UsageError when no farm answers or its deployments are missing."""
    with farm_client() as client:
        name = PREVIEW if choice.preview else PRODUCE
        try:
            deployment = client.read_deployment_by_name(name).id
        except ObjectNotFound:
            raise UsageError(
                f"the Prefect server has no deployment {name}",
                where=str(client.api_url),
                todo="see that the address ends in /api; run `takeboard up`, or "
                "`prefect deploy --all` with Takeboard's prefect.yaml",
            ) from None
        run = new_run(
            client,
            deployment,
            name=", ".join(filter(None, (film.title, film.variant))),
            parameters=_parameters(choice),
            queue=choice.urgency,
        )
        return OrderedFilm(
            film.title,
            film.variant,
            run.id,
            url_for("flow-run", run.id) or "",
            approve=how_to_approve(film, str(choice.film)),
        )


def follow_film(ordered: OrderedFilm, progress: Progress, stop: Event) -> OrderedFilm:
    """Tell what the run's log says until it is over.

    Raises what the film ended with, WaitingError when it waits for a person, and CancelledError
    after `stop`, once the farm has stopped too.
    """
    with farm_client(_ANSWER_WITHIN_S) as client:
        following = _Following(client, ordered, progress)
        following.look()
        while not following.is_over:
            if stop.is_set():
                following.cancel()
            time.sleep(_EVERY_S)
            following.look()
        return following.result()


class _Following:
    """One run, looked at again and again."""

    def __init__(self, client: SyncPrefectClient, ordered: OrderedFilm, progress: Progress) -> None:
        self._client, self._ordered, self._progress = client, ordered, progress
        self._state: State[object] | None = None
        self._told: set[UUID] = set()
        self._stopping_since = 0.0
        self._is_cancelled = self._silent = False
        self._soon_told = SoonTold()

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes, or nothing more is waited for."""
        if self._stopping_since and time.monotonic() - self._stopping_since > _STOP_WITHIN_S:
            return True
        state = self._state
        if state is None or state.name == SILENT:
            return False  # its worker says otherwise in a moment, or another takes it up
        return state.is_final() or state.type == StateType.PAUSED

    def look(self) -> None:
        """Tell what has come since the last look."""
        try:
            with self._soon_told():
                self._look()
            self._silent = False
        except ObjectNotFound as error:
            raise TakeboardError(
                "its run was deleted from the server", where=self._ordered.title
            ) from error
        except (httpx.HTTPError, PrefectException):
            if not self._silent:
                self._progress.note("the Prefect server does not answer; the film goes on without")
            self._silent = True

    def cancel(self) -> None:
        """Have the farm stop it; asked until it has heard."""
        self._stopping_since = self._stopping_since or time.monotonic()
        if not self._is_cancelled:
            with suppress(httpx.HTTPError, PrefectException), self._soon_told():
                self._client.set_flow_run_state(self._ordered.flow_run, Cancelling())
                self._is_cancelled = True

    def result(self) -> OrderedFilm:
        """The film as it is now; raises what it ended with."""
        state = self._state
        if state is None or not (state.is_final() or state.type == StateType.PAUSED):
            heard = "has not stopped it yet" if self._is_cancelled else "could not be told"
            raise CancelledError(
                f"cancelled here, but the farm {heard}",
                where=self._ordered.address,
                todo="cancel its run there",
            )
        if state.type == StateType.PAUSED:
            raise WaitingError(
                state.message or "the film waits for approval",
                where=self._ordered.address,
                todo=f"answer there, or: {self._ordered.approve}",
            )
        if state.type != StateType.COMPLETED:
            raise error_of(state)
        films, report = self._files()
        return replace(self._ordered, said=state.message or "", films=films, report=report)

    def _look(self) -> None:
        run = self._client.read_flow_run(self._ordered.flow_run)
        if run.state is not None and (self._state is None or run.state.name != self._state.name):
            self._state = run.state
            if words := self._words(run.state):
                self._progress.note(f"{self._ordered.title}: {words}")
        while lines := self._new_lines(run.id):
            for line in lines:
                told = line.name == "prefect.flow_runs" or line.level >= logging.WARNING
                if told and not line.message.startswith(_ENGINE_SAYS):
                    self._progress.note(f"  {line.message}")

    def _new_lines(self, run: UUID) -> list[Log]:
        """The next of the log, a page at most; what comes late stands among the last ones."""
        page = self._client.read_logs(
            LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run])), sort=LogSort.TIMESTAMP_ASC,
            offset=max(0, len(self._told) - _LATE_LINES), limit=200,
        )  # fmt: skip
        lines = [line for line in page if line.id not in self._told]
        self._told |= {line.id for line in lines}
        return lines

    def _words(self, state: State[object]) -> str:
        """What a change of state means to who waits; nothing where the log says it."""
        if state.type == StateType.SCHEDULED:
            return f"{state.message or 'waiting for a worker'}{self._nobody()}"
        return "begun" if state.type == StateType.RUNNING else ""

    def _nobody(self) -> str:
        workers = self._client.read_workers_for_work_pool(CPU_POOL)
        if any(worker.status == "ONLINE" for worker in workers):
            return ""
        return f" (none is there now: takeboard worker --pool {CPU_POOL})"

    def _files(self) -> tuple[tuple[Path, ...], Path | None]:
        try:
            links = self._client.read_artifacts(
                artifact_filter=ArtifactFilter(type=ArtifactFilterType(any_=["markdown"])),
                flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[self._ordered.flow_run])),
            )
        except (httpx.HTTPError, PrefectException):
            # The film is made all the same.
            self._progress.note(f"where it is stands on {self._ordered.address}")
            return (), None
        paths = [path for link in links if (path := linked_path(str(link.data)))]
        reports = [path for path in paths if path.suffix == ".html"]
        films = sorted(path for path in paths if path.suffix != ".html")
        return tuple(films), reports[0] if reports else None


def _parameters(choice: Choice) -> dict[str, object]:
    """Those of the flow, where they differ from its defaults."""
    given: dict[str, object] = {
        "variables": dict(choice.variables),
        "variant": choice.variant or "",
        "out": str(choice.out.resolve()) if choice.out else "",
        "store": address_of(choice.store.resolve()) if choice.store else "",
        "jobs": choice.jobs or 0,
    }
    if not choice.preview:
        given |= {"only": list(choice.only), "urgency": choice.urgency}
    kept = {name: value for name, value in given.items() if value}
    return {"storyboard": str(choice.film.resolve()), "slates": not choice.clean, **kept}
