"""HunyuanVideo 1.5: silent shots of 5 to 10 seconds from words or from a first picture.

Its `variant` in the models file is that of the checkpoint: `720p` or `480p`, with `-distilled`
where guidance is distilled into it. The part `image` is the I2V checkpoint of the same height: with
it a shot may start from a picture or from the last frame of another take.

Its licence does not apply in the EU, the United Kingdom and South Korea. Sizes, steps and times:
https://github.com/Tencent-Hunyuan/HunyuanVideo-1.5 (read November 2026).
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
from generator.backends.hunyuanvideo_family import HunyuanVideoFamily
from generator.local.canvases import Canvas, fit_to_canvas
from generator.local.choices import require_options, steps_of
from generator.local.clips import call_frames
from generator.local.driver import LeverSupport, LocalRenderer, Need
from generator.local.family import Sources
from generator.local.quoting import gpu_seconds
from generator.local.settings import LocalSettings, ModelSettings, local_settings
from generator.local.unmade import require_makeable, without_unmade
from media.errors import RefusalError

__all__ = ["HunyuanVideo"]

_LICENCE = Licence(
    "tencent-hunyuan-community",
    excluded_territories=("EU", "United Kingdom", "South Korea"),
    needs_acknowledgement=True,
    url="https://huggingface.co/tencent/HunyuanVideo-1.5/blob/main/LICENSE",
)
_CODE_REVISION = "1"
_RULE = FrameRule(step=4, offset=1, minimum=5, maximum=241)
"""The VAE's four frames a latent; five to ten seconds at 24 fps are what it was trained for."""

_LONGEST_TAKE_S = 30
"""Of segments, each from the last frame of the one before: movement does not carry over the seams
and colours wander, so longer takes are refused."""

_IMAGE = "image"
_COLLECTION = "https://huggingface.co/collections/hunyuanvideo-community/hunyuanvideo-15"
_MAIN_FILES = (
    "model_index.json",
    "text_encoder",
    "tokenizer",
    "text_encoder_2",
    "tokenizer_2",
    "transformer",
    "vae",
    "scheduler",
    "guider",
)
_IMAGE_FILES = (
    "model_index.json",
    "transformer",
    "vae",
    "image_encoder",
    "feature_extractor",
    "scheduler",
    "guider",
)
_NEEDS = (
    # 8.3 billion parameters and Qwen2.5-VL-7B in 16 bits, ByT5, the VAE.
    Need("main", _MAIN_FILES, 35.0, _LICENCE.id, f"a t2v checkpoint of {_COLLECTION}"),
    Need(
        _IMAGE,
        _IMAGE_FILES,
        20.0,
        _LICENCE.id,
        f"an i2v checkpoint of {_COLLECTION}",
        optional=True,
    ),
)
_LEVERS = LeverSupport(
    step_caches=frozenset({"pyramid", "taylorseer"}),
    reasons=(
        ("firstblock", "diffusers does not know the blocks of HunyuanVideo 1.5"),
        ("magcache", "it needs ratios that were measured on the model"),
    ),
)


@dataclass(frozen=True, slots=True)
class _Variant:
    """One released checkpoint."""

    canvas: Canvas
    distilled: bool

    @property
    def steps(self) -> Mapping[str, int]:
        """By profile. 50 are the authors'; distilled ones "must use 50 steps"."""
        return {"draft": 50 if self.distilled else 20, "standard": 50, "fine": 50}

    @property
    def gpu_seconds_per_second(self) -> float:
        """75 s on an RTX 4090 for 121 frames at 480p in 12 passes, scaled to 720p and to 50 steps,
        which without distillation are 100 passes."""
        return 140.0 if self.distilled else 280.0


_480P, _720P = Canvas(pixels=640 * 640), Canvas(pixels=960 * 960)
"""`target_size` squared: the area of the buckets that it was trained in."""

