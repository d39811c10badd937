"""The user's pictures of a place as planes: depth layers as given, one plate split in two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.backends.animatic_art.planes import (
    Plane,
    premultiplied,
    reference_card,
    reference_ground,
)

__all__ = [
    "Layers",
    "Place",
    "View",
    "horizon_of",
    "layers_of",
    "place_of_layers",
    "place_of_plate",
]

Rgba = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class View:
    """How a picture of a place is hung in front of the camera."""

    focal: float
    """Pixels, of the lens the picture is taken to be made with."""
    height_m: float
    """Of the lens over the ground."""
    horizon: float
    """Row of the horizon in the frame, as a part of its height."""
    size: tuple[int, int]
    far_m: float
    shift: float = 0.0
    """Of the window over a wider picture, -1 left to 1 right."""
    slack: float = 1.0
    """How much smaller than the picture the window is (lens and distance of the camera)."""
    focus: tuple[float, float] | None = None
    """Point of the picture (0 to 1) that the frame centres on, as far as the picture reaches."""
    overscan: float = 1.04
    """How much larger than the frame the picture is hung, to have something past the edges."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in planes, far to near, and its mean colour."""

    planes: tuple[Plane, ...]
    surround: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Layers:
    """Depth layers ready to hang, far to near: premultiplied `(h, w, 4) uint8 RGBA`."""

    textures: tuple[Rgba, ...]
    depths_m: tuple[float, ...]
    horizon: float
    surround: tuple[float, float, float]


def layers_of(layers: Sequence[tuple[Rgba, float]]) -> Layers:
    """Layers `(h, w, 4) uint8 RGBA` with their metres; the farthest is made opaque."""
    ordered = sorted(layers, key=lambda layer: -layer[1])
    far = _filled(ordered[0][0])
    textures = (far, *(premultiplied(picture) for picture, _ in ordered[1:]))
    return Layers(
        textures,
        tuple(depth_m for _, depth_m in ordered),
        horizon_of(ordered[0][0]),
        _mean_colour(_flat(textures)),
    )


def place_of_layers(layers: Layers, view: View) -> Place:
    """The layers hung at their depths; the farthest fills the frame."""
    planes = []
    for index, texture in enumerate(layers.textures):
        scale, centre = _hung(texture, layers.horizon, view)
        depth_m = layers.depths_m[index]
        world = reference_card(view.focal / scale, depth_m, centre)
        planes.append(Plane(texture, world, depth_m, opaque=index == 0))
    return Place(tuple(planes), layers.surround)


