"""A request as Wan makes it: which pipeline, what goes into it, and what is left out.

What a missing part of the models file would hold decides: pictures that the shot must show, and
takes that it must go on from, are refused without it; references are named as lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from generator.backends.base import (
    Capabilities,
    Description,
    KeyPicture,
    Loss,
    Reference,
    RefRole,
    RenderRequest,
    Snapped,
)
from generator.backends.wan_parts.adapters import FEW_STEPS_NAME
from generator.backends.wan_parts.choice import Choice, is_picture
from generator.backends.wan_parts.models import (
    ANIMATE_RULE,
    DEFAULT_NEGATIVE,
    FEW_STEPS_FOR,
    MAX_PICTURES,
    PARTS,
    PIPELINES,
    Pipeline,
    Wan,
    capabilities_of,
)
from generator.local.choices import require_options
from generator.local.fitting import fit_request
from generator.local.unmade import require_makeable, without_unmade
from generator.reference_choice import choose_references
from media.errors import RefusalError
from storyboards.shot_schema import Camera

__all__ = ["WEIGHTS", "overlap_of", "parts_of", "snap_request"]

WEIGHTS = "part.weights"
"""Option that says which weights of which part make the take; a dot cannot stand in a written
name."""

DRAFT_PIXELS = 832 * 480
"""The smaller of the two rasters that the models were trained at."""

_LONGEST_TAIL = 33
"""Frames of an earlier take that a call is given at most: the rest of 81 is for new ones."""

_TAIL = 17
"""Over a seam inside a take: a second, enough for a movement to be seen."""

_ANIMATE_TAIL = 5
"""`refert_num`, "recommended to be 1 or 5"."""


_ANIMATE_RATES = (Fraction(16), Fraction(24), Fraction(25), Fraction(30))
"""The poses set the rate: trained at 30, "a lower frame rate can improve efficiency"."""


def snap_request(request: RenderRequest, wan: Wan, parts: frozenset[str]) -> Snapped:
    """The nearest request that `wan` makes with these parts. RefusalError when there is none."""
    return _Snapping(request, wan, parts, Choice(request, wan, parts)).snapped()


def overlap_of(pipeline: str) -> int:
    """Frames that each segment of a long take is given of the one before."""
    return {"vace": _TAIL, "animate": _ANIMATE_TAIL}.get(pipeline, 1)


def parts_of(request: RenderRequest, wan: Wan) -> tuple[str, ...]:
    """The parts besides the main model that make a snapped request."""
    options = dict(request.options)
    pipeline = next(name for name in PIPELINES if name == options["pipeline"])
    parts = [*_weights_of(request, pipeline, wan)]
    if options[FEW_STEPS_NAME]:
        parts += _adapters_of(request, pipeline, wan)
    return tuple(part for part in parts if part != "main")


@dataclass(slots=True)
class _Snapping:
    request: RenderRequest
    wan: Wan
    parts: frozenset[str]
    choice: Choice

    def snapped(self) -> Snapped:
        require_makeable(self.request, capabilities_of(self.wan, self.parts))
        require_options(self.request)
        pipeline = self.choice.pipeline()
        changes: list[str] = []
        losses: list[Loss] = []
        few_steps = self._few_steps(pipeline, losses)
        guided = self._is_guided(pipeline, few_steps)
        able = self._able_for(pipeline)
        references, lost = choose_references(
            replace(self.request, references=self._references(pipeline, losses)),
            able,
            _ROLES.get(pipeline, ()),
            model=self._name_for(pipeline),
        )
        losses += lost
        if self.request.negative and not guided:
            losses.append(Loss("negative", "without guidance words keep nothing away"))
        asked = replace(
            self.request,
            references=(),
            key_pictures=self._keys(pipeline, losses),
            description=_unread(self.request.description),
        )
        known = {*_KNOWN, *(_ANIMATED if pipeline == "animate" else ())}
        whole, more = without_unmade(asked, able, "Wan", options=known)
        losses += [*more, *self._other_losses(pipeline)]
        draft = DRAFT_PIXELS if self.request.profile == "draft" else None
        fitted, fits = fit_request(whole, able, max_pixels=draft)
        changes += fits
        fitted = self._continued(fitted, pipeline, changes)
        made = replace(
            self._last_at_the_end(fitted, pipeline, changes),
            references=references,
            negative=_with_default(fitted.negative) if guided else "",
            options=self._options(pipeline, few_steps),
        )
        return Snapped(made, tuple(changes), tuple(dict.fromkeys(losses)))

    @property
    def _is_settled(self) -> bool:
        """Whether it was snapped before."""
        return self.request.description == _unread(self.request.description)

    def _references(self, pipeline: Pipeline, losses: list[Loss]) -> tuple[Reference, ...]:
        """Of those that Wan-Animate could be given, the one picture of who moves."""
        references = self.request.references
        if pipeline != "animate":
            return references
        (motion,) = (ref for ref in references if ref.role == "motion")
        pictures = [ref for ref in references if is_picture(ref)]
        own = [ref for ref in pictures if ref.subject == motion.subject]
        opened = any(key.frame == 0 for key in self.request.key_pictures)
        shown = [] if opened else [*own, *pictures][:1]
        if set(pictures) - {*shown}:
            losses.append(Loss("refs", "Wan-Animate is given one picture: of who moves"))
        return tuple(
            replace(ref, strength=1.0) if ref is motion else ref
            for ref in references
            if ref in shown or ref not in pictures
        )

    def _name_for(self, pipeline: Pipeline) -> str:
        """What reasons call the model; it says what would help."""
        if pipeline in ("vace", "animate"):
            return "Wan"
        if self.choice.has("vace"):
            return f"Wan with pipeline: {pipeline}"
        return "Wan without models.wan.parts.vace"

    def _keys(self, pipeline: Pipeline, losses: list[Loss]) -> tuple[KeyPicture, ...]:
        keys = tuple(sorted(self.request.key_pictures, key=lambda key: key.frame))
        last = self.request.num_frames - 1
        for key in keys:
            name = {0: "frames.first", last: "frames.last"}.get(key.frame, "frames.mid")
            if pipeline == "animate" and key.frame:
                losses.append(Loss(name, "Wan-Animate starts on a picture and follows the poses"))
            elif key.strength != 1.0:
                losses.append(Loss(f"{name}.strength", "Wan holds a picture wholly or not at all"))
        if pipeline == "animate":
            keys = keys[:1] if keys and keys[0].frame == 0 else ()
        return tuple(replace(key, strength=1.0) for key in keys)

    def _continued(
        self, fitted: RenderRequest, pipeline: Pipeline, changes: list[str]
    ) -> RenderRequest:
        """With as many frames of the earlier take as the pipeline looks at."""
        tail = fitted.continue_from
        if tail is None:
            return fitted
        if tail.mode == "shared_keyframe":
            frames = 1
        elif pipeline == "vace":
            frames = min(tail.tail_frames, _LONGEST_TAIL)
        elif pipeline == "animate" and tail.tail_frames >= _ANIMATE_TAIL:
            frames = _ANIMATE_TAIL
        else:
            frames = 1
        if frames != tail.tail_frames:
            changes.append(
                f"goes on from {frames} frames of the take before, not {tail.tail_frames}"
            )
        return replace(fitted, continue_from=replace(tail, tail_frames=frames))

    def _few_steps(self, pipeline: Pipeline, losses: list[Loss]) -> bool:
        """Whether few-step adapters are used: but for `fine`, wherever there are some."""
        options = dict(self.request.options)
        needed = _adapters_of(self.request, pipeline, self.wan)
        absent = [part for part in needed if part not in self.parts]
        set_by_hand = sorted({"steps", "guidance"} & {*options})
        asked = options.get("few_steps")
        if asked is None:
            there = bool(needed) and not absent
            return there and self.request.profile != "fine" and not set_by_hand
        if asked and not needed:
            raise RefusalError("there is no few-step adapter for Wan-Animate")
        if asked and absent:
            raise RefusalError(
                f"few_steps needs the part {absent[0]}, which models.toml does not name",
                todo=f"add [models.wan.parts.{absent[0]}] with source = a folder of "
                f"{PARTS[absent[0]].hint}",
            )
        if asked:
            reason = "the few-step adapter was trained for its own"
            losses += [Loss(f"options.{name}", reason) for name in set_by_hand]
        return bool(asked)

    def _is_guided(self, pipeline: Pipeline, few_steps: bool) -> bool:
        own = self.wan.sampling[pipeline].guidance
        return not few_steps and float(dict(self.request.options).get("guidance", own)) > 1

    def _able_for(self, pipeline: Pipeline) -> Capabilities:
        """What this pipeline takes; that it holds the pictures of the shot was asked before."""
        pictures = {"vace": MAX_PICTURES, "animate": 1}.get(pipeline, 0)
        able = replace(
            capabilities_of(self.wan, self.parts),
            keyframe_positions="any",
            max_references={"image": pictures, "video": int(pipeline == "animate"), "audio": 0},
        )
        if pipeline != "animate":
            return able
        return replace(
            able, frame_rule=ANIMATE_RULE, fps=_ANIMATE_RATES, extension="tail", loras=False
        )

    def _other_losses(self, pipeline: Pipeline) -> list[Loss]:
        losses = []
        request = self.request
        if request.description.camera.path:
            reason = "Wan reads camera moves in words; a path of key positions is not followed"
            losses.append(Loss("camera.path", reason))
        if pipeline != "animate" or self._is_settled:
            return losses
        face = "the pose video moves the body; the face is left to the model"
        losses.append(Loss("motion_from.face", face))
        if dict(request.options).get("motion_from.what") == "both":
            losses.append(Loss("motion_from.camera", "Wan-Animate keeps the camera still"))
        if any(ref.role == "motion" and ref.strength != 1.0 for ref in request.references):
            losses.append(Loss("motion_from.strength", "poses are followed wholly"))
        return losses

    def _last_at_the_end(
        self, fitted: RenderRequest, pipeline: Pipeline, changes: list[str]
    ) -> RenderRequest:
        """A last picture where the model puts one: on the last frame that it makes."""
        if pipeline != "first_last":
            return fitted
        rule = self.wan.frame_rule
        given = 1 if fitted.continue_from and fitted.continue_from.mode == "extend" else 0
        num_frames = fitted.num_frames
        if given + num_frames <= rule.maximum:
            num_frames = rule.snap(given + num_frames) - given
        elif not self._is_settled:
            changes.append(f"the last picture may stand up to {rule.step - 1} frames after the end")
        *others, latest = fitted.key_pictures
        if latest.frame != num_frames - 1:
            changes.append(f"the last picture stands at frame {num_frames - 1}, not {latest.frame}")
        keys = (*others, replace(latest, frame=num_frames - 1))
        return replace(fitted, num_frames=num_frames, key_pictures=keys)

    def _options(
        self, pipeline: Pipeline, few_steps: bool
    ) -> tuple[tuple[str, bool | int | float | str], ...]:
        kept: dict[str, bool | int | float | str] = {
            name: value
            for name, value in self.request.options
            if name in ("guidance", "steps") or (pipeline == "animate" and name in _KEPT_FOR_POSES)
        }
        if few_steps:
            kept = {name: value for name, value in kept.items() if name in _KEPT_FOR_POSES}
        return tuple(sorted({**kept, "pipeline": pipeline, FEW_STEPS_NAME: few_steps}.items()))


_ROLES: Mapping[str, tuple[RefRole, ...]] = {
    "vace": ("character", "sheet", "plate"),
    "animate": ("motion", "character", "sheet", "plate"),
}
"""What each pipeline looks at, the dearest first."""

_KNOWN = ("few_steps", "guidance", "pipeline", "steps", WEIGHTS)
_KEPT_FOR_POSES = ("motion_clip", "motion_from.start_s")
_ANIMATED = (*_KEPT_FOR_POSES, "motion_from.what")


def _weights_of(request: RenderRequest, pipeline: Pipeline, wan: Wan) -> tuple[str, ...]:
    """The parts whose transformers make the take, segment by segment."""
    parts = [wan.weights[pipeline]]
    if pipeline in ("image", "first_last"):
        opened = any(key.frame == 0 for key in request.key_pictures)
        if not opened and request.continue_from is None:
            parts.append(wan.weights["text"])
        if request.num_frames > wan.frame_rule.maximum:
            parts.append(wan.weights["image"])
    return tuple(dict.fromkeys(parts))


def _adapters_of(request: RenderRequest, pipeline: Pipeline, wan: Wan) -> tuple[str, ...]:
    """The parts that make it in few steps; none for Wan-Animate."""
    weights = _weights_of(request, pipeline, wan)
    names = (FEW_STEPS_FOR.get(part, "") for part in weights)
    return tuple(dict.fromkeys(name for name in names if name))


def _unread(description: Description) -> Description:
    """The shot in film words is not read here: the prompt says it all, and a line that is spoken
    otherwise must not cost a take."""
    return Description("", "", description.size, description.angle, Camera(), 0)


def _with_default(negative: str) -> str:
    """The shot's words after those that the models were tuned with."""
    if negative.startswith(DEFAULT_NEGATIVE):
        return negative
    return f"{DEFAULT_NEGATIVE}, {negative}" if negative else DEFAULT_NEGATIVE
