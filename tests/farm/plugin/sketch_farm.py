"""Two backends that stand for models on a GPU: flat colours, drawn as slowly as a test wants.

Found through the entry points beside this file when this folder is on PYTHONPATH. What they do is
written into $SKETCH_LOG, a line each: `load sketch PID`, `begin NAME#SEED PID` and `end …`,
where NAME is the word after "beat" in the shot's prompt.

SKETCH_STEP_S      seconds a step; a take has four steps
SKETCH_GATE        a file with the number of the last step that may be made; the next one waits
SKETCH_LOAD_S      seconds to load the model, once a process
SKETCH_DIES_AT     words in the prompt of shots at which the process dies, as if out of memory
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from zlib import crc32

import numpy as np

from generator.backends.base import (
    Capabilities,
    Frames,
    Licence,
    Quote,
    Rendered,
    RenderRequest,
    RenderTools,
    Snapped,
)
from generator.backends.footage import FootageBackend
from media.errors import CancelledError, RenderError

_STEPS = 4


class Sketch:
    id = "sketch"
    revision = "1"
    unready = ""

    def __init__(self) -> None:
        self._loaded = False
        self._loading = Lock()

    @property
    def capabilities(self) -> Capabilities:
        return replace(
            FootageBackend.capabilities, gpu_seconds_per_second=1.0, licence=Licence("test")
        )

    def snap(self, request: RenderRequest) -> Snapped:
        return Snapped(request, (), ())

    def quote(self, request: RenderRequest) -> Quote:
        return Quote(0.0, float(request.num_frames / request.fps), 0.0)

    def prepare(self, requests: Sequence[RenderRequest], tools: RenderTools) -> None:
        pass

    def render(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        self._load()
        _note(f"begin {_name(request)} {os.getpid()}")
        for word in os.environ.get("SKETCH_DIES_AT", "").split(","):
            if word and word in request.prompt:
                os.kill(os.getpid(), signal.SIGKILL)
        if "unpaintable" in request.prompt:
            raise RenderError("the paint ran", todo="use thicker paint")
        for step in range(_STEPS):
            while tools.should_stop() or _last_step() < step + 1:
                if tools.should_stop():
                    raise CancelledError("cancelled")
                time.sleep(0.1)
            time.sleep(float(os.environ.get("SKETCH_STEP_S", "0")))
            tools.on_step(step + 1, _STEPS)
        _note(f"end {_name(request)} {os.getpid()}")
        return Rendered(
            frames=_frames(request),
            num_frames=request.num_frames,
            fps=request.fps,
            size=request.size,
            seed=request.seed,
            revision=self.revision,
            licence="test",
        )

    def _load(self) -> None:
        with self._loading:
            if not self._loaded:
                time.sleep(float(os.environ.get("SKETCH_LOAD_S", "0")))
                self._loaded = True
                _note(f"load {self.id} {os.getpid()}")


class Pastel(Sketch):
    id = "pastel"


def _last_step() -> int:
    gate = os.environ.get("SKETCH_GATE", "")
    return int(Path(gate).read_text(encoding="utf-8") or 0) if gate else _STEPS


def _frames(request: RenderRequest) -> Iterator[Frames]:
    width, height = request.size
    mark = crc32(_name(request).encode())
    colour = np.array([mark % 200 + 40, mark // 200 % 200 + 40, 128], np.uint8)
    for first in range(0, request.num_frames, 16):
        count = min(16, request.num_frames - first)
        yield np.broadcast_to(colour, (count, height, width, 3)).copy()


def _name(request: RenderRequest) -> str:
    found = re.search(r"\bbeat (\w+)", request.prompt, re.IGNORECASE)
    return f"{found[1] if found else ''}#{request.seed}"


def _note(text: str) -> None:
    if path := os.environ.get("SKETCH_LOG"):
        with open(path, "a", encoding="utf-8") as log:  # noqa: PTH123  # one write, appended whole
            log.write(text + "\n")