_VARIANTS: Mapping[str, _Variant] = {
    "720p": _Variant(_720P, distilled=False),
    "480p": _Variant(_480P, distilled=False),
    "720p-distilled": _Variant(_720P, distilled=True),
    "480p-distilled": _Variant(_480P, distilled=True),
}


class HunyuanVideo:
    """HunyuanVideo 1.5 as the machine's models file has it."""

    id = "hunyuanvideo"

    def __init__(self, settings: LocalSettings | None = None) -> None:
        self._settings = settings
        self._renderer = LocalRenderer(
            self.id,
            _CODE_REVISION,
            _LICENCE,
            _NEEDS,
            lambda sources, _: self.family(sources),
            settings,
            levers=_LEVERS,
            rule=_RULE,
            overlap_frames=1,
        )

    @property
    def revision(self) -> str:
        """Of this code and of the weights."""
        return self._renderer.revision

    @property
    def capabilities(self) -> Capabilities:
        """Without the part `image`, no shot starts from a picture or goes on from another."""
        unset = not self._model.source
        return _capabilities(self._variant, opens=unset or _IMAGE in self._model.parts)

    @property
    def unready(self) -> str:
        """Why the models file does not do, and what to do; empty: it does."""
        variant = self._model.variant
        if variant and variant not in _VARIANTS:
            return f"hunyuanvideo: expected variant {' or '.join(_VARIANTS)}, got {variant!r}"
        return self._renderer.unready

    def snap(self, request: RenderRequest) -> Snapped:
        """The nearest clip that the model makes. Raises RefusalError when there is none."""
        if self.unready:
            raise RefusalError(self.unready)
        able = self.capabilities
        require_makeable(request, able)
        if (request.key_pictures or request.continue_from) and not able.max_key_pictures:
            raise RefusalError(
                "HunyuanVideo has no image-to-video weights here, which this shot's picture needs",
                todo=f"name an i2v checkpoint of {_COLLECTION} as "
                "[models.hunyuanvideo.parts.image] in the models file",
            )
        kept, losses = without_unmade(
            request,
            able,
            "HunyuanVideo",
            options=("steps",),
            has_negative=not self._variant.distilled,
        )
        require_options(kept)
        fitted, changes = fit_to_canvas(kept, able, self._variant.canvas)
        return Snapped(fitted, changes, losses)

    def quote(self, request: RenderRequest) -> Quote:
        """Seconds of an RTX 4090."""
        return Quote(
            gpu_seconds=gpu_seconds(
                request,
                self.capabilities,
                steps=steps_of(request, self._variant.steps),
                steps_seen=50,
                call_frames=max(call_frames(request, _RULE), request.num_frames),
            )
        )

    def prepare(self, requests: Sequence[RenderRequest], tools: RenderTools) -> None:
        """Encode all prompts with one load of the encoders."""
        self._renderer.prepare(requests, tools)

    def render(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        """Denoise the take; its frames are decoded as they are read."""
        return self._renderer.render(request, tools)

    def family(self, sources: Sources) -> HunyuanVideoFamily:
        """The phases of the model from these folders."""
        return HunyuanVideoFamily(sources, _RULE, self._variant.steps)

    @property
    def _model(self) -> ModelSettings:
        found = local_settings() if self._settings is None else self._settings
        return found.model(self.id) or ModelSettings()

    @property
    def _variant(self) -> _Variant:
        return _VARIANTS.get(self._model.variant, _VARIANTS["720p"])


def _capabilities(variant: _Variant, *, opens: bool) -> Capabilities:
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
        frame_rule=_RULE,
        size_multiple=16,
        max_size=(1920, 1920),
        fps=(Fraction(24),),
        seeded=True,
        shots_per_generation=1,
        loras=False,
        edit=frozenset(),
        licence=_LICENCE,
        usd_per_second=0.0,
        gpu_seconds_per_second=variant.gpu_seconds_per_second,
        max_take_s=_LONGEST_TAKE_S if opens else 0,
    )
