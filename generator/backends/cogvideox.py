"""CogVideoX: short silent shots from words or from a first picture, on modest cards.

Three generations, chosen by `variant` in the models file: `1.5-5b` (16 fps, up to 10 s, any
shape), `5b` and `2b` (8 fps, 6 s, 720x480 only). The part `image` is the generation's I2V
checkpoint: with it a shot may start from a picture or from the last frame of another take.

Phases: T5 embeddings, latents `(1, frames, channels, h, w)`, causal VAE. Text and image checkpoint
of a generation share text encoder and VAE, so the latents of either are decoded with the main one.

Figures are the authors' own, from the table in https://github.com/zai-org/CogVideo (read
November 2026): sizes, frames, rates, memory, seconds for 50 steps on an H100.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from generator.backends.base import (
    Capabilities,
    FrameRule,
    Licence,
    Quote,
    Rendered,
    RenderRequest,
    RenderTools,
    Snapped,
    Task,
)
from generator.backends.cogvideox_family import STEPS, CogVideoXFamily
from generator.local.canvases import Canvas, fit_to_canvas
from generator.local.choices import require_options, steps_of
from generator.local.clips import call_frames
from generator.local.driver import LeverSupport, LocalRenderer, Need
from generator.local.family import Sources
from generator.local.quoting import gpu_seconds
from generator.local.settings import LocalSettings, ModelSettings, local_settings
from generator.local.unmade import require_makeable, without_unmade
from media.errors import RefusalError

__all__ = ["CogVideoX"]


@dataclass(frozen=True, slots=True)
class _Generation:
    """What the authors say of one generation of the model."""

    canvas: Canvas
    max_size: tuple[int, int]
    fps: int
    rule: FrameRule
    text_tokens: int
    """Length of prompts in training (`max_text_seq_length` of the transformer)."""
    licence: Licence
    size_gb: float
    gpu_seconds_per_second: float
    hub_id: str
    image_hub_id: str = ""
    """Of the checkpoint that starts from a picture; empty: there is none."""

    @property
    def needs(self) -> tuple[Need, ...]:
        """Of each checkpoint all the folders: the pipeline is loaded from it part by part."""
        files = ("model_index.json", "transformer", "vae", "scheduler")
        words = ("text_encoder", "tokenizer")
        licence = self.licence.id
        main = Need("main", (*files, *words), self.size_gb, licence, f"from {self.hub_id}")
        if not self.image_hub_id:
            return (main,)
        # Its text encoder is the main one's.
        size_gb = self.size_gb - _T5_GB
        image = Need("image", files, size_gb, licence, self.image_hint, optional=True)
        return (main, image)

    @property
    def image_hint(self) -> str:
        """What to do for shots that start from a picture."""
        if not self.image_hub_id:
            return "use the variant 1.5-5b or 5b: this one starts from no picture"
        return f"name {self.image_hub_id} as [models.cogvideox.parts.image] in the models file"


_T5_GB = 9.5
"""T5-v1.1-XXL's encoder, 4.76 billion parameters in 16 bits."""

_COGVIDEOX_LICENCE = Licence(
    "cogvideox",
    needs_acknowledgement=True,
    url="https://huggingface.co/zai-org/CogVideoX1.5-5B/blob/main/LICENSE",
)
"""Free for research; commercial use after registration, up to a million visits a month."""

_GENERATIONS: Mapping[str, _Generation] = {
    "1.5-5b": _Generation(
        # 550 s for 81 frames at 16 fps of 1360x768.
        Canvas(pixels=1360 * 768, short_edge=768),
        (1360, 1360),
        16,
        FrameRule(16, 1, 17, 161),
        224,
        _COGVIDEOX_LICENCE,
        21.0,
        96.0,
        "zai-org/CogVideoX1.5-5B",
        "zai-org/CogVideoX1.5-5B-I2V",
    ),
    "5b": _Generation(
        # 90 s for 49 frames at 8 fps of 720x480.
        Canvas(pixels=720 * 480, fixed=(720, 480)),
        (720, 480),
        8,
        FrameRule(8, 1, 9, 49),
        226,
        _COGVIDEOX_LICENCE,
        21.0,
        39.0,
        "zai-org/CogVideoX-5b",
        "zai-org/CogVideoX-5b-I2V",
    ),
    "2b": _Generation(
        # 45 s for the same.
        Canvas(pixels=720 * 480, fixed=(720, 480)),
        (720, 480),
        8,
        FrameRule(8, 1, 9, 49),
        226,
        Licence("Apache-2.0", url="https://huggingface.co/zai-org/CogVideoX-2b"),
        13.5,
        20.0,
        "zai-org/CogVideoX-2b",
    ),
}

_DEFAULT = "1.5-5b"
_CODE_REVISION = "1"
_OPTIONS = ("steps", "guidance")
_IMAGE = "image"
_LONGEST_TAKE_S = 30
"""Of segments, each from the last frame of the one before: movement does not carry over the seams
and colours wander, so longer takes are refused."""

