"""MiniMax-H3: people held by pictures, voices and movement, with stereo sound of its own.

Three kinds of work, chosen by what a shot has: words alone (t2va), a first and a last picture
(fl2va), or references (ref2va). Pictures that must stand and references exclude each other.

Its licence leaves out the EU, the United Kingdom, South Korea and the USA, what is made with it
included, and ends at 20 million dollars of revenue a year: nothing is loaded before the models
file acknowledges it.

Limits and geometry: diffusers' `MiniMaxH3ModularPipeline` and github.com/MiniMax-AI/MiniMax-H3. The
variant `fl2va` in the models file does without the second transformer, and so without references.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from generator.backends.base import (
    Capabilities,
    FrameRule,
    Licence,
    Loss,
    Quote,
    RefRole,
    Rendered,
    RenderRequest,
    RenderTools,
    Snapped,
    Task,
)
from generator.backends.minimax_h3_parts.family import FPS, SOUND_RATE, STEPS, MiniMaxH3Family
from generator.local.canvases import Canvas, fit_to_canvas
from generator.local.choices import require_options, steps_of
from generator.local.clips import call_frames, given_frames
from generator.local.driver import LeverSupport, LocalRenderer, Need
from generator.local.family import Sources
from generator.local.quoting import gpu_seconds
from generator.local.settings import LocalSettings, ModelSettings, local_settings
from generator.local.unmade import reference_field, require_makeable, without_unmade
from media.errors import RefusalError

__all__ = ["MiniMaxH3"]

_LICENCE = Licence(
    "minimax-h3",
    revenue_cap_usd=20_000_000,
    excluded_territories=("EU", "United Kingdom", "South Korea", "USA"),
    needs_acknowledgement=True,
    url="https://huggingface.co/MiniMaxAI/MiniMax-H3/blob/main/LICENSE",
)
_CODE_REVISION = "1"
_RULE = FrameRule(step=17, offset=5, minimum=124, maximum=345)
"""`17 n + 5` for the VAE's chunks, between 5 and 15 seconds at 24 fps."""

_CANVAS = Canvas(pixels=768 * 1344, short_edge=768)
_WITHOUT_REFERENCES = "fl2va"
_MOST_REFERENCES = 12
_ROLES: tuple[RefRole, ...] = ("character", "sheet", "voice", "motion", "plate", "style")
_OPTIONS = ("steps", "motion_from.start_s", "motion_from.what")
_LONGEST_TAKE_S = 60
"""Of segments, each from the last frame of the one before: sound and movement start anew."""

_LEVERS = LeverSupport(
    reasons=(
        ("firstblock", "diffusers does not know H3's blocks"),
        ("magcache", "diffusers does not know H3's blocks"),
    )
)
_FILES = (
    "modular_model_index.json",
    "text_encoder",
    "tokenizer",
    "processor",
    "transformer",
    "vae",
    "audio_vae",
    "scheduler",
    "audio_scheduler",
)
_HINT = "from MiniMaxAI/MiniMax-H3, without its folders FL2VA and Ref2VA"


