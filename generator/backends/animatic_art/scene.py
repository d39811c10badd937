"""A shot ready to be drawn: its place, cast, weather and camera, and any frame of it on demand."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.backends.animatic_art.actors import Actor, Light, actor, defocus_px
from generator.backends.animatic_art.backdrop import is_inside, painted_place
from generator.backends.animatic_art.camera import Pose, Rig, camera_motion
from generator.backends.animatic_art.cutout import (
    Figure,
    figure_of_picture,
    figure_of_words,
)
from generator.backends.animatic_art.drawing import Scene
from generator.backends.animatic_art.grade import finish_field, graded, look_of
from generator.backends.animatic_art.keys import HeldPicture
from generator.backends.animatic_art.memory import remembered
from generator.backends.animatic_art.noise import stream
from generator.backends.animatic_art.planes import Plane, fitted
from generator.backends.animatic_art.plates import (
    Layers,
    Place,
    View,
    horizon_of,
    layers_of,
    place_of_layers,
    place_of_plate,
)
from generator.backends.animatic_art.staging import CastMember, Staging, stage
from generator.backends.animatic_art.weather import weather_of
from generator.backends.base import Placement, Reference, RenderRequest
from media.errors import RenderError
from media.image import read_image
from storyboards.fields import CameraMove, ShotSize

__all__ = ["build_scene", "picture_of"]

Rgba = NDArray[np.uint8]

_SOFT_PX = 2.6
"""Diameter of the blur from which half a frame's pixels hold a picture."""

_FITTED_POSES = 48
"""Poses that planes are cut down for: more would find hardly another pixel."""


def build_scene(
    request: RenderRequest, assets: Mapping[str, Path], board: HeldPicture | None = None
) -> Scene:
    """The scene of a request. `board`: a picture that is all there is to show, seen as it is at
    its frame."""
    shot, size, seed = request.description, request.size, request.seed
    figures = () if board is not None else _figures(request, assets)
    cast = [
        CastMember(placement, figure.chin, figure.thing)
        for placement, figure in zip(shot.placements, figures, strict=False)
    ]
    staging = stage(shot, cast, size, seed)
    if board is not None:
        staging = _for_board(staging, board.picture, size)
    rig = Rig(
        staging.start,
        staging.subject_m,
        staging.height_m,
        size,
        request.fps,
        request.num_frames,
        seed,
        staging.aim,
    )
    pose_at = camera_motion(shot.camera, rig)
    if board is not None:
        pose_at = _counted_from(board.frame, pose_at, staging.start)
    pose_at = functools.lru_cache(4)(pose_at)
    step = max(1, request.num_frames // _FITTED_POSES)
    poses = [pose_at(at) for at in {*range(0, request.num_frames, step), request.num_frames - 1}]
    place = _place(request, assets, staging, board)
    hung = _planes(place, staging, poses, request, board is not None)
    look = look_of(request.prompt)
    light = Light(place.surround, look, shot.angle)
    frame_rig = (size, request.fps, request.num_frames, seed)
    actors = [
        (mark, actor(
            shot.placements[mark.cast], figures[mark.cast], mark, staging, light, poses, frame_rig
        ))
        for mark in staging.marks
    ]  # fmt: skip
    ordered: list[tuple[float, Plane | Actor]] = [
        *((mark.z, item) for mark, item in actors),
        *hung.front,
    ]
    ordered.sort(key=lambda pair: -pair[0])
    words = "" if board is not None else f"{shot.slugline} {shot.action}"
    return Scene(
        size,
        pose_at,
        staging.stage_m,
        hung.soft,
        hung.behind,
        tuple(item for _, item in ordered),
        weather_of(words, is_inside(shot.slugline), size, request.fps, seed),
        None if board is not None else finish_field(stream("finish", seed), size, look.grain),
        not shot.camera.path and set(shot.camera.move) <= {CameraMove.STATIC},
    )


def picture_of(assets: Mapping[str, Path], sha256: str) -> Rgba:
    """The picture `(h, w, 4) uint8 RGBA` with this hash."""
    path = assets.get(sha256)
    if path is None:
        raise RenderError(
            f"the picture {sha256[:12]} was not handed to the backend",
            todo="check that its file is named in the storyboard",
        )
    return read_image(path)


def _figures(request: RenderRequest, assets: Mapping[str, Path]) -> tuple[Figure, ...]:
    longest = int(min(2400, max(900, 2.2 * max(request.size))))
    return tuple(_figure(place, assets, longest) for place in request.description.placements)


def _figure(place: Placement, assets: Mapping[str, Path], longest: int) -> Figure:
    who, words, tall = place.subject, place.description, place.height_m

    def made() -> Figure:
        if place.sha256:
            picture = picture_of(assets, place.sha256)
            return figure_of_picture(picture, who, words, tall, longest)
        return figure_of_words(who, words, tall, place.facing, longest)

    # What a picture shows does not depend on where its subject looks; a drawn stand-in does.
    facing = "" if place.sha256 else place.facing
    key = ("figure", place.sha256, who, words, tall, facing, longest)
    return remembered(key, made, lambda figure: figure.picture.nbytes)


def _for_board(staging: Staging, board: Rgba, size: tuple[int, int]) -> Staging:
    """The camera where the board was drawn from: what it sees at first is the board itself."""
    horizon = horizon_of(board)
    focal = staging.start.focal
    start = Pose(tilt=math.atan((horizon - 0.5) * size[1] / focal), focal=focal)
    subject_m = min(6.0, max(1.5, staging.subject_m))
    return replace(
        staging,
        start=start,
        subject_m=subject_m,
        height_m=1.5,
        horizon=horizon,
        reference_focal=focal,
        marks=(),
    )


def _counted_from(frame: int, pose_at: Callable[[int], Pose], start: Pose) -> Callable[[int], Pose]:
    """The same move, counted from where it is at `frame`."""
    first = pose_at(frame)

    def moved(at: int) -> Pose:
        pose = pose_at(at)
        return Pose(
            start.x + pose.x - first.x,
            start.y + pose.y - first.y,
            start.z + pose.z - first.z,
            start.pan + pose.pan - first.pan,
            start.tilt + pose.tilt - first.tilt,
            start.roll + pose.roll - first.roll,
            start.focal * pose.focal / first.focal,
        )

    return moved


def _place(
    request: RenderRequest,
    assets: Mapping[str, Path],
    staging: Staging,
    board: HeldPicture | None,
) -> Place:
    shot = request.description
    if board is not None:
        far_m = 1.15 * staging.subject_m
        view = View(
            staging.reference_focal, 1.5, staging.horizon, request.size, far_m, overscan=1.0
        )
        return place_of_plate(board.picture, view, staging.horizon)
    inside = is_inside(shot.slugline)
    reach = staging.stage_m
    far_m = min(14.0, max(7.0, 1.6 * reach)) if inside else min(45.0, max(10.0, 1.7 * reach))
    nearer = far_m / max(1.0, far_m - staging.start.z)
    view = View(
        staging.reference_focal,
        staging.height_m,
        staging.horizon,
        request.size,
        far_m,
        _shift(request),
        max(1.0, staging.start.focal / staging.reference_focal * nearer),
        shot.focus,
    )
    layers = [ref for ref in request.references if ref.role == "layer" and ref.kind == "image"]
    if layers:
        return place_of_layers(_layers(layers, assets, request.size), view)
    plate = next((r for r in request.references if r.role == "plate" and r.kind == "image"), None)
    if plate is None:
        return painted_place(shot.slugline, view, shot.setting_seed)
    given = dict(request.options).get("horizon")
    horizon = float(given) if isinstance(given, int | float) and 0 < given < 1 else None
    picture = remembered(
        ("plate", plate.sha256, request.size),
        lambda: _small(picture_of(assets, plate.sha256), request.size),
        lambda made: made.nbytes,
    )
    return place_of_plate(picture, view, horizon)


def _layers(
    references: Sequence[Reference], assets: Mapping[str, Path], size: tuple[int, int]
) -> Layers:
    named = [(ref.sha256, ref.depth_m or 50.0) for ref in references]
    return remembered(
        ("layers", tuple(named), size),
        lambda: layers_of(
            [(_small(picture_of(assets, sha256), size), depth_m) for sha256, depth_m in named]
        ),
        lambda made: sum(texture.nbytes for texture in made.textures),
    )


def _small(picture: Rgba, size: tuple[int, int]) -> Rgba:
    """No larger than any move could use: 2.2 times the frame where the picture covers it."""
    height, width = picture.shape[:2]
    scale = max(size[0] / width, size[1] / height) * 2.2
    if scale >= 1:
        return picture
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), np.uint8)


