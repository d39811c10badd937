"""Wan 2.2 and 2.1: silent takes from words, pictures, takes before and poses. Apache-2.0.

    [models.wan]
    source = "/models/Wan2.2-T2V-A14B-Diffusers"     # words
    variant = "2.2"                                   # or 2.2-5b, 2.1, 2.1-1.3b
    [models.wan.parts.i2v]                            # a first (and last) picture
    [models.wan.parts.vace]                           # characters, pictures anywhere, extension
    [models.wan.parts.animate]                        # movement from a pose video
    [models.wan.parts.lightning]                      # four steps a take

What a request needs decides which weights make it; parts that are not there are asked for by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from generator.backends.base import (
    Capabilities,
    Quote,
    Rendered,
    RenderRequest,
    RenderTools,
    Snapped,
)
from generator.backends.wan_parts.family import WanFamily, sampling_of
from generator.backends.wan_parts.inputs import pipeline_of
from generator.backends.wan_parts.models import (
    ANIMATE_RULE,
    LICENCE,
    PARTS,
    Wan,
    capabilities_of,
    needs_of,
    unknown_variant,
    wan_of,
)
from generator.backends.wan_parts.snap import WEIGHTS, overlap_of, parts_of, snap_request
from generator.local.driver import LocalRenderer
from generator.local.levers import LeverSupport
from generator.local.readiness import Readiness
from generator.local.settings import PROFILES, LocalSettings, ModelSettings
from generator.local.sources import Need
from generator.segments import Segment, render_in_segments, segments_of
from media.errors import RefusalError

__all__ = ["WanBackend"]

_REVISION = "1"
"""Of the code here: a change that changes pixels changes it."""

_LEVERS = LeverSupport(
    step_caches=frozenset({"firstblock", "pyramid"}),
    reasons=(
        ("magcache", "it needs ratios measured on each checkpoint, and none are published for all"),
        ("taylorseer", "it has no effect on Wan's blocks"),
    ),
)


class WanBackend:
    """One generation of Wan, with the parts that this machine has."""

    id = "wan"

    def __init__(self, settings: LocalSettings | None = None) -> None:
        self._renderer = LocalRenderer(
            self.id,
            _REVISION,
            LICENCE,
            lambda model: needs_of(wan_of(model)),
            lambda sources, model: WanFamily(sources, wan_of(model)),
            settings,
            levers=_LEVERS,
        )
        self._settings = settings
        self._identities: dict[str, Readiness] = {}

    @property
    def revision(self) -> str:
        """Of the code and the main weights; a part's are in the requests that it makes, so that
        adding one leaves finished takes as they are."""
        return f"{_REVISION}+{self._identity('main')}"

    @property
    def capabilities(self) -> Capabilities:
        """With the parts that the models file names; without a file, with all there are."""
        return capabilities_of(self._wan, self._parts)

    @property
    def unready(self) -> str:
        """Why it cannot render on this machine, and what to do."""
        unready = unknown_variant(self._renderer.model) or self._renderer.unready
        if unready:
            return unready
        unused = sorted(self._parts - {*self._wan.weights.values(), "lightning", "lightning_i2v"})
        if unused:
            known = ", ".join(PARTS)
            return (
                f"models.wan.parts.{unused[0]}: Wan {self._wan.variant} does not use it "
                f"(known for all variants: {known}); take it out of models.toml"
            )
        few_steps = self._parts & {"lightning", "lightning_i2v"}
        for profile in PROFILES:
            cache = self._renderer.model.for_profile(profile).step_cache
            if cache and few_steps:
                return (
                    f"step_cache {cache}: with the few-step adapter there is no step to spare; "
                    "take one of the two out of models.toml"
                )
        return ""

    def snap(self, request: RenderRequest) -> Snapped:
        """The nearest request that this machine's parts make."""
        if self.unready:
            raise RefusalError(self.unready)
        snapped = snap_request(request, self._wan, self._parts)
        parts = parts_of(snapped.request, self._wan)
        if not parts:
            return snapped
        weights = ".".join(self._identity(part) for part in parts)
        options = tuple(sorted((*snapped.request.options, (WEIGHTS, weights))))
        return replace(snapped, request=replace(snapped.request, options=options))

    def quote(self, request: RenderRequest) -> Quote:
        """Seconds of one GPU by the makers' own table, call by call."""
        pipeline = pipeline_of(request)
        sampling = sampling_of(self._wan, request, pipeline)
        calls = (segment.call_frames for segment in self._segments(request))
        seconds = sum(self._wan.gpu_seconds(request.size, frames, sampling) for frames in calls)
        return Quote(gpu_seconds=round(seconds, 1))

    def prepare(self, requests: Sequence[RenderRequest], tools: RenderTools) -> None:
        """Encode all prompts."""
        self._renderer.prepare(requests, tools)

    def render(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        """The take, in as many calls as it is long."""
        return render_in_segments(request, tools, self._segments(request), self._renderer.render)

    def _identity(self, name: str) -> str:
        """The weights of the main model or of a part, as one word."""
        if name not in self._identities:

            def needs(model: ModelSettings) -> tuple[Need, ...]:
                return tuple(need for need in needs_of(wan_of(model)) if need.name == name)

            self._identities[name] = Readiness(self.id, LICENCE, needs, _LEVERS, self._settings)
        return self._identities[name].weights

    @property
    def _wan(self) -> Wan:
        return wan_of(self._renderer.model)

    @property
    def _parts(self) -> frozenset[str]:
        model = self._renderer.model
        return frozenset(model.parts if model.source else PARTS)

    def _segments(self, request: RenderRequest) -> tuple[Segment, ...]:
        pipeline = str(dict(request.options)["pipeline"])
        rule = ANIMATE_RULE if pipeline == "animate" else self._wan.frame_rule
        return segments_of(request, rule, overlap_of(pipeline))
