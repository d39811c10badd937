"""A shot ready to be drawn: its place, cast, weather and camera, and any frame of it on demand."""

from __future__ import annotations

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
from generator.backends.animatic_art.grade import finish_fields, graded, look_of
from generator.backends.animatic_art.keys import HeldPicture, blend_keys
from generator.backends.animatic_art.noise import stream
from generator.backends.animatic_art.planes import Plane, draw_plane, fitted
from generator.backends.animatic_art.plates import (
    Place,
    View,
    horizon_of,
    place_of_layers,
    place_of_plate,
)
from generator.backends.animatic_art.staging import CastMember, Staging, stage
from generator.backends.animatic_art.weather import Weather, weather_of
from generator.backends.base import RenderRequest
from media.errors import RenderError
from media.image import read_image
from storyboards.fields import ShotSize

__all__ = ["Scene", "build_scene", "frame_of", "picture_of"]

Rgba = NDArray[np.uint8]

_FITTED_POSES = 48
"""Poses that planes are cut down for: more would find hardly another pixel."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that a frame is drawn from; nothing changes while it is drawn."""

    size: tuple[int, int]
    pose_at: Callable[[int], Pose]
    subject_m: float
    depth_m: float
    behind: tuple[Plane, ...]
    items: tuple[Plane | Actor, ...]
    """Cast and foreground, far to near."""
    weather: Weather
    fields: tuple[Rgba, ...]

    def draw(self, at: int) -> Rgba:
        """Frame `at`, `(h, w, 4) uint8 RGBA`, opaque."""
        pose = self.pose_at(at)
        frame = np.zeros((self.size[1], self.size[0], 4), np.uint8)
        for plane in self.behind:
            draw_plane(frame, plane, pose)
        for drawable in self.items:
            if isinstance(drawable, Actor):
                drawable.draw(frame, pose, at)
            else:
                near = (drawable.depth_m - pose.z - 0.55) / 0.6
                draw_plane(frame, drawable, pose, min(1.0, max(0.0, near)))
        self.weather.draw(frame, at)
        frame = self._smeared(frame, pose, self.pose_at(at + 1))
        if not self.fields:
            return frame
        field = self.fields[at % len(self.fields)]
        return np.asarray(cv2.multiply(frame, field, dst=frame, scale=1 / 224), np.uint8)

    def num_bytes(self) -> int:
        """Memory that the textures take."""
        planes = [*self.behind]
        for drawable in self.items:
            if isinstance(drawable, Actor):
                parts = (drawable.body, drawable.head, drawable.shadow)
                planes += [part for part in parts if part is not None]
            else:
                planes.append(drawable)
        textures = [plane.texture for plane in planes] + list(self.fields)
        textures += [sheet.tile for sheet in self.weather.sheets]
        return sum(texture.nbytes for texture in textures)

    def _smeared(self, frame: Rgba, now: Pose, after: Pose) -> Rgba:
        """Motion blur of a 180° shutter, where the whole frame races sideways or up."""
        across = abs(now.pan - after.pan) * now.focal / 2
        up = abs(now.tilt - after.tilt) * now.focal / 2
        if max(across, up) < 0.008 * self.size[0]:
            return frame
        most = self.size[0] // 5
        kernel = (max(1, min(most, int(across))), max(1, min(most, int(up))))
        return np.asarray(cv2.blur(frame, kernel, borderType=cv2.BORDER_REPLICATE), np.uint8)