class MiniMaxH3:
    """MiniMax-H3 as the machine's models file has it."""

    id = "minimax_h3"

    def __init__(self, settings: LocalSettings | None = None) -> None:
        self._settings = settings
        self._renderer = LocalRenderer(
            self.id,
            _CODE_REVISION,
            _LICENCE,
            _needs,
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
        """With or without references, as the variant says."""
        return _capabilities(with_references=self._model.variant != _WITHOUT_REFERENCES)

    @property
    def unready(self) -> str:
        """Why the models file does not do, and what to do; empty: it does."""
        variant = self._model.variant
        if variant not in ("", _WITHOUT_REFERENCES):
            return f"minimax_h3: expected variant {_WITHOUT_REFERENCES} or none, got {variant!r}"
        return self._renderer.unready

    def snap(self, request: RenderRequest) -> Snapped:
        """The nearest clip that the model makes. Raises RefusalError when there is none."""
        if self.unready:
            raise RefusalError(self.unready)
        able = self.capabilities
        require_makeable(request, able)
        one_kind, losses = _one_kind_of_work(request)
        kept, more = without_unmade(
            one_kind,
            able,
            "MiniMax-H3",
            options=_OPTIONS,
            has_negative=False,
            roles=_ROLES,
            at_most=_MOST_REFERENCES,
        )
        require_options(kept)
        kept, alone = _without_lone_voices(kept)
        fitted, changes = fit_to_canvas(kept, able, _CANVAS)
        if fitted.references and fitted.num_frames > _RULE.maximum:
            raise RefusalError(
                f"MiniMax-H3 holds references for at most {_RULE.maximum} frames in one call, "
                f"got {fitted.num_frames}",
                todo="split the shot, or take its references away",
            )
        ended, shifted, late = _ending(kept, fitted)
        return Snapped(ended, (*changes, *shifted), (*losses, *more, *alone, *late))

    def quote(self, request: RenderRequest) -> Quote:
        """Seconds of an RTX 5090."""
        return Quote(
            gpu_seconds=gpu_seconds(
                request,
                self.capabilities,
                steps=steps_of(request, STEPS),
                steps_seen=49,
                call_frames=max(call_frames(request, _RULE), request.num_frames),
            )
        )

    def prepare(self, requests: Sequence[RenderRequest], tools: RenderTools) -> None:
        """Encode all words and pictures with one load of the encoder.

        Shots that go on from a take wait for it: the encoder looks at its last frame.
        """
        ready = [request for request in requests if request.continue_from is None]
        self._renderer.prepare(ready, tools)

    def render(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        """Denoise the take; its frames are decoded as they are read, then its sound."""
        return self._renderer.render(request, tools)

    def family(self, sources: Sources) -> MiniMaxH3Family:
        """The phases of the model from these folders."""
        return MiniMaxH3Family(sources, _RULE)

    @property
    def _model(self) -> ModelSettings:
        found = local_settings() if self._settings is None else self._settings
        return found.model(self.id) or ModelSettings()


def _needs(model: ModelSettings) -> Sequence[Need]:
    """bf16: two transformers of 61.7 GB, Qwen3-VL-32B 59.3 GB, the VAEs in 32 bits."""
    if model.variant == _WITHOUT_REFERENCES:
        return (Need("main", _FILES, 132.0, _LICENCE.id, _HINT),)
    return (Need("main", (*_FILES, "transformer_ref"), 194.0, _LICENCE.id, _HINT),)


def _capabilities(*, with_references: bool) -> Capabilities:
    tasks: set[Task] = {"text", "first_frame", "last_frame", "extend"}
    if with_references:
        tasks |= {"references", "motion_from"}
    return Capabilities(
        tasks=frozenset(tasks),
        max_references={"image": 9, "video": 3, "audio": 3}
        if with_references
        else {"image": 0, "video": 0, "audio": 0},
        max_key_pictures=2,
        keyframe_positions="first_last",
        camera="prompt",
        motion_areas=0,
        extension="last_frame",
        native_audio=True,
        audio_rate=SOUND_RATE,
        frame_rule=_RULE,
        size_multiple=32,
        max_size=(2048, 2048),
        fps=(Fraction(FPS),),
        seeded=True,
        # Its prompt guide lists [Shot 1], [Shot 2] with the times of the cuts and no limit; four
        # shots of 15 seconds are still long enough to be seen.
        shots_per_generation=4,
        loras=False,
        edit=frozenset(),
        licence=_LICENCE,
        usd_per_second=0.0,
        # 270 s for 5 s of 1280x704 on an RTX 5090.
        gpu_seconds_per_second=55.0,
        max_take_s=_LONGEST_TAKE_S,
    )


def _one_kind_of_work(request: RenderRequest) -> tuple[RenderRequest, list[Loss]]:
    """Without references where a picture must stand: H3 takes the one or the other."""
    last = request.num_frames - 1
    held = any(key.frame in (0, last) for key in request.key_pictures)
    if not held and request.continue_from is None:
        return request, []
    why = "starts or ends on a picture" if held else "goes on from a take"
    reason = f"MiniMax-H3 takes no references for a shot that {why}"
    losses = [Loss(reference_field(reference), reason) for reference in request.references]
    return replace(request, references=()), list(dict.fromkeys(losses))


def _without_lone_voices(request: RenderRequest) -> tuple[RenderRequest, list[Loss]]:
    """A voice is taken only beside a picture or a clip."""
    if any(reference.kind != "audio" for reference in request.references):
        return request, []
    reason = "MiniMax-H3 takes a voice only together with a picture or a clip"
    losses = [Loss(reference_field(reference), reason) for reference in request.references]
    return replace(request, references=()), losses


def _ending(
    asked: RenderRequest, fitted: RenderRequest
) -> tuple[RenderRequest, tuple[str, ...], tuple[Loss, ...]]:
    """The last picture at the last frame that is made, which may come after the cut."""
    if not any(key.frame == asked.num_frames - 1 for key in asked.key_pictures):
        return fitted, (), ()
    if given_frames(fitted) + fitted.num_frames > _RULE.maximum:
        reason = "the shot is made in several calls, and the last may end some frames after the cut"
        return fitted, (), (Loss("frames.last", reason),)
    num_frames = call_frames(fitted, _RULE) - given_frames(fitted)
    *others, closing = sorted(fitted.key_pictures, key=lambda key: key.frame)
    if closing.frame == num_frames - 1:
        return fitted, (), ()
    keys = (*others, replace(closing, frame=num_frames - 1))
    moved = replace(fitted, num_frames=num_frames, key_pictures=keys)
    change = f"last picture from frame {closing.frame} to {num_frames - 1}, where the clip ends"
    reason = (
        f"MiniMax-H3 ends on it at frame {num_frames - 1}; the shot is cut after frame "
        f"{closing.frame}. Make it {float(num_frames / fitted.fps):.2f} s long to see the picture"
    )
    return moved, (change,), (Loss("frames.last", reason),)