_LEVERS = LeverSupport(
    compile=False,
    attention=False,
    step_caches=frozenset({"pyramid"}),
    reasons=(
        ("compile", "diffusers names no repeated blocks of CogVideoX"),
        ("attention", "CogVideoX's attention in diffusers always calls PyTorch's own"),
        ("magcache", "it needs ratios that were measured on the model"),
        ("taylorseer", "it was seen to have no effect on CogVideoX"),
    ),
)


class CogVideoX:
    """CogVideoX as the machine's models file has it."""

    id = "cogvideox"

    def __init__(self, settings: LocalSettings | None = None) -> None:
        self._settings = settings
        self._renderers: dict[str, LocalRenderer] = {}

    @property
    def revision(self) -> str:
        """Of this code and of the weights."""
        return self._renderer.revision

    @property
    def capabilities(self) -> Capabilities:
        """Without the part `image`, no shot starts from a picture or goes on from another."""
        unset = not self._model.source
        return _capabilities(self._generation, with_image=unset or _IMAGE in self._model.parts)

    @property
    def unready(self) -> str:
        """Why the models file does not do, and what to do; empty: it does."""
        variant = self._model.variant
        if variant and variant not in _GENERATIONS:
            return f"cogvideox: expected variant {' or '.join(_GENERATIONS)}, got {variant!r}"
        return self._renderer.unready

    def snap(self, request: RenderRequest) -> Snapped:
        """The nearest clip that the model makes. Raises RefusalError when there is none."""
        if self.unready:
            raise RefusalError(self.unready)
        able = self.capabilities
        require_makeable(request, able)
        if (request.key_pictures or request.continue_from) and not able.max_key_pictures:
            raise RefusalError(
                "CogVideoX has no image-to-video weights here, which this shot's picture needs",
                todo=self._generation.image_hint,
            )
        kept, losses = without_unmade(request, able, "CogVideoX", options=_OPTIONS)
        require_options(kept)
        fitted, changes = fit_to_canvas(kept, able, self._generation.canvas)
        return Snapped(fitted, changes, losses)

    def quote(self, request: RenderRequest) -> Quote:
        """Seconds of an H100, from the authors' figures for 50 steps."""
        return Quote(
            gpu_seconds=gpu_seconds(
                request,
                self.capabilities,
                steps=steps_of(request, STEPS),
                steps_seen=50,
                call_frames=max(call_frames(request, self._generation.rule), request.num_frames),
            )
        )

    def prepare(self, requests: Sequence[RenderRequest], tools: RenderTools) -> None:
        """Encode all prompts with one load of the encoder."""
        self._renderer.prepare(requests, tools)

    def render(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        """Denoise the take; its frames are decoded as they are read."""
        return self._renderer.render(request, tools)

    def family(self, sources: Sources) -> CogVideoXFamily:
        """The phases of the configured generation, from these folders."""
        return CogVideoXFamily(sources, self._generation.rule, self._generation.text_tokens)

    @property
    def _model(self) -> ModelSettings:
        found = local_settings() if self._settings is None else self._settings
        return found.model(self.id) or ModelSettings()

    @property
    def _generation(self) -> _Generation:
        return _GENERATIONS.get(self._model.variant, _GENERATIONS[_DEFAULT])

    @property
    def _renderer(self) -> LocalRenderer:
        """One for each generation: they differ in licence, files and frame rule."""
        generation = self._generation
        if generation.hub_id not in self._renderers:
            self._renderers[generation.hub_id] = LocalRenderer(
                self.id,
                _CODE_REVISION,
                generation.licence,
                generation.needs,
                lambda sources, _: self.family(sources),
                self._settings,
                levers=_LEVERS,
                rule=generation.rule,
                overlap_frames=1,
            )
        return self._renderers[generation.hub_id]


def _capabilities(generation: _Generation, *, with_image: bool) -> Capabilities:
    opens = with_image and bool(generation.image_hub_id)
    tasks: frozenset[Task] = frozenset({"text", "first_frame", "extend"} if opens else {"text"})
    return Capabilities(
        tasks=tasks,
        max_references={"image": 0, "video": 0, "audio": 0},
        max_key_pictures=1 if opens else 0,
        keyframe_positions="first" if opens else "none",
        camera="prompt",
        motion_areas=0,
        extension="last_frame" if opens else "none",
        native_audio=False,
        audio_rate=0,
        frame_rule=generation.rule,
        size_multiple=16,
        max_size=generation.max_size,
        fps=(Fraction(generation.fps),),
        seeded=True,
        shots_per_generation=1,
        loras=False,
        edit=frozenset(),
        licence=generation.licence,
        usd_per_second=0.0,
        gpu_seconds_per_second=generation.gpu_seconds_per_second,
        max_take_s=_LONGEST_TAKE_S if opens else 0,
    )
