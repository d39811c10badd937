"""Work done inside a Prefect run, settled into the run's last state.

A mistake in a film is no defect of the program: the run ends Failed or Cancelled with the one
line that the command line would print, and without a traceback in its log. Whoever called the
flow or task still gets the value, or the error as it was raised, through `unsettled`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from prefect.client.schemas.objects import State
from prefect.results import ResultRecord  # type: ignore[attr-defined]  # not re-exported
from prefect.states import Cancelled, Completed, Failed

from media.errors import CancelledError, TakeboardError

__all__ = ["settled", "unsettled"]

T = TypeVar("T")


def settled(work: Callable[[], T], say: Callable[[T], str]) -> State[T]:
    """The state to end in; `say` words what came out."""
    try:
        made = work()
    except CancelledError as error:
        return Cancelled(message=str(error), data=error)
    except TakeboardError as error:
        return Failed(message=str(error), data=error)
    return Completed(message=say(made), data=made)


def unsettled(state: State[T]) -> T:
    """What the work returned, or the error it raised, in the process that did it."""
    carried = state.data.result if isinstance(state.data, ResultRecord) else state.data
    if isinstance(carried, BaseException):
        raise carried
    return cast(T, carried)
