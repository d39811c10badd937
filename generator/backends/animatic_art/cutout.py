"""Cast pictures as cut-outs of whole figures: background off, head found, portrait completed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.backends.animatic_art.standin import standin

__all__ = ["Figure", "figure_of_picture", "figure_of_words", "is_thing"]

Rgba = NDArray[np.uint8]

_THING_M = 0.85
"""Cast members lower than this are framed as things, whole, not as people from the eyes down."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A standing figure `(h, w, 4) uint8 RGBA`, cropped to itself, feet on the bottom edge."""

    picture: Rgba
    chin: float
    """Row under the head, as a part of the height."""
    height_m: float
    thing: bool
    axis: float = 0.5
    """Column of the head's middle, as a part of the width."""


def is_thing(height_m: float) -> bool:
    """Whether a cast member is framed as a thing."""
    return height_m < _THING_M


def figure_of_words(
    subject: str, description: str, height_m: float, facing: str, longest_px: int
) -> Figure:
    """A drawn stand-in: figure and clothes from the description's words."""
    picture, chin = standin(subject, description, facing, is_thing(height_m), longest_px)
    return _measured(picture, height_m, chin)


def figure_of_picture(
    picture: Rgba, subject: str, description: str, height_m: float, longest_px: int
) -> Figure:
    """The cast's own picture: cut out if it is opaque, completed if it is a portrait."""
    picture = _at_most(picture, longest_px)
    if picture[..., 3].min() > 8:
        picture = _cut_out(picture)
    picture = _cropped(picture)
    height, width = picture.shape[:2]
    if is_thing(height_m) or height >= 1.95 * width:
        return _measured(picture, height_m, None)
    if _closed_below(picture):
        return _measured(picture, height_m, None)
    return _completed(picture, subject, description, height_m, longest_px)


def _at_most(picture: Rgba, longest_px: int) -> Rgba:
    height, width = picture.shape[:2]
    scale = longest_px / max(height, width)
    if scale >= 1:
        return picture
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), np.uint8)


def _cut_out(picture: Rgba) -> Rgba:
    """The subject of an opaque picture: what differs from the border's colour; where that does
    not look like a figure, GrabCut (Rother et al. 2004) from a middle rectangle."""
    height, width = picture.shape[:2]
    scale = min(1.0, 360 / max(height, width))
    small = cv2.resize(
        np.ascontiguousarray(picture[..., :3]),
        (max(8, round(width * scale)), max(8, round(height * scale))),
        interpolation=cv2.INTER_AREA,
    )
    rgb = np.asarray(small, np.uint8)
    mask = _unlike_border(rgb)
    if not _like_a_figure(mask):
        mask = _grab_cut(rgb)
    if not _like_a_figure(mask):
        mask = _egg(small.shape[0], small.shape[1])
    soft = cv2.GaussianBlur(mask, (0, 0), 1.3, borderType=cv2.BORDER_REPLICATE)
    alpha = cv2.resize(soft, (width, height), interpolation=cv2.INTER_CUBIC)
    # Pull the edge in by about a pixel of the mask: the rim still holds background colour.
    alpha = np.clip((alpha - 0.55) / 0.40, 0, 1)
    out = picture.copy()
    out[..., 3] = (alpha * 255 + 0.5).astype(np.uint8)
    return out


