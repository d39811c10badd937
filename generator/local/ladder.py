"""Room: where weights go when a device is too small for them, one rung after another.

resident            all weights on the device
quantised           all on the device, stored in 8 bits, computed in 16
group_offload       blocks come from main memory as they are needed, the next while one works
sequential_offload  single layers come from main memory: the smallest and slowest
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from generator.local.device import is_out_of_memory
from generator.local.family import Rung
from generator.local.settings import ModelSettings
from media.errors import RenderError

__all__ = ["RUNGS", "Ladder", "room_beside", "rungs_for", "rungs_that_fit", "weights_bytes"]

RUNGS: tuple[Rung, ...] = ("resident", "quantised", "group_offload", "sequential_offload")

_ACTIVATIONS = 0.25
"""Room beside the weights for what is computed with them, as a share of the weights. An estimate:
LTX-2.5 (about 44 GB of transformer in bf16) fits an 80 GB card alone, not with its encoder. A
wrong guess costs one failed try, then the rung below."""

_LEAST_ACTIVATIONS = 2 * 2**30

_ITEM_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}

_LARGEST_HEADER = 100_000_000
"""The limit of the safetensors format itself."""


def rungs_for(settings: ModelSettings, part: str) -> tuple[Rung, ...]:
    """The rungs that a part may stand on, from the fastest; the settings may leave some out.

    Weights that somebody fixed in precision are not quantised on the way, nor are decoders,
    whose rounding would be seen.
    """
    rungs: tuple[Rung, ...] = RUNGS
    if settings.precision != "auto" or part == "decoder":
        rungs = tuple(rung for rung in rungs if rung != "quantised")
    first: dict[str, Rung] = {"group": "group_offload", "sequential": "sequential_offload"}
    if settings.offload in first:
        rungs = rungs[rungs.index(first[settings.offload]) :]
    return rungs


def rungs_that_fit(
    rungs: Sequence[Rung], weights: int | None, free: int | None
) -> tuple[Rung, ...]:
    """`rungs` from the fastest that seems to fit, by bytes; unknown sizes leave out nothing."""
    if weights is None or free is None:
        return tuple(rungs)
    beside = room_beside(weights)
    needed: dict[Rung, int] = {"resident": weights + beside, "quantised": weights // 2 + beside}
    fits = [needed.get(rung, 0) <= free for rung in rungs]
    return tuple(rungs[fits.index(True) if any(fits) else -1 :])


def room_beside(weights: int) -> int:
    """Bytes that computing with so many bytes of weights takes besides them."""
    return max(_LEAST_ACTIVATIONS, int(weights * _ACTIVATIONS))


class Ladder:
    """Where a part stands in one phase of one take, and the way down.

        while True:
            try:
                return attempt(ladder.rung)
            except (RuntimeError, MemoryError) as error:
                said = ladder.ran_out(error)
            ladder.step_down(said)

    The step is taken outside the handler: the traceback, and with it every tensor of the failed
    call, is gone by then.
    """

    def __init__(
        self,
        rungs: Sequence[Rung],
        make_room: Callable[[], bool],
        on_step: Callable[[Rung, Rung, str], None],
        what: str,
    ) -> None:
        self._rungs, self._at, self._cleared = tuple(rungs), 0, False
        self._make_room, self._on_step, self._what = make_room, on_step, what

    @property
    def rung(self) -> Rung:
        """To try now."""
        return self._rungs[self._at]

    def ran_out(self, error: BaseException) -> str:
        """What an out-of-memory error says; any other error is raised again."""
        if not is_out_of_memory(error):
            raise error
        return str(error).splitlines()[0][:300] if str(error) else "out of memory"

    def step_down(self, said: str) -> None:
        """Free what can be freed, and go one rung down, unless something else than this part
        could be freed: then the same rung is tried once more. RenderError below the last one."""
        if self._make_room() and not self._cleared:
            self._cleared = True
            return
        if self._at + 1 == len(self._rungs):
            raise RenderError(
                f"{self._what} does not fit even on the rung {self.rung}: {said}",
                todo="use a smaller size, fewer frames or the draft profile, or a device with "
                "more memory",
            )
        self._at += 1
        self._on_step(self._rungs[self._at - 1], self.rung, said)


def weights_bytes(folder: str | Path, names: Sequence[str], item_bytes: int) -> int | None:
    """Bytes of the parts whose folders match `names`, each number in `item_bytes`.

    From the headers of the safetensors files alone; None when there are none.
    """
    total, found = 0, False
    for name in names:
        for path in sorted(Path(folder).glob(f"{name}/**/*.safetensors")):
            for num_bytes, dtype_bytes in _tensors(path):
                # Already smaller weights stay as small as they are.
                total += num_bytes * min(item_bytes, dtype_bytes) // dtype_bytes
                found = True
    return total if found else None


def _tensors(path: Path) -> Iterator[tuple[int, int]]:
    """Bytes of each tensor, and of one of its numbers (safetensors: 8 bytes length, then JSON)."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _LARGEST_HEADER:
                return
            header = json.loads(file.read(length))
    except (OSError, ValueError, struct.error):
        return
    for name, facts in header.items():
        if name != "__metadata__":
            start, stop = facts["data_offsets"]
            yield int(stop) - int(start), _ITEM_BYTES.get(facts["dtype"], 1)
