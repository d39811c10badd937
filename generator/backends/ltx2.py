"""LTX-2.5 and 2.3: characters held by reference, with the picture's own sound.

What it honours: pictures at any frame, the cast and the place on one reference sheet (part
`ingredients`), the tail of an earlier take, adapters, 48 kHz stereo sound made with the picture.
Camera and movement go by words. Takes up to three minutes are made in segments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from generator.backends.base import (
    Capabilities,
    Description,
    FrameRule,
    KeyPicture,
    Licence,
    Loss,
    Quote,
    Reference,
    Rendered,
    RenderRequest,
    RenderTools,
    Snapped,
)
from generator.backends.ltx2_parts.family import LTX2Family
from generator.backends.ltx2_parts.recipe import VARIANTS, Setup, recipe_of, setup_of
from generator.local.driver import LeverSupport, LocalRenderer, Need
from generator.local.family import Sources
from generator.local.fitting import fit_request
from generator.local.settings import LocalSettings, ModelSettings
from generator.local.unmade import reference_field, require_makeable, without_unmade
from generator.segments import segments_of
from media.errors import RefusalError
from media.timebase import SAMPLE_RATE

__all__ = ["LTX2"]

_LICENCE = Licence(
    "LTX-2-Community",
    revenue_cap_usd=10_000_000,
    url="https://github.com/Lightricks/LTX-2/blob/main/LICENSE",
)

_RULE = FrameRule(step=8, offset=1, minimum=9, maximum=481)
"""8 frames a latent after the first; 20 s at 24 fps is how far the positions reach
(`pos_embed_max_pos` of LTX2VideoTransformer3DModel, in seconds)."""

_RATES = tuple(Fraction(rate) for rate in ("24000/1001", "24", "25", "30000/1001", "30"))
"""Trained around 24, 25, 30 and 60 fps, not 48 (diffusers, pipelines/ltx2/utils.py,
MAX_CONDITIONING_FPS). Faster films are made at half their rate, for half the cost."""

_MOST_PIXELS = 1920 * 1088
_DRAFT_PIXELS = 768 * 448

_MOST_PANELS = 8
"""Pictures on one sheet: the card's own sheets show six to eight panels; more are too small."""

_OVERLAP_FRAMES = 17
"""Tail between segments: two latents of movement and the first."""

_LONGEST_TAIL = 65

_MOST_KEYS = 8

_SECONDS_A_PIXEL_STEP = 9.5 / (768 * 512 * 121 * 8)
"""GPU seconds a pixel, frame and step: LTX-2 768x512, 121 frames, 8 steps took 9.5 s in bf16 on an
H100, encoding and decoding included (Lightricks' figure). Attention grows faster than that."""

_SHEET = "### Reference Sheet Description"
_TARGET = "### Target Description"
"""The two parts of a prompt that the Ingredients adapter was trained with (its model card)."""

_CAPABILITIES = Capabilities(
    tasks=frozenset({"text", "first_frame", "last_frame", "keyframes", "extend"}),
    max_references={"image": 0, "video": 0, "audio": 0},
    max_key_pictures=_MOST_KEYS,
    keyframe_positions="any",
    camera="prompt",
    motion_areas=0,
    extension="tail",
    native_audio=True,
    audio_rate=SAMPLE_RATE,
    frame_rule=_RULE,
    size_multiple=32,
    max_size=(1920, 1920),
    fps=_RATES,
    seeded=True,
    shots_per_generation=1,
    loras=True,
    edit=frozenset(),
    licence=_LICENCE,
    usd_per_second=0.0,
    gpu_seconds_per_second=round(
        # Two stages at 1280x704: 8 steps at half the size, 3 at the whole.
        24 * 1280 * 704 * (8 / 4 + 3) * _SECONDS_A_PIXEL_STEP,
        2,
    ),
    max_take_s=180,
)

