"""The last sign of life of a run that is suspended: it waits for a person, and may for weeks.

The server takes for dead what is silent after a sign of life (`automations`). Signs of life go to
the server on a way of their own, so that of a run's last moments can come after the word that it
is suspended, and 90 seconds later the waiting run would be called crashed.
"""

from __future__ import annotations

import threading

from prefect.client.schemas.objects import FlowRun
from prefect.events import emit_event

__all__ = ["say_that_it_waits"]

_AFTER_S = 3.0
"""The server looks at two events at a time: the later one must not overtake the one before."""


def say_that_it_waits(run: FlowRun, flow: str) -> None:
    """Tell the server, a moment from now, that nothing more is to be heard of the run."""

    def say() -> None:
        emit_event(
            "prefect.flow-run.waits",
            resource={
                "prefect.resource.id": f"prefect.flow-run.{run.id}",
                "prefect.resource.name": run.name,
            },
            related=[
                {
                    "prefect.resource.id": f"prefect.flow.{run.flow_id}",
                    "prefect.resource.role": "flow",
                    "prefect.resource.name": flow,
                }
            ],
        )

    saying = threading.Timer(_AFTER_S, say)
    saying.daemon = True
    saying.start()
