"""Work done inside a Prefect run, settled into the run's last state.

A mistake in a film is no defect of the program: the run ends Failed or Cancelled with the one
line that the command line would print, and without a traceback in its log. Whoever called the
flow or task still gets the value, or the error as it was raised, through `unsettled`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from prefect.client.schemas.objects import State, StateType
from prefect.results import ResultRecord  # type: ignore[attr-defined]  # not re-exported
from prefect.states import Cancelled, Completed, Failed

from media.errors import (
    BudgetError,
    CancelledError,
    MediaError,
    RenderError,
    StoreError,
    StoryboardError,
    TakeboardError,
    UsageError,
    WaitingError,
)

__all__ = ["error_of", "settled", "unsettled"]

T = TypeVar("T")

_NAMES: Mapping[type[TakeboardError], str] = {
    StoryboardError: "Wrong storyboard",
    UsageError: "Wrong request",
    BudgetError: "Over budget",
    MediaError: "Media failed",
    StoreError: "Store failed",
}
"""What the state of a run is called that ended so; others are plainly Failed."""
_WAITING = "Waiting for approval"


def settled(work: Callable[[], T], say: Callable[[T], str]) -> State[T]:
    """The state to end in; `say` words what came out."""
    try:
        made = work()
    except CancelledError as error:
        return Cancelled(message=str(error), data=error)
    except WaitingError as error:
        return Cancelled(name=_WAITING, message=str(error), data=error)
    except TakeboardError as error:
        return Failed(name=_NAMES.get(type(error), "Failed"), message=str(error), data=error)
    return Completed(message=say(made), data=made)


def error_of(state: State[object]) -> TakeboardError:
    """How a run of another process ended that did not complete, as that process raised it."""
    said = state.message or state.name or state.type.value.lower()
    if state.type == StateType.CANCELLED:
        return WaitingError(said) if state.name == _WAITING else CancelledError(said)
    if state.name == _NAMES[StoryboardError]:
        return UsageError(said)  # its problems are words by now; it exits alike
    kinds = {name: kind for kind, name in _NAMES.items()}
    return kinds.get(state.name or "", RenderError)(said)


def unsettled(state: State[T]) -> T:
    """What the work returned, or the error it raised, in the process that did it."""
    carried = state.data.result if isinstance(state.data, ResultRecord) else state.data
    if isinstance(carried, BaseException):
        raise carried
    return cast(T, carried)
