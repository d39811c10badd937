"""What of a request a served model honours: the nearest request, changes and losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from generator.backends.base import (
    AudioMode,
    Capabilities,
    KeyPicture,
    Loss,
    Reference,
    RefKind,
    RenderRequest,
    Snapped,
)
from generator.backends.video_api.dialects import OPTIONS
from generator.backends.video_api.served_models import (
    H3_MOST_REFERENCES,
    Dialect,
    ServedModel,
    h3_shapes,
    most_pixels,
)
from generator.local.fitting import fit_request
from media.errors import RefusalError

__all__ = ["snap_for"]

_LEAST_SIDE = 16
_MOTION_OPTIONS = ("motion_from.what", "motion_from.start_s")


def snap_for(
    request: RenderRequest, model: ServedModel, dialect: Dialect, able: Capabilities
) -> Snapped:
    """`request` as the model behind a server of `dialect` makes it. RefusalError when it cannot."""
    return _Snap(model, dialect, able).of(request)


@dataclass(slots=True)
class _Snap:
    model: ServedModel
    dialect: Dialect
    able: Capabilities
    losses: list[Loss] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)

    def of(self, request: RenderRequest) -> Snapped:
        self._require_possible(request)
        fitted = self._fitted(self._continued(request))
        if len(fitted.key_pictures) or fitted.continue_from is not None:
            kept = self._kept_keys(request, fitted)
        else:
            kept = ()
        references = self._references(fitted, bool(kept))
        audio = self._audio(fitted)
        snapped = replace(
            fitted,
            negative=self._negative(fitted),
            references=references,
            key_pictures=kept,
            motion=(),
            edit=None,
            audio=audio,
            audio_sha256=fitted.audio_sha256 if audio == "driven" else "",
            loras=(),
            options=self._options(fitted, references),
        )
        self._name_the_rest(request)
        self._require_enough(snapped)
        return Snapped(snapped, tuple(self.changes), tuple(dict.fromkeys(self.losses)))

    def _require_possible(self, request: RenderRequest) -> None:
        if request.num_frames < 1:
            raise RefusalError(f"expected at least one frame, got {request.num_frames}")
        if min(request.size) < _LEAST_SIDE:
            raise RefusalError(
                f"expected a frame of at least {_LEAST_SIDE} pixels a side, "
                f"got {request.size[0]}x{request.size[1]}"
            )
        for key in request.key_pictures:
            if not 0 <= key.frame < request.num_frames:
                raise RefusalError(
                    f"expected key pictures from frame 0 to {request.num_frames - 1}, "
                    f"got one at {key.frame}",
                    todo="move frames.mid inside the shot, or make the shot longer",
                )
        if request.continue_from is not None and self.able.extension == "none":
            raise RefusalError(
                f"{self.model.called} begins from nothing and cannot go on from a take",
                todo="join the shots by a cut, or give this one another backend",
            )

    def _continued(self, request: RenderRequest) -> RenderRequest:
        continued = request.continue_from
        if continued is None or continued.tail_frames == 1:
            return request
        self.losses.append(Loss("join.overlap", "it goes on from the last frame alone"))
        return replace(request, continue_from=replace(continued, tail_frames=1))

    def _fitted(self, request: RenderRequest) -> RenderRequest:
        asked = request
        if self.model.is_h3:
            ratio = math.log(request.size[0] / request.size[1])
            size = min(
                h3_shapes().values(), key=lambda shape: abs(math.log(shape[0] / shape[1]) - ratio)
            )
            asked = replace(request, size=size)
        pixels = None if self.model.is_h3 else most_pixels(self.model, request.profile)
        fitted, changes = fit_request(asked, self.able, max_pixels=pixels)
        if asked.size != request.size:
            (have, high), (wide, tall) = request.size, asked.size
            self.changes.append(f"size {have}x{high} to {wide}x{tall}")
        self.changes += changes
        return fitted

    def _kept_keys(self, asked: RenderRequest, fitted: RenderRequest) -> tuple[KeyPicture, ...]:
        """First and last pictures where the model holds them, at its own first and last frame."""
        kept: list[KeyPicture] = []
        given = fitted.continue_from is not None
        for key, moved in zip(asked.key_pictures, fitted.key_pictures, strict=True):
            first, last = key.frame == 0, key.frame == asked.num_frames - 1
            where = "frames.first" if first else "frames.last" if last else "frames.mid"
            if first and given:
                self.losses.append(Loss(where, "the shot begins with the take it goes on from"))
            elif first and self.able.keyframe_positions != "none":
                kept.append(replace(moved, strength=1.0))
            elif last and self.able.keyframe_positions == "first_last":
                self._name_the_gap(asked, fitted)
                kept.append(replace(moved, frame=fitted.num_frames - 1, strength=1.0))
            else:
                self.losses.append(Loss(where, f"{self.model.called} holds no picture there"))
                continue
            if key.strength != 1.0:
                self.losses.append(Loss(f"{where}.strength", "a picture is held whole or not"))
        return tuple(kept)

    def _name_the_gap(self, asked: RenderRequest, fitted: RenderRequest) -> None:
        """A take that is longer than its shot reaches its last picture after the cut."""
        surplus = Fraction(fitted.num_frames) / fitted.fps - Fraction(asked.num_frames) / asked.fps
        frames = round(surplus * asked.fps)
        if frames > 0:
            reason = f"the picture stands {frames} frames after the shot's end"
            self.losses.append(Loss("frames.last", reason))

    def _references(self, request: RenderRequest, keyed: bool) -> tuple[Reference, ...]:
        used: list[Reference] = []
        count: dict[RefKind, int] = {"image": 0, "video": 0, "audio": 0}
        framed = keyed or request.continue_from is not None
        for one in request.references:
            most = self.able.max_references[one.kind]
            if one.role == "layer" or not most:
                reason = f"{self.model.called} takes none of it over /v1/videos ({self.dialect})"
            elif framed:
                reason = "this model holds first and last pictures or references, not both"
            elif count[one.kind] >= most or len(used) >= H3_MOST_REFERENCES:
                reason = f"at most {most} of this kind and {H3_MOST_REFERENCES} in all are read"
            elif one.kind == "audio" and request.audio != "native":
                reason = "a voice is taken over only into the model's own sound"
            else:
                used.append(replace(one, strength=1.0))
                count[one.kind] += 1
                if one.strength != 1.0:
                    self.losses.append(Loss(f"{_name(one)}.strength", "it is taken as it is"))
                continue
            self.losses.append(Loss(_name(one), reason))
        if used and not count["image"] and not count["video"]:
            self.losses += [Loss(_name(one), "a voice needs a picture beside it") for one in used]
            return ()
        longest = self.able.frame_rule.snap(self.able.frame_rule.maximum)
        if used and request.num_frames > longest:
            reason = f"held for the first {float(longest / request.fps):.1f} s only"
            self.losses += [Loss(_name(one), reason) for one in used]
        return tuple(used)

    def _audio(self, request: RenderRequest) -> AudioMode:
        if request.audio == "driven":
            if self.model.is_h3 and self.dialect == "vllm_omni":
                return "driven"
            reason = "lips are not moved by the recording; it is laid under the picture"
            self.losses.append(Loss("dialogue.audio", reason))
            return "none"
        if request.audio == "native" and not self.model.sound:
            self.losses.append(
                Loss("audio", f"{self.model.called} is silent; the sound module speaks")
            )
            return "none"
        return request.audio

    def _negative(self, request: RenderRequest) -> str:
        if request.negative and not self.model.negative:
            self.losses.append(Loss("negative", f"{self.model.called} knows no negative prompt"))
            return ""
        return request.negative

    def _options(
        self, request: RenderRequest, references: Sequence[Reference]
    ) -> tuple[tuple[str, bool | int | float | str], ...]:
        known = [name for name in OPTIONS if name != "guidance" or not self.model.is_h3]
        moves = any(one.role == "motion" for one in references)
        kept = []
        for name, value in request.options:
            if name in _MOTION_OPTIONS:
                kept += [(name, value)] if moves else []
            elif name not in known:
                reason = f"unknown here; known: {', '.join(known)}"
                self.losses.append(Loss(f"options.{name}", reason))
            elif isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
                raise RefusalError(
                    f"expected the option {name} to be a number above 0, got {value!r}"
                )
            else:
                kept.append((name, value))
        return tuple(kept)

    def _name_the_rest(self, request: RenderRequest) -> None:
        if request.motion:
            self.losses.append(Loss("motion", f"{self.model.called} moves no areas"))
        if request.edit is not None:
            reason = "a take is not changed over /v1/videos; the shot is made anew"
            self.losses.append(Loss("edit", reason))
        for lora in request.loras:
            name = f"cast.{lora.subject}.lora" if lora.subject else "lora"
            reason = "adapters are loaded where the server is started, not sent to it"
            self.losses.append(Loss(name, reason))

    def _require_enough(self, request: RenderRequest) -> None:
        """Something to begin from, for a model that makes nothing from words alone."""
        if self.model.text or request.references or request.continue_from is not None:
            return
        if any(key.frame == 0 for key in request.key_pictures):
            return
        needs = "references" if self.model.references else "a first picture (frames.first)"
        raise RefusalError(
            f"{self.model.called} needs {needs}, the shot has none",
            todo="give the shot what it needs, or another backend",
        )


def _name(reference: Reference) -> str:
    """The reference in the storyboard's words."""
    own = {
        "voice": "voice.ref",
        "motion": "motion_from",
        "style": "look.refs",
        "plate": "location.refs",
        "layer": "location.layers",
    }.get(reference.role, "refs")
    if reference.subject and own in ("refs", "voice.ref"):
        return f"cast.{reference.subject}.{own}"
    return own
