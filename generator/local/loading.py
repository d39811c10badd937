"""Loading apart from computing.

diffusers and transformers change the whole process while they load: modules are made without
memory by replacing torch functions, and torch's default type becomes the weights'. Another load
breaks on the first, and a model that computes meanwhile makes its constants in the wrong type,
which no error tells. So a load waits until nothing computes, and computing waits for a load.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from media.errors import CancelledError

__all__ = ["computing", "loading"]

_POLL_S = 0.2

_changed = threading.Condition()
_computing = 0
_waiting = 0
_loader: int | None = None


@contextmanager
def computing(should_stop: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """No load is under way inside. CancelledError when stopped while waiting for one."""
    global _computing
    with _changed:
        # Loads go first, or films with many short computations would never get to one.
        _wait(lambda: _loader is None and not _waiting, should_stop)
        _computing += 1
    try:
        yield
    finally:
        with _changed:
            _computing -= 1
            _changed.notify_all()


@contextmanager
def loading(should_stop: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Nothing computes inside, and nothing else is loaded; not to be called while computing."""
    global _waiting, _loader
    with _changed:
        _waiting += 1
        try:
            _wait(lambda: _loader is None and not _computing, should_stop)
            _loader = threading.get_ident()
        finally:
            _waiting -= 1
            _changed.notify_all()
    try:
        _quieten()
        yield
    finally:
        with _changed:
            _loader = None
            _changed.notify_all()


@cache
def _quieten() -> None:
    """Keep the libraries' bars and advice off the film's own display; errors still rise."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for theirs in (diffusers_logging, transformers_logging):
        theirs.set_verbosity_error()
        theirs.disable_progress_bar()
    for name in ("torch", "diffusers", "transformers", "accelerate", "peft"):
        warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")


def _wait(ready: Callable[[], bool], should_stop: Callable[[], bool]) -> None:
    while not ready():
        if should_stop():
            raise CancelledError("cancelled while a model was loaded")
        _changed.wait(_POLL_S)
