"""How long to go on asking an object store that does not answer, and who may say stop.

TAKEBOARD_STORE_PATIENCE   seconds to go on trying while the store is away; default: 600
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from media.errors import UsageError

__all__ = ["Patience", "patience_here", "patient", "read_patience"]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on trying, and whether to."""

    seconds: float
    should_stop: Callable[[], bool] = lambda: False


_HERE: ContextVar[Callable[[Patience], Patience] | None] = ContextVar("patience", default=None)


@contextmanager
def patient(should_stop: Callable[[], bool], seconds: float | None = None) -> Iterator[None]:
    """Whatever asks an object store inside, however deep, gives up when told to stop.

    With `seconds` it also has no more patience than that, else the usual one.
    """
    outer = _HERE.get()

    def narrowed(usual: Patience) -> Patience:
        usual = outer(usual) if outer else usual
        return Patience(
            usual.seconds if seconds is None else min(seconds, usual.seconds),
            lambda: should_stop() or usual.should_stop(),
        )

    token = _HERE.set(narrowed)
    try:
        yield
    finally:
        _HERE.reset(token)


def patience_here(usual: Patience) -> Patience:
    """What is left of the `usual` patience for whoever asks now."""
    narrowed = _HERE.get()
    return narrowed(usual) if narrowed else usual


def read_patience(environ: Mapping[str, str] = os.environ) -> Patience:
    """From TAKEBOARD_STORE_PATIENCE."""
    text = environ.get("TAKEBOARD_STORE_PATIENCE", "").strip() or "600"
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UsageError(
            f"expected a number of seconds, got {text[:40]!r}", where="TAKEBOARD_STORE_PATIENCE"
        )
    return Patience(seconds)