_NOT_ON_SHEETS = {
    "style": "ltx2 takes the look from words, not from pictures",
    "layer": "ltx2 is shown the place as plates, not in layers",
    "voice": "ltx2 speaks in voices of its own; the prompt says how they sound",
    "motion": "ltx2 takes no movement over from footage; say it in the action",
}


class LTX2:
    """The backend; `settings` stand for the machine's models file in tests."""

    id = "ltx2"

    def __init__(self, settings: LocalSettings | None = None) -> None:
        self._renderer = LocalRenderer(
            self.id,
            "1",
            _LICENCE,
            _needs,
            _family,
            settings,
            levers=LeverSupport(
                step_caches=frozenset({"taylorseer"}),
                reasons=(
                    ("firstblock", "diffusers does not know LTX-2's blocks"),
                    ("magcache", "diffusers does not know LTX-2's blocks"),
                    ("pyramid", "it skips attention between picture and sound, which then drift"),
                ),
            ),
            rule=_RULE,
            overlap_frames=_OVERLAP_FRAMES,
        )

    @property
    def revision(self) -> str:
        """Of the code and the configured weights."""
        return self._renderer.revision

    @property
    def capabilities(self) -> Capabilities:
        """With the parts that the models file names: without `ingredients` no references."""
        if "ingredients" not in self._renderer.model.parts:
            return _CAPABILITIES
        return replace(
            _CAPABILITIES,
            tasks=_CAPABILITIES.tasks | {"references"},
            max_references={"image": _MOST_PANELS, "video": 0, "audio": 0},
        )

    @property
    def unready(self) -> str:
        """Why it cannot render here, and what to do; empty: it can."""
        model = self._renderer.model
        if model.variant and model.variant not in VARIANTS:
            return f"variant: expected {', '.join(VARIANTS)}, got {model.variant!r}"
        if model.step_cache and setup_of(model).few_steps:
            return f"step_cache {model.step_cache}: eight distilled steps have none to skip"
        return self._renderer.unready

    def snap(self, request: RenderRequest) -> Snapped:
        """The request as the model makes it. RefusalError when it is not set up, or cannot."""
        if self.unready:
            raise RefusalError(f"{self.id} {self.unready}")
        able, setup = self.capabilities, setup_of(self._renderer.model)
        require_makeable(request, able)
        changes: list[str] = []
        losses: list[Loss] = []
        kept = _with_profile(request, setup, changes)
        kept = _with_stages(kept, setup, changes)
        recipe = recipe_of(kept, setup)
        kept = replace(
            kept,
            references=_on_the_sheet(kept, able, losses),
            key_pictures=_held_keys(kept, losses),
            description=_without_path(kept, losses),
            options=tuple(pair for pair in kept.options if not pair[0].startswith("motion_from.")),
        )
        kept, unmade = without_unmade(
            kept, able, self.id, options=("stages",), has_negative=recipe.guided
        )
        fitted, more = fit_request(
            kept,
            replace(able, size_multiple=64 if recipe.second else 32, fps=_rates_for(request.fps)),
            max_pixels=_DRAFT_PIXELS if request.profile == "draft" else _MOST_PIXELS,
        )
        changes += more
        fitted = _with_tail(fitted, changes)
        fitted = _with_sheet_words(fitted, changes)
        return Snapped(fitted, tuple(changes), (*losses, *unmade))

    def quote(self, request: RenderRequest) -> Quote:
        """GPU seconds of an H100, in proportion to pixels, frames, steps and passes."""
        recipe = recipe_of(request, setup_of(self._renderer.model))
        segments = segments_of(request, _RULE, _OVERLAP_FRAMES)
        frames = sum(_RULE.snap(segment.call_frames) for segment in segments)
        width, height = recipe.first_size(request.size)
        # The sheet is as many tokens as the take.
        tokens = 2 if request.references else 1
        work = width * height * recipe.first.steps * recipe.first.passes * tokens
        if recipe.second is not None:
            work += request.size[0] * request.size[1] * recipe.second.steps
        return Quote(gpu_seconds=round(work * frames * _SECONDS_A_PIXEL_STEP, 3))

    def prepare(self, requests: Sequence[RenderRequest], tools: RenderTools) -> None:
        """Encode all prompts with one load of the text encoder."""
        self._renderer.prepare(requests, tools)

    def render(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        """Denoise the take, or its first segment, and start decoding."""
        return self._renderer.render(request, tools)


def _needs(model: ModelSettings) -> Sequence[Need]:
    """Folders of the diffusers layout, and the parts that somebody may add."""
    generation = setup_of(model).generation
    hub = "Lightricks/LTX-2.5-Diffusers" if generation == "2.5" else "diffusers/LTX-2.3-Diffusers"
    adapters = f"Lightricks/LTX-{generation}-22b-IC-LoRA-Ingredients"
    licence = _LICENCE.id
    main = (
        "model_index.json",
        "transformer/*.safetensors",
        "text_encoder/*.safetensors",
        "tokenizer/*",
        "connectors/*.safetensors",
        "vae/*.safetensors",
        "audio_vae/*.safetensors",
        "vocoder/*.safetensors",
        "scheduler/*.json",
    )
    distilled = "the distilled LoRA beside the dev checkpoint, as *distilled-lora*.safetensors"
    return (
        Need("main", main, 70.9, licence, f"fetch {hub} from the Hugging Face hub"),
        Need(
            "upsampler",
            ("latent_upsampler/*.safetensors",),
            1.0,
            licence,
            f"the folder latent_upsampler of {hub}",
            optional=True,
        ),
        Need(
            "ingredients",
            ("*.safetensors",),
            1.3,
            licence,
            f"fetch {adapters}; adapters of another generation misbehave",
            optional=True,
        ),
        Need("distilled", ("*.safetensors",), 7.7, licence, distilled, optional=True),
    )


def _family(sources: Sources, model: ModelSettings) -> LTX2Family:
    return LTX2Family(sources, setup_of(model, sources.parts), _RULE)


def _with_profile(request: RenderRequest, setup: Setup, changes: list[str]) -> RenderRequest:
    if request.profile != "fine" or not setup.distilled:
        return request
    changes.append("profile fine to standard: a distilled model has one schedule")
    return replace(request, profile="standard")


def _with_stages(request: RenderRequest, setup: Setup, changes: list[str]) -> RenderRequest:
    """The number of stages as an option, so that it is part of what is asked."""
    options = dict(request.options)
    asked = options.get("stages", 1 if request.profile == "draft" else 2)
    if isinstance(asked, bool) or asked not in (1, 2):
        raise RefusalError(f"expected options.stages to be 1 or 2, got {asked!r}")
    made = 2 if recipe_of(request, setup, stages=int(asked)).second else 1
    if made != asked:
        lacks = "upsampler" if "upsampler" not in setup.parts else "distilled"
        if "stages" in options:
            raise RefusalError(
                f"options.stages: 2 needs the part {lacks}",
                todo=f"add [models.ltx2.parts.{lacks}] to the models file, or ask for 1",
            )
        changes.append(f"one stage at full size instead of two: there is no part {lacks}")
    return replace(request, options=tuple(sorted({**options, "stages": made}.items())))


def _on_the_sheet(
    request: RenderRequest, able: Capabilities, losses: list[Loss]
) -> tuple[Reference, ...]:
    """The pictures that go on the reference sheet, in the order given.

    One of each of the cast first, then the place, then their further views.
    """
    shown = [ref for ref in request.references if ref.role in ("character", "sheet", "plate")]
    losses += [
        Loss(reference_field(ref), _NOT_ON_SHEETS[ref.role])
        for ref in request.references
        if ref not in shown
    ]
    if not able.max_references["image"]:
        reason = "ltx2 holds people and places by pictures only with the part ingredients"
        losses += [Loss(reference_field(ref), reason) for ref in shown]
        return ()
    firsts = {ref.subject: ref for ref in reversed(shown) if ref.role != "plate"}
    if len(firsts) > _MOST_PANELS:
        raise RefusalError(
            f"expected at most {_MOST_PANELS} characters with pictures, got {len(firsts)}",
            todo="split the shot, or take the pictures of those in the background away",
        )

    def rank(ref: Reference) -> int:
        if ref.role == "plate":
            return 1
        return 0 if firsts[ref.subject] is ref else 2

    best = sorted(shown, key=rank)[:_MOST_PANELS]
    losses += [
        Loss(reference_field(ref), f"a sheet shows at most {_MOST_PANELS} pictures")
        for ref in shown
        if ref not in best
    ]
    return tuple(ref for ref in shown if ref in best)


def _held_keys(request: RenderRequest, losses: list[Loss]) -> tuple[KeyPicture, ...]:
    keys = sorted(request.key_pictures, key=lambda key: key.frame)
    going_on = request.continue_from
    if going_on is not None and going_on.mode == "shared_keyframe" and keys and not keys[0].frame:
        losses.append(Loss("frames.first", "the shot starts on the last frame of the one before"))
        keys = keys[1:]
    if len(keys) <= _MOST_KEYS:
        return tuple(keys)
    losses.append(Loss("frames.mid", f"at most {_MOST_KEYS} pictures, {len(keys)} are asked"))
    picked = {round(index * (len(keys) - 1) / (_MOST_KEYS - 1)) for index in range(_MOST_KEYS)}
    return tuple(keys[index] for index in sorted(picked))


def _without_path(request: RenderRequest, losses: list[Loss]) -> Description:
    described = request.description
    if described.camera.path:
        losses.append(Loss("camera.path", "ltx2 reads the camera's move as words, not as a path"))
        described = replace(described, camera=described.camera.model_copy(update={"path": ()}))
    if described.focus is not None:
        losses.append(Loss("focus", "ltx2 frames by words; no point of the plate is centred"))
        described = replace(described, focus=None)
    return described


def _rates_for(fps: Fraction) -> tuple[Fraction, ...]:
    """The model's rates, or only half of `fps` where that is one of them: it doubles exactly."""
    return (fps / 2,) if fps not in _RATES and fps / 2 in _RATES else _RATES


def _with_tail(request: RenderRequest, changes: list[str]) -> RenderRequest:
    """The tail in whole latents: 1, 9, 17, … frames."""
    going_on = request.continue_from
    if going_on is None:
        return request
    frames = min((going_on.tail_frames - 1) // 8 * 8 + 1, _LONGEST_TAIL)
    if going_on.mode == "shared_keyframe":
        frames = 1
    if frames == going_on.tail_frames:
        return request
    changes.append(f"goes on from {frames} frames instead of {going_on.tail_frames}")
    return replace(request, continue_from=replace(going_on, tail_frames=frames))


def _with_sheet_words(request: RenderRequest, changes: list[str]) -> RenderRequest:
    """The prompt in the two parts that the adapter was trained with."""
    if not request.references or request.prompt.startswith(_SHEET):
        return request
    changes.append("the prompt opens with what the reference sheet shows")
    panels = " ".join(_panels(request))
    return replace(request, prompt=f"{_SHEET} {panels} {_TARGET} {request.prompt}")


def _panels(request: RenderRequest) -> Iterator[str]:
    """One sentence for each picture, in reading order."""
    looks = {place.subject: place.description for place in request.description.placements}
    for number, ref in enumerate(request.references, start=1):
        if ref.role == "plate":
            yield f"**Panel {number} (Setting):** {request.description.slugline}."
            continue
        words = ", ".join(part for part in (ref.subject, looks.get(ref.subject, "")) if part)
        yield f"**Panel {number} (Character):** {words}."
