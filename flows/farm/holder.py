"""Who has a run: the worker that took it and its machine, as the run itself says on the server.

A claim carries it in its state's message, one step with the claim; what is under way carries it
in the run's labels. So a worker that never heard whether its claim was taken, or that comes back
after it was killed, knows its own, and everybody knows whose a run was.
"""

from __future__ import annotations

import hashlib
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from prefect.client.schemas.objects import FlowRun, StateType

__all__ = ["Holder", "holder_of", "this_machine"]

_WORKER, _MACHINE = "takeboard.worker", "takeboard.machine"
_CLAIM = re.compile(r"taken by (.+) on (\S+)")
_CLAIMED = "Pending"
"""Name of the first state after Scheduled; in the later ones the labels stand."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A worker on its machine."""

    worker: str
    machine: str
    """Two workers of one name on two machines are two."""

    @property
    def claim(self) -> str:
        """The message of the state with which a run is taken."""
        return f"taken by {self.worker} on {self.machine}"

    @property
    def labels(self) -> dict[str, str]:
        """Of a run that is under way."""
        return {_WORKER: self.worker, _MACHINE: self.machine}


def holder_of(run: FlowRun) -> Holder | None:
    """Who has taken the run, or had it last; None when nobody of ours."""
    state = run.state
    if state is not None and state.type == StateType.PENDING and state.name == _CLAIMED:
        claim = _CLAIM.fullmatch(state.message or "")
        return Holder(*claim.groups()) if claim else None
    labels = run.labels
    if _WORKER not in labels or _MACHINE not in labels:
        return None
    return Holder(str(labels[_WORKER]), str(labels[_MACHINE]))


def this_machine() -> str:
    """A name for this machine that no other has, and that it keeps."""
    host = re.sub(r"\s", "-", socket.gethostname())
    own = Path("/etc/machine-id")
    made = own.read_text(encoding="ascii").strip() if own.is_file() else ""
    return f"{host}-{hashlib.sha256(f'{host} {made}'.encode()).hexdigest()[:8]}"
