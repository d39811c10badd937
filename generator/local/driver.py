"""Open models on this machine's device, driven phase by phase.

A backend file describes its model as a `Family` and holds one `LocalRenderer`, to which it hands
`unready`, `revision`, `prepare` and `render`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from generator.backends.base import FrameRule, Licence, Rendered, RenderRequest, RenderTools
from generator.local.device import best_dtype, pick_device
from generator.local.family import Family, Placing, Rung, Sources
from generator.local.levers import LeverSupport
from generator.local.making import SetUp, TakeMaking
from generator.local.pool import ModelPool, PartName, shared_pool
from generator.local.readiness import Needs, Readiness
from generator.local.settings import LocalSettings, ModelSettings, Profile
from generator.local.sources import Need, find_sources
from media.errors import CancelledError, RefusalError

__all__ = ["LeverSupport", "LocalRenderer", "Need"]


class LocalRenderer:
    """Takes of one model: prompts encoded, latents denoised and kept, frames decoded in a stream.

    `needs` may depend on the settings (a model's variants have other files). With `rule`, takes
    longer than one call of the model are made in segments that share `overlap_frames`. Nothing
    is loaded before `prepare` or `render`; `settings` and `pool` are the machine's by default.
    """

    def __init__(
        self,
        backend_id: str,
        code_revision: str,
        licence: Licence,
        needs: Needs,
        make_family: Callable[[Sources, ModelSettings], Family],
        settings: LocalSettings | None = None,
        *,
        levers: LeverSupport | None = None,
        rule: FrameRule | None = None,
        overlap_frames: int = 0,
        pool: ModelPool | None = None,
    ) -> None:
        levers = levers or LeverSupport()
        self._ready = Readiness(backend_id, licence, needs, levers, settings)
        self._code_revision, self._make_family = code_revision, make_family
        self._rule, self._overlap_frames, self._pool = rule, overlap_frames, pool
        self._learned: dict[Profile, dict[tuple[PartName, str], tuple[int, Rung]]] = {}
        self._last: dict[Profile, SetUp] = {}

    @property
    def model(self) -> ModelSettings:
        """What the models file says of this backend's model; empty where it says nothing."""
        return self._ready.model

    @property
    def unready(self) -> str:
        """Why it cannot render on this machine as it is set up, and what to do; empty: it can."""
        return self._ready.unready

    @property
    def revision(self) -> str:
        """Of the code, the weights, and the settings that change pixels."""
        return f"{self._code_revision}+{self._ready.weights}"

    def prepare(self, requests: Sequence[RenderRequest], tools: RenderTools) -> None:
        """Encode the prompts of many takes with one load of the encoder, and free it."""
        if tools.cache is None or not requests:
            return
        for request in requests:
            set_up = self._set_up(request.profile)
            TakeMaking(set_up, request, tools).encoded()
        set_up.pool.drop(set_up.model_id, "encoder")

    def render(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        """The take: denoised when this returns, decoded as its frames are read.

        Of a take in segments that holds for the first; the others are made while it is read.
        """
        if self._rule is None:
            return self._render_call(request, tools)
        from generator.segments import render_in_segments, segments_of

        segments = segments_of(request, self._rule, self._overlap_frames)
        return render_in_segments(request, tools, segments, self._render_call)

    def _render_call(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        """A take, or a segment of one, that the model makes in one call."""
        if tools.should_stop():
            raise CancelledError("cancelled before the take was begun")
        take = TakeMaking(self._set_up(request.profile), request, tools)
        latents = take.latents()
        take.notes.versions.update(_versions(take.set_up.placing))
        return Rendered(
            frames=take.frames(latents),
            num_frames=request.num_frames,
            fps=request.fps,
            size=request.size,
            seed=request.seed,
            revision=self.revision,
            audio=lambda: take.sound,
            versions=take.notes.versions,
            licence=self._ready.licence.id,
            warnings=take.notes.warnings,
            peak_memory_mb=lambda: take.peak.megabytes,
            timings=take.notes.timings,
        )

    def _set_up(self, profile: Profile) -> SetUp:
        """The model as it is configured now: the same object while nothing has changed."""
        unready = self.unready
        if unready:
            raise RefusalError(f"{self._ready.backend_id} {unready}")
        model = self.model.for_profile(profile)
        device = pick_device(self._ready.settings.device)
        sources = find_sources(model, self._ready.model_needs)
        model_id = f"{self._ready.backend_id}@{self.revision}"
        placing = _placing(model, device)
        last = self._last.get(profile)
        if (
            last is None
            or (last.model_id, last.placing, last.model) != (model_id, placing, model)
            or last.sources != sources
        ):
            family = self._make_family(sources, model)
            pool = self._pool or shared_pool(device)
            learned = self._learned.setdefault(profile, {})
            last = self._last[profile] = SetUp(
                model_id, family, sources, model, placing, pool, learned
            )
        return last


def _placing(model: ModelSettings, device: str) -> Placing:
    dtype = best_dtype(device)
    if model.precision == "bf16":
        dtype = "bfloat16"
    elif model.precision == "fp32":
        dtype = "float32"
    quantise: Literal["", "fp8", "int8"] = ""
    if model.precision in ("fp8", "int8"):
        quantise = model.precision
    return Placing(
        device=device,
        dtype=dtype,
        quantise=quantise,
        attention=model.attention,
        compile=model.compile,
        step_cache=model.step_cache,
    )


def _versions(placing: Placing) -> dict[str, str]:
    found = {"device": placing.device, "dtype": placing.dtype}
    for name in ("torch", "diffusers", "transformers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
