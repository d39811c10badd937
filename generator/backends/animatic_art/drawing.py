"""Frames of a scene, drawn into buffers that last as long as the shot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.backends.animatic_art.actors import Actor
from generator.backends.animatic_art.camera import Pose
from generator.backends.animatic_art.planes import Box, Easel, Plane, box_of, draw_plane
from generator.backends.animatic_art.weather import Weather

__all__ = ["Drawing", "Scene"]

Rgba = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that a frame is drawn from; nothing changes while it is drawn."""

    size: tuple[int, int]
    pose_at: Callable[[int], Pose]
    depth_m: float
    soft: tuple[Plane, ...]
    """Far planes so out of focus that half a frame's pixels hold them; drawn first."""
    behind: tuple[Plane, ...]
    items: tuple[Plane | Actor, ...]
    """Cast and foreground, far to near."""
    weather: Weather
    field: Rgba | None
    """Vignette and paper; None: pictures that have them already."""
    still: bool
    """Whether the camera stands still for the whole shot."""

    def num_bytes(self) -> int:
        """Memory that the textures take."""
        planes = [*self.soft, *self.behind]
        for drawable in self.items:
            if isinstance(drawable, Actor):
                parts = (drawable.body, drawable.head, drawable.shadow)
                planes += [part for part in parts if part is not None]
            else:
                planes.append(drawable)
        textures = [plane.texture for plane in planes]
        textures += [sheet.tile for sheet in self.weather.sheets]
        if self.field is not None:
            textures.append(self.field)
        return sum(texture.nbytes for texture in textures)


class Drawing:
    """Draws frames of one scene. Each frame is valid until the next one is asked for."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        width, height = scene.size
        self.easel = Easel(scene.size)
        self._frame = np.empty((height, width, 4), np.uint8)
        self._half = np.zeros((height // 2, width // 2, 4), np.uint8) if scene.soft else None
        moves = not scene.still or bool(scene.weather.sheets)
        self._set = None if moves else np.empty_like(self._frame)
        self._finished: Rgba | None = None
        self._touched: Box = (0, 0, width, height)

    @property
    def num_bytes(self) -> int:
        """Memory of the textures and the buffers."""
        buffers = [b for b in (self._frame, self._half, self._set) if b is not None]
        return self.scene.num_bytes() + self.easel.num_bytes + sum(b.nbytes for b in buffers)

    def frame(self, at: int) -> Rgba:
        """Frame `at`, `(h, w, 4) uint8 RGBA`, opaque."""
        if self._set is not None:
            return self._on_still_set(at, self._set)
        scene, pose = self.scene, self.scene.pose_at(at)
        self._draw_set(self._frame, pose)
        self._draw_items(self._frame, pose, at, None)
        scene.weather.draw(self._frame, at, self.easel)
        frame = _smeared(self._frame, pose, scene.pose_at(at + 1))
        if scene.field is not None:
            cv2.multiply(frame, scene.field, dst=frame, scale=1 / 224)
        return frame

    def _on_still_set(self, at: int, background: Rgba) -> Rgba:
        """Under a camera that stands still, only what the cast touch is drawn again."""
        scene, pose = self.scene, self.scene.pose_at(at)
        touched = _around(
            [box_of(plane, pose, scene.size) for item in scene.items if isinstance(item, Actor)
             for plane in item.planes_at(at)]
        )  # fmt: skip
        clip = _around([touched, self._touched])
        if self._finished is None:
            self._draw_set(background, pose)
            self._finished = np.empty_like(background)
            clip = (0, 0, *scene.size)
        self._touched = touched or (0, 0, 0, 0)
        if clip is None:
            return self._finished
        part = (slice(clip[1], clip[3]), slice(clip[0], clip[2]))
        self._frame[part] = background[part]
        self._draw_items(self._frame, pose, at, clip)
        if scene.field is None:
            self._finished[part] = self._frame[part]
        else:
            cv2.multiply(
                self._frame[part], scene.field[part], dst=self._finished[part], scale=1 / 224
            )
        return self._finished

    def _draw_set(self, frame: Rgba, pose: Pose) -> None:
        scene = self.scene
        if self._half is not None:
            for plane in scene.soft:
                draw_plane(self._half, plane, replace(pose, focal=pose.focal / 2), self.easel)
            cv2.resize(self._half, scene.size, dst=frame, interpolation=cv2.INTER_LINEAR)
        elif not (scene.behind and scene.behind[0].opaque):
            frame[:] = (0, 0, 0, 255)
        for plane in scene.behind:
            draw_plane(frame, plane, pose, self.easel)

    def _draw_items(self, frame: Rgba, pose: Pose, at: int, clip: Box | None) -> None:
        for drawable in self.scene.items:
            if isinstance(drawable, Actor):
                for plane in drawable.planes_at(at):
                    draw_plane(frame, plane, pose, self.easel, clip=clip)
                continue
            # What the camera is about to pass fades instead of popping out of the frame.
            near = min(1.0, max(0.0, (drawable.depth_m - pose.z - 0.55) / 0.6))
            draw_plane(frame, drawable, pose, self.easel, near, clip)


def _around(boxes: Sequence[Box | None]) -> Box | None:
    """The smallest box around all of them."""
    full = [box for box in boxes if box is not None and box[2] > box[0]]
    if not full:
        return None
    lefts, tops, rights, bottoms = zip(*full, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _smeared(frame: Rgba, now: Pose, after: Pose) -> Rgba:
    """Motion blur of a 180° shutter, where the whole frame races sideways or up."""
    width = frame.shape[1]
    across = abs(now.pan - after.pan) * now.focal / 2
    up = abs(now.tilt - after.tilt) * now.focal / 2
    if max(across, up) < 0.008 * width:
        return frame
    most = width // 5
    kernel = (max(1, min(most, int(across))), max(1, min(most, int(up))))
    return np.asarray(cv2.blur(frame, kernel, borderType=cv2.BORDER_REPLICATE), np.uint8)