def place_of_plate(picture: Rgba, view: View, horizon: float | None = None) -> Place:
    """One picture as a wall at `view.far_m` and the floor in front of it, which meet exactly where
    that wall stands on flat ground: no move can open a gap between them."""
    picture = _filled(picture)
    horizon = horizon_of(picture) if horizon is None else horizon
    scale, centre = _hung(picture, horizon, view)
    focal = view.focal / scale
    height, width = picture.shape[:2]
    # Where the picture's own horizon could not be brought to the frame's, the wall moves so that
    # it still stands where the picture shows the floor begin.
    below = height * horizon - centre[1] + focal * view.height_m / view.far_m
    far_m = view.far_m
    if below > 0:
        far_m = min(2.5 * far_m, max(0.7 * far_m, focal * view.height_m / below))
    joint = centre[1] + focal * view.height_m / far_m
    wall = Plane(
        premultiplied(picture),
        reference_card(focal, far_m, centre),
        far_m,
        opaque=True,
    )
    if joint > height * 0.95:
        return Place((wall,), _mean_colour(picture))
    floor = _floor(picture, joint, width)
    ground = Plane(
        premultiplied(floor),
        reference_ground(focal, view.height_m, (centre[0] + width // 2, centre[1])),
        far_m * 0.5,
        mirrored=True,
    )
    return Place((wall, ground), _mean_colour(picture))


def horizon_of(picture: Rgba) -> float:
    """The likeliest row of the horizon, as a part of the height: where the rows' mean colour
    changes most, near the middle; 0.5 where nothing stands out."""
    small = cv2.resize(picture[..., :3], (32, 128), interpolation=cv2.INTER_AREA)
    rows = cv2.GaussianBlur(small.mean(axis=1, dtype=np.float32), (1, 0), 0, None, 2.0)
    change = np.abs(np.diff(rows, axis=0)).sum(axis=1)
    at = (np.arange(len(change)) + 1) / 128
    score = change * np.exp(-(((at - 0.52) / 0.14) ** 2))
    best = int(np.argmax(score))
    return float(at[best]) if score[best] > 1.5 else 0.5


def _hung(picture: Rgba, horizon: float, view: View) -> tuple[float, tuple[float, float]]:
    """Frame pixels a picture pixel, and the picture's pixel on the camera's axis.

    The picture covers the frame; its horizon is brought to the frame's as far as the picture
    reaches.
    """
    height, width = picture.shape[:2]
    frame_w, frame_h = view.size
    scale = max(frame_w / width, frame_h / height) * view.overscan
    slack_x = max(0.0, width - frame_w / scale / view.slack) / 2
    window_h = frame_h / scale / view.slack
    u = width / 2 + view.shift * 0.6 * slack_x
    v = height * horizon
    if view.focus is not None:
        u = min(max(width * view.focus[0], width / 2 - slack_x), width / 2 + slack_x)
        v = height * view.focus[1] + (view.horizon - 0.5) * window_h
    # The rows that the frame shows with this v on its horizon row; keep them in the picture.
    top, bottom = v - view.horizon * window_h, v + (1 - view.horizon) * window_h
    if bottom - top <= height:
        v += max(0.0, -top) - max(0.0, bottom - height)
    return scale, (u, v)


def _floor(picture: Rgba, joint: float, width: int) -> Rgba:
    """The picture under `joint`, clear above, carried on mirrored to both sides and below."""
    height = picture.shape[0]
    side, below = width // 2, height // 2
    floor = cv2.copyMakeBorder(picture, 0, below, side, side, cv2.BORDER_REFLECT_101)
    rows = np.arange(height + below, dtype=np.float32)
    alpha = np.clip((rows - joint) / 3, 0, 1) * 255
    floor[..., 3] = alpha[:, None].astype(np.uint8)
    return np.asarray(floor, np.uint8)


def _filled(picture: Rgba) -> Rgba:
    """Opaque: what is clear takes the colour of what stands around it."""
    alpha = picture[..., 3]
    if alpha.min() == 255:
        return picture
    colour = premultiplied(picture)
    weight = colour.astype(np.float32)
    for sigma in (8, 40, 160):
        reach = min(sigma, picture.shape[0] / 4)
        soft = cv2.GaussianBlur(weight, (0, 0), reach, borderType=cv2.BORDER_REPLICATE)
        clear = 1 - weight[..., 3:] / 255
        weight = np.asarray(weight + soft * clear, np.float32)
    out = weight[..., :3] / np.maximum(weight[..., 3:] / 255, 1 / 255)
    filled = np.full_like(picture, 255)
    filled[..., :3] = np.clip(out + 0.5, 0, 255).astype(np.uint8)
    return filled


def _flat(layers: Sequence[Rgba]) -> Rgba:
    """Premultiplied layers over each other, small: enough to know the place's colour."""
    flat = np.zeros((36, 64, 4), np.float32)
    for layer in layers:
        small = cv2.resize(layer, (64, 36), interpolation=cv2.INTER_AREA)
        top = small.astype(np.float32)
        flat = np.asarray(top + flat * (1 - top[..., 3:] / 255), np.float32)
    return np.clip(flat, 0, 255).astype(np.uint8)


def _mean_colour(picture: Rgba) -> tuple[float, float, float]:
    mean = cv2.mean(picture)
    return float(mean[0]), float(mean[1]), float(mean[2])
