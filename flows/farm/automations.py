"""What the Prefect server watches for us: runs of ours whose process fell silent.

A run under way gives a sign of life every 30 seconds. When it gives none any more, the server calls
it crashed, and the film that waits for it asks again. This is the last line: the other workers of
the pool notice a lost worker much sooner (lost.py), and they see what the server does not, which
has heard of nobody when it was away itself. So it waits for longer than a server takes to start.
"""

from __future__ import annotations

from datetime import timedelta

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from flows.farm.deaths import SILENT
from flows.farm.names import PREVIEW, PRODUCE, SHOT

__all__ = ["AUTOMATIONS", "ensure_automations"]

_SILENT_S = 300
"""Ten signs of life missed in a row, or so long from the moment a worker took it to its first."""

_EVENTS = "prefect.flow-run."
_UNDER_WAY = ("Pending", "Submitting", "InfrastructurePending", "Running", "heartbeat")
_FLOWS = [deployment.partition("/")[0] for deployment in (PRODUCE, PREVIEW, SHOT)]
_MESSAGE = f"nothing was heard of it for {_SILENT_S} s: its machine or its worker is gone"

# One for all of that: the server writes to its database for every event that one of them looks at.
AUTOMATIONS = (
    AutomationCore(
        name="takeboard: crash what is silent",
        description=_MESSAGE,
        trigger=EventTrigger(
            after={_EVENTS + event for event in _UNDER_WAY},
            # Any other news will do: it goes on, it ended, or it waits for an approval.
            expect={f"{_EVENTS}*"},
            match={"prefect.resource.id": f"{_EVENTS}*"},
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": _FLOWS},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=_SILENT_S),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, name=SILENT, message=_MESSAGE)],
    ),
)
"""What `takeboard up` makes."""


async def ensure_automations(client: PrefectClient) -> None:
    """Make those that are missing and bring up to date those that differ from ours.

    One that somebody has switched off in the UI stays off.
    """
    for asked in AUTOMATIONS:
        found = await client.read_automations_by_name(asked.name)
        if not found:
            await client.create_automation(asked)
            continue
        kept, *doubles = found
        for double in doubles:
            await client.delete_automation(double.id)
        if (kept.trigger, kept.actions) != (asked.trigger, asked.actions):
            await client.update_automation(
                kept.id, asked.model_copy(update={"enabled": kept.enabled})
            )
