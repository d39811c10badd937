"""Requests brought to what a model can make: shape, time and frame counts."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.backends.base import Capabilities, ContinueFrom, FrameRule, KeyPicture, Placement
from generator.backends.footage import FootageBackend
from generator.local.fitting import fit_request, fitting_size, frames_at_rate
from media.errors import RefusalError
from tests.generator.local.tiny_family import tiny_request

RULE = FrameRule(step=8, offset=1, minimum=9, maximum=121)


def model(**changes: Any) -> Capabilities:
    return replace(
        FootageBackend.capabilities,
        **{
            "size_multiple": 32,
            "max_size": (1280, 1280),
            "fps": (Fraction(24),),
            "frame_rule": RULE,
            **changes,
        },
    )


def film(**changes: Any) -> Any:
    return tiny_request(**{"size": (1280, 704), "num_frames": 49, **changes})


def test_what_fits_is_left_alone() -> None:
    request = film()
    assert fit_request(request, model()) == (request, ())


def test_changes_are_told_in_words() -> None:
    fitted, changes = fit_request(film(size=(1280, 720), num_frames=50), model())
    assert (fitted.size, fitted.num_frames) == ((1280, 736), 57)
    assert changes == ("size 1280x720 to 1280x736", "frames 50 to 57, the rest is trimmed")


@pytest.mark.parametrize(
    ("size", "limit", "pixels", "expected"),
    [
        ((1280, 720), (1920, 1920), None, (1280, 736)),
        ((1920, 1080), (1280, 1280), None, (1280, 736)),
        ((1080, 1920), (1280, 768), None, (736, 1280)),
        ((1080, 1920), (1280, 720), None, (704, 1280)),
        ((1000, 1000), (768, 512), None, (512, 512)),
        ((1920, 1080), (1920, 1920), 768 * 448, (768, 448)),
        ((64, 10), (1280, 1280), None, (64, 32)),
        ((2390, 1000), (1280, 1280), None, (1280, 544)),
    ],
)
def test_sizes_keep_the_films_shape(
    size: tuple[int, int],
    limit: tuple[int, int],
    pixels: int | None,
    expected: tuple[int, int],
) -> None:
    assert fitting_size(size, 32, limit, max_pixels=pixels) == expected


@given(
    st.integers(64, 4096),
    st.integers(64, 4096),
    st.sampled_from([8, 16, 32, 64]),
    st.sampled_from([(1280, 1280), (1920, 1088), (832, 480)]),
    st.none() | st.integers(200_000, 2_000_000),
)
def test_sizes_are_within_the_limits_and_stay(
    width: int, height: int, multiple: int, limit: tuple[int, int], pixels: int | None
) -> None:
    fitted = fitting_size((width, height), multiple, limit, max_pixels=pixels)
    assert fitted[0] % multiple == fitted[1] % multiple == 0
    assert min(fitted) >= multiple
    assert max(fitted) <= max(limit)
    assert min(fitted) <= min(limit)
    assert pixels is None or fitted[0] * fitted[1] <= pixels
    assert fitting_size(fitted, multiple, limit, max_pixels=pixels) == fitted
    if min(width, height) >= 8 * multiple and max(width, height) <= 2 * min(width, height):
        # Within a multiple of the shape that was asked for.
        drift = abs(math.log(fitted[0] * height / (fitted[1] * width)))
        assert drift <= 2 * multiple / min(fitted)


def test_another_rate_covers_the_same_time() -> None:
    request = film(
        fps=Fraction(48),
        num_frames=97,
        key_pictures=(KeyPicture(0, "a" * 64), KeyPicture(48, "b" * 64), KeyPicture(96, "c" * 64)),
        continue_from=ContinueFrom("d" * 64, "extend", 18),
    )
    placed = Placement("ada", "", "", "left", "right", "mid", 1.7, speaking=((24, 48), (48, 97)))
    request = replace(request, description=replace(request.description, placements=(placed,)))
    fitted, changes = fit_request(request, model(extension="tail"))
    assert (fitted.fps, fitted.num_frames) == (24, 49)
    assert [key.frame for key in fitted.key_pictures] == [0, 24, 48]
    assert fitted.continue_from is not None
    assert fitted.continue_from.tail_frames == 9
    assert fitted.description.placements[0].speaking == ((12, 24), (24, 49))
    assert changes == ("rate 48 to 24 fps, 97 to 49 frames",)


@pytest.mark.parametrize(
    ("fps", "rates", "expected"),
    [
        ("30", ("24", "25"), "25"),
        ("60", ("24", "30"), "30"),
        ("24000/1001", ("24", "25"), "24"),
        ("12", ("24", "6"), "24"),
        ("50", (), "50"),
    ],
)
def test_the_nearest_rate(fps: str, rates: tuple[str, ...], expected: str) -> None:
    capabilities = model(fps=tuple(Fraction(rate) for rate in rates))
    fitted, _ = fit_request(film(fps=Fraction(fps), num_frames=9), capabilities)
    assert fitted.fps == Fraction(expected)


@given(
    st.integers(1, 10_000),
    st.sampled_from(["24", "25", "30000/1001", "60", "48"]),
    st.sampled_from(["16", "24", "25", "30"]),
)
def test_no_time_is_lost_to_another_rate(num_frames: int, fps: str, other: str) -> None:
    made = frames_at_rate(num_frames, Fraction(fps), Fraction(other))
    assert made / Fraction(other) >= num_frames / Fraction(fps)
    assert (made - 1) / Fraction(other) < num_frames / Fraction(fps)


def test_a_longer_take_is_made_in_segments_where_the_model_extends() -> None:
    long = film(num_frames=500)
    with pytest.raises(RefusalError, match=r"at most 5.04167 s, got 500 frames at 24 fps"):
        fit_request(long, model())
    extending = model(extension="tail", max_take_s=180)
    assert fit_request(long, extending) == (long, ())
    with pytest.raises(RefusalError, match="at most 180 s"):
        fit_request(film(num_frames=181 * 24), extending)


def test_what_goes_on_from_a_take_keeps_its_count() -> None:
    request = film(num_frames=50, continue_from=ContinueFrom("d" * 64, "extend", 9))
    assert fit_request(request, model(extension="tail")) == (request, ())


@given(st.integers(1, 4000), st.sampled_from(["24", "25", "48"]), st.integers(64, 2000))
def test_fitting_twice_changes_nothing(num_frames: int, fps: str, height: int) -> None:
    capabilities = model(extension="tail", max_take_s=180)
    request = film(num_frames=num_frames, fps=Fraction(fps), size=(1280, height))
    fitted, _ = fit_request(request, capabilities, max_pixels=900_000)
    assert fit_request(fitted, capabilities, max_pixels=900_000) == (fitted, ())
