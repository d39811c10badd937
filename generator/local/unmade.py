"""What a request asks for and a model's capabilities do not have: taken out, each by its name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from generator.backends.base import (
    Capabilities,
    KeyPicture,
    Loss,
    Reference,
    RefRole,
    RenderRequest,
)
from generator.reference_choice import choose_references
from media.errors import RefusalError

__all__ = ["reference_field", "require_makeable", "without_unmade"]


_ROLES: tuple[RefRole, ...] = (
    "character",
    "sheet",
    "voice",
    "motion",
    "plate",
    "style",
    "layer",
)

_FIELDS = {
    "style": "look.refs",
    "plate": "location.refs",
    "layer": "location.layers",
    "motion": "motion_from",
}


def require_makeable(request: RenderRequest, able: Capabilities) -> None:
    """Raise RefusalError for what no model can make: no frames, no raster, pictures outside."""
    if request.num_frames < 1:
        raise RefusalError(f"expected at least one frame, got {request.num_frames}")
    width, height = request.size
    if min(width, height) < able.size_multiple:
        raise RefusalError(
            f"expected a frame of at least {able.size_multiple} pixels a side, got {width}x{height}"
        )
    for key in request.key_pictures:
        if not 0 <= key.frame < request.num_frames:
            raise RefusalError(
                f"expected key pictures from frame 0 to {request.num_frames - 1}, "
                f"got one at {key.frame}",
                todo="move frames.mid inside the shot, or make the shot longer",
            )


def without_unmade(
    request: RenderRequest,
    able: Capabilities,
    model: str,
    *,
    options: Collection[str] = (),
    has_negative: bool = True,
    roles: Sequence[RefRole] = _ROLES,
    at_most: int | None = None,
) -> tuple[RenderRequest, tuple[Loss, ...]]:
    """The request without what `able` lacks, and what that is. To be asked before it is fitted.

    `model` is what the reasons call it, `options` the backend options that it knows, `roles` and
    `at_most` what `choose_references` asks for.
    """
    references, lost = choose_references(request, able, roles, model=model, at_most=at_most)
    losses = list(lost)
    keys = _keys(request, able, model, losses)
    losses += _other_losses(request, able, model, options, has_negative)
    native = request.audio == "native" and able.native_audio
    can_continue = able.extension != "none"
    return (
        replace(
            request,
            references=references,
            key_pictures=keys,
            motion=request.motion[: able.motion_areas],
            continue_from=request.continue_from if can_continue else None,
            edit=request.edit if request.edit and request.edit.operation in able.edit else None,
            audio="native" if native else "none",
            audio_sha256="",
            loras=request.loras if able.loras else (),
            negative=request.negative if has_negative else "",
            options=tuple(pair for pair in request.options if pair[0] in options),
        ),
        tuple(dict.fromkeys(losses)),
    )


def reference_field(reference: Reference) -> str:
    """What the storyboard calls the entry that a reference comes from."""
    if reference.role in _FIELDS:
        return _FIELDS[reference.role]
    field = "voice.ref" if reference.role == "voice" else "refs"
    return f"cast.{reference.subject}.{field}" if reference.subject else field


def _keys(
    request: RenderRequest, able: Capabilities, model: str, losses: list[Loss]
) -> tuple[KeyPicture, ...]:
    last = request.num_frames - 1
    allowed = {
        "none": frozenset[int](),
        "first": frozenset({0}),
        "first_last": frozenset({0, last}),
    }.get(able.keyframe_positions)
    if allowed is None:
        return request.key_pictures
    kept = []
    for key in sorted(request.key_pictures, key=lambda key: key.frame):
        if key.frame in allowed:
            kept.append(key)
            continue
        name = {0: "frames.first", last: "frames.last"}.get(key.frame, "frames.mid")
        losses.append(Loss(name, f"{model} cannot hold a picture at frame {key.frame}"))
    return tuple(kept)


def _other_losses(
    request: RenderRequest,
    able: Capabilities,
    model: str,
    options: Collection[str],
    has_negative: bool,
) -> list[Loss]:
    losses = []
    if request.negative and not has_negative:
        losses.append(Loss("negative", f"{model} reads no negative prompt"))
    if request.edit is not None and request.edit.operation not in able.edit:
        losses.append(Loss("edit", f"{model} cannot change a take; the shot is made anew"))
    if request.continue_from is not None and able.extension == "none":
        losses.append(Loss("join", f"{model} cannot go on from a take; the shot starts afresh"))
    if request.audio == "native" and not able.native_audio:
        losses.append(Loss("audio", f"{model} is silent; the sound modules make the sound"))
    if request.audio == "driven":
        losses.append(Loss("dialogue.audio", f"{model} does not move lips to a recording"))
    if not able.loras:
        losses += [
            Loss(f"cast.{lora.subject}.lora" if lora.subject else "lora", f"{model} takes none")
            for lora in request.loras
        ]
    if len(request.motion) > able.motion_areas:
        losses.append(Loss("motion", f"{model} moves no painted areas"))
    losses += [
        Loss(f"options.{name}", f"unknown here; known: {', '.join(sorted(options)) or 'none'}")
        for name, _ in request.options
        # What is wanted of footage is lost with the footage, which is named above.
        if name not in options and not name.startswith("motion_from.")
    ]
    return losses
