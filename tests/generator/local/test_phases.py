"""What phases made: found again with what was noted, or made once more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from generator.local.phases import LATENTS, Notes, kept, load_tensors, save_tensors
from media import store as stores
from media.errors import StoreError

KEY = "a" * 64


def tensors() -> dict[str, Any]:
    import torch

    whole = torch.arange(6.0).reshape(2, 3)
    return {
        "half": whole.to(torch.bfloat16),
        "turned": whole.T,
        "shared": whole[0],
        "flag": torch.tensor(3),
    }


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    import torch

    save_tensors(tmp_path / "a.safetensors", tensors())
    back = load_tensors(tmp_path / "a.safetensors")
    for name, tensor in tensors().items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)


def test_what_was_made_is_made_once_with_its_notes(tmp_path: Path) -> None:
    import torch

    def make(notes: Notes) -> dict[str, Any]:
        notes.warnings.append("made quantised")
        notes.versions["denoiser_rung"] = "quantised"
        return tensors()

    notes = Notes(["earlier"], {"torch": "2"})
    made = kept(tmp_path, LATENTS, KEY, lambda: make(notes), notes)
    again = Notes()
    found = kept(tmp_path, LATENTS, KEY, lambda: pytest.fail("made again"), again)
    assert torch.equal(found["half"], made["half"])
    assert again.warnings == ["made quantised"]
    assert again.versions == {"denoiser_rung": "quantised"}


def test_damaged_latents_are_made_again(tmp_path: Path) -> None:
    kept(tmp_path, LATENTS, KEY, tensors, Notes())
    (file,) = tmp_path.glob("**/*.safetensors")
    file.write_bytes(b"\0" * file.stat().st_size)
    made: list[int] = []

    def make() -> dict[str, Any]:
        made.append(1)
        return tensors()

    kept(tmp_path, LATENTS, KEY, make, Notes())
    assert made == [1]


def test_a_full_disk_costs_a_warning_and_not_the_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stores, "write_atomic", full)
    notes = Notes()
    made = kept(tmp_path, LATENTS, KEY, tensors, notes)
    assert torch.equal(made["half"], tensors()["half"])
    assert len(notes.warnings) == 1
    assert "latents could not be kept" in notes.warnings[0]


def test_a_store_that_cannot_be_reached_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "latents").write_text("a file where a folder should be")
    with pytest.raises(StoreError):
        kept(tmp_path, LATENTS, KEY, lambda: pytest.fail("made in vain"), Notes())


def test_a_failure_while_making_keeps_nothing(tmp_path: Path) -> None:
    def fail() -> dict[str, Any]:
        raise ValueError("broke")

    with pytest.raises(ValueError, match="broke"):
        kept(tmp_path, LATENTS, KEY, fail, Notes())
    assert not list(tmp_path.glob("**/*.safetensors"))