def build_scene(
    request: RenderRequest, assets: Mapping[str, Path], board: Rgba | None = None
) -> Scene:
    """The scene of a request. `board`: the first frame, when it alone is what the shot shows."""
    shot, size, seed = request.description, request.size, request.seed
    figures = () if board is not None else _figures(request, assets)
    cast = [
        CastMember(placement, figure.chin, figure.thing)
        for placement, figure in zip(shot.placements, figures, strict=False)
    ]
    staging = stage(shot, cast, size, seed)
    if board is not None:
        staging = _for_board(staging, board, size)
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
        pose_at = _from_first(pose_at, staging.start)
    step = max(1, request.num_frames // _FITTED_POSES)
    poses = [pose_at(at) for at in {*range(0, request.num_frames, step), request.num_frames - 1}]
    place = _place(request, assets, staging, board)
    behind, front = _planes(place, staging, poses, request, board is not None)
    light = Light(place.surround, look_of(request.prompt), shot.angle)
    frame_rig = (size, request.fps, request.num_frames, seed)
    actors = [
        (mark, actor(
            shot.placements[mark.cast], figures[mark.cast], mark, staging, light, poses, frame_rig
        ))
        for mark in staging.marks
    ]  # fmt: skip
    ordered: list[tuple[float, Plane | Actor]] = [
        *((mark.z, item) for mark, item in actors),
        *front,
    ]
    ordered.sort(key=lambda pair: -pair[0])
    words = "" if board is not None else f"{shot.slugline} {shot.action}"
    grain = look_of(request.prompt).grain
    return Scene(
        size,
        pose_at,
        staging.subject_m,
        staging.stage_m,
        tuple(behind),
        tuple(item for _, item in ordered),
        weather_of(words, is_inside(shot.slugline), size, request.fps, seed),
        () if board is not None else tuple(finish_fields(stream("finish", seed), size, grain)),
    )


def frame_of(scene: Scene, keys: Sequence[HeldPicture], at: int, request: RenderRequest) -> Rgba:
    """Frame `at` with its held pictures."""
    if not scene.fields and at > 0:
        # A move over a board: the board is what is drawn, there is nothing to dissolve to.
        return scene.draw(at)
    return blend_keys(lambda: scene.draw(at), keys, at, scene.pose_at, scene.depth_m, request.fps)


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
    figures = []
    for placement in request.description.placements:
        who, words, tall = placement.subject, placement.description, placement.height_m
        if placement.sha256:
            picture = picture_of(assets, placement.sha256)
            figures.append(figure_of_picture(picture, who, words, tall, longest))
        else:
            figures.append(figure_of_words(who, words, tall, placement.facing, longest))
    return tuple(figures)


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


def _from_first(pose_at: Callable[[int], Pose], start: Pose) -> Callable[[int], Pose]:
    """The same move, counted from where it is at frame 0."""
    first = pose_at(0)

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
    request: RenderRequest, assets: Mapping[str, Path], staging: Staging, board: Rgba | None
) -> Place:
    shot = request.description
    if board is not None:
        far_m = 1.15 * staging.subject_m
        view = View(
            staging.reference_focal, 1.5, staging.horizon, request.size, far_m, overscan=1.0
        )
        return place_of_plate(board, view, staging.horizon)
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
        pictures = [(_small(picture_of(assets, ref.sha256), request.size), ref.depth_m or 50.0)
                    for ref in layers]  # fmt: skip
        return place_of_layers(pictures, view)
    plate = next((r for r in request.references if r.role == "plate" and r.kind == "image"), None)
    if plate is None:
        return painted_place(shot.slugline, view, shot.setting_seed)
    given = dict(request.options).get("horizon")
    horizon = float(given) if isinstance(given, int | float) and 0 < given < 1 else None
    return place_of_plate(_small(picture_of(assets, plate.sha256), request.size), view, horizon)


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


def _planes(
    place: Place,
    staging: Staging,
    poses: Sequence[Pose],
    request: RenderRequest,
    sharp: bool,
) -> tuple[list[Plane], list[tuple[float, Plane]]]:
    """Fitted planes behind the action, and those in front of it with their metres."""
    grade = look_of(request.prompt)
    behind: list[Plane] = []
    front: list[tuple[float, Plane]] = []
    for plane in place.planes:
        blur = 0.0 if sharp else defocus_px(staging, plane.depth_m, request.size)
        plane = plane if sharp else replace(plane, texture=graded(plane.texture, grade))
        cut = fitted(plane, poses, request.size, blur_px=blur)
        if cut is None:
            continue
        if plane.depth_m < 5.0 and not plane.opaque and _is_upright(plane):
            front.append((plane.depth_m, cut))
        else:
            behind.append(cut)
    return behind, front


def _is_upright(plane: Plane) -> bool:
    return float(np.abs(plane.world[3, :2]).sum()) == 0.0
