"""Which rungs a part may stand on, which one seems to fit, and the way down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from generator.local.ladder import RUNGS, Ladder, rungs_for, rungs_that_fit, weights_bytes
from generator.local.settings import ModelSettings
from media.errors import RenderError

GIB = 2**30


@pytest.mark.parametrize(
    ("asked", "part", "expected"),
    [
        ({}, "denoiser", RUNGS),
        ({}, "decoder", ("resident", "group_offload", "sequential_offload")),
        ({"precision": "bf16"}, "denoiser", ("resident", "group_offload", "sequential_offload")),
        ({"precision": "fp8"}, "encoder", ("resident", "group_offload", "sequential_offload")),
        ({"offload": "group"}, "denoiser", ("group_offload", "sequential_offload")),
        ({"offload": "sequential"}, "encoder", ("sequential_offload",)),
    ],
)
def test_settings_leave_rungs_out(
    asked: dict[str, Any], part: str, expected: tuple[str, ...]
) -> None:
    assert rungs_for(ModelSettings(**asked), part) == expected


@pytest.mark.parametrize(
    ("weights_gib", "free_gib", "first"),
    [
        (44, 79, "resident"),
        (44, 40, "quantised"),
        (44, 24, "group_offload"),
        (2, 4.5, "resident"),
        (None, 1, "resident"),
        (44, None, "resident"),
    ],
)
def test_the_fastest_rung_that_seems_to_fit(
    weights_gib: float | None, free_gib: float | None, first: str
) -> None:
    weights = None if weights_gib is None else int(weights_gib * GIB)
    free = None if free_gib is None else int(free_gib * GIB)
    fitting = rungs_that_fit(RUNGS, weights, free)
    assert fitting[0] == first
    assert fitting == RUNGS[RUNGS.index(fitting[0]) :]


def test_weights_are_counted_from_headers_as_they_are_loaded(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    for name in ("transformer", "transformer_2", "vae"):
        (tmp_path / name).mkdir()
    save_file({"a": torch.zeros(100)}, tmp_path / "transformer" / "one.safetensors")
    save_file(
        {"b": torch.zeros(30, dtype=torch.bfloat16), "c": torch.zeros(7, dtype=torch.uint8)},
        tmp_path / "transformer_2" / "two.safetensors",
    )
    save_file({"d": torch.zeros(1000)}, tmp_path / "vae" / "three.safetensors")
    assert weights_bytes(tmp_path, ("transformer*",), 2) == 100 * 2 + 30 * 2 + 7
    assert weights_bytes(tmp_path, ("transformer*",), 4) == 100 * 4 + 30 * 2 + 7
    assert weights_bytes(tmp_path, ("text_encoder*",), 2) is None
    (tmp_path / "transformer" / "bad.safetensors").write_bytes(b"\xff" * 20)
    assert weights_bytes(tmp_path, ("transformer*",), 2) == 100 * 2 + 30 * 2 + 7


def test_the_way_down() -> None:
    steps: list[tuple[str, str]] = []
    room = iter([True, True, False])
    ladder = Ladder(
        RUNGS[:2],
        lambda: next(room),
        lambda above, below, said: steps.append((above, below)),
        "the denoiser",
    )
    full = RuntimeError("CUDA out of memory\nsecond line")
    assert ladder.rung == "resident"
    # Something else could go: the same rung again, but only once.
    ladder.step_down(ladder.ran_out(full))
    assert (ladder.rung, steps) == ("resident", [])
    ladder.step_down(ladder.ran_out(full))
    assert (ladder.rung, steps) == ("quantised", [("resident", "quantised")])
    with pytest.raises(RenderError, match=r"the denoiser does not fit .* CUDA out of memory;"):
        ladder.step_down(ladder.ran_out(full))


def test_other_errors_are_raised_again() -> None:
    ladder = Ladder(RUNGS, lambda: False, lambda *_: None, "the denoiser")
    with pytest.raises(ValueError, match="shape"):
        ladder.ran_out(ValueError("shape"))
