"""Any job that can be planned reads back from its ticket as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.backends.animatic import Animatic
from generator.backends.base import (
    Backend,
    ContinueFrom,
    CutFrom,
    Description,
    EditOf,
    KeyPicture,
    ListedShot,
    LoraWeight,
    MotionArea,
    Placement,
    Quote,
    Reference,
    RenderRequest,
)
from generator.backends.footage import FootageBackend
from generator.keys import request_key
from generator.plan import ShotJob, plan_shots
from generator.takes import TakeStore
from generator.tickets import (
    TICKETS,
)
from media.store import ContentStore
from storyboards.fields import Angle, CameraMove, ShotSize
from storyboards.film import Asset, Film
from storyboards.resolve import load_films
from storyboards.shot_schema import Camera
from tests.fakes import FakeBackend
from tests.generator.test_keys import CHANGES, REQUEST
from tests.generator.ticket_films import read_back, require_same

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "storyboards/examples").glob("*/*.yaml"))


def job_for(request: RenderRequest, **changes: Any) -> ShotJob:
    values: dict[str, Any] = {
        "shot_id": "sc010/sh0010",
        "take": 1,
        "backend": "fake",
        "revision": "1",
        "request": request,
        "key": request_key(request, "fake", "1"),
        "num_frames": request.num_frames,
        "state": "new",
        "stale_reason": "",
        "quote": Quote(0.25, 40.0, 0.1),
        "adjustments": ("frames to 97",),
        "losses": (),
        "waits_for": "",
    }
    return ShotJob(**{**values, **changes})


# What a request may hold, each kind as the planner makes it.


def hashes(board: Asset) -> st.SearchStrategy[str]:
    return st.just(board.sha256)


units = st.floats(0, 1)
exact = st.fractions(Fraction(0), Fraction(600), max_denominator=30030)
chosen = st.one_of(
    st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
paths = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.sampled_from(["0s", "1.0625s", "250ms", "0.000000000001s", "17f", "3599s"]),
            "x_m": st.floats(-100, 100),
            "lens_mm": st.none() | st.floats(8, 400),
        }
    ),
    min_size=2,
    max_size=3,
)
cameras = st.one_of(
    st.builds(
        lambda moves, lens_mm: Camera(move=tuple(moves), lens_mm=lens_mm),
        st.lists(st.sampled_from(CameraMove), max_size=4),
        st.floats(8, 400),
    ),
    paths.map(lambda path: Camera.model_validate({"path": path})),
)
placements = st.builds(
    Placement,
    subject=st.text(),
    description=st.text(),
    sha256=st.just(""),
    position=st.sampled_from(["far_left", "centre"]),
    facing=st.sampled_from(["camera", "away"]),
    depth=st.sampled_from(["near", "far"]),
    height_m=st.floats(0.1, 3),
    enters=st.sampled_from([None, "left", "right"]),
    speaking=st.lists(st.tuples(st.integers(0, 9), st.integers(10, 99))).map(tuple),
)
descriptions = st.builds(
    Description,
    slugline=st.text(),
    action=st.text(),
    size=st.sampled_from(ShotSize),
    angle=st.sampled_from(Angle),
    camera=cameras,
    setting_seed=st.integers(0, 2**32),
    placements=st.lists(placements, max_size=2).map(tuple),
    dialogue=st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=2).map(tuple),
    focus=st.none() | st.tuples(units, units),
)


def requests(board: Asset, *, whole: bool = False) -> st.SearchStrategy[RenderRequest]:
    """Any request that names no other file than `board`."""
    sha256 = hashes(board)
    listed = st.builds(ListedShot, st.text(), exact, exact)
    return st.builds(
        RenderRequest,
        prompt=st.text(),
        negative=st.text(),
        seed=st.integers(0, 2**32),
        size=st.tuples(st.integers(2, 8192), st.integers(2, 8192)),
        fps=st.sampled_from([Fraction(24), Fraction(30000, 1001)]),
        num_frames=st.integers(1, 10**6),
        profile=st.sampled_from(["draft", "standard", "fine"]),
        description=descriptions,
        references=st.lists(
            st.builds(
                Reference,
                kind=st.sampled_from(["image", "video", "audio"]),
                role=st.sampled_from(["character", "voice", "layer"]),
                sha256=sha256,
                subject=st.text(),
                strength=units | st.just(1),
                depth_m=st.none() | st.floats(0, 600),
            ),
            max_size=2,
        ).map(tuple),
        key_pictures=st.lists(
            st.builds(KeyPicture, st.integers(0, 99), sha256, units), max_size=2
        ).map(tuple),
        motion=st.lists(
            st.builds(
                MotionArea,
                box=st.none() | st.tuples(units, units, units, units),
                mask_sha256=st.just("") | sha256,
                trajectory=st.lists(st.tuples(units, units), max_size=3).map(tuple),
            ),
            max_size=2,
        ).map(tuple),
        continue_from=st.none()
        | st.builds(
            ContinueFrom,
            st.just("c" * 64),
            st.sampled_from(["shared_keyframe", "extend"]),
            st.integers(1, 33),
        ),
        edit=st.none()
        | st.builds(
            EditOf,
            st.just("e" * 64),
            st.sampled_from(["insert", "remove", "restyle", "relight"]),
            st.text(),
            st.just("") | sha256,
        ),
        audio=st.sampled_from(["native", "driven", "none"]),
        audio_sha256=st.just("") | sha256,
        loras=st.lists(st.builds(LoraWeight, sha256, units, st.text()), max_size=2).map(tuple),
        options=st.dictionaries(st.text(), chosen, max_size=4).map(
            lambda options: tuple(sorted(options.items()))
        ),
        shots=st.lists(listed, max_size=3).map(tuple),
        cut_from=st.none()
        if whole
        else st.none()
        | st.builds(
            CutFrom,
            requests(board, whole=True),
            st.integers(0, 5),
            st.lists(st.integers(1, 99)).map(tuple),
        ),
    )


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_request_reads_back_exactly(
    film: Film, board: Asset, store: TakeStore, data: st.DataObject
) -> None:
    job = job_for(data.draw(requests(board)))
    require_same(read_back(job, film, store), job)


@pytest.mark.parametrize("field", sorted(CHANGES))
def test_every_field_reads_back(field: str, film: Film, board: Asset, store: TakeStore) -> None:
    plain = {"a" * 64: board.sha256}
    changed = replace(REQUEST, **{field: _with_files(CHANGES[field], plain)})
    job = job_for(changed)
    require_same(read_back(job, film, store), job)


def _with_files(value: Any, names: dict[str, str]) -> Any:
    """`value` with digests that stand for real files."""
    if isinstance(value, str):
        return names.get(value, value)
    if type(value) is tuple:
        return tuple(_with_files(one, names) for one in value)
    if hasattr(value, "sha256"):
        return replace(value, sha256=names[value.sha256])
    if isinstance(value, MotionArea):
        return replace(value, mask_sha256=names[value.mask_sha256])
    return value


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("make", [Animatic, lambda: Able("ltx2", native_audio=True)])
def test_what_is_planned_from_the_examples_reads_back(
    path: Path, make: Callable[[], Backend], store: TakeStore
) -> None:
    backend = make()
    for film in load_films(path):
        backends = dict.fromkeys(("ltx2", "wan", "animatic", "minimax_h3"), backend)
        plan = plan_shots(film, {**backends, "footage": FootageBackend()}, store.entries, {})
        for job in plan.jobs:
            require_same(read_back(job, film, store), job)
        assert {job.key for job in plan.jobs} <= set(
            ContentStore(store.entries.root, TICKETS).keys()
        )


@dataclass
class Able(FakeBackend):
    """Takes everything that a storyboard can say."""

    @property
    def capabilities(self) -> Any:
        return replace(
            FootageBackend.capabilities,
            native_audio=True,
            max_references={"image": 9, "video": 3, "audio": 3},
            loras=True,
            shots_per_generation=4,
        )
