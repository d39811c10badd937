"""`takeboard models`: what this machine has, without loading any of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from films import command

from flows.models import models_facts
from generator.backends.registry import known_backends

MODELS_DOC = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")


def test_a_machine_with_nothing_has_the_animatic(tmp_path: Path) -> None:
    shown = command("models", home=tmp_path, XDG_CONFIG_HOME=str(tmp_path))
    assert shown.returncode == 0, shown.stderr
    assert "there is none yet" in " ".join(shown.stdout.split())
    facts = json.loads(
        command("models", "--json", home=tmp_path, XDG_CONFIG_HOME=str(tmp_path)).stdout
    )
    assert [one["backend"] for one in facts if one["ready"]] == ["animatic"]
    assert all(one["unready"] for one in facts if not one["ready"])


def test_a_wrong_models_file_is_one_line(tmp_path: Path) -> None:
    models = tmp_path / "models.toml"
    models.write_text("[models.wan]\nsauce = 1\n")
    shown = command("models", home=tmp_path, TAKEBOARD_MODELS=str(models))
    assert shown.returncode == 2
    assert len(shown.stderr.strip().splitlines()) == 1
    assert "models.wan.sauce" in shown.stderr
    assert str(models) in shown.stderr


def test_every_backend_and_its_licence_is_in_the_documentation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    empty = tmp_path / "models.toml"
    empty.write_text("")
    monkeypatch.setenv("TAKEBOARD_MODELS", str(empty))
    named = {one["backend"] for one in models_facts()}
    assert named == set(known_backends()) - {"footage"}
    for one in models_facts():
        if one["backend"] == "animatic":
            continue
        assert f"`{one['backend']}`" in MODELS_DOC
        for territory in one["licence"]["excluded_territories"]:
            row = next(
                line
                for line in MODELS_DOC.splitlines()
                if line.startswith(f"| `{one['backend']}`") and "|" in line
            )
            assert territory in row
        if one["max_take_s"]:
            assert f"{one['max_take_s']} s" in MODELS_DOC


def test_nothing_heavy_is_loaded() -> None:
    code = (
        "import sys; from flows.models import models_facts; models_facts(); "
        "print([name for name in ('torch', 'diffusers', 'cv2', 'av') if name in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert shown.stdout.strip() == "[]"
