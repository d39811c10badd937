"""The GPU benchmark's own machinery, on tiny models: it must work where there is a GPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench import gpu
from generator.local.device import free_memory
from tests.generator.local.tiny_ltx2 import save_pipeline
from tests.generator.local.tiny_wan import save_tiny_wan


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("models")
    return {"ltx2": save_pipeline(root / "ltx2"), "wan": save_tiny_wan(root / "wan").text21}


@pytest.mark.parametrize("name", sorted(gpu.MODELS))
def test_a_film_is_measured(name: str, folders: dict[str, Path]) -> None:
    model = replace(gpu.MODELS[name], size=(64, 64), num_frames=17)
    seen = gpu.measure_lever(model, folders[name], {}, 2, "cpu")
    assert seen.denoise_s > 0
    assert seen.film_s_a_shot > 0
    free_memory("cpu")


@pytest.mark.parametrize("name", sorted(gpu.MODELS))
def test_the_plain_call_makes_latents(name: str, folders: dict[str, Path]) -> None:
    model = replace(gpu.MODELS[name], size=(64, 64), num_frames=9)
    assert model.plain(folders[name], gpu.shot_request(model), "cpu") > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_no_figure_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench.gpu", "wan", "--folder", str(tmp_path)])
    with pytest.raises(SystemExit, match="no GPU was found"):
        gpu.main()
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []
