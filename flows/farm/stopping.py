"""How a person ends what runs in the foreground: in order, or now."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from types import FrameType

__all__ = ["Stop", "stop_signals"]


@dataclass(slots=True)
class Stop:
    """What was asked for so far."""

    asked: Event = field(default_factory=Event)
    now: Event = field(default_factory=Event)


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """Ctrl-C, SIGTERM or a closed terminal: end in order. A second one: end now."""
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        (stop.now if stop.asked.is_set() else stop.asked).set()

    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        numbers.pop()  # started with nohup
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
