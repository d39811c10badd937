"""What goes over the wire: how a job is asked for, what a server says of it, how long we wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Body", "FormField", "Job", "Patience"]

FormField = tuple[str, tuple[str | None, bytes, str | None]]
"""Name, and file name (None: a field of text), bytes and media type."""

_DONE = ("completed", "succeeded", "succeed", "success")
_FAILED = ("failed", "error", "cancelled", "canceled", "expired", "deleted")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for, in seconds."""

    connect_s: float = 10.0
    read_s: float = 60.0
    """Between two pieces of an answer."""
    answer_s: float = 300.0
    """For a whole answer, and for its first byte after a job was asked for."""
    film_s: float = 3600.0
    """For a whole film."""
    remove_s: float = 10.0
    """For the answer to a cancellation, for which a person waits."""
    tries: int = 6
    """Of one request."""
    backoff_s: float = 0.5
    """Before the second try; twice as long before each further one."""
    longest_backoff_s: float = 60.0
    """Also of what a server asks for in Retry-After."""
    poll_s: float = 0.5
    longest_poll_s: float = 5.0
    stalled_s: float = 2 * 3600.0
    """A job that has shown no progress for so long is given up."""


@dataclass(frozen=True, slots=True)
class Body:
    """What a job is asked for with: the fields of a form, or a JSON object."""

    form: tuple[FormField, ...] = ()
    json: Mapping[str, Any] | None = None


class Job(BaseModel):
    """What a server says of a job."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,199}$")
    status: str = ""
    progress: float | None = None
    created_at: float | None = None
    prompt: str | None = None
    model: str | None = None
    peak_memory_mb: float | None = None
    inference_time_s: float | None = None
    error: Any = None

    @property
    def state(self) -> Literal["waiting", "done", "failed"]:
        """The status in our words."""
        status = self.status.lower()
        return "done" if status in _DONE else "failed" if status in _FAILED else "waiting"
