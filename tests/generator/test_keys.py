"""Equal requests have equal keys; any difference gives another one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.backends.base import (
    ContinueFrom,
    CutFrom,
    Description,
    EditOf,
    KeyPicture,
    ListedShot,
    LoraWeight,
    MotionArea,
    Placement,
    Reference,
    RenderRequest,
)
from generator.keys import canonical, canonical_text, content_digest, request_key
from media.errors import UsageError
from storyboards.fields import Angle, ShotSize
from storyboards.shot_schema import Camera

REQUEST = RenderRequest(
    prompt="Waves break below — naïve",
    negative="text",
    seed=7,
    size=(1280, 720),
    fps=Fraction(24000, 1001),
    num_frames=96,
    profile="standard",
    description=Description("EXT. SEA", "Waves", ShotSize.ELS, Angle.LOW, Camera(), 3),
)
GOLDEN = "c2d7d0c2f93b0d040555a3141d60f140d8b1cd49b3802c420e00707ad384629c"

CHANGES: dict[str, Any] = {
    "prompt": "Waves",
    "negative": "",
    "seed": 8,
    "size": (720, 1280),
    "fps": Fraction(24),
    "num_frames": 97,
    "profile": "draft",
    "description": replace(REQUEST.description, setting_seed=4),
    "references": (Reference("image", "character", "a" * 64),),
    "key_pictures": (KeyPicture(0, "a" * 64),),
    "motion": (MotionArea(None, "a" * 64, ((0.0, 0.5),)),),
    "continue_from": ContinueFrom("a" * 64, "extend", 1),
    "edit": EditOf("a" * 64, "remove", "the boat"),
    "audio": "native",
    "audio_sha256": "a" * 64,
    "loras": (LoraWeight("a" * 64, 0.8),),
    "options": (("steps", 8),),
    "shots": (ListedShot("Waves", Fraction(0), Fraction(2)),),
    "cut_from": CutFrom(REQUEST, 0, (96,)),
}


def key(request: RenderRequest) -> str:
    return request_key(request, "animatic", "1")


def test_every_field_counts() -> None:
    assert set(CHANGES) == {field.name for field in fields(RenderRequest)}
    keys = {key(REQUEST)} | {key(replace(REQUEST, **{n: v})) for n, v in CHANGES.items()}
    assert len(keys) == len(CHANGES) + 1


def test_every_field_of_what_is_inside_counts() -> None:
    reference = Reference("image", "layer", "a" * 64, "Mara", 0.5, 3.0)
    placement = Placement("Mara", "", "", "left", "camera", "near", 1.7, "left", "right", "x")
    for value, name in [(reference, "references"), (placement, "placements")]:
        for changed in fields(value):
            other = replace(value, **{changed.name: _another(getattr(value, changed.name))})
            assert content_digest(value) != content_digest(other), (name, changed.name)


def _another(value: object) -> object:
    if isinstance(value, tuple):
        return (*value, (1, 2))
    return f"{value}x" if isinstance(value, str) else value + 1  # type: ignore[operator]


def test_backend_and_revision_count() -> None:
    keys = {request_key(REQUEST, *who) for who in [("a", "1"), ("a", "2"), ("b", "1")]}
    assert len(keys) == 3


def test_golden() -> None:
    """A changed key makes every user render every take again: do that knowingly."""
    assert key(REQUEST) == GOLDEN


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_the_same_in_every_process(hash_seed: str) -> None:
    code = "from tests.generator.test_keys import REQUEST, key; print(key(REQUEST))"
    root = Path(__file__).resolve().parents[2]
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)},
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert printed == key(REQUEST)


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5)
options = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, 1.0, -0.0]), st.text())
requests = st.builds(
    lambda strength, seed, fps, chosen, box: replace(
        REQUEST,
        seed=seed,
        fps=fps,
        references=(Reference("image", "style", "a" * 64, strength=strength),),
        motion=(MotionArea(box, "", ()),),
        options=tuple(sorted(chosen.items())),
    ),
    numbers,
    st.integers(0, 3),
    st.fractions(1, 3, max_denominator=3),
    st.dictionaries(st.sampled_from("ab"), options, max_size=2),
    st.none() | st.tuples(numbers, numbers, numbers, numbers),
)


@given(requests, requests)
def test_equal_requests_and_equal_keys_are_the_same_thing(
    one: RenderRequest, other: RenderRequest
) -> None:
    # In an option 1, 1.0 and true are different things to a backend, though equal in Python.
    types = [[type(value) for _, value in request.options] for request in (one, other)]
    assert (key(one) == key(other)) == (one == other and types[0] == types[1])
    assert key(one) == key(replace(one))


@given(st.lists(st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)))
def test_text_is_ascii_and_stable(values: list[Any]) -> None:
    text = canonical_text(canonical(tuple(values)))
    assert text.isascii()
    assert text == canonical_text(canonical(tuple(values)))


def test_types_that_matter_are_told_apart() -> None:
    forms = {content_digest((("a", value),)) for value in (1, 1.0, True, "1", None)}
    assert len(forms) == 5
    assert content_digest(0.0) == content_digest(-0.0)
    assert content_digest("ab", "c") != content_digest("a", "bc")


def test_a_declared_float_is_one_number() -> None:
    assert key(replace(REQUEST, loras=(LoraWeight("a", 1),))) == key(
        replace(REQUEST, loras=(LoraWeight("a", 1.0),))
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_no_nan(value: float) -> None:
    with pytest.raises(UsageError, match="finite"):
        key(replace(REQUEST, options=(("x", value),)))


@pytest.mark.parametrize("value", [Path("x"), [1], object(), {1: 2}])
def test_what_could_change_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="no canonical form"):
        content_digest(value)


def test_a_field_added_at_its_default_changes_no_key() -> None:
    @dataclass(frozen=True)
    class Old:
        name: str

    @dataclass(frozen=True)
    class New:
        name: str
        depth_m: float = 1.0

    assert content_digest(Old("a")) == content_digest(New("a")) != content_digest(New("a", 2))
