"""Backends by name, and a models file that names something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.backends.registry import InstalledBackends
from media.errors import UsageError


def test_a_model_that_nothing_reads_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models.toml"
    monkeypatch.setenv("TAKEBOARD_MODELS", str(models))
    models.write_text('[models.spandrel]\nsource = "/x"\n[models.ltx3]\nsource = "/x"\n')
    with pytest.raises(UsageError) as raised:
        InstalledBackends()["wan"]
    assert str(raised.value) == (
        f"{models}: models.ltx3: expected one of ltx2, wan, minimax_h3, hunyuanvideo, cogvideox, "
        'openai_video, spandrel, did you mean "ltx2"?'
    )
    assert InstalledBackends()["animatic"].id == "animatic"
