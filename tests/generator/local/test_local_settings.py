"""The machine's models file: read, checked, and refused where it is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from generator.local.settings import LocalSettings, local_settings, models_file
from media.errors import UsageError

WHOLE = """
device = "cuda:1"
acknowledged = ["minimax-h3"]

[models.ltx2]
source = "/models/LTX-2.5"
variant = "2.5"
precision = "fp8"
offload = "group"

[models.ltx2.parts.ingredients]
source = "/models/ingredients"
weight_name = "sheet.safetensors"

[models.openai_video]
url = "http://127.0.0.1:8000"
dialect = "sglang"
key_env = "SERVER_KEY"
"""


def named(path: Path) -> dict[str, str]:
    return {"TAKEBOARD_MODELS": str(path)}


def test_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(WHOLE)
    settings = local_settings(named(path))
    assert (settings.device, settings.acknowledged) == ("cuda:1", ("minimax-h3",))
    model = settings.model("ltx2")
    assert model is not None
    assert (model.source, model.precision, model.offload) == ("/models/LTX-2.5", "fp8", "group")
    assert model.parts["ingredients"].weight_name == "sheet.safetensors"
    assert settings.model("wan") is None


def test_without_a_file_nothing_is_set_up(tmp_path: Path) -> None:
    assert local_settings({"XDG_CONFIG_HOME": str(tmp_path)}) == LocalSettings()


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"TAKEBOARD_MODELS=.*there is no such file"):
        local_settings(named(tmp_path / "none.toml"))


def test_where_the_file_is(tmp_path: Path) -> None:
    assert models_file(named(tmp_path / "a.toml")) == tmp_path / "a.toml"
    assert models_file({"XDG_CONFIG_HOME": "/etc/xdg"}) == Path("/etc/xdg/takeboard/models.toml")
    assert models_file({}) == Path.home() / ".config/takeboard/models.toml"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("device = ", "cannot read the models file"),
        ("devise = 'cpu'", "devise: unknown setting, expected one of device, acknowledged, models"),
        (
            "[models.ltx2]\nsorce = 'x'",
            "models.ltx2.sorce: unknown setting, expected one of source",
        ),
        ("[models.ltx2]\nsorce = 'x'", 'did you mean "source"?'),
        (
            "[models.ltx2.parts.a]\nsource = 'x'\nvariant = 'y'",
            "one of source, revision, weight_name",
        ),
        ("[models.wan.profiles.draft]\nspeed = 2", "expected one of precision, attention, compile"),
        ("[models.wan.profiles.quick]\ncompile = true", "expected 'draft', 'standard' or 'fine'"),
        ("[models.ltx2]\nprecision = 'fp4'", "models.ltx2.precision: expected 'auto', 'bf16'"),
        ("[models.ltx2]\nprecision = 'fp4'", "got 'fp4'"),
        ("[models.ltx2]\nkey_env = 3\nurl = 4", "(and 1 more)"),
        ("device = 3", "device: expected a valid string, got 3"),
        ("device = 'gpu'", 'device: expected "cpu", "mps", "cuda" or a GPU by number'),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as raised:
        local_settings(named(path))
    assert said in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_file_that_is_no_text_or_too_large(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot read the models file"):
        local_settings(named(path))
    path.write_text("#" * 1_000_001)
    with pytest.raises(UsageError, match="expected at most 1 MB, found 1000001 bytes"):
        local_settings(named(path))


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text('device = "cpu"\n')
    assert local_settings(named(path)).device == "cpu"
    assert local_settings(named(path)) is local_settings(named(path))
    path.write_text('device = "mps"\n')
    os.utime(path, ns=(1, 1))
    assert local_settings(named(path)).device == "mps"