def _shift(request: RenderRequest) -> float:
    """Which part of a wide place stands behind: where the cast stands, and what they look at."""
    shot = request.description
    if shot.size in (ShotSize.LS, ShotSize.ELS) or not shot.placements:
        return 0.0
    main = shot.placements[1 if shot.size is ShotSize.OTS and len(shot.placements) > 1 else 0]
    side = {"far_left": -0.8, "left": -0.5, "right": 0.5, "far_right": 0.8}.get(main.position, 0.0)
    look = {"left": -0.3, "right": 0.3}.get(main.facing, 0.0)
    return side + look


@dataclass(frozen=True, slots=True)
class _Hung:
    """Fitted planes: far and soft (for half a frame's pixels), behind the action, in front of it
    with their metres."""

    soft: tuple[Plane, ...]
    behind: tuple[Plane, ...]
    front: tuple[tuple[float, Plane], ...]


def _planes(
    place: Place,
    staging: Staging,
    poses: Sequence[Pose],
    request: RenderRequest,
    sharp: bool,
) -> _Hung:
    grade, size = look_of(request.prompt), request.size
    small = [replace(pose, focal=pose.focal / 2) for pose in poses]
    soft: list[Plane] = []
    behind: list[Plane] = []
    front: list[tuple[float, Plane]] = []
    for plane in place.planes:
        blur = 0.0 if sharp else defocus_px(staging, plane.depth_m, size)
        near = plane.depth_m < 5.0 and not plane.opaque and _is_upright(plane)
        half = not (near or behind) and blur >= _SOFT_PX and (plane.opaque or bool(soft))
        if half:
            cut = fitted(plane, small, (size[0] // 2, size[1] // 2), blur_px=blur / 2)
        else:
            cut = fitted(plane, poses, size, blur_px=blur)
        if cut is None:
            continue
        cut = cut if sharp else replace(cut, texture=graded(cut.texture, grade))
        if near:
            front.append((plane.depth_m, cut))
        else:
            (soft if half else behind).append(cut)
    return _Hung(tuple(soft), tuple(behind), tuple(front))


def _is_upright(plane: Plane) -> bool:
    return float(np.abs(plane.world[3, :2]).sum()) == 0.0
