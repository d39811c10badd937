"""New runs of a deployment, due at once by the server's clock, whatever the clock here says.

Prefect's client would say when a run is due, and take the time of this machine for it: where that
is ahead, the run would wait for as long. Nothing said, the server takes its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

__all__ = ["new_run"]


def new_run(
    client: SyncPrefectClient,
    deployment: UUID,
    *,
    name: str,
    parameters: Mapping[str, Any],
    queue: str | None,
    tags: Sequence[str] = (),
    once: str = "",
    parent: UUID | None = None,
) -> FlowRun:
    """The run; the one that was made before with the same `once`, if there is one.

    `parent` is the task run under which Prefect's UI shows it. Raises as the client does.
    """
    asked: dict[str, Any] = {
        "name": name,
        "parameters": dict(parameters),
        "tags": list(tags),
        "idempotency_key": once or uuid4().hex,
    }
    if queue:
        asked["work_queue_name"] = queue
    if parent is not None:
        asked["parent_task_run_id"] = str(parent)
    answer = client.request(
        "POST", "/deployments/{id}/create_flow_run", path_params={"id": deployment}, json=asked
    )
    return FlowRun.model_validate(answer.json())
