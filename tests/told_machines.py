"""Machines with models that hold no weights to speak of, and what they tell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generator.backends.base import Backend
from generator.backends.registry import InstalledBackends
from generator.backends.told import ToldMachine, tell_machine
from generator.local.settings import LocalSettings

__all__ = ["MODELS", "machine", "models_toml", "told_by"]

MODELS: Mapping[str, Mapping[str, Any]] = {
    "ltx2": {"variant": "2.5", "profiles": {"draft": {"precision": "fp8"}}},
    "wan": {"variant": "2.2", "parts": ("i2v", "vace"), "step_cache": "firstblock"},
    "minimax_h3": {"precision": "bf16"},
    "hunyuanvideo": {"parts": ("image",), "compile": True},
    "cogvideox": {"parts": ("image",), "offload": "sequential"},
}
"""Each open model, with a setting or two."""

_ACKNOWLEDGED = ("minimax-h3", "cogvideox", "tencent-hunyuan-community")


def machine(
    folder: Path, **models: Mapping[str, Any]
) -> tuple[LocalSettings, Mapping[str, Backend]]:
    """Settings and backends of a machine whose files are in `folder`; its name is in them."""
    written: dict[str, Any] = {}
    for name, said in models.items():
        parts = {part: {"source": str(folder / name / part)} for part in said.get("parts", ())}
        written[name] = {**said, "source": str(folder / name / "main"), "parts": parts}
    settings = LocalSettings.model_validate({"acknowledged": _ACKNOWLEDGED, "models": written})
    backends = InstalledBackends(dict.fromkeys(models, settings))
    for name in models:
        renderer: Any = backends[name]
        for need in renderer._renderer._ready.model_needs:
            if need.optional and need.name not in written[name]["parts"]:
                continue
            for file in (*need.files, "model_index.json"):
                path = folder / name / need.name / file.replace("*", "all")
                if "." in file:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(json.dumps({"weights": folder.name}))
                else:
                    path.mkdir(parents=True, exist_ok=True)
    return settings, backends


def told_by(folder: Path, **models: Mapping[str, Any]) -> ToldMachine:
    """What such a machine tells."""
    settings, backends = machine(folder, **models)
    told = tell_machine(backends, settings)
    lacking = {name: backends[name].unready for name in models}
    assert sorted(told.backends) == sorted(models), lacking
    return told


def models_toml(settings: LocalSettings) -> str:
    """The settings of one model with parts as a models file."""
    lines = []
    for name, model in settings.models.items():
        lines += [f"[models.{name}]", f'source = "{model.source}"', f'variant = "{model.variant}"']
        lines += [f'step_cache = "{model.step_cache}"']
        for part, where in model.parts.items():
            lines += [f"[models.{name}.parts.{part}]", f'source = "{where.source}"']
    return "\n".join(lines) + "\n"
