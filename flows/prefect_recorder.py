"""The recorder that writes a run down in Prefect: a task run a shot, artifacts for people.

Used only inside a flow run. Work is never cached by Prefect: the take store is the memory, and
results stay Python objects of this process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast
from uuid import UUID

import httpx
from prefect import Task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.client.schemas.objects import State
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger

from flows.absence import Absence
from flows.events import FilmEvent, emit
from flows.farm.served import asked_address
from flows.live_progress import LiveBoard
from flows.progress import Progress
from flows.recorder import Recorder, Watch
from flows.settled import settled, unsettled

__all__ = ["PrefectRecorder", "artifact_key"]

T = TypeVar("T")

_TAGGED = ("shot", "take", "backend", "deliverable")
"""Facts that a person filters task runs by; the others stand in the run's last state."""


@dataclass(frozen=True, slots=True)
class PrefectRecorder(Recorder):
    """Records into the flow run that is under way."""

    film: str = ""
    """Put before every artifact's key: the server keeps one history a key, over all films."""
    progress: Progress = field(default_factory=Progress)
    """Told when the server does not take a record: that must not cost the film."""
    absence: Absence = field(default_factory=Absence)
    """Of the server: nothing is recorded as long as it lasts."""
    board: LiveBoard | None = None
    """Where bars move; None: nowhere."""
    pages: dict[str, UUID] = field(default_factory=dict)
    """Pages of this run by key."""
    addresses: dict[Path, str] = field(default_factory=dict)
    """Where the server serves files, of those that were asked for."""

    def task(
        self, kind: str, name: str, work: Callable[[], T], facts: Mapping[str, str | int | float]
    ) -> Callable[[], T]:
        # The UI shows no parameters of a task run, but its tags, and its last state in its log.
        words = ", ".join(f"{fact} {value}" for fact, value in facts.items())

        def recorded() -> T:
            begun: list[bool] = []
            ended: list[State[T]] = []

            def run() -> State[T]:
                begun.append(True)
                ended.append(settled(work, lambda made: words))
                return ended[0]

            task: Task[[], State[T]] = Task(
                run,
                name=kind,
                task_run_name=name.replace("{", "{{").replace("}", "}}"),
                cache_policy=NO_CACHE,
                persist_result=False,
                tags=[f"{fact}:{facts[fact]}" for fact in _TAGGED if fact in facts],
            )
            try:
                state = task()
            except Exception as error:
                if begun and not ended:
                    raise  # a defect of the work itself
                # Prefect's own trouble, in one of its many shapes. Work that is done is not done
                # again, and work that is not is done all the same.
                self._lose(error)
                return unsettled(ended[0]) if ended else work()
            return unsettled(state)

        return lambda: work() if self.absence.goes_on else recorded()

    def watch(self, label: str, num_frames: int) -> Watch:
        return self.board.progress(label, num_frames) if self.board is not None else Watch()

    def event(self, event: FilmEvent) -> None:
        emit(event)  # from a thread of its own, which waits for the server in our stead

    def note(self, text: str) -> None:
        get_run_logger().info(text)

    @property
    def seen(self) -> bool:
        return not self.absence.goes_on

    def table(self, key: str, rows: Sequence[Mapping[str, object]], title: str) -> None:
        table = [dict(row) for row in rows]
        self._record(key, lambda key: create_table_artifact(table, key=key, description=title))

    def markdown(self, key: str, text: str, title: str) -> None:
        def create(key: str) -> None:
            if (there := self.pages.get(key)) is not None:
                # Not `update_artifact`: it says all of the text once more, in an event.
                body = {"data": text, "description": title}
                with get_client(sync_client=True) as client:
                    client.request("PATCH", f"/artifacts/{there}", json=body)  # type: ignore[arg-type]
            else:
                made = create_markdown_artifact(text, key=key, description=title)
                self.pages[key] = cast(UUID, made)

        self._record(key, create)

    def replace(self, key: str, text: str, title: str) -> None:
        def create(key: str) -> None:
            named = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[key]))
            with get_client(sync_client=True) as client:
                earlier = client.read_latest_artifacts(artifact_filter=named)
            if earlier and earlier[0].data != text:
                create_markdown_artifact(text, key=key, description=title)

        self._record(key, create)

    def address(self, path: Path) -> str:
        if path not in self.addresses and not self.absence.goes_on:
            try:
                self.addresses[path] = asked_address(path)
            except httpx.TransportError as error:
                self._lose(error)
        return self.addresses.get(path, "")

    def link(self, key: str, path: Path, title: str) -> None:
        # Browsers do not follow links to files from a web page: the path itself must be legible.
        path = path.resolve()
        address = self.address(path) or path.as_uri()
        self._record(
            key,
            lambda key: create_link_artifact(
                address, link_text=str(path), key=key, description=title
            ),
        )

    def _record(self, key: str, create: Callable[[str], object]) -> None:
        if self.absence.goes_on:
            return
        key = artifact_key(self.film, key)
        try:
            create(key)
        except httpx.TransportError as error:
            self._lose(error)
        except (PrefectException, httpx.HTTPError) as error:
            self.progress.note(f"the Prefect server did not take {key!r}: {_first_line(error)}")

    def _lose(self, error: Exception) -> None:
        """Record nothing for a while: every further try would hold the film up for seconds."""
        if self.absence.begin():
            self.progress.note(
                f"the Prefect server has gone ({_first_line(error)}): the film is made all the "
                "same, its record there is incomplete"
            )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def artifact_key(*words: str) -> str:
    """Lower-case letters, digits and dashes, all that Prefect takes in a key."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")
