"""What is said before anything loads: packages, licence, files, levers; and the weights' name."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from generator.backends.base import Licence
from generator.local import readiness as readinesses
from generator.local.driver import LocalRenderer
from generator.local.family import Sources
from generator.local.levers import LeverSupport
from generator.local.readiness import Readiness, licence_refusal
from generator.local.settings import LocalSettings, ModelSettings, local_settings
from generator.local.sources import Need
from tests.generator.local.tiny_family import NEEDS, TinyFamily, tiny_model

STRICT = Licence(
    "minimax-h3",
    excluded_territories=("EU", "UK"),
    needs_acknowledgement=True,
    url="https://example.org/licence",
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def ready_with(
    folder: Path,
    *,
    licence: Licence | None = None,
    acknowledged: tuple[str, ...] = (),
    **model: Any,
) -> Readiness:
    settings = LocalSettings(
        acknowledged=acknowledged, models={"tiny": ModelSettings(source=str(folder), **model)}
    )
    levers = LeverSupport(compile=False)
    return Readiness("tiny", licence or Licence("tiny-1.0"), NEEDS, levers, settings)


def test_a_model_with_all_its_files_is_ready(folder: Path) -> None:
    assert ready_with(folder).unready == ""


def test_a_licence_is_acknowledged_by_its_id(folder: Path) -> None:
    said = ready_with(folder, licence=STRICT).unready
    for words in ("minimax-h3", "excludes EU, UK", "https://example.org/licence", "acknowledged ="):
        assert words in said
    assert ready_with(folder, licence=STRICT, acknowledged=("other",)).unready == said
    assert ready_with(folder, licence=STRICT, acknowledged=("minimax-h3",)).unready == ""


def test_a_licence_says_its_cap() -> None:
    capped = replace(STRICT, excluded_territories=(), revenue_cap_usd=10_000_000)
    assert "is free below $10,000,000 of revenue a year" in licence_refusal(capped, ())
    assert licence_refusal(replace(capped, needs_acknowledgement=False), ()) == ""


def test_a_lever_is_refused(folder: Path) -> None:
    assert ready_with(folder, compile=True).unready.startswith("compile: ")
    draft = ready_with(folder, profiles={"draft": {"compile": True}})
    assert draft.unready.startswith("profiles.draft: compile: ")


def test_the_extra_must_be_installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readinesses, "find_spec", lambda name: None if name == "torch" else 1)
    assert "needs torch: install takeboard[gpu]" in ready_with(folder).unready


def test_needs_may_follow_the_settings(folder: Path) -> None:
    def needs(model: ModelSettings) -> tuple[Need, ...]:
        more = Need("stage2", ("*.safetensors",), 1.0, "tiny-1.0", "see the docs")
        return (*NEEDS, more) if model.variant == "2.5" else NEEDS

    ready = replace(ready_with(folder), needs=needs)
    assert ready.unready == ""
    newer = replace(ready_with(folder, variant="2.5"), needs=needs)
    assert "stage2 is not in the models file" in newer.unready


def test_settings_that_change_pixels_are_another_model(folder: Path) -> None:
    asked: list[dict[str, Any]] = [
        {},
        {"variant": "2.5"},
        {"precision": "fp8"},
        {"attention": "sage"},
        {"step_cache": "pyramid"},
        {"profiles": {"draft": {"step_cache": "pyramid"}}},
        {"profiles": {"fine": {"step_cache": "pyramid"}}},
    ]
    assert len({ready_with(folder, **one).weights for one in asked}) == len(asked)
    same = [{}, {"offload": "group"}, {"compile": True}, {"download": True}]
    same += [{"profiles": {"draft": {"compile": True}}}, {"profiles": {"fine": {}}}]
    assert len({ready_with(folder, **one).weights for one in same}) == 1


def test_a_plan_of_many_shots_asks_the_disk_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = readinesses.what_is_missing

    def missing(*args: Any) -> str:
        asked.append("")
        return real(*args)

    monkeypatch.setattr(readinesses, "what_is_missing", missing)
    monkeypatch.setattr(readinesses, "_REMEMBERED_S", 60.0)
    ready = ready_with(folder)
    for _ in range(1000):
        assert (ready.unready, len(ready.weights)) == ("", 16)
    assert len(asked) == 1


def test_the_machines_file_is_read_anew_when_it_changes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models.toml"
    models.write_text("")
    monkeypatch.setenv("TAKEBOARD_MODELS", str(models))
    renderer = LocalRenderer(
        "tiny", "1", Licence("tiny-1.0"), NEEDS, lambda *_: TinyFamily(Sources(""))
    )
    assert "not in the models file" in renderer.unready
    assert renderer.unready.endswith("then name its folder as source of [models.tiny] in the file")
    models.write_text(f'[models.tiny]\nsource = "{folder}"\n')
    assert local_settings().models
    assert renderer.unready == ""
    assert renderer.model.source == str(folder)


def test_asking_loads_no_torch(folder: Path, tmp_path: Path) -> None:
    models = tmp_path / "models.toml"
    models.write_text(f'[models.tiny]\nsource = "{folder}"\n')
    code = (
        "import sys\n"
        "from generator.local.driver import LocalRenderer, Need\n"
        "from generator.backends.base import Licence\n"
        "need = Need('main', ('vae',), 1, 'l', 'h')\n"
        "one = LocalRenderer('tiny', '1', Licence('l'), (need,), lambda *_: None)\n"
        "assert one.unready == '', one.unready\n"
        "assert one.revision.startswith('1+')\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'cv2', 'av'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    environ = {"TAKEBOARD_MODELS": str(models), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
