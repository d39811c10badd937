"""One take on its way: prompt → latents → frames, each part on the rung that has room for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from generator.backends.base import Frames, RenderRequest, RenderTools
from generator.keys import content_digest
from generator.local.device import PeakMemory, free_bytes
from generator.local.family import (
    EncodesFiles,
    EncodesMore,
    Family,
    HasVariants,
    Placing,
    Rung,
    Sources,
    SwapsLoras,
    Tensors,
)
from generator.local.ladder import Ladder, room_beside, rungs_for, rungs_that_fit, weights_bytes
from generator.local.loading import computing, loading
from generator.local.phases import LATENTS, PROMPTS, Notes, kept
from generator.local.pool import ModelPool, Part, PartKey, PartName
from generator.local.settings import ModelSettings
from media.errors import CancelledError, RenderError
from media.files import sha256_file

__all__ = ["SetUp", "TakeMaking"]

_FOLDERS: dict[PartName, tuple[str, ...]] = {
    "encoder": ("text_encoder*",),
    "denoiser": ("transformer*",),
    "decoder": ("vae*", "audio_vae*", "vocoder*"),
}
"""Where diffusers keeps the weights of each part."""

_MOST_WAIT_S = 120.0
"""For earlier takes to be decoded, when room is short beside them."""


@dataclass(frozen=True, slots=True)
class SetUp:
    """A model ready to be loaded: what all its takes share."""

    model_id: str
    """Backend id and revision: a part of every key."""
    family: Family
    sources: Sources
    model: ModelSettings
    placing: Placing
    pool: ModelPool
    learned: dict[tuple[PartName, str], tuple[int, Rung]] = field(default_factory=dict)
    """By part and variant, the rung that a take of so many pixels ended on."""

    def placing_of(self, name: PartName) -> Placing:
        """How a part is placed: levers are the denoiser's, and a decoder's rounding is seen."""
        if name == "denoiser":
            return self.placing
        plain = replace(self.placing, attention="", compile=False, step_cache="")
        return replace(plain, quantise="") if name == "decoder" else plain


class TakeMaking:
    """The phases of one take."""

    def __init__(self, set_up: SetUp, request: RenderRequest, tools: RenderTools) -> None:
        self.set_up, self.request, self.tools = set_up, request, tools
        self.family, self.pool = set_up.family, set_up.pool
        self.notes = Notes()
        self.peak = PeakMemory(set_up.placing.device)
        self.sound: np.ndarray | None = None
        """Of the take, once all frames are read."""

    def encoded(self) -> Tensors:
        """The prompt's embeddings, kept by the words and the model."""
        request, family = self.request, self.family
        more = family.encoded_from(request) if isinstance(family, EncodesMore) else ()
        words = (request.prompt, request.negative, tuple(more))
        precision = self.set_up.model.precision
        key = content_digest("prompt", self.set_up.model_id, precision, *words)

        def encode(part: Part) -> Tensors:
            with self._computing("encode_s"):
                if isinstance(family, EncodesFiles):
                    return family.encode_files(part.value, request, self.tools)
                return family.encode(part.value, request)

        def make() -> Tensors:
            placing = self.set_up.placing_of("encoder")
            return self._on_device("encoder", placing, family.load_encoder, encode)

        return self._kept(PROMPTS, key, make)

    def latents(self) -> Tensors:
        """What the request is denoised to, kept by the whole request and the model."""
        key = content_digest("latents", self.set_up.model_id, self.request)
        return self._kept(LATENTS, key, lambda: self._denoised(self.encoded()))

    def frames(self, latents: Tensors) -> Iterator[Frames]:
        """The frames in chunks of at most 16; after the last one, `sound` is there.

        Out of memory in the middle, it starts again with more room, and passes over what was
        delivered: first alone on the device, after the take that is being denoised there.
        """
        with ExitStack() as alone:
            placing = self.set_up.placing_of("decoder")
            ladder = self._ladder("decoder", placing, alone)
            delivered = 0
            while True:
                try:
                    made = 0
                    for chunk in self._decoded(latents, replace(placing, rung=ladder.rung)):
                        fresh = chunk[max(0, delivered - made) :]
                        made += len(chunk)
                        if len(fresh):
                            delivered += len(fresh)
                            yield fresh
                    self._note_rung("decoder", ladder.rung)
                    return
                except (RuntimeError, MemoryError) as error:
                    said = ladder.ran_out(error)
                ladder.step_down(said)

    def _denoised(self, encoded: Tensors) -> Tensors:
        family, loras = self.family, self._lora_files()
        variant = family.variant(self.request) if isinstance(family, HasVariants) else ""
        placing = replace(self.set_up.placing_of("denoiser"), variant=variant, loras=loras)

        def denoise(part: Part) -> Tensors:
            if isinstance(family, SwapsLoras) and part.loras != loras:
                with self._loading():
                    _swap_loras(family, part, loras)
            with self._computing("denoise_s"):
                return family.denoise(part.value, self.request, encoded, self.tools)

        return self._on_device("denoiser", placing, family.load_denoiser, denoise)

    def _decoded(self, latents: Tensors, placing: Placing) -> Iterator[Frames]:
        """All frames, and then the sound, with the decoder on one rung."""
        with self._lease("decoder", placing, self.family.load_decoder) as part:
            chunks = self.family.decode(part.value, self.request, latents)
            while True:
                self._require_going()
                with self._computing("decode_s"):
                    chunk = next(chunks, None)
                if chunk is None:
                    break
                yield chunk
            if self.request.audio != "none":
                with self._computing("decode_s"):
                    self.sound = self.family.sound(part.value, self.request, latents)

    def _on_device(
        self,
        name: PartName,
        placing: Placing,
        load: Callable[[Placing], Any],
        use: Callable[[Part], Tensors],
    ) -> Tensors:
        """`use` of the part with the device to ourselves, on the fastest rung with room for it."""
        with self.pool.turn(self.tools.should_stop):
            ladder = self._ladder(name, placing)
            while True:
                self._require_going()
                try:
                    with self._lease(name, replace(placing, rung=ladder.rung), load) as part:
                        made = use(part)
                    self._note_rung(name, ladder.rung)
                    return made
                except (RuntimeError, MemoryError) as error:
                    said = ladder.ran_out(error)
                ladder.step_down(said)

    @contextmanager
    def _lease(
        self, name: PartName, placing: Placing, load: Callable[[Placing], Any]
    ) -> Iterator[Part]:
        def timed_load() -> Any:
            with self._loading():
                return load(key.placing)

        key = self._key(name, placing)
        with self.pool.lease(key, timed_load, self.tools.should_stop) as part:
            yield part

    def _key(self, name: PartName, placing: Placing) -> PartKey:
        """What the pool knows the part by: without adapters, where they can be swapped.

        They cannot beside weights in 8 bits (diffusers gives an adapter the type of the weights
        it finds) nor among accelerate's hooks: there the part is loaded with them.
        """
        exact = placing.rung in ("resident", "group_offload") and not placing.quantise
        if exact and isinstance(self.family, SwapsLoras):
            placing = replace(placing, loras=())
        return PartKey(self.set_up.model_id, name, placing)

    def _ladder(self, name: PartName, placing: Placing, alone: ExitStack | None = None) -> Ladder:
        """From the rung that seems to fit, or that takes as large as this one ended on.

        Room is made by waiting for the decoding of earlier takes, or with `alone`, for the turn
        of whoever denoises.
        """
        turns: list[None] = []

        def make_room() -> bool:
            if alone is None:
                waited = self.pool.wait_for_others(_MOST_WAIT_S, self.tools.should_stop)
            else:
                waited = not turns
                turns.append(alone.enter_context(self.pool.turn(self.tools.should_stop)))
            key = self._key(name, replace(placing, rung=ladder.rung))
            return self.pool.drop_idle(besides=key) or waited

        def stepped(above: Rung, below: Rung, said: str) -> None:
            self.set_up.learned[name, placing.variant] = (_volume(self.request), below)
            self.notes.warnings.append(
                f"the {name} ran out of memory ({_words(above)}): {_words(below)} instead; {said}"
            )

        ladder = Ladder(self._rungs(name, placing), make_room, stepped, f"the {name}")
        return ladder

    def _rungs(self, name: PartName, placing: Placing) -> tuple[Rung, ...]:
        """The rungs to try for a part, from the fastest that there is room for."""
        rungs = rungs_for(self.set_up.model, name)
        volume, rung = self.set_up.learned.get((name, placing.variant), (0, rungs[0]))
        if rung in rungs and _volume(self.request) >= volume:
            rungs = rungs[rungs.index(rung) :]
        first = self._key(name, replace(placing, rung=rungs[0]))
        weights = self._weights(name, placing)
        if weights is None or first in self.pool.loaded:
            return rungs
        self.pool.make_room(weights + room_beside(weights))
        fitting = rungs_that_fit(rungs, weights, free_bytes(placing.device))
        if fitting != rungs:
            self.set_up.learned[name, placing.variant] = (0, fitting[0])
        return fitting

    def _weights(self, name: PartName, placing: Placing) -> int | None:
        """Bytes of the part's weights as they are loaded; None: unknown."""
        sources = self.set_up.sources
        item_bytes = 1 if placing.quantise else 4 if placing.dtype == "float32" else 2
        folder = sources.parts.get(placing.variant, sources.main)
        if not folder:
            return None
        # A variant may be a folder beside others, of which only it is loaded.
        alone = placing.variant and Path(folder, placing.variant).is_dir()
        return weights_bytes(folder, (placing.variant,) if alone else _FOLDERS[name], item_bytes)

    def _note_rung(self, name: PartName, rung: Rung) -> None:
        self.notes.versions[f"{name}_rung"] = rung
        if rung == "quantised":
            self.notes.warnings.append(
                f"the {name}'s weights were held in 8 bits, for want of memory"
            )

    def _lora_files(self) -> tuple[tuple[str, str, float], ...]:
        files = []
        for lora in self.request.loras:
            path = self.tools.assets.get(lora.sha256)
            if path is None or sha256_file(path) != lora.sha256:
                whose = f" of {lora.subject}" if lora.subject else ""
                raise RenderError(f"the adapter{whose} was not handed to the backend")
            files.append((lora.sha256, str(path), lora.weight))
        return tuple(files)

    def _kept(self, kind: str, key: str, make: Callable[[], Tensors]) -> Tensors:
        tools = self.tools
        return kept(tools.cache, kind, key, make, self.notes, tools.should_stop)

    def _require_going(self) -> None:
        if self.tools.should_stop():
            raise CancelledError("cancelled")

    @contextmanager
    def _loading(self) -> Iterator[None]:
        with loading(self.tools.should_stop), self._timed("load_s"):
            yield

    @contextmanager
    def _computing(self, phase: str) -> Iterator[None]:
        with computing(self.tools.should_stop), self._timed(phase):
            yield

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            spent = self.notes.timings.get(phase, 0.0) + time.monotonic() - started
            self.notes.timings[phase] = round(spent, 3)
            self.peak.note()


def _swap_loras(family: SwapsLoras, part: Part, loras: tuple[tuple[str, str, float], ...]) -> None:
    try:
        family.set_loras(part.value, loras)
    except BaseException:
        part.spoilt = True
        raise
    part.loras = loras


def _volume(request: RenderRequest) -> int:
    return request.size[0] * request.size[1] * request.num_frames


def _words(rung: Rung) -> str:
    return rung.replace("_", " ")
