"""The recorder that writes a run down in Prefect: a task run a shot, artifacts for people.

Used only inside a flow run. Work is never cached by Prefect: the take store is the memory, and
results stay small Python objects of this process.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from prefect import Task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from flows.recorder import Recorder

__all__ = ["PrefectRecorder"]

T = TypeVar("T")


class PrefectRecorder(Recorder):
    """Records into the flow run that is under way."""

    def task(
        self, kind: str, name: str, work: Callable[[], T], facts: Mapping[str, str | int | float]
    ) -> Callable[[], T]:
        def run(**facts: str | int | float) -> T:
            return work()

        # The facts become the task run's parameters, so that the UI shows them.
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [inspect.Parameter(fact, inspect.Parameter.KEYWORD_ONLY) for fact in facts]
        )
        task: Task[..., T] = Task(
            run,
            name=kind,
            task_run_name=name.replace("{", "{{").replace("}", "}}"),
            cache_policy=NO_CACHE,
            persist_result=False,
            tags=[f"{fact}:{value}" for fact, value in facts.items() if fact == "backend"],
        )
        return lambda: task(**facts)

    def table(self, key: str, rows: Sequence[Mapping[str, object]], title: str) -> None:
        create_table_artifact([dict(row) for row in rows], key=key, description=title)

    def markdown(self, key: str, text: str, title: str) -> None:
        create_markdown_artifact(text, key=key, description=title)

    def link(self, key: str, path: Path, title: str) -> None:
        create_link_artifact(
            path.resolve().as_uri(), link_text=path.name, key=key, description=title
        )