def _unlike_border(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """1 where the colour is not that of the border it can be reached from."""
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    height, width = lab.shape[:2]
    edge = max(2, width // 40)
    sides = lab[: height * 7 // 10]
    border = np.concatenate(
        [
            lab[:edge].reshape(-1, 3),
            sides[:, :edge].reshape(-1, 3),
            sides[:, -edge:].reshape(-1, 3),
        ]
    )
    middle = np.median(border, axis=0)
    spread = float(np.median(np.linalg.norm(border - middle, axis=1)))
    like = (np.linalg.norm(lab - middle, axis=2) < max(9.0, 3.2 * spread)).astype(np.uint8)
    _, labels = cv2.connectedComponents(like, connectivity=4)
    rim = np.concatenate([labels[0], labels[:, 0], labels[:, -1]])
    outside = np.isin(labels, np.unique(rim[rim > 0]))
    mask = (~outside).astype(np.uint8)
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return _largest(np.asarray(opened, np.uint8))


def _grab_cut(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    height, width = rgb.shape[:2]
    marks = np.full((height, width), cv2.GC_BGD, np.uint8)
    marks[int(height * 0.04) :, int(width * 0.08) : int(width * 0.92)] = cv2.GC_PR_FGD
    cv2.setRNGSeed(1)  # its k-means draws from OpenCV's generator
    try:
        cv2.grabCut(
            np.ascontiguousarray(rgb[..., ::-1]),
            marks,
            (0, 0, 0, 0),
            np.zeros((1, 65)),
            np.zeros((1, 65)),
            3,
            cv2.GC_INIT_WITH_MASK,
        )
    except cv2.error:
        return np.zeros((height, width), np.float32)
    return _largest(np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8))


def _largest(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The largest part of a mask, its holes filled."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if len(stats) < 2:
        return mask.astype(np.float32)
    best = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    part = (labels == best).astype(np.uint8)
    contours, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(part, contours, -1, 1, -1), np.float32)


def _like_a_figure(mask: NDArray[np.float32]) -> bool:
    """A share of the picture that a figure can have, in its middle, not all of its border."""
    share = float(mask.mean())
    width = mask.shape[1]
    middle = float(mask[:, width // 3 : width * 2 // 3].mean())
    corners = float(mask[:3, :3].mean() + mask[:3, -3:].mean()) / 2
    return 0.06 < share < 0.88 and middle > 1.1 * share and corners < 0.5


def _egg(height: int, width: int) -> NDArray[np.float32]:
    """A soft bust shape: better a clean vignette than a torn edge."""
    mask = np.zeros((height, width), np.float32)
    cv2.ellipse(
        mask, (width // 2, height // 2), (width * 2 // 5, height * 12 // 25), 0, 0, 360, 1, -1
    )
    mask[height // 2 :, width // 8 : width * 7 // 8] = 1
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), width / 50), np.float32)


def _cropped(picture: Rgba) -> Rgba:
    rows = np.flatnonzero(picture[..., 3].max(axis=1) > 24)
    columns = np.flatnonzero(picture[..., 3].max(axis=0) > 24)
    if len(rows) < 4 or len(columns) < 4:
        return picture
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _closed_below(picture: Rgba) -> bool:
    """Whether the figure ends above its picture's edge (feet, a base) or is cut off by it."""
    last = picture[-max(2, picture.shape[0] // 60) :, :, 3]
    return float((last > 128).mean()) < 0.22


def _measured(picture: Rgba, height_m: float, chin: float | None) -> Figure:
    thing = is_thing(height_m)
    chin = (_chin_of(picture) or 0.15) if chin is None else chin
    head = picture[: max(2, int(picture.shape[0] * chin * 0.8)), :, 3].astype(np.float64)
    columns = head.sum(axis=0)
    total = columns.sum()
    axis = float((columns * np.arange(len(columns))).sum() / total / len(columns)) if total else 0.5
    return Figure(picture, chin, height_m, thing, 0.5 if thing else axis)


def _chin_of(picture: Rgba) -> float | None:
    """The chin's row, as a part of the height: just above the narrowest row between the head and
    the shoulders; None where the outline has no such neck."""
    height = picture.shape[0]
    widths = (picture[..., 3] > 128).sum(axis=1).astype(np.float64)
    low, high = int(height * 0.06), int(height * 0.26)
    if high - low < 4:
        return None
    head = low + int(np.argmax(widths[low : int(height * 0.16) + 1]))
    neck = head + int(np.argmin(widths[head:high]))
    if neck <= head or neck >= high - 1 or widths[neck] > 0.9 * widths[head]:
        return None
    return float(np.clip((neck - 0.01 * height) / height, 0.11, 0.24))


def _completed(
    bust: Rgba, subject: str, description: str, height_m: float, longest_px: int
) -> Figure:
    """A cut-off portrait on a drawn body in the colour of its own clothes."""
    height, width = bust.shape[:2]
    tall = height > 1.25 * width
    widths = (bust[..., 3] > 128).sum(axis=1)
    shoulders = max(1, int(widths[-max(1, height // 12) :].max()))
    # The body's shoulders take a quarter of a figure's height (Loomis' eight-head canon); from a
    # portrait cut at the hips less of the figure is missing.
    figure_h = int(shoulders / (0.27 if not tall else 0.29))
    figure_h = max(figure_h, int(height / (0.62 if tall else 0.48)))
    rows = bust[int(height * 0.86) :]
    solid = rows[rows[..., 3] > 200]
    cloth = np.median(solid[:, :3], axis=0) if len(solid) else np.array([90, 90, 100])
    body, _ = standin(
        subject,
        description,
        "camera",
        False,
        figure_h,
        cloth=(float(cloth[0]), float(cloth[1]), float(cloth[2])),
    )
    body_h, body_w = body.shape[:2]
    canvas_w = max(width, body_w)
    canvas = np.zeros((max(figure_h, body_h), canvas_w, 4), np.uint8)
    left = (canvas_w - body_w) // 2
    canvas[:body_h, left : left + body_w] = body
    canvas[: int(height * 0.72)] = 0
    _blend_bust(canvas, bust, (canvas_w - width) // 2)
    chin = _portrait_chin(bust)
    return _measured(_at_most(_cropped(canvas), longest_px), height_m, chin * height / len(canvas))


def _blend_bust(canvas: Rgba, bust: Rgba, left: int) -> None:
    height, width = bust.shape[:2]
    fade = np.clip((height - np.arange(height, dtype=np.float32)) / (height * 0.2), 0, 1)
    alpha = bust[..., 3].astype(np.float32) / 255 * fade[:, None]
    part = canvas[:height, left : left + width]
    under = part[..., 3].astype(np.float32) / 255
    out = alpha + under * (1 - alpha)
    share = (alpha / np.maximum(out, 1e-6))[..., None]
    part[..., :3] = (bust[..., :3] * share + part[..., :3] * (1 - share) + 0.5).astype(np.uint8)
    part[..., 3] = (out * 255 + 0.5).astype(np.uint8)


def _portrait_chin(bust: Rgba) -> float:
    """The chin's row in a portrait, as a part of its height."""
    height = bust.shape[0]
    widths = (bust[..., 3] > 128).sum(axis=1).astype(np.float64)
    low, high = int(height * 0.15), int(height * 0.8)
    head = low + int(np.argmax(widths[low : int(height * 0.5)]))
    neck = head + int(np.argmin(widths[head:high])) if high > head + 1 else head
    if neck <= head + 2 or widths[neck] > 0.9 * widths[head]:
        return 0.58
    return float(neck / height)
