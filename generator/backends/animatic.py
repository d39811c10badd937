"""The animatic: every shot as a moving 2.5D picture, with no weights, no GPU and no network.

A place (layers, a plate, or a backdrop painted from the slugline) and the cast (their pictures,
or drawn stand-ins) stand in metres in front of a pinhole camera that makes the storyboard's own
move. Pictures that must stand at a frame do so to the pixel. Sound, slate and titles are made
elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from generator.backends.base import (
    Capabilities,
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
from media.errors import CancelledError, RefusalError, RenderError

__all__ = ["Animatic"]

_KNOWN_OPTIONS = ("horizon",)
_CAPABILITIES = Capabilities(
    tasks=frozenset({"text", "first_frame", "last_frame", "keyframes", "references", "extend"}),
    max_references={"image": 64, "video": 0, "audio": 0},
    max_key_pictures=18,
    keyframe_positions="any",
    camera="exact",
    motion_areas=12,
    extension="last_frame",
    native_audio=False,
    audio_rate=0,
    frame_rule=FrameRule(),
    size_multiple=2,
    max_size=(4096, 4096),
    fps=(),
    seeded=True,
    shots_per_generation=1,
    loras=False,
    edit=frozenset(),
    licence=Licence("Apache-2.0"),
    usd_per_second=0.0,
    gpu_seconds_per_second=0.0,
    stand_in=True,
)
_UNUSED_ROLES = {
    "style": ("look.refs", "the animatic grades from the look's words, not from style pictures"),
    "voice": ("voice.ref", "the animatic makes no sound; dialogue is spoken by the sound module"),
    "motion": ("motion_from", "the animatic cannot take movement over from footage"),
    "sheet": ("refs", "the animatic uses one view of a character, not a sheet of views"),
}


@dataclass(frozen=True, slots=True)
class Animatic:
    """The embedded default backend."""

    id: str = "animatic"
    revision: str = "3"
    capabilities: Capabilities = field(default=_CAPABILITIES, repr=False)
    unready: str = ""

    def snap(self, request: RenderRequest) -> Snapped:
        """The request that can be drawn, and by name whatever of it is not."""
        _require_drawable(request)
        losses: list[Loss] = []
        references = _used_references(request.references, losses)
        keys = tuple(sorted(request.key_pictures, key=lambda key: key.frame))
        if len(keys) > _CAPABILITIES.max_key_pictures:
            most = _CAPABILITIES.max_key_pictures
            losses.append(Loss("frames.mid", f"at most {most} key pictures, {len(keys)} are asked"))
            keys = _evenly(keys, most)
        losses += _other_losses(request)
        size = _allowed_size(request.size)
        adjustments = (
            (f"size {_by(request.size)} becomes {_by(size)}",) if size != request.size else ()
        )
        pictured = any(ref.role in ("plate", "layer") for ref in references)
        snapped = replace(
            request,
            description=request.description
            if pictured
            else replace(request.description, focus=None),
            size=size,
            references=references,
            key_pictures=keys,
            motion=request.motion[: _CAPABILITIES.motion_areas],
            negative="",
            edit=None,
            audio="none",
            audio_sha256="",
            loras=(),
            options=tuple(pair for pair in request.options if pair[0] in _KNOWN_OPTIONS),
        )
        return Snapped(snapped, adjustments, tuple(dict.fromkeys(losses)))

    def quote(self, request: RenderRequest) -> Quote:
        """Seconds of one core: measured at 1280x720, in proportion to the pixels."""
        share = request.size[0] * request.size[1] / (1280 * 720)
        return Quote(cpu_seconds=round((0.4 + request.num_frames / 75) * max(share, 0.05), 3))

    def prepare(self, requests: Sequence[RenderRequest], tools: RenderTools) -> None:
        """Shots share nothing that would be worth drawing once."""

    def render(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        """Start drawing. Missing files are said now; the scene is built with the first chunk."""
        _require_files(request, tools)
        if tools.should_stop():
            raise CancelledError("cancelled before the animatic was drawn")
        # A plan does not draw: it must not wait for the libraries that do.
        from generator.backends.animatic_art.frames import VERSIONS, draw_frames

        held = [0]
        return Rendered(
            frames=draw_frames(request, tools, held),
            num_frames=request.num_frames,
            fps=request.fps,
            size=request.size,
            seed=request.seed,
            revision=self.revision,
            versions=VERSIONS,
            licence=_CAPABILITIES.licence.id,
            peak_memory_mb=lambda: held[0] / 2**20,
        )


def _require_drawable(request: RenderRequest) -> None:
    most = _CAPABILITIES.frame_rule.maximum
    if not 1 <= request.num_frames <= most:
        raise RefusalError(
            f"expected 1 to {most} frames, got {request.num_frames}",
            todo="split the shot and join the parts with join: {mode: extend}",
        )
    if min(request.size) < 16:
        raise RefusalError(f"expected a frame of at least 16x16, got {_by(request.size)}")
    for key in request.key_pictures:
        if not 0 <= key.frame < request.num_frames:
            raise RefusalError(
                f"expected key pictures from frame 0 to {request.num_frames - 1}, "
                f"got one at {key.frame}",
                todo="move frames.mid inside the shot, or make the shot longer",
            )


def _used_references(references: Sequence[Reference], losses: list[Loss]) -> tuple[Reference, ...]:
    used = []
    for reference in references:
        role = _UNUSED_ROLES.get(reference.role)
        if role is None and reference.kind != "image":
            role = ("refs", f"the animatic draws from pictures, not from {reference.kind}")
        if role is None:
            used.append(reference)
            continue
        name, reason = role
        cast = f"cast.{reference.subject}." if reference.subject and "." not in name else ""
        if reference.role == "voice" and reference.subject:
            cast = f"cast.{reference.subject}."
        losses.append(Loss(cast + name, reason))
    most = _CAPABILITIES.max_references["image"]
    if len(used) > most:
        losses.append(Loss("refs", f"at most {most} pictures are read, {len(used)} are given"))
    return tuple(used[:most])


def _other_losses(request: RenderRequest) -> list[Loss]:
    losses = []
    if request.negative:
        losses.append(Loss("negative", "nothing is invented here that words could keep away"))
    if request.edit is not None:
        losses.append(Loss("edit", "the animatic cannot change a take; the shot is drawn anew"))
    if request.audio == "native":
        losses.append(Loss("audio", "the animatic makes no sound; the sound module does"))
    if request.audio == "driven":
        losses.append(Loss("dialogue.audio", "the animatic moves heads in time, not lips to sound"))
    losses += [
        Loss(f"cast.{lora.subject}.lora" if lora.subject else "lora", "the animatic has no weights")
        for lora in request.loras
    ]
    pictured = any(ref.role in ("plate", "layer") for ref in request.references)
    if request.description.focus is not None and not pictured:
        losses.append(Loss("focus", "there is no plate; the painted place has no such point"))
    most = _CAPABILITIES.motion_areas
    if len(request.motion) > most:
        losses.append(Loss("motion", f"at most {most} areas, {len(request.motion)} are given"))
    if any(not area.trajectory for area in request.motion) and request.description.camera.move:
        losses.append(Loss("motion.static", "the camera's move carries still areas along"))
    if request.continue_from is not None and request.continue_from.tail_frames > 1:
        losses.append(Loss("join.overlap", "the animatic goes on from the last frame alone"))
    losses += [
        Loss(f"options.{name}", f"unknown here; known: {', '.join(_KNOWN_OPTIONS)}")
        for name, _ in request.options
        if name not in _KNOWN_OPTIONS
    ]
    return losses


def _require_files(request: RenderRequest, tools: RenderTools) -> None:
    wanted = [key.sha256 for key in request.key_pictures]
    wanted += [place.sha256 for place in request.description.placements if place.sha256]
    wanted += [ref.sha256 for ref in request.references if ref.role in ("plate", "layer")]
    wanted += [area.mask_sha256 for area in request.motion if area.mask_sha256]
    missing = [sha256 for sha256 in wanted if sha256 not in tools.assets]
    if missing:
        raise RenderError(
            f"expected {len(set(wanted))} pictures, {len(set(missing))} were not handed over "
            f"(first: {missing[0][:12]})",
            todo="run the checks on the storyboard again",
        )
    continued = request.continue_from
    if continued is not None and continued.take_key not in tools.takes:
        raise RenderError(
            f"the take {continued.take_key[:12]} that this one continues was not handed over",
            todo="render the earlier shot first",
        )


def _allowed_size(size: tuple[int, int]) -> tuple[int, int]:
    limit, multiple = _CAPABILITIES.max_size, _CAPABILITIES.size_multiple
    scale = min(1.0, limit[0] / size[0], limit[1] / size[1])
    width, height = (max(multiple, int(edge * scale) // multiple * multiple) for edge in size)
    return width, height


def _evenly(keys: tuple[KeyPicture, ...], most: int) -> tuple[KeyPicture, ...]:
    """The first, the last, and others evenly between them."""
    picked = {round(index * (len(keys) - 1) / (most - 1)) for index in range(most)}
    return tuple(keys[index] for index in sorted(picked))


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
